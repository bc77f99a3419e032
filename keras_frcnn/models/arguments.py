"""Every argument of the models once: its type, its default, what it is and where the number comes from.

A method lists its groups of arguments in a class of its own, beside its constructor. Letters: K classes.
"""

from typing import Annotated, Any, TypedDict

from keras_frcnn.models.defaults import BACKBONES, Open, alike

Sides = tuple[int, int]
Range = tuple[float, float]


class ImageArguments(TypedDict, total=False):
    """How an image reaches the network."""

    image_size: Annotated[
        Sides | None,
        alike((600, 1000)),
        "`(short side, limit of the long side)` that `detect` and the export resize to, pixels from "
        "1; Faster R-CNN, section 3.3.",
    ]
    resize_rounding: Annotated[
        str | None,
        alike("exact"),
        '"exact" or "float64" (torchvision): how sides are rounded at test time, see '
        '`images.resized_shape`; batches of training are resized "exact".',
    ]
    canvas: Annotated[
        bool,
        False,
        "whether every image is letterboxed into one square of `image_size[1]`, so that a batch of "
        "any images is one pass.",
    ]
    preprocessing: Annotated[
        str | None,
        alike(BACKBONES),
        '"caffe" (BGR less a mean), "torch" (RGB less a mean over a deviation) or "tf" (−1 to 1), as '
        "the weights want it.",
    ]
    batch_norm_epsilon: Annotated[
        float | None, alike(None), "of all batch normalization, above 0; None keeps what each network has."
    ]
    weights_source: Annotated[
        str | None,
        alike(BACKBONES),
        "a word for where the weights come from, for `loading_report` and the export's assets.",
    ]


class FreezingArguments(TypedDict, total=False):
    """What of the backbone does not train."""

    frozen_stages: Annotated[
        int | None,
        alike(0),
        "stages of the backbone that do not train, counted from the image, from 0; 2 of VGG16 in "
        'Faster R-CNN, section 3.2, and 0 with weights "none".',
    ]
    frozen_batch_norm: Annotated[
        bool | None,
        alike(BACKBONES),
        "whether batch normalization keeps its statistics, in the backbone and in the head; with "
        "pretrained weights it does, but for `resnet50_fpn_v2`.",
    ]


class AnchorArguments(TypedDict, total=False):
    """The anchors; see `AnchorGenerator`."""

    anchor_sizes: Annotated[
        tuple | None,
        alike(BACKBONES),
        "for each level one side of a square anchor, or several, pixels above 0; ((128, 256, 512),) "
        "in Faster R-CNN, section 3.3.",
    ]
    anchor_ratios: Annotated[tuple, (0.5, 1.0, 2.0), "height over width, above 0; Faster R-CNN, section 3.3."]
    anchor_offset: Annotated[
        float | None,
        alike(0.5),
        "where in its cell an anchor is centered, a fraction of the stride, 0 to 1; 0 in torchvision.",
    ]
    anchor_rounding: Annotated[
        str | None,
        alike("none"),
        '"none", "caffe" (py-faster-rcnn) or "torchvision": how corners are rounded.',
    ]
    anchor_steps: Annotated[
        str | None,
        alike("stride"),
        '"stride" or "quotient" (torchvision): how far it is from cell to cell.',
    ]


class ProposalArguments(AnchorArguments, total=False):
    """The region proposal network, its proposals and its loss."""

    objectness: Annotated[
        str | None,
        Open("softmax", "sigmoid"),
        '"softmax", two class channels an anchor as in the paper, or "sigmoid", one.',
    ]
    rpn_channels: Annotated[
        int | None, Open(512, 256), "of the 3×3 convolution, from 1; 512 with VGG16, 256 with ZF and FPN."
    ]
    rpn_depth: Annotated[int | None, alike(1), "3×3 convolutions in a row, from 1; 2 in torchvision's v2."]
    rpn_pre_nms: Annotated[
        Sides | None,
        Open((12000, 6000), (2000, 1000)),
        "`(training, test)`, boxes of each level that enter non-maximum suppression, from 1; "
        "RPN_PRE_NMS_TOP_N of py-faster-rcnn.",
    ]
    rpn_post_nms: Annotated[
        Sides | None,
        Open((2000, 300), (2000, 1000)),
        "`(training, test)`, proposals that leave it, from 1; RPN_POST_NMS_TOP_N of py-faster-rcnn.",
    ]
    rpn_nms_iou: Annotated[
        float, 0.7, "0 to 1; proposals that overlap a better one by more are dropped; section 3.3."
    ]
    rpn_min_size: Annotated[
        float | None,
        Open(16.0, 1e-3),
        "proposals with a shorter side are dropped, pixels from 0; RPN_MIN_SIZE of py-faster-rcnn.",
    ]
    rpn_min_size_first: Annotated[
        bool | None,
        Open(True, False),
        "whether small boxes leave before the cut to `rpn_pre_nms` (py-faster-rcnn) or after it "
        "(torchvision).",
    ]
    rpn_score_threshold: Annotated[
        float | None,
        alike(0.0),
        "proposals that score lower are dropped, 0 to 1; torchvision's `rpn_score_thresh`.",
    ]
    rpn_positive_iou: Annotated[
        float, 0.7, "anchors with at least this IoU with an object are positive, 0 to 1; section 3.1.2."
    ]
    rpn_negative_iou: Annotated[
        float, 0.3, "anchors whose best IoU is below are negative, 0 to 1; section 3.1.2."
    ]
    rpn_batch_size: Annotated[int, 256, "anchors drawn an image, from 1; section 3.1.3."]
    rpn_positive_fraction: Annotated[
        float, 0.5, "at most this share of them is positive, 0 to 1; section 3.1.3."
    ]
    rpn_cross_border: Annotated[
        bool | None,
        Open(False, True),
        "whether anchors that cross the border of the image take part in training; the paper leaves "
        "them out, torchvision does not.",
    ]
    rpn_beta: Annotated[
        float, 1.0 / 9.0, "of the smooth L1, from 0; 1/9 in py-faster-rcnn (σ = 3) and torchvision."
    ]
    rpn_box_loss_weight: Annotated[
        float, 1.0, "λ of the RPN's loss, from 0; 1 in py-faster-rcnn and torchvision, 10 in the paper."
    ]
    rpn_box_normalizer: Annotated[
        str,
        "sampled",
        'what divides the box loss: "sampled", the anchors of the minibatch, as in py-faster-rcnn and '
        'torchvision; or "locations", the cells of the feature maps, as in the paper. On a map of 40 '
        "× 60 cells the paper's 10/2400 is 1.07 times the 1/256 of the other form.",
    ]


class PoolingArguments(TypedDict, total=False):
    """How RoIs are pooled from the feature maps."""

    pooling: Annotated[
        str | None,
        Open("roi_pooling", "roi_align"),
        '"roi_pooling" (`RoIPooling`), "roi_align" (`RoIAlign`) or "exact" (`ExactRoIPooling`).',
    ]
    pool_size: Annotated[
        int | None, alike(7), "bins along a side of a pooled RoI, from 1; Fast R-CNN, section 2.1."
    ]
    pool_samples: Annotated[
        int, 2, "bilinear samples along a side of a bin, from 1; torchvision's `sampling_ratio`."
    ]
    pool_aligned: Annotated[
        bool | None,
        alike(True),
        "whether coordinates are shifted by half a cell; false repeats torchvision's shifted grid.",
    ]
    pool_corners: Annotated[
        str,
        "inclusive",
        'of "exact": whether the cell of the last corner belongs to the region, "inclusive" (Caffe), '
        'or not, "half_open".',
    ]


class HeadArguments(TypedDict, total=False):
    """The fully connected head and the RoIs that it trains on."""

    head_units: Annotated[
        tuple | None,
        alike((1024, 1024)),
        "widths of the fully connected layers; (4096, 4096) with VGG16. Not used where the backbone "
        "brings a head.",
    ]
    head_dropout: Annotated[float | None, alike(0.0), "rate after each of them, 0 to 1; 0.5 with VGG16."]
    head_ranks: Annotated[
        tuple | None,
        None,
        "rank of each of them in two factors, 0 or None for one that stays whole (truncated SVD, Fast "
        "R-CNN, section 3.1).",
    ]
    head_batch_size: Annotated[
        int | None,
        Open(128, 512),
        "RoIs drawn an image, from 1; BATCH_SIZE of py-faster-rcnn, torchvision with FPN.",
    ]
    head_positive_fraction: Annotated[
        float, 0.25, "at most this share of them is foreground, 0 to 1; Fast R-CNN, section 2.3."
    ]


class ForegroundArguments(TypedDict, total=False):
    """Which RoIs are foreground, and what they learn."""

    head_positive_iou: Annotated[
        float,
        0.5,
        "proposals with at least this IoU with an object are foreground, 0 to 1; Fast R-CNN, section 2.3.",
    ]
    head_negative_iou: Annotated[
        Range,
        (0.0, 0.5),
        "`(low, high)` of background, 0 to 1; BG_THRESH_LO and BG_THRESH_HI of py-faster-rcnn.",
    ]
    class_agnostic: Annotated[bool, False, "whether there is one box an RoI instead of one for each class."]


class BoxHeadArguments(HeadArguments, total=False):
    """A head that learns classes and boxes together, and its boxes."""

    head_convs: Annotated[
        tuple | None,
        alike(()),
        "widths of 3×3 convolutions before the fully connected layers; four of 256 in torchvision's v2.",
    ]
    head_beta: Annotated[
        float | None, Open(1.0, 1.0 / 9.0), "of the smooth L1, from 0; 1 in Fast R-CNN, 1/9 in torchvision."
    ]
    box_loss_weight: Annotated[float, 1.0, "λ of the multi-task loss, from 0; Fast R-CNN, section 2.3."]
    class_loss: Annotated[
        Any,
        "cross_entropy",
        '"cross_entropy", "focal" or an object such as `losses.Focal(gamma=1.5)`; Fast R-CNN, section 2.3.',
    ]
    box_loss: Annotated[
        Any,
        "smooth_l1",
        '"smooth_l1" of the deltas, "giou" of the boxes, or an object such as these of `losses`; Fast '
        "R-CNN, section 2.3.",
    ]
    min_box_size: Annotated[
        float | None,
        alike(0.0),
        "detections with a shorter side are dropped, pixels from 0; 0.01 in torchvision.",
    ]


class AnswerArguments(TypedDict, total=False):
    """Which detections an image gets; see `ops.nms.postprocess`."""

    score_threshold: Annotated[
        float, 0.05, "detections score above it, 0 to 1; py-faster-rcnn and torchvision."
    ]
    nms_iou: Annotated[
        float | None, Open(0.3, 0.5), "of the suppression in each class, 0 to 1; TEST.NMS of py-faster-rcnn."
    ]
    max_detections: Annotated[
        int, 100, "detections an image at most, from 1; py-faster-rcnn and torchvision."
    ]

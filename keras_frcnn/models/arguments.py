"""Tables of the models' arguments: type, default, description and source, each defined once.

Each method combines its groups in a class beside its constructor. Where two of them define one name, the last
group wins, so a group with another default stands after the one that it departs from. Letters: K classes.
"""

from typing import Annotated, Any, TypedDict

from keras_frcnn.models.defaults import FROM_BACKBONE, BackboneOr

Pair = tuple[int, int]


class ImageArguments(TypedDict, total=False):
    """How images are resized and preprocessed."""

    image_size: Annotated[
        Pair | None,
        BackboneOr((600, 1000)),
        "`(short side, limit of the long side)` that `detect` and the export resize to, in pixels, at "
        "least 1; Faster R-CNN, section 3.3, and for the limit Fast R-CNN, section 5.2.",
    ]
    resize_rounding: Annotated[
        str | None,
        BackboneOr("exact"),
        'rounding of the sides at test time, "exact" or "float64" (torchvision), see '
        '`images.resized_shape`; training batches always use "exact".',
    ]
    canvas: Annotated[
        bool,
        False,
        "whether to letterbox every image into one square of side `image_size[1]`, rounded up to a "
        "multiple of 32, so that any batch of images takes one pass.",
    ]
    preprocessing: Annotated[
        str | None,
        FROM_BACKBONE,
        '"caffe" (BGR minus a mean), "torch" (RGB minus a mean, divided by a deviation), "tf" (−1 to '
        '1) or "none" (0 to 255, for a network that normalizes); it must match the weights.',
    ]
    batch_norm_epsilon: Annotated[
        float | None,
        BackboneOr(None),
        "epsilon of every batch normalization, at least 0; None keeps the value of each network.",
    ]
    weights_source: Annotated[
        str | None,
        FROM_BACKBONE,
        "name for the source of the weights, shown by `loading_report` and in the export's assets.",
    ]


class FreezingArguments(TypedDict, total=False):
    """Which parts of the backbone do not train."""

    frozen_stages: Annotated[
        int | None,
        BackboneOr(0),
        "number of backbone stages that do not train, counted from the image, at least 0; 2 for VGG16 in "
        'Faster R-CNN, section 3.1.3, and 0 with weights "none".',
    ]
    frozen_batch_norm: Annotated[
        bool | None,
        FROM_BACKBONE,
        "whether batch normalization keeps its statistics, in the backbone and in the head; true with "
        "pretrained weights, except for `resnet50_fpn_v2`.",
    ]


class AnchorArguments(TypedDict, total=False):
    """The anchors; see `AnchorGenerator`."""

    anchor_sizes: Annotated[
        tuple[float | tuple[float, ...], ...] | None,
        FROM_BACKBONE,
        "one or several sides of square anchors for each level, in pixels, above 0; ((128, 256, 512),) "
        "in Faster R-CNN, section 3.3.",
    ]
    anchor_ratios: Annotated[tuple[float, ...], (0.5, 1.0, 2.0), "height / width, above 0; section 3.3."]
    anchor_offset: Annotated[
        float | None,
        BackboneOr(0.5),
        "position of the anchor's center in its cell, as a fraction of the stride, 0 to 1; 0 in torchvision.",
    ]
    anchor_rounding: Annotated[
        str | None,
        BackboneOr("none"),
        'rounding of the corners: "none", "caffe" (py-faster-rcnn) or "torchvision".',
    ]
    anchor_steps: Annotated[
        str | None,
        BackboneOr("stride"),
        'distance between neighboring cells: "stride" or "quotient" (torchvision).',
    ]


class ProposalArguments(AnchorArguments, total=False):
    """The region proposal network, its proposals and its loss."""

    objectness: Annotated[
        str | None,
        BackboneOr("softmax", "sigmoid"),
        '"softmax", with two class channels per anchor as in the paper, or "sigmoid", with one.',
    ]
    rpn_channels: Annotated[
        int | None,
        BackboneOr(512, 256),
        "channels of the 3×3 convolution, at least 1; 512 with VGG16, 256 with ZF and FPN.",
    ]
    rpn_depth: Annotated[
        int | None, BackboneOr(1), "3×3 convolutions in a row, at least 1; 2 in torchvision's v2."
    ]
    rpn_pre_nms: Annotated[
        Pair | None,
        BackboneOr((12000, 6000), (2000, 1000)),
        "`(training, test)`, maximum number of boxes per level that enter non-maximum suppression, at "
        "least 1; RPN_PRE_NMS_TOP_N of py-faster-rcnn.",
    ]
    rpn_post_nms: Annotated[
        Pair | None,
        BackboneOr((2000, 300), (2000, 1000)),
        "`(training, test)`, maximum number of proposals that remain after it, at least 1; "
        "RPN_POST_NMS_TOP_N of py-faster-rcnn.",
    ]
    rpn_nms_iou: Annotated[
        float, 0.7, "proposals that overlap a better one by a higher IoU are dropped, 0 to 1; section 3.3."
    ]
    rpn_min_size: Annotated[
        float | None,
        BackboneOr(16.0, 1e-3),
        "proposals with a shorter side are dropped, in pixels of the resized image, at least 0; RPN_MIN_SIZE "
        "of py-faster-rcnn, there in pixels of the original.",
    ]
    rpn_min_size_first: Annotated[
        bool | None,
        BackboneOr(True, False),
        "whether small boxes are dropped before the cut to `rpn_pre_nms` (py-faster-rcnn) or after it "
        "(torchvision).",
    ]
    rpn_score_threshold: Annotated[
        float | None,
        BackboneOr(0.0),
        "proposals with a lower score are dropped, 0 to 1; torchvision's `rpn_score_thresh`.",
    ]
    rpn_positive_iou: Annotated[
        float, 0.7, "anchors with at least this IoU with an object are positive, 0 to 1; section 3.1.2."
    ]
    rpn_negative_iou: Annotated[
        float, 0.3, "anchors whose best IoU is lower are negative, 0 to 1; section 3.1.2."
    ]
    rpn_batch_size: Annotated[int, 256, "anchors sampled per image, at least 1; section 3.1.3."]
    rpn_positive_fraction: Annotated[
        float, 0.5, "maximum fraction of sampled anchors that are positive, 0 to 1; section 3.1.3."
    ]
    rpn_cross_border: Annotated[
        bool | None,
        BackboneOr(False, True),
        "whether anchors that cross the image border are used in training, if their center is inside; the "
        "paper ignores them, torchvision does not.",
    ]
    rpn_beta: Annotated[
        float,
        1.0 / 9.0,
        "β of the smooth L1, at least 0; 1/9 in py-faster-rcnn (σ = 3) and torchvision, 1 in the paper.",
    ]
    rpn_box_loss_weight: Annotated[
        float, 1.0, "λ of the RPN's loss, at least 0; 1 in py-faster-rcnn and torchvision, 10 in the paper."
    ]
    rpn_box_normalizer: Annotated[
        str,
        "sampled",
        'divisor of the box loss: "sampled", the anchors of the minibatch, as in py-faster-rcnn and '
        'torchvision; or "locations", the cells of the feature maps, as in the paper. On a map of 40 × '
        "60 cells the paper's 10/2400 is 1.07 times the 1/256 of the other form.",
    ]


class BinArguments(TypedDict, total=False):
    """The bins of a pooled RoI."""

    pool_size: Annotated[
        int | None, BackboneOr(7), "bins along each side of the head's input, at least 1; 7 with VGG16."
    ]


class PoolingArguments(BinArguments, total=False):
    """How RoIs are pooled from the feature maps."""

    pooling: Annotated[
        str | None,
        BackboneOr("roi_pooling", "roi_align"),
        '"roi_pooling" (`RoIPooling`, the largest of bilinear samples), "roi_align" (`RoIAlign`, their mean) '
        'or "exact" (`ExactRoIPooling`, the largest cell of a bin, as in Fast R-CNN, section 2.1).',
    ]
    pool_samples: Annotated[
        int, 2, "bilinear samples along each side of a bin, at least 1; torchvision's `sampling_ratio`."
    ]
    pool_aligned: Annotated[
        bool | None,
        BackboneOr(True),
        "whether to shift coordinates by half a cell; false reproduces torchvision's shifted grid.",
    ]
    pool_corners: Annotated[
        str,
        "inclusive",
        'with "exact": whether the cell of the last corner belongs to the region ("inclusive", Caffe) or '
        'not ("half_open").',
    ]


class HeadArguments(TypedDict, total=False):
    """The fully connected head, and the RoIs that it trains on."""

    head_units: Annotated[
        tuple[int, ...] | None,
        BackboneOr((1024, 1024)),
        "widths of the dense layers, at least 1; (4096, 4096) with VGG16. Unused if the backbone has a head.",
    ]
    head_dropout: Annotated[
        float | None, BackboneOr(0.0), "dropout rate after each of them, 0 to 1; 0.5 with VGG16."
    ]
    head_ranks: Annotated[
        tuple[int | None, ...] | None,
        None,
        "rank of each fully connected layer when factored in two (truncated SVD, Fast R-CNN, section "
        "3.1), at least 0; 0 or None keeps a layer whole.",
    ]
    head_batch_size: Annotated[
        int | None,
        BackboneOr(128, 512),
        "RoIs sampled per image, at least 1; 128 is BATCH_SIZE of py-faster-rcnn, 512 torchvision's.",
    ]
    head_positive_fraction: Annotated[
        float, 0.25, "maximum fraction of sampled RoIs that are foreground, 0 to 1; Fast R-CNN, section 2.3."
    ]
    class_loss: Annotated[
        Any,
        "cross_entropy",
        '"cross_entropy", "focal" or an object such as `losses.Focal(gamma=1.5)`; Fast R-CNN, section 2.3.',
    ]


class ForegroundArguments(TypedDict, total=False):
    """Which RoIs are foreground, and what they learn."""

    head_positive_iou: Annotated[
        float,
        0.5,
        "proposals with at least this IoU with an object are foreground, 0 to 1; Fast R-CNN, section 2.3.",
    ]
    head_negative_iou: Annotated[
        tuple[float, float],
        (0.0, 0.5),
        "`(low, high)`, IoU range of background RoIs, 0 to 1; BG_THRESH_LO and BG_THRESH_HI of "
        "py-faster-rcnn.",
    ]
    class_agnostic: Annotated[bool, False, "whether each RoI has one box instead of one per class."]


class BoxHeadArguments(HeadArguments, total=False):
    """A head that learns classes and boxes together."""

    head_convs: Annotated[
        tuple[int, ...] | None,
        BackboneOr(()),
        "widths of the 3×3 convolutions before the dense layers, at least 1; four of 256 in torchvision v2.",
    ]
    head_beta: Annotated[
        float | None,
        BackboneOr(1.0, 1.0 / 9.0),
        "β of the smooth L1, at least 0; 1 in Fast R-CNN, 1/9 in torchvision.",
    ]
    box_loss_weight: Annotated[float, 1.0, "λ of the multi-task loss, at least 0; Fast R-CNN, section 2.3."]
    box_loss: Annotated[
        Any,
        "smooth_l1",
        '"smooth_l1" of the deltas, "giou" of the boxes, or an object like those in `losses`; Fast '
        "R-CNN, section 2.3.",
    ]


class AnswerArguments(TypedDict, total=False):
    """Which detections are returned; see `ops.nms.postprocess`."""

    score_threshold: Annotated[
        float, 0.05, "only detections with a higher score are kept, 0 to 1; py-faster-rcnn and torchvision."
    ]
    nms_iou: Annotated[
        float | None,
        BackboneOr(0.3, 0.5),
        "IoU threshold of the suppression in each class, 0 to 1; TEST.NMS of py-faster-rcnn.",
    ]
    max_detections: Annotated[
        int, 100, "maximum number of detections per image, at least 1; py-faster-rcnn and torchvision."
    ]
    min_box_size: Annotated[
        float | None,
        BackboneOr(0.0),
        "detections with a shorter side are dropped, in pixels, at least 0; 0.01 in torchvision.",
    ]

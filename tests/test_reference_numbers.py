"""The numbers of the method: every default beside the paper or the reference implementation that it is of.

A row is `name: (value, source)`. A new argument needs a row of its own. None means that the constructor takes
what the tables at the end have for one feature map or for a pyramid.
"""

import inspect
import math

import keras
import pytest

import keras_frcnn as kf
from keras_frcnn import boxes, layers, losses, nms, sampling, training
from keras_frcnn.models import linear_models, region_classification, region_proposals, staged_training

# Papers.
RCNN_PAPER = "R-CNN, Girshick et al. 2014"
SPP_PAPER = "SPPnet, He et al. 2014"
FAST_PAPER = "Fast R-CNN, Girshick 2015"
FASTER_PAPER = "Faster R-CNN, Ren et al. 2015"
FPN_PAPER = "Feature Pyramid Networks, Lin et al. 2017"
# Code of their authors, and torchvision.
RCNN_CODE = "rbgirshick/rcnn, rcnn_train.m"
RCNN_BOXES = "rbgirshick/rcnn, rcnn_train_bbox_regressor.m"
SPP_BOXES = "ShaoqingRen/SPP_net, spp_train_bbox_regressor.m"
PFR_TEST = "rbgirshick/py-faster-rcnn, lib/fast_rcnn/test.py"
PFR = "rbgirshick/py-faster-rcnn, lib/fast_rcnn/config.py"
PROTOTXT = "rbgirshick/py-faster-rcnn, VGG16 train.prototxt and solver.prototxt"
TORCHVISION = "torchvision 0.24, models/detection/faster_rcnn.py"
ROI_HEADS = "torchvision 0.24, models/detection/roi_heads.py"
# No number of the method.
OURS = "a choice of this package"
OPEN = "left open"

RPN = {
    "backbone_weights": ("none", OURS),
    "image_size": (None, OPEN),
    "resize_rounding": (None, OPEN),
    "canvas": (False, OURS),
    "preprocessing": (None, OPEN),
    "frozen_stages": (None, OPEN),
    "frozen_batch_norm": (None, OPEN),
    "batch_norm_epsilon": (None, OPEN),
    "anchor_sizes": (None, OPEN),
    "anchor_ratios": ((0.5, 1.0, 2.0), f"{FASTER_PAPER}, section 3.1.1"),
    "anchor_offset": (None, OPEN),
    "anchor_rounding": (None, OPEN),
    "anchor_steps": (None, OPEN),
    "objectness": (None, OPEN),
    "rpn_channels": (None, OPEN),
    "rpn_depth": (None, OPEN),
    "rpn_pre_nms": (None, OPEN),
    "rpn_post_nms": (None, OPEN),
    "rpn_nms_iou": (0.7, f"{PFR}, RPN_NMS_THRESH"),
    "rpn_min_size": (None, OPEN),
    "rpn_score_threshold": (None, OPEN),
    "rpn_positive_iou": (0.7, f"{PFR}, RPN_POSITIVE_OVERLAP"),
    "rpn_negative_iou": (0.3, f"{PFR}, RPN_NEGATIVE_OVERLAP"),
    "rpn_batch_size": (256, f"{PFR}, RPN_BATCHSIZE"),
    "rpn_positive_fraction": (0.5, f"{PFR}, RPN_FG_FRACTION"),
    "rpn_cross_border": (None, OPEN),
    "rpn_beta": (1 / 9, f"{PROTOTXT}, sigma 3"),
    "backbone": ("tiny_fpn", OURS),
    "weights_source": (None, OPEN),
}
ANSWER = {
    "class_agnostic": (False, f"{PROTOTXT}, 84 outputs"),
    "score_threshold": (0.05, f"{PFR_TEST}, test_net"),
    "nms_iou": (None, OPEN),
    "max_detections": (100, f"{PFR_TEST}, test_net"),
}
HEAD = {
    "pooling": (None, OPEN),
    "pool_size": (None, OPEN),
    "pool_samples": (2, f"{TORCHVISION}, MultiScaleRoIAlign"),
    "pool_aligned": (None, OPEN),
    "head_convs": (None, OPEN),
    "head_units": (None, OPEN),
    "head_dropout": (None, OPEN),
    "head_ranks": (None, OPEN),
    "head_positive_iou": (0.5, f"{PFR}, FG_THRESH"),
    "head_positive_fraction": (0.25, f"{PFR}, FG_FRACTION"),
    "box_loss_weight": (1.0, f"{FAST_PAPER}, section 2.3"),
    "min_box_size": (None, OPEN),
    **ANSWER,
}
FASTER_RCNN = {
    **RPN,
    **HEAD,
    "head_background_box": (None, OPEN),
    "head_negative_iou": ((0.0, 0.5), f"{PFR}, BG_THRESH; BG_THRESH_LO of faster_rcnn_end2end.yml"),
    "head_batch_size": (None, OPEN),
    "head_coder_weights": ((10.0, 10.0, 5.0, 5.0), f"{PFR}, one over BBOX_NORMALIZE_STDS"),
    "head_beta": (None, OPEN),
}
FAST_RCNN = {
    **HEAD,
    "backbone": ("vgg16", FAST_PAPER),
    "backbone_weights": ("none", OURS),
    "image_size": (None, OPEN),
    "resize_rounding": (None, OPEN),
    "canvas": (False, OURS),
    "preprocessing": (None, OPEN),
    "frozen_stages": (None, OPEN),
    "frozen_batch_norm": (None, OPEN),
    "batch_norm_epsilon": (None, OPEN),
    "pyramid_sides": ((), f"{FAST_PAPER}, one scale unless section 5.2"),
    "pyramid_limit": (2000, f"{FAST_PAPER}, section 5.2"),
    "head_negative_iou": ((0.1, 0.5), f"{FAST_PAPER}, section 2.3"),
    "head_batch_size": (64, f"{FAST_PAPER}, section 2.3"),
    "head_beta": (1.0, f"{FAST_PAPER}, equation 3"),
    "weights_source": (None, OPEN),
}
STAGED = {
    **ANSWER,
    "backbone": ("vgg16", OURS),
    "backbone_weights": ("none", OURS),
    "image_size": ((600, 1000), f"{PFR}, SCALES and MAX_SIZE"),
    "canvas": (False, OURS),
    "preprocessing": (None, OPEN),
    "classifier": ("softmax", OURS),
    "svm_c": (0.001, f"{RCNN_CODE}, svm_C"),
    "svm_negative_iou": (0.3, f"{RCNN_PAPER}, section 2.3"),
    "seed": (0, OURS),
    "head_units": (None, OPEN),
    "head_dropout": (None, OPEN),
    "head_ranks": (None, OPEN),
    "head_positive_iou": (0.5, f"{RCNN_PAPER}, section 2.3"),
    "head_positive_fraction": (0.25, f"{RCNN_PAPER}, section 2.3: 32 of 128"),
    "head_batch_size": (64, f"{RCNN_PAPER}, section 2.3: 128, here of two images"),
    "weights_source": (None, OPEN),
}
SPP_NET = {
    **STAGED,
    "pool_levels": ((1, 2, 3, 6), f"{SPP_PAPER}, section 4.1"),
    "pyramid_sides": ((), f"{SPP_PAPER}, one scale unless section 4.1"),
    "pyramid_limit": (2000, f"{FAST_PAPER}, section 5.2"),
    "box_positive_iou": (0.5, f"{SPP_BOXES}, min_overlap"),
    "box_ridge": (4000.0, f"{SPP_BOXES}, lambda"),
    "head_negative_iou": ((0.1, 0.5), f"{SPP_PAPER}, section 4.1"),
}
RCNN = {
    **STAGED,
    "frozen_stages": (None, OPEN),
    "frozen_batch_norm": (None, OPEN),
    "warp_size": (None, OPEN),
    "context": (16, f"{RCNN_PAPER}, appendix A"),
    "region_batch": (64, OURS),
    "box_positive_iou": (0.6, f"{RCNN_PAPER}, appendix C"),
    "box_ridge": (1000.0, f"{RCNN_PAPER}, appendix C"),
    "pool_size": (None, OPEN),
    "head_negative_iou": ((0.0, 0.5), f"{RCNN_PAPER}, section 2.3"),
}

ROI_LAYER = {
    "strides": ((16,), f"{FAST_PAPER}, VGG16"),
    "canonical_size": (224.0, f"{FPN_PAPER}, equation 1"),
    "canonical_level": (4, f"{FPN_PAPER}, equation 1: k₀"),
}
ROI_SAMPLING = {
    **ROI_LAYER,
    "pool_size": (7, f"{FAST_PAPER}, section 2.1"),
    "samples": (2, f"{TORCHVISION}, MultiScaleRoIAlign"),
    "aligned": (True, "detectron2, POOLER_TYPE ROIAlignV2"),
}
ONE_EACH = {
    layers.AnchorGenerator: {
        "ratios": ((0.5, 1.0, 2.0), f"{FASTER_PAPER}, section 3.1.1"),
        "offset": (0.5, f"{FASTER_PAPER}, section 3.1.1: the middle of the cell"),
        "rounding": ("none", OURS),
        "steps": ("stride", FASTER_PAPER),
    },
    layers.DetectionHead: {
        "units": ((1024, 1024), f"{FPN_PAPER}, section 4.2"),
        "dropout": (0.0, TORCHVISION),
        "network": (None, OPEN),
        "class_agnostic": (False, f"{PROTOTXT}, 84 outputs"),
        "ranks": (None, OPEN),
        "normalised": (False, OURS),
        "boxes_from": ("dense", f"{FAST_PAPER}, section 2.1"),
        "convs": ((), FAST_PAPER),
        "batch_norm": (True, f"{TORCHVISION}, FastRCNNConvFCHead of v2"),
        "epsilon": (1e-5, "torch.nn.BatchNorm2d"),
        "background_box": (False, OURS),
    },
    layers.ExactRoIPooling: {
        **ROI_LAYER,
        "pool_size": (7, f"{FAST_PAPER}, section 2.1"),
        "bins": ("overlapping", "rbgirshick/caffe-fast-rcnn, roi_pooling_layer.cpp"),
    },
    layers.FeaturePyramid: {
        "channels": (256, f"{FPN_PAPER}, section 3"),
        "extra_levels": (1, f"{FPN_PAPER}, section 4.1: P6"),
        "batch_norm": (False, f"{FPN_PAPER}, section 3"),
        "epsilon": (1e-5, "torch.nn.BatchNorm2d"),
    },
    layers.PixelNormalization: {"multiple": (1, OURS)},
    layers.RegionProposalNetwork: {
        "anchors": (None, "the nine of the paper, below"),
        "channels": (512, f"{FASTER_PAPER}, section 3.1: VGG16"),
        "objectness": ("softmax", f"{FASTER_PAPER}, section 3.1"),
        "pre_nms": ((12000, 6000), f"{PFR}, RPN_PRE_NMS_TOP_N"),
        "post_nms": ((2000, 300), f"{PFR}, RPN_POST_NMS_TOP_N"),
        "nms_iou": (0.7, f"{PFR}, RPN_NMS_THRESH"),
        "min_size": (16.0, f"{PFR}, RPN_MIN_SIZE"),
        "coder_weights": ((1.0, 1.0, 1.0, 1.0), f"{FASTER_PAPER}, equation 2"),
        "depth": (1, f"{FASTER_PAPER}, section 3.1"),
        "score_threshold": (0.0, FASTER_PAPER),
    },
    layers.RoIAlign: ROI_SAMPLING,
    layers.RoIPooling: ROI_SAMPLING,
    layers.SpatialPyramidPooling: {**ROI_LAYER, "levels": ((1, 2, 3, 6), f"{SPP_PAPER}, section 4.1")},
    training.CaffeSGD: {
        "momentum": (0.9, f"{PROTOTXT}, momentum"),
        "l2": (0.0005, f"{PROTOTXT}, weight_decay"),
        "bias_rate": (2.0, f"{PROTOTXT}, lr_mult of biases"),
        "l2_on_bias": (True, f"{PROTOTXT}, no decay_mult"),
    },
    training.StepDecay: {
        "factor": (0.1, f"{PROTOTXT}, gamma"),
        "warmup_steps": (0, PROTOTXT),
        "warmup_factor": (0.01, OURS),
    },
    kf.FasterRCNN: FASTER_RCNN,
    kf.RPN: RPN,
    kf.FastRCNN: FAST_RCNN,
    kf.SPPNet: SPP_NET,
    kf.RCNN: RCNN,
    boxes.BoxCoder: {
        "weights": ((1.0, 1.0, 1.0, 1.0), f"{RCNN_PAPER}, appendix C"),
        "log_scale_limit": (math.log(1000 / 16), f"{TORCHVISION}; detectron2"),
    },
    sampling.Matcher: {"keep_best": (False, FAST_PAPER)},
    sampling.BalancedSampler: {},
    sampling.AnchorTargets: {},
    sampling.ProposalTargets: {},
    sampling.recall: {"iou": (0.5, "PASCAL VOC")},
    losses.smooth_l1: {"beta": (1.0, f"{FAST_PAPER}, equation 3")},
    losses.rpn_loss: {"beta": (1 / 9, f"{PROTOTXT}, sigma 3")},
    losses.detection_loss: {"beta": (1.0, f"{FAST_PAPER}, equation 3"), "deviation": (None, OPEN)},
    nms.postprocess: {"min_box_size": (0.0, OURS)},
    nms.grouped_nms: {},
}

# What the constructors leave open, for networks of one's own.
EITHER = {
    "resize_rounding": ("exact", OURS),
    "preprocessing": ("tf", OURS),
    "frozen_stages": (0, "nothing is pretrained"),
    "frozen_batch_norm": (False, "nothing is pretrained"),
    "batch_norm_epsilon": (None, "what the network has"),
    "anchor_offset": (0.5, f"{FASTER_PAPER}, section 3.1.1: the middle of the cell"),
    "anchor_rounding": ("none", OURS),
    "anchor_steps": ("stride", FASTER_PAPER),
    "rpn_depth": (1, f"{FASTER_PAPER}, section 3.1"),
    "rpn_score_threshold": (0.0, FASTER_PAPER),
    "image_size": ((600, 1000), f"{PFR}, SCALES and MAX_SIZE"),
    "pool_size": (7, f"{FAST_PAPER}, section 2.1"),
    "pool_aligned": (True, "detectron2, POOLER_TYPE ROIAlignV2"),
    "head_convs": ((), FAST_PAPER),
    "head_units": ((1024, 1024), f"{FPN_PAPER}, section 4.2"),
    "head_dropout": (0.0, TORCHVISION),
    "head_ranks": (None, "no factors"),
    "head_background_box": (False, OURS),
    "min_box_size": (0.0, OURS),
    "warp_size": (224, f"{RCNN_PAPER}: what networks are pretrained with"),
    "weights_source": ("as given", OURS),
}
ONE_MAP = {
    **EITHER,
    "anchor_sizes": (((128, 256, 512),), f"{FASTER_PAPER}, section 3.1.1"),
    "objectness": ("softmax", f"{FASTER_PAPER}, section 3.1"),
    "rpn_channels": (512, f"{FASTER_PAPER}, section 3.1: VGG16"),
    "rpn_pre_nms": ((12000, 6000), f"{PFR}, RPN_PRE_NMS_TOP_N"),
    "rpn_post_nms": ((2000, 300), f"{PFR}, RPN_POST_NMS_TOP_N"),
    "rpn_min_size": (16.0, f"{PFR}, RPN_MIN_SIZE"),
    "rpn_cross_border": (False, f"{FASTER_PAPER}, section 3.1.3"),
    "pooling": ("roi_pooling", FAST_PAPER),
    "head_batch_size": (128, f"{PFR}, BATCH_SIZE"),
    "head_beta": (1.0, f"{FAST_PAPER}, equation 3"),
    "nms_iou": (0.3, f"{PFR}, TEST.NMS"),
}
PYRAMID = {
    **EITHER,
    "anchor_sizes": ((32, 64), f"{FPN_PAPER}, section 4.1: 32 px at stride 4"),
    "objectness": ("sigmoid", f"{TORCHVISION}, RPNHead"),
    "rpn_channels": (256, f"{FPN_PAPER}, section 4.1"),
    "rpn_pre_nms": ((2000, 1000), f"{TORCHVISION}, rpn_pre_nms_top_n"),
    "rpn_post_nms": ((2000, 1000), f"{TORCHVISION}, rpn_post_nms_top_n"),
    "rpn_min_size": (1e-3, "torchvision 0.24, models/detection/rpn.py"),
    "rpn_cross_border": (True, f"{FPN_PAPER}, section 4.1"),
    "pooling": ("roi_align", f"{TORCHVISION}, MultiScaleRoIAlign"),
    "head_batch_size": (512, f"{TORCHVISION}, box_batch_size_per_image"),
    "head_beta": (1 / 9, f"{ROI_HEADS}, fastrcnn_loss"),
    "nms_iou": (0.5, f"{TORCHVISION}, box_nms_thresh"),
}

CONSTANTS = {
    (sampling, "IGNORE_COVER"): (0.5, f"{OURS}; the rule is detectron's"),
    (staged_training, "TARGET_NORM"): (20.0, "rbgirshick/rcnn, rcnn_scale_features.m"),
    (linear_models, "HARD"): (-1.0001, f"{RCNN_CODE}, hard_thresh"),
    (linear_models, "EASY"): (-1.2, f"{RCNN_CODE}, evict_thresh"),
    (linear_models, "NEW_NEGATIVES"): (2000, f"{RCNN_CODE}, retrain_limit"),
    (linear_models, "POSITIVE_WEIGHT"): (2.0, f"{RCNN_CODE}, pos_loss_weight"),
    (linear_models, "BIAS_SCALE"): (10.0, f"{RCNN_CODE}, bias_mult"),
}


def values(table):
    return {name: value for name, (value, _) in table.items()}


def listed(value):
    """With lists for tuples, as configs may have either."""
    return [listed(item) for item in value] if isinstance(value, (list, tuple)) else value


def own_network(strides):
    """Maps of a few channels at these strides."""
    x, maps, stride = keras.Input((None, None, 3)), {}, 1
    images = x
    for wanted in strides:
        x = keras.layers.Conv2D(2, 1, wanted // stride)(x)
        maps[f"P{wanted}"], stride = x, wanted
    return keras.Model(images, maps)


@pytest.mark.parametrize("kind", ONE_EACH, ids=lambda kind: kind.__name__)
def test_every_default(kind):
    """A changed one, and one without a row."""
    parameters = inspect.signature(kind).parameters.items()
    defaults = {name: one.default for name, one in parameters if one.default is not one.empty}
    assert defaults == values(ONE_EACH[kind])


@pytest.mark.parametrize(
    "made",
    [
        lambda: layers.AnchorGenerator((32,), (4,)),
        lambda: layers.DetectionHead(2),
        layers.ExactRoIPooling,
        layers.FeaturePyramid,
        lambda: layers.PixelNormalization("caffe"),
        layers.RegionProposalNetwork,
        layers.RoIAlign,
        layers.RoIPooling,
        layers.SpatialPyramidPooling,
        lambda: training.CaffeSGD(0.1),
        lambda: training.StepDecay(0.1, [10]),
    ],
)
def test_a_config_has_them(made):
    one = made()
    config = one.get_config()
    for name, value in values(ONE_EACH[type(one)]).items():
        if value is not None:
            assert listed(config[name]) == listed(value), name


@pytest.mark.parametrize(
    "kind, strides",
    [
        (kf.FasterRCNN, (16,)),
        (kf.FasterRCNN, (4, 8)),
        (kf.RPN, (16,)),
        (kf.RPN, (4, 8)),
        (kf.FastRCNN, (16,)),
        (kf.FastRCNN, (4, 8)),
        (kf.SPPNet, (16,)),
        (kf.RCNN, (16,)),
    ],
)
def test_what_the_constructor_leaves_open(kind, strides):
    """One feature map is py-faster-rcnn, a pyramid is torchvision."""
    names = () if kind is kf.RPN else (["a"],)
    config = kind(*names, backbone=own_network(strides)).get_config()
    resolved = values(ONE_MAP if len(strides) == 1 else PYRAMID)
    for name in ONE_EACH[kind].keys() - {"backbone", "backbone_weights"}:
        value, _ = ONE_EACH[kind][name]
        assert listed(config[name]) == listed(resolved[name] if value is None else value), name


def test_the_tables_have_no_other_rows():
    for place in (region_proposals, region_classification):
        for pyramid, table in ((False, ONE_MAP), (True, PYRAMID)):
            found = place.defaults(pyramid)
            assert found == {name: table[name][0] for name in found}


@pytest.mark.parametrize("place, name", CONSTANTS)
def test_constants(place, name):
    assert getattr(place, name) == CONSTANTS[place, name][0]


def test_the_nine_anchors_of_the_paper():
    anchors = layers.RegionProposalNetwork().anchors
    assert (anchors.sizes, anchors.strides) == ([[128, 256, 512]], [16])


def test_normalization_is_that_of_torch():
    """Momentum 0.1 in torch.nn.BatchNorm2d is 0.9 in Keras."""
    pyramid = layers.FeaturePyramid(2, batch_norm=True)
    pyramid.build([(None, 8, 8, 3)])
    head = layers.DetectionHead(2, convs=(2,))
    for norm in (*pyramid.norms, *head.norms):
        assert (norm.momentum, norm.epsilon) == (0.9, 1e-5)


def test_deviations_of_new_weights():
    """rpn_conv, rpn_cls_score, rpn_bbox_pred, cls_score and bbox_pred of py-faster-rcnn's train.prototxt."""
    rpn, head = layers.RegionProposalNetwork(), layers.DetectionHead(2)
    new = [rpn.conv, rpn.class_conv, rpn.box_conv, head.class_dense, head.box_dense]
    assert [layer.kernel_initializer.stddev for layer in new] == [0.01, 0.01, 0.01, 0.01, 0.001]

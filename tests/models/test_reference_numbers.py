"""The numbers of the methods, each beside where it is from: a default changes on purpose or not at all.

A source in CAPITALS is an option of py-faster-rcnn's `lib/fast_rcnn/config.py`. Other names of repositories:
"torchvision" is its `models/detection`, version 0.24, "prototxt" stands for the networks of py-faster-rcnn in
`models/pascal_voc/VGG16/faster_rcnn_end2end`, "R-CNN" and "SPP_net" with a file for the authors' code.
"""

import inspect
import math

import keras
import pytest

import keras_frcnn as kf
from keras_frcnn import boxes, losses, sampling
from keras_frcnn.backbones.zf import LocalResponseNormalization
from keras_frcnn.data import augmentation
from keras_frcnn.data.dataset import DetectionDataset
from keras_frcnn.data.selective_search import selective_search
from keras_frcnn.layers.normalized_dense import NormalizedDense
from keras_frcnn.layers.roi_layer import RoILayer
from keras_frcnn.models import linear_models, staged_training
from keras_frcnn.models.box_statistics import box_statistics
from keras_frcnn.training import CaffeSGD, StepDecay

# Constructors. Each table is name: (value, source).

ANCHORS = {
    "anchor_ratios": ((0.5, 1.0, 2.0), "Faster R-CNN, section 3.3"),
}
RPN = {
    **ANCHORS,
    "rpn_nms_iou": (0.7, "RPN_NMS_THRESH"),
    "rpn_positive_iou": (0.7, "RPN_POSITIVE_OVERLAP"),
    "rpn_negative_iou": (0.3, "RPN_NEGATIVE_OVERLAP"),
    "rpn_batch_size": (256, "RPN_BATCHSIZE"),
    "rpn_positive_fraction": (0.5, "RPN_FG_FRACTION"),
    "rpn_beta": (1 / 9, "prototxt, rpn_loss_bbox: sigma 3; torchvision rpn.py"),
    "rpn_box_loss_weight": (1.0, "prototxt, rpn_loss_bbox: loss_weight; torchvision"),
    "rpn_box_normalizer": ("sampled", "py-faster-rcnn anchor_target_layer.py; torchvision rpn.py"),
}
TEST = {
    "score_threshold": (
        0.05,
        "py-faster-rcnn, lib/fast_rcnn/test.py, test_net; torchvision box_score_thresh",
    ),
    "max_detections": (100, "py-faster-rcnn, test_net; torchvision box_detections_per_img"),
}
HEAD = {
    **TEST,
    "head_positive_iou": (0.5, "FG_THRESH"),
    "head_positive_fraction": (0.25, "FG_FRACTION"),
    "class_agnostic": (False, "prototxt, bbox_pred: 84 outputs"),
    "class_loss": ("cross_entropy", "Fast R-CNN, section 2.3; R-CNN fine-tunes a softmax too"),
}
POOLED = {
    "pool_samples": (2, "torchvision, MultiScaleRoIAlign sampling_ratio"),
    "box_loss_weight": (1.0, "Fast R-CNN, section 2.3: λ = 1"),
    "box_loss": ("smooth_l1", "Fast R-CNN, equation 2"),
}
CORNERS = ("inclusive", "Caffe roi_pooling_layer.cpp; torchvision roi_pool")
# Two images of 64 RoIs, background from 0.1 on.
FAST = {
    "head_negative_iou": ((0.1, 0.5), "BG_THRESH_LO, BG_THRESH_HI"),
    "head_batch_size": (64, "BATCH_SIZE 128 over IMS_PER_BATCH 2"),
    "pyramid_sides": ((), "Fast R-CNN, section 5.2: a single scale by default"),
    "pyramid_limit": (2000, "fast-rcnn, experiments/cfgs/multiscale.yml MAX_SIZE"),
}
SVM = {
    "classifier": ("softmax", "Fast R-CNN, section 5.4"),
    "svm_c": (0.001, "R-CNN rcnn_train.m, svm_C"),
    "svm_negative_iou": (0.3, "R-CNN, section 2.3; rcnn_train.m neg_ovr_thresh"),
}
MODELS = {
    kf.FasterRCNN: {
        **RPN,
        **HEAD,
        **POOLED,
        "head_negative_iou": ((0.0, 0.5), "BG_THRESH_LO of faster_rcnn_end2end.yml; torchvision"),
        "head_coder_weights": ((10.0, 10.0, 5.0, 5.0), "1 / BBOX_NORMALIZE_STDS; torchvision"),
        "pool_corners": CORNERS,
    },
    kf.CascadeRCNN: {
        **RPN,
        **TEST,
        **POOLED,
        "head_positive_fraction": HEAD["head_positive_fraction"],
        "class_loss": HEAD["class_loss"],
        "pool_corners": CORNERS,
        "cascade_ious": ((0.5, 0.6, 0.7), "Cascade R-CNN, section 4"),
        "cascade_coder_weights": (
            ((10.0, 10.0, 5.0, 5.0), (20.0, 20.0, 10.0, 10.0), (30.0, 30.0, 15.0, 15.0)),
            "mmdetection cascade_rcnn_r50_fpn.py, target_stds; detectron2 BBOX_REG_WEIGHTS",
        ),
        "cascade_loss_weights": ((1.0, 0.5, 0.25), "mmdetection cascade_rcnn_r50_fpn.py"),
    },
    kf.RPN: RPN,
    kf.FastRCNN: {
        **HEAD,
        **POOLED,
        **FAST,
        "head_beta": (1.0, "Fast R-CNN, equation 3"),
        "pool_corners": CORNERS,
    },
    kf.SPPNet: {
        **HEAD,
        **FAST,
        **SVM,
        "pool_levels": ((1, 2, 3, 6), "SPPnet, section 4.1: 50 bins"),
        "box_positive_iou": (0.5, "SPP_net spp_train_bbox_regressor.m, min_overlap"),
        "pool_corners": ("centers", "SPPnet, appendix A"),
        "box_ridge": (4000.0, "SPP_net spp_train_bbox_regressor.m, lambda"),
    },
    kf.RCNN: {
        **HEAD,
        **SVM,
        "head_negative_iou": ((0.0, 0.5), "R-CNN, section 2.3: all below 0.5"),
        "head_batch_size": (64, "R-CNN, section 2.3: 128 windows, here of two images"),
        "context": (16, "R-CNN, appendix A; rcnn_train.m crop_padding"),
        "box_positive_iou": (0.6, "R-CNN, appendix C"),
        "box_ridge": (1000.0, "R-CNN, appendix C"),
    },
}

OFFSET = (0.5, "SPPnet, appendix A: the middle of the receptive field")
LEVELS = {
    "strides": ((16,), "VGG16 at conv5_3: four poolings"),
    "canonical_size": (224.0, "FPN, equation 1"),
    "canonical_level": (4, "FPN, equation 1: k0"),
}
SAMPLING = {
    **LEVELS,
    "pool_size": (7, "Fast R-CNN, section 2.1 with VGG16; torchvision box_roi_pool"),
    "samples": (2, "torchvision box_roi_pool, sampling_ratio"),
    "aligned": (True, "detectron2, ROIAlignV2"),
}
LAYERS = {
    kf.layers.AnchorGenerator: {
        "ratios": ANCHORS["anchor_ratios"],
        "offset": (0.5, "py-faster-rcnn generate_anchors.py: base anchor (0, 0, 15, 15)"),
        "rounding": ("none", "Faster R-CNN, section 3.1.1: sizes as they are"),
        "steps": ("stride", "py-faster-rcnn anchor_target_layer.py, _feat_stride"),
    },
    kf.layers.RegionProposalNetwork: {
        "channels": (512, "Faster R-CNN, section 3.1: 512-d for VGG"),
        "objectness": ("softmax", "Faster R-CNN, section 3.1: two-class softmax"),
        "pre_nms": ((12000, 6000), "RPN_PRE_NMS_TOP_N"),
        "post_nms": ((2000, 300), "RPN_POST_NMS_TOP_N"),
        "nms_iou": RPN["rpn_nms_iou"],
        "min_size": (16.0, "RPN_MIN_SIZE"),
        "coder_weights": ((1.0, 1.0, 1.0, 1.0), "RPN_BBOX_INSIDE_WEIGHTS; torchvision rpn.py"),
        "depth": (1, "Faster R-CNN, section 3.1; torchvision RPNHead"),
        "score_threshold": (0.0, "torchvision rpn_score_thresh"),
        "min_size_first": (False, "torchvision rpn.py, filter_proposals; the models decide for themselves"),
    },
    RoILayer: LEVELS,
    kf.layers.RoIAlign: SAMPLING,
    kf.layers.RoIPooling: SAMPLING,
    kf.layers.ExactRoIPooling: {
        **LEVELS,
        "pool_size": SAMPLING["pool_size"],
        "bins": ("overlapping", "Caffe roi_pooling_layer.cpp; torchvision roi_pool"),
        "corners": CORNERS,
    },
    kf.layers.SpatialPyramidPooling: {
        **LEVELS,
        "levels": MODELS[kf.SPPNet]["pool_levels"],
        "corners": CORNERS,
        "offset": OFFSET,
    },
    kf.layers.DetectionHead: {
        "units": ((1024, 1024), "FPN, section 4.2: two 1,024-d layers; torchvision TwoMLPHead"),
        "dropout": (0.0, "torchvision TwoMLPHead"),
        "class_agnostic": HEAD["class_agnostic"],
        "convs": ((), "FPN, section 4.2"),
        "batch_norm": (True, "torchvision FastRCNNConvFCHead of the v2"),
        "epsilon": (1e-5, "torch.nn.BatchNorm2d"),
        "background_box": (False, "Fast R-CNN, section 2.3: boxes of the K classes"),
        "boxes_from": ("dense", "Fast R-CNN, figure 1"),
    },
    kf.layers.FeaturePyramid: {
        "channels": (256, "FPN, section 3; torchvision"),
        "extra_levels": (1, "FPN, section 4.1: P6; torchvision LastLevelMaxPool"),
        "batch_norm": (False, "FPN, section 3; torchvision"),
        "epsilon": (1e-5, "torch.nn.BatchNorm2d"),
    },
    LocalResponseNormalization: {
        "size": (3, "py-faster-rcnn ZF/faster_rcnn_end2end/train.prototxt, norm1"),
        "alpha": (5e-5, "the same"),
        "beta": (0.75, "the same"),
    },
}

PARTS = {
    boxes.BoxCoder: {
        "weights": ((1.0, 1.0, 1.0, 1.0), "R-CNN, appendix C"),
        "log_scale_limit": (math.log(1000 / 16), "torchvision _utils.py, bbox_xform_clip"),
    },
    sampling.Matcher: {"keep_best": (False, "Fast R-CNN, section 2.3; the RPN asks for it")},
    sampling.recall: {"ious": ((0.5,), "PASCAL VOC")},
    losses.smooth_l1: {"beta": (1.0, "Fast R-CNN, equation 3")},
    losses.rpn_loss: {"beta": RPN["rpn_beta"]},
    losses.SmoothL1: {"beta": (1.0, "Fast R-CNN, equation 3")},
    losses.Focal: {"gamma": (2.0, "Lin et al. 2017, section 4.1")},
    box_statistics: {"positive_iou": (0.5, "BBOX_THRESH")},
    kf.models.compress: {"ranks": ((1024, 256), "Fast R-CNN, section 4.4")},
    selective_search: {"top": (2000, "Fast R-CNN, section 2.3: about 2,000 proposals")},
    DetectionDataset.with_proposals: {"top": (2000, "the same")},
    DetectionDataset.batches: {
        "image_size": ((600, 1000), "SCALES, MAX_SIZE"),
        "flip": (0.5, "USE_FLIPPED: each image once as it is and once mirrored"),
    },
    kf.evaluation.voc.evaluate: {"iou": (0.5, "VOC 2007 development kit, section 4.4")},
    CaffeSGD: {
        "momentum": (0.9, "Faster R-CNN, section 3.1.3; solver.prototxt"),
        "l2": (0.0005, "Faster R-CNN, section 3.1.3; solver.prototxt"),
        "bias_rate": (2.0, "prototxt, lr_mult"),
        "l2_on_bias": (True, "prototxt, which has no decay_mult"),
    },
    StepDecay: {"factor": (0.1, "solver.prototxt, gamma")},
}

# Arguments that say what goes in, how much at once, or where chance begins: no numbers of a method.
NO_NUMBERS = {
    *("class_names", "backbone", "backbone_weights", "weights_source", "kwargs"),
    *("preprocessing", "frozen_stages", "frozen_batch_norm", "batch_norm_epsilon"),  # of the backbone
    *("canvas", "region_batch", "seed"),
    *("sizes", "strides", "anchors", "num_classes", "network", "normalized"),  # given by the model
    *("ranks", "head_ranks"),  # given by `compress`
}

# What is no argument.
CONSTANTS = {
    "target norm": (staged_training.TARGET_NORM, 20.0, "R-CNN rcnn_scale_features.m"),
    "hard negatives": (linear_models.HARD, -1.0001, "R-CNN rcnn_train.m, hard_thresh"),
    "easy negatives": (linear_models.EASY, -1.2, "R-CNN rcnn_train.m, evict_thresh"),
    "negatives to train anew": (linear_models.NEW_NEGATIVES, 2000, "R-CNN rcnn_train.m, retrain_limit"),
    "weight of positives": (linear_models.POSITIVE_WEIGHT, 2.0, "R-CNN rcnn_train.m, pos_loss_weight"),
    "scale of the bias": (linear_models.BIAS_SCALE, 10.0, "R-CNN rcnn_train.m, bias_mult"),
    "deviation of deltas": (NormalizedDense.USUAL_DEVIATION, (0.1, 0.1, 0.2, 0.2), "BBOX_NORMALIZE_STDS"),
    "BGR mean": (
        kf.layers.PixelNormalization.MEAN_BGR,
        (103.939, 116.779, 123.68),
        "VGG16; keras.applications.imagenet_utils",
    ),
    "RGB mean": (kf.layers.PixelNormalization.MEAN_RGB, (0.485, 0.456, 0.406), "torchvision faster_rcnn.py"),
    "RGB deviation": (kf.layers.PixelNormalization.DEVIATION_RGB, (0.229, 0.224, 0.225), "the same"),
    "overlaps of crops": (augmentation.OVERLAPS, (0.0, 0.1, 0.3, 0.5, 0.7, 0.9), "SSD, section 2.2"),
    "sides of crops": (augmentation.SCALES, (0.3, 1.0), "SSD, ssd_pascal.py batch_sampler"),
    "aspects of crops": (augmentation.ASPECTS, (0.5, 2.0), "SSD, section 2.2"),
    "trials of crops": (augmentation.TRIALS, 50, "SSD, ssd_pascal.py max_trials"),
}

# What `None` becomes, over one map and over a pyramid.
FEATURES = {
    "image_size": ((600, 1000), "SCALES, MAX_SIZE"),
    "resize_rounding": ("exact", "Faster R-CNN, section 3.3"),
}
RPN_EITHER = {
    **FEATURES,
    "anchor_offset": LAYERS[kf.layers.AnchorGenerator]["offset"],
    "anchor_rounding": LAYERS[kf.layers.AnchorGenerator]["rounding"],
    "anchor_steps": LAYERS[kf.layers.AnchorGenerator]["steps"],
    "rpn_depth": (1, "Faster R-CNN, section 3.1"),
    "rpn_score_threshold": (0.0, "torchvision rpn_score_thresh"),
}
RPN_MAP = {
    **RPN_EITHER,
    "anchor_sizes": ([[128, 256, 512]], "Faster R-CNN, section 3.3"),
    "objectness": ("softmax", "Faster R-CNN, section 3.1"),
    "rpn_channels": (512, "prototxt, rpn_conv/3x3 num_output"),
    "rpn_pre_nms": ((12000, 6000), "RPN_PRE_NMS_TOP_N"),
    "rpn_post_nms": ((2000, 300), "RPN_POST_NMS_TOP_N"),
    "rpn_min_size": (16.0, "RPN_MIN_SIZE"),
    "rpn_min_size_first": (True, "py-faster-rcnn proposal_layer.py"),
    "rpn_cross_border": (False, "Faster R-CNN, section 3.3; anchor_target_layer.py _allowed_border"),
}
RPN_PYRAMID = {
    **RPN_EITHER,
    "anchor_sizes": ([64, 128], "FPN, section 4.1: 8 strides, 32 pixels at stride 4"),
    "objectness": ("sigmoid", "torchvision RPNHead"),
    "rpn_channels": (256, "FPN, section 4.1; torchvision RPNHead"),
    "rpn_pre_nms": ((2000, 1000), "torchvision rpn_pre_nms_top_n_train, _test"),
    "rpn_post_nms": ((2000, 1000), "torchvision rpn_post_nms_top_n_train, _test"),
    "rpn_min_size": (1e-3, "torchvision rpn.py, min_size"),
    "rpn_min_size_first": (False, "torchvision rpn.py, filter_proposals"),
    "rpn_cross_border": (True, "FPN, section 4.1; torchvision rpn.py"),
}
HEAD_EITHER = {
    "head_units": LAYERS[kf.layers.DetectionHead]["units"],
    "head_dropout": (0.0, "torchvision TwoMLPHead"),
    "min_box_size": (0.0, "py-faster-rcnn, lib/fast_rcnn/test.py drops none"),
}
POOL_EITHER = {
    **HEAD_EITHER,
    "pool_size": SAMPLING["pool_size"],
    "pool_aligned": SAMPLING["aligned"],
    "head_convs": LAYERS[kf.layers.DetectionHead]["convs"],
}
HEAD_MAP = {
    **FEATURES,
    **POOL_EITHER,
    "pooling": ("roi_pooling", "Fast R-CNN, section 2.1"),
    "nms_iou": (0.3, "TEST.NMS"),
}
HEAD_PYRAMID = {
    **FEATURES,
    **POOL_EITHER,
    "pooling": ("roi_align", "torchvision, MultiScaleRoIAlign"),
    "nms_iou": (0.5, "torchvision box_nms_thresh"),
}
FASTER_MAP = {
    **RPN_MAP,
    **HEAD_MAP,
    "head_batch_size": (128, "BATCH_SIZE"),
    "head_beta": (1.0, "Fast R-CNN, equation 3; prototxt, loss_bbox"),
    "head_background_box": LAYERS[kf.layers.DetectionHead]["background_box"],
}
FASTER_PYRAMID = {
    **RPN_PYRAMID,
    **HEAD_PYRAMID,
    "head_batch_size": (512, "torchvision box_batch_size_per_image"),
    "head_beta": (1 / 9, "torchvision roi_heads.py, fastrcnn_loss"),
    "head_background_box": LAYERS[kf.layers.DetectionHead]["background_box"],
}
CASCADE_PYRAMID = {name: row for name, row in FASTER_PYRAMID.items() if name != "head_background_box"}
STAGED = {**FEATURES, **HEAD_EITHER, "nms_iou": (0.3, "R-CNN rcnn_test.m; SPP_net spp_test.m")}
RESOLVED = [
    (kf.FasterRCNN, 1, FASTER_MAP),
    (kf.FasterRCNN, 2, FASTER_PYRAMID),
    (kf.CascadeRCNN, 2, CASCADE_PYRAMID),
    (kf.RPN, 1, RPN_MAP),
    (kf.RPN, 2, RPN_PYRAMID),
    (kf.FastRCNN, 1, HEAD_MAP),
    (kf.FastRCNN, 2, HEAD_PYRAMID),
    (kf.SPPNet, 1, {**STAGED, "pool_offset": OFFSET}),
    (kf.RCNN, 1, {**STAGED, "warp_size": (224, "the input of VGG16"), "pool_size": SAMPLING["pool_size"]}),
]


def plain(value):
    """The value with tuples for lists."""
    return tuple(map(plain, value)) if isinstance(value, (list, tuple)) else value


def assert_numbers(found, table):
    for name, (number, source) in table.items():
        assert plain(found[name]) == plain(number), f"{name} is {found[name]}; {number} is that of {source}"


@pytest.mark.parametrize("made", {**MODELS, **LAYERS, **PARTS}, ids=lambda made: made.__qualname__)
def test_defaults(made):
    parameters = inspect.signature(made).parameters
    defaults = {name: parameter.default for name, parameter in parameters.items()}
    assert_numbers(defaults, {**MODELS, **LAYERS, **PARTS}[made])


@pytest.mark.parametrize("made", {**MODELS, **LAYERS}, ids=lambda made: made.__qualname__)
def test_every_number_has_a_source(made):
    tables = [{**MODELS, **LAYERS}[made], *(table for kind, _, table in RESOLVED if kind is made)]
    assert not set(inspect.signature(made).parameters) - NO_NUMBERS - set().union(*tables)


@pytest.mark.parametrize("name", CONSTANTS)
def test_constants(name):
    value, number, source = CONSTANTS[name]
    assert plain(value) == plain(number), f"{name} is {value}; {number} is that of {source}"


def network(maps):
    """A network of one map at stride 16, or of two at strides 8 and 16."""
    x = images = keras.Input((None, None, 3))
    levels = {f"P{16 // stride}": keras.layers.Conv2D(2, 3, stride, "same")(x) for stride in (8, 16)[-maps:]}
    return keras.Model(images, levels)


@pytest.fixture(scope="module")
def make():
    """Models of a kind on a network of one's own, which has no numbers, made once."""
    made = {}

    def make(kind, maps):
        names = [] if kind is kf.RPN else [["a"]]
        if (kind, maps) not in made:
            made[kind, maps] = kind(*names, backbone=network(maps))
        return made[kind, maps]

    return make


@pytest.mark.parametrize("kind, maps, table", RESOLVED)
def test_what_is_left_open(make, kind, maps, table):
    assert_numbers(make(kind, maps).get_config(), {**MODELS[kind], **table})


def test_the_numbers_reach_the_rpn(make):
    model = make(kf.RPN, 1)
    rpn, targets = model.rpn, model.proposals.targets
    rows = {name.removeprefix("rpn_"): row for name, row in {**RPN, **RPN_MAP}.items()}
    assert_numbers(vars(rpn), {name: row for name, row in rows.items() if hasattr(rpn, name)})
    assert (targets.match.positive_iou, targets.match.negative_iou) == (0.7, (0.0, 0.3))
    assert (targets.sample.size, targets.sample.positive_fraction) == (256, 0.5)
    assert targets.match.keep_best and not targets.cross_border
    assert rpn.coder.weights == targets.coder.weights == (1.0, 1.0, 1.0, 1.0)
    # prototxt, weight_filler of rpn_conv/3x3, rpn_cls_score and rpn_bbox_pred.
    for layer in (rpn.conv, rpn.class_conv, rpn.box_conv):
        assert layer.kernel_initializer.get_config()["stddev"] == 0.01
    assert kf.layers.RegionProposalNetwork().anchors.sizes == [[128, 256, 512]]
    assert kf.layers.RegionProposalNetwork().anchors.strides == [16]


def test_the_numbers_reach_the_head(make):
    model = make(kf.FasterRCNN, 1)
    targets, pooling = model.regions.targets, model.roi_pooling
    assert (targets.match.positive_iou, targets.match.negative_iou) == (0.5, (0.0, 0.5))
    assert (targets.sample.size, targets.sample.positive_fraction) == (128, 0.25)
    assert not targets.match.keep_best
    assert model.regions.coder.weights == targets.coder.weights == (10.0, 10.0, 5.0, 5.0)
    assert (pooling.pool_size, pooling.samples, pooling.aligned) == (7, 2, True)
    # prototxt, weight_filler of cls_score and bbox_pred.
    assert model.head.class_dense.kernel_initializer.get_config()["stddev"] == 0.01
    assert model.head.box_dense.kernel_initializer.get_config()["stddev"] == 0.001
    assert make(kf.FastRCNN, 1).regions.coder.weights == (1.0, 1.0, 1.0, 1.0)


def test_momentum_of_batch_normalization():
    """torch.nn.BatchNorm2d's 0.1 is the weight of the new batch, Keras's 0.9 that of the old ones."""
    pyramid = kf.layers.FeaturePyramid(channels=2, batch_norm=True)
    pyramid.build([(None, 8, 8, 2), (None, 4, 4, 2)])
    norms = [*pyramid.norms, *kf.layers.DetectionHead(1, convs=(2,)).norms]
    assert len(norms) == 5 and {norm.momentum for norm in norms} == {0.9}

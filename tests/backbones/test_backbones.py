"""Backbones: what they give, what trains, and whose weights they take."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_frcnn import backbones

SINGLE = ("vgg16", "zf", "resnet50", "mobilenet_v2")
TORCHVISION = (
    "resnet50_fpn",
    "resnet50_fpn_v2",
    "mobilenet_v3_large_fpn",
    "mobilenet_v3_large_320_fpn",
)
PYRAMIDS = ("mobilenet_v2_fpn", "tiny_fpn", *TORCHVISION)
PREPROCESSING = {"vgg16": "caffe", "zf": "caffe", "resnet50": "caffe", **dict.fromkeys(TORCHVISION, "torch")}
MOBILENET = "weights/mobilenet_v2_1.0_coco_ssd_notop.weights.h5"
TORCHVISION_NUMBERS = {
    "image_size": ((800, 1333), "faster_rcnn.py, min_size and max_size"),
    "resize_rounding": ("float64", "transform.py, _resize_image_and_masks"),
    "batch_norm_epsilon": (1e-5, "torch.nn.BatchNorm2d"),
    "anchor_offset": (0.0, "anchor_utils.py, grid_anchors"),
    "anchor_rounding": ("torchvision", "anchor_utils.py, generate_anchors"),
    "anchor_steps": ("quotient", "anchor_utils.py, forward"),
    "pool_aligned": (False, "ops/poolers.py, MultiScaleRoIAlign"),
    "head_background_box": (True, "faster_rcnn.py, FastRCNNPredictor"),
    "min_box_size": (0.01, "roi_heads.py, postprocess_detections"),
}
MOBILE_NUMBERS = {
    **TORCHVISION_NUMBERS,
    "frozen_stages": (3, "faster_rcnn.py, trainable_backbone_layers 3 of 6"),
    "rpn_score_threshold": (0.05, "faster_rcnn.py, _fasterrcnn_mobilenet_v3_large_fpn"),
}
NINE = ((128, 256, 512),), "Faster R-CNN, section 3.3"
MOBILE_ANCHORS = ((32, 64, 128, 256, 512),) * 3, "faster_rcnn.py, _fasterrcnn_mobilenet_v3_large_fpn"
PYRAMID_ANCHORS = ((32,), (64,), (128,), (256,), (512,)), "FPN, section 4.1; faster_rcnn.py"
OURS = "ours"
# What goes with a network: each number beside its source, the anchors' sizes first.
NUMBERS = {
    "vgg16": {
        "anchor_sizes": NINE,
        "frozen_stages": (2, "py-faster-rcnn, VGG16/faster_rcnn_end2end/train.prototxt: lr_mult 0"),
        "rpn_channels": (512, "Faster R-CNN, section 3.1"),
        "head_units": ((4096, 4096), "VGG16's fc6 and fc7"),
        "head_dropout": (0.5, "train.prototxt, drop6 and drop7"),
    },
    "resnet50": {
        "anchor_sizes": NINE,
        "frozen_stages": (2, "detectron2, FREEZE_AT"),
        "rpn_channels": (512, "Faster R-CNN, section 3.1"),
        "pool_size": (14, "Deep Residual Learning, appendix A: conv5 halves it to 7"),
    },
    "resnet50_fpn": {
        "anchor_sizes": PYRAMID_ANCHORS,
        **TORCHVISION_NUMBERS,
        "frozen_stages": (2, "faster_rcnn.py, trainable_backbone_layers 3 of 5"),
    },
    "resnet50_fpn_v2": {
        "anchor_sizes": PYRAMID_ANCHORS,
        **TORCHVISION_NUMBERS,
        "frozen_stages": (2, "faster_rcnn.py, trainable_backbone_layers 3 of 5"),
        "frozen_batch_norm": (False, "faster_rcnn.py, fasterrcnn_resnet50_fpn_v2: norm_layer"),
        "rpn_depth": (2, "faster_rcnn.py, RPNHead conv_depth"),
        "head_convs": ((256, 256, 256, 256), "faster_rcnn.py, FastRCNNConvFCHead"),
        "head_units": ((1024,), "faster_rcnn.py, FastRCNNConvFCHead"),
    },
    "mobilenet_v3_large_fpn": {"anchor_sizes": MOBILE_ANCHORS, **MOBILE_NUMBERS},
    "mobilenet_v3_large_320_fpn": {
        "anchor_sizes": MOBILE_ANCHORS,
        **MOBILE_NUMBERS,
        "image_size": ((320, 640), "faster_rcnn.py, fasterrcnn_mobilenet_v3_large_320_fpn"),
        "rpn_pre_nms": ((2000, 150), "rpn_pre_nms_top_n_test there"),
        "rpn_post_nms": ((2000, 150), "rpn_post_nms_top_n_test there"),
    },
    "mobilenet_v2": {
        "anchor_sizes": (((32, 64, 128, 256, 512),), OURS),
        "frozen_stages": (2, OURS),
        "rpn_channels": (256, OURS),
        "rpn_min_size": (4.0, OURS),
    },
    "mobilenet_v2_fpn": {
        "anchor_sizes": (((32, 45), (64, 91), (128, 181), (256, 362), (512, 724)), OURS),
        "frozen_stages": (2, OURS),
        "rpn_channels": (128, OURS),
        "rpn_pre_nms": ((1000, 600), OURS),
        "rpn_post_nms": ((1000, 300), OURS),
        "head_units": ((512, 512), OURS),
        "head_batch_size": (256, OURS),
    },
    "tiny_fpn": {
        "anchor_sizes": (((16, 24), (32, 48), (64, 96), (128, 192), (256, 384)), OURS),
        "rpn_channels": (64, OURS),
        "rpn_pre_nms": ((500, 300), OURS),
        "rpn_post_nms": ((300, 150), OURS),
        "head_units": ((256, 256), OURS),
        "head_batch_size": (64, OURS),
    },
}
VGG16 = "weights/vgg16_hed_bsds500_notop.weights.h5"


@pytest.fixture(scope="module")
def get():
    """Backbones without weights, made once."""
    made = {}
    return lambda name: made.setdefault(name, backbones.get(name))


def one_sentence(error):
    text = str(error.value)
    return "\n" not in text and len(re.findall(r"\.\s+[A-Z]", text)) == 0


def test_every_network_is_tested():
    assert {*SINGLE, *PYRAMIDS} == set(backbones.NETWORKS)


@pytest.mark.parametrize("name", backbones.NETWORKS)
def test_strides_are_those_of_the_maps(get, name):
    backbone = get(name)
    side = 2 * max(backbone.strides)
    maps = tf.nest.flatten(backbone.network(tf.zeros([1, side, side, 3])))
    assert tuple(side // level.shape[1] for level in maps) == backbone.strides
    assert len(backbone.anchor_sizes) == len(backbone.strides) >= backbone.pooled_levels
    assert backbone.pyramid == (name in PYRAMIDS)
    assert backbone.preprocessing == PREPROCESSING.get(name, "tf")
    assert backbone.source == "none"


@pytest.mark.parametrize("name", NUMBERS)
def test_the_numbers_that_go_with_a_network(get, name):
    backbone = get(name)
    found = {"anchor_sizes": backbone.anchor_sizes, **backbone.defaults}
    for argument, (number, source) in NUMBERS[name].items():
        assert found[argument] == number, f"{argument} is {found[argument]}; {number} is that of {source}"


def test_the_conv5_of_resnet_is_the_head():
    backbone = backbones.get("resnet50")
    assert backbone.network.outputs[0].shape[-1] == backbone.head.input_shape[-1] == 1024
    assert backbone.head(tf.zeros([2, 7, 7, 1024])).shape == (2, 4, 4, 2048)


@pytest.mark.parametrize("name", backbones.NETWORKS)
def test_stages_cover_the_network_from_the_image_up(get, name):
    backbone = get(name)
    order = [layer.name for layer in backbone.network.layers]
    first = [order.index(stage[0]) for stage in backbone.stages]
    assert first == sorted(first)
    staged = {name for stage in backbone.stages for name in stage}
    outside = {layer.name for layer in backbone.network.layers if layer.weights} - staged
    assert outside <= {"fpn"}


@pytest.mark.parametrize("name", backbones.NETWORKS)
def test_freezing_stops_the_first_stages_and_batch_norm(name):
    backbone = backbones.get(name)
    backbone.freeze(2, batch_norm=True)
    frozen = {name for stage in backbone.stages[:2] for name in stage}
    for layer in backbone.layers():
        if layer.weights:
            batch_norm = isinstance(layer, keras.layers.BatchNormalization)
            assert layer.trainable == (layer.name not in frozen and not batch_norm), layer.name
    assert backbone.network.trainable_weights


def test_the_first_two_stages_of_vgg16_are_conv1_and_conv2(get):
    stages = get("vgg16").stages
    convolutions = [name for stage in stages[:2] for name in stage if "conv" in name]
    assert convolutions == ["block1_conv1", "block1_conv2", "block2_conv1", "block2_conv2"]


def test_nothing_freezes_by_itself():
    backbone = backbones.get("tiny_fpn")
    count = len(backbone.network.trainable_weights)
    backbone.freeze(0, batch_norm=False)
    assert len(backbone.network.trainable_weights) == count


@pytest.mark.parametrize("stages", [-1, 6])
def test_more_stages_than_there_are(get, stages):
    with pytest.raises(ValueError, match="has 5 stages") as error:
        get("tiny_fpn").freeze(stages, batch_norm=False)
    assert one_sentence(error)


def test_unknown_name():
    with pytest.raises(ValueError, match="Unknown backbone 'abc'; use one of vgg16") as error:
        backbones.get("abc")
    assert one_sentence(error)


def test_no_weights_may_be_named_as_in_keras():
    assert backbones.get("tiny_fpn", None).source == backbones.get("tiny_fpn", "none").source


def test_tiny_fpn_has_no_imagenet_weights():
    with pytest.raises(ValueError, match="tiny_fpn has no ImageNet weights") as error:
        backbones.get("tiny_fpn", "imagenet")
    assert one_sentence(error)


@pytest.mark.parametrize(
    "name, file, application",
    [
        ("mobilenet_v2", MOBILENET, keras.applications.MobileNetV2),
        ("mobilenet_v2_fpn", MOBILENET, keras.applications.MobileNetV2),
        ("vgg16", VGG16, keras.applications.VGG16),
    ],
)
def test_weights_of_a_file(shared, name, file, application):
    backbone = backbones.get(name, shared / file)
    original = application(include_top=False, weights=None, input_shape=(None, None, 3))
    original.load_weights(shared / file)
    loaded = [layer for layer in backbone.network.layers if layer.weights and layer.name != "fpn"]
    assert len(loaded) >= 13
    for layer in loaded:
        for ours, theirs in zip(layer.weights, original.get_layer(layer.name).weights, strict=True):
            np.testing.assert_array_equal(ours, theirs)
    assert backbone.source == (shared / file).name


def test_weights_of_tiny_fpn_round_trip(get, tmp_path):
    path = tmp_path / "tiny.weights.h5"
    get("tiny_fpn").network.save_weights(path)
    loaded = backbones.get("tiny_fpn", path)
    for ours, theirs in zip(loaded.network.weights, get("tiny_fpn").network.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert loaded.source == "tiny.weights.h5"


@pytest.mark.filterwarnings("ignore:Skipping nested container")
def test_a_file_of_another_network(shared):
    for name, file in (("vgg16", MOBILENET), ("mobilenet_v2", VGG16), ("tiny_fpn", VGG16)):
        with pytest.raises(ValueError, match=f"does not fit backbone '{name}'") as error:
            backbones.get(name, shared / file)
        assert one_sentence(error)


def test_files_that_are_none(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no weights file") as error:
        backbones.get("vgg16", tmp_path / "away.weights.h5")
    assert one_sentence(error)
    for name, message in (("text.weights.h5", "does not fit"), ("text.pt", "is not a .weights.h5 file")):
        (tmp_path / name).write_text("no weights")
        with pytest.raises(ValueError, match=message) as error:
            backbones.get("tiny_fpn", tmp_path / name)
        assert one_sentence(error)


def own_network(levels=("P3", "P4")):
    images = x = keras.Input((None, None, 3))
    outputs = {}
    for stride in range(1, 5):
        x = keras.layers.Conv2D(4, 3, strides=2, padding="same", name=f"conv{stride}")(x)
        outputs[f"P{stride}"] = x
    return keras.Model(images, {name: outputs[name] for name in levels}, name="mine")


@pytest.mark.parametrize(
    "levels, strides", [(("P3", "P4"), (8, 16)), (("P4", "P2", "P3"), (4, 8, 16)), (("P4",), (16,))]
)
def test_a_model_with_named_levels(levels, strides):
    backbone = backbones.get(own_network(levels))
    assert backbone.strides == strides
    assert backbone.pooled_levels == len(strides)
    maps = tf.nest.flatten(backbone.network(tf.zeros([1, 64, 64, 3])))
    assert tuple(64 // level.shape[1] for level in maps) == strides


def test_a_model_without_named_levels():
    images = keras.Input((None, None, 3))
    network = keras.Model(images, keras.layers.Conv2D(4, 3)(images), name="mine")
    with pytest.raises(ValueError, match="'mine' must return a dict of named feature maps") as error:
        backbones.get(network)
    assert one_sentence(error)


def test_a_model_brings_its_own_weights():
    with pytest.raises(ValueError, match="brings its own weights") as error:
        backbones.get(own_network(), "imagenet")
    assert one_sentence(error)

"""A pyramid on networks of other people: maps, stages, preprocessing, saving."""

import re
import subprocess
import sys

import keras
import numpy as np
import pytest

import keras_frcnn as kf
from keras_frcnn.backbones import Backbone, pyramid
from keras_frcnn.trainable_flags import layers_by_path

FREE = {"include_top": False, "weights": None, "input_shape": (None, None, 3)}
# The maps that implementations of these networks for detection take, by the names in keras.applications.
MAPS = {
    "MobileNetV2": ["block_3_expand_relu", "block_6_expand_relu", "block_13_expand_relu", "out_relu"],
    "ResNet50": [f"conv{stage}_block{last}_out" for stage, last in ((2, 3), (3, 4), (4, 6), (5, 3))],
    "ConvNeXtTiny": [f"convnext_tiny_stage_{stage}_block_{last}" for stage, last in enumerate((2, 2, 8))],
}
PREPROCESSING = {
    "DenseNet121": "torch",
    "EfficientNetV2B0": "none",
    "MobileNet": "tf",
    "MobileNetV3Small": "none",
    "ResNet50": "caffe",
    "ResNet50V2": "tf",
    "VGG16": "caffe",
}


def application(name, **arguments):
    return getattr(keras.applications, name)(**{**FREE, **arguments})


def network(name="own", rescaled=True):
    """Three stages; the second has a branch, so that its first map is not all that later ones see."""
    images = keras.Input((None, None, 3))
    x = keras.layers.Rescaling(1 / 255)(images) if rescaled else images
    x = keras.layers.Conv2D(8, 3, 2, "same", name="one")(x)
    x = keras.layers.Conv2D(8, 3, 2, "same", name="two")(x)
    branch = keras.layers.Conv2D(8, 3, 1, "same", name="branch")(x)
    x = keras.layers.BatchNormalization(name="norm")(x + branch)
    x = keras.layers.Conv2D(8, 3, 2, "same", activation="relu", name="three")(x)
    return keras.Model(images, x, name=name)


def inputs_of_fpn(backbone):
    """Names of the operations whose maps the pyramid takes."""
    (call,) = backbone.network.get_layer("fpn")._inbound_nodes[-1:]
    return [tensor._keras_history.operation.name for tensor in call.input_tensors]


@pytest.mark.parametrize(
    "name", ["MobileNetV2", *(pytest.param(x, marks=pytest.mark.slow) for x in ("ResNet50",))]
)
def test_the_maps_that_everybody_takes(name):
    assert inputs_of_fpn(pyramid(application(name))) == MAPS[name]


def test_a_sum_is_no_layer_and_still_a_map():
    backbone = pyramid(network(), (2, 3))
    assert inputs_of_fpn(backbone) == ["norm", "three"]
    convnext = application("ConvNeXtTiny")
    names = inputs_of_fpn(pyramid(convnext, (2, 3, 4, 5)))
    # The sum at the end of each stage comes after all its layers.
    order = [
        call.operation.name
        for calls in sorted(convnext._nodes_by_depth.items(), reverse=True)
        for call in calls[1]
    ]
    for name, block in zip(names, MAPS["ConvNeXtTiny"]):
        assert name.startswith("add") and order[order.index(name) - 1].startswith(block)


def block(shortcut_first):
    """A stage that ends in a residual block with stride, whose inputs are not all of any map inside it."""
    images = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(8, 4, 4, "same", name="stem")(keras.layers.Rescaling(1 / 255)(images))

    def shortcut():
        return keras.layers.Conv2D(8, 1, 2, "same", name="shortcut")(x)

    side = shortcut() if shortcut_first else None
    y = keras.layers.Conv2D(8, 3, 1, "same", name="inside")(x)
    y = keras.layers.MaxPooling2D(3, 2, "same")(keras.layers.BatchNormalization(name="inside_norm")(y))
    y = keras.layers.Add(name="out")([y, side if shortcut_first else shortcut()])
    return keras.Model(images, y, name="block")


@pytest.mark.parametrize("shortcut_first", [False, True])
def test_no_map_from_inside_a_residual_block(shortcut_first):
    assert inputs_of_fpn(pyramid(block(shortcut_first), (2, 3))) == ["stem", "out"]


def test_no_map_of_one_of_two_branches():
    images = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(8, 2, 2, "same", name="stem")(keras.layers.Rescaling(1 / 255)(images))
    branches = [keras.layers.Conv2D(8, 3, 2, "same", name=f"level_{name}")(x) for name in "ab"]
    branches = [keras.layers.Conv2D(8, 3, 2, "same")(one) for one in branches]
    network = keras.Model(images, keras.layers.Add()(branches))
    with pytest.raises(ValueError, match=r"has no map of level 2, only of 0, 1, 3; name a layer"):
        pyramid(network, (2, 3))
    assert inputs_of_fpn(pyramid(network, ("level_a", 3)))[0] == "level_a"


def test_freezing_changes_nothing_about_preprocessing():
    images = keras.Input((None, None, 3))
    x = keras.layers.Rescaling(0.5)(keras.layers.Conv2D(8, 3, 4, "same")(images))
    network = keras.Model(images, keras.layers.Conv2D(8, 3, 2, "same")(x), name="resnet50")
    network.trainable = False
    assert pyramid(network, (2, 3)).preprocessing == "caffe"


@pytest.mark.parametrize("name", PREPROCESSING)
def test_preprocessing_is_recognized(name):
    backbone = pyramid(application(name), (4, 5), channels=8)
    assert backbone.preprocessing == PREPROCESSING[name] and backbone.strides == (16, 32)


def test_preprocessing_is_demanded():
    with pytest.raises(
        ValueError, match="How network 'own' wants its pixels is not known; give preprocessing"
    ):
        pyramid(network(rescaled=False), (2, 3))
    assert pyramid(network(rescaled=False), (2, 3), preprocessing="torch").preprocessing == "torch"


def test_coarse_levels_have_anchors_only():
    backbone = pyramid(network(), (2, 3, 4, 5), channels=16)
    assert isinstance(backbone, Backbone) and backbone.pooled_levels == 2 and backbone.stride == 8
    assert backbone.strides == (4, 8, 16, 32) and backbone.channels == 16
    assert backbone.anchor_sizes == ((32,), (64,), (128,), (256,))
    maps = backbone.network(np.zeros([1, 64, 96, 3], "float32"))
    assert [one.shape[1:] for one in maps] == [(16, 24, 16), (8, 12, 16), (4, 6, 16), (2, 3, 16)]
    np.testing.assert_array_equal(maps[2], maps[1][:, ::2, ::2])


@pytest.mark.parametrize("frozen, names", [(0, []), (1, ["one"]), (2, ["one", "two", "branch"])])
def test_stages_are_levels(frozen, names):
    backbone = pyramid(network(), (2, 3), channels=8)
    model = kf.FasterRCNN(["a"], backbone, frozen_stages=frozen, frozen_batch_norm=False, head_units=(8,))
    stopped = {layer.name for layer in model.backbone.layers if layer.weights and not layer.trainable}
    assert stopped == {*names, *(["norm"] if frozen == 2 else [])}


def test_nothing_is_shared_with_the_network():
    original = network()
    before = [weight.copy() for weight in original.get_weights()]
    backbone = pyramid(original, (2, 3), channels=8)
    models = [kf.FasterRCNN(["a"], backbone, frozen_stages=2, head_units=(8,)) for _ in range(2)]
    for model in models:
        for layer in (layer for _, layer in layers_by_path(model.backbone)):
            for weight in layer.weights:
                weight.assign(weight + 1)
    np.testing.assert_equal(original.get_weights(), before)
    assert all(layer.trainable for layer in original.layers)
    body = backbone.network.get_layer("one").get_weights()
    np.testing.assert_equal(body, original.get_layer("one").get_weights())


def test_a_level_by_the_name_of_a_layer():
    backbone = pyramid(network(), ("branch", "three", 4), channels=8)
    assert inputs_of_fpn(backbone) == ["branch", "three"] and backbone.strides == (4, 8, 16)


def test_trains_saves_and_answers_in_a_fresh_process(scenes, tmp_path):
    backbone = pyramid(application("MobileNetV2", alpha=0.35), (3, 4, 5, 6), channels=16)
    model = kf.FasterRCNN(
        scenes.class_names,
        backbone,
        image_size=(96, 128),
        frozen_stages=2,
        frozen_batch_norm=True,
        head_units=(16,),
    )
    model.compile()
    batches = scenes.batches(2, image_size=model.image_size, training=True)
    model.fit(batches, steps_per_epoch=2, verbose=0)
    image = scenes.image(0)
    expected = model.detect(image)
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "image.npy", image)
    code = (
        "import keras, keras_frcnn, numpy as np\n"
        "model = keras.saving.load_model('model.keras')\n"
        "assert model.backbone_info.pooled_levels == 3 and model.arguments['frozen_stages'] == 2\n"
        "assert not model.backbone.get_layer('Conv1').trainable\n"
        "np.savez('found.npz', **model.detect(np.load('image.npy')))\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True, timeout=120)
    with np.load(tmp_path / "found.npz") as found:
        for name, value in expected.items():
            np.testing.assert_array_equal(found[name], value)
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert {layer.name for layer in again.layers} == {layer.name for layer in model.layers}
    assert "as given" in model.loading_report() and "RGB, -1 to 1" in model.loading_report()


def pooled():
    """A network with squeeze and excitation."""
    images = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(8, 3, 8, "same")(keras.layers.Rescaling(1 / 255)(images))
    scale = keras.layers.GlobalAveragePooling2D(keepdims=True, name="gap")(x)
    return keras.Model(images, keras.layers.Multiply()([x, scale]), name="pooled")


def test_refusals_name_the_remedy():
    fixed = keras.applications.MobileNetV2(
        alpha=0.35, weights=None, include_top=False, input_shape=(96, 96, 3)
    )
    classifier = application("MobileNetV2", alpha=0.35, pooling="avg")
    cases = [
        (lambda: pyramid(fixed), "images of 96 by 96 pixels only; build it with input_shape=(None, None, 3)"),
        (lambda: pyramid(classifier), "does not end in a feature map"),
        (
            lambda: pyramid(network(), (1, 2, 4)),
            "are [1, 2, 4]; give them from fine to coarse, without a gap",
        ),
        (lambda: pyramid(network(), (3,)), "at least two levels"),
        (lambda: pyramid(network(), (4, 5)), "and one that the network has first"),
        (lambda: pyramid(network(), ("thre", 4)), "no layer 'thre'; did you mean three?"),
        (lambda: pyramid(pooled(), ("gap", 3)), "Layer 'gap' of network 'pooled' gives no map whose sides"),
        (lambda: pyramid(network(), (2, 3), anchor_sizes=((8,),)), "2 levels, and anchor_sizes for 1"),
        (lambda: pyramid(application("Xception"), (2, 3)), "has no map of level 2, only of"),
        (lambda: pyramid(keras.Sequential([keras.layers.Dense(3)])), "is no functional model"),
        (lambda: kf.FasterRCNN(["a"], pyramid(network(), (2, 3)), "imagenet"), "brings its own weights"),
    ]
    for build, words in cases:
        with pytest.raises(ValueError, match=re.escape(words)) as error:
            build()
        assert "\n" not in str(error.value)

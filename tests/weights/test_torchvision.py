"""State dicts of torchvision: both ways, the older names, and what does not fit."""

import re

import keras
import numpy as np
import pytest

import keras_frcnn as kf
from keras_frcnn import checkpoints
from keras_frcnn.weights.torchvision import BACKBONES, TRAINED_WITHOUT_EPSILON
from keras_frcnn.weights.torchvision_names import OLDER, current_name, detector_tensors

SMALL = "fasterrcnn_mobilenet_v3_large_320_fpn"
# Parameters without batch normalization, which is frozen and counts as none: weights' "num_params" there.
PARAMETERS = dict(zip(BACKBONES, (41_755_286, 43_712_278, 19_386_354, 19_386_354)))


@pytest.fixture(scope="module")
def state(pseudo):
    return pseudo.pseudo_state_dict(SMALL)


def refused(source, match, **arguments):
    with pytest.raises(ValueError, match=match) as error:
        kf.weights.load_torchvision(SMALL, source, **arguments)
    assert not re.search(r"\.\s+[A-Z]|\n", str(error.value))


@pytest.mark.parametrize("name", BACKBONES)
def test_there_and_back_is_bit_equal(name, converted, pseudo):
    theirs = pseudo.pseudo_state_dict(name)
    ours = kf.weights.to_torchvision(converted(name))
    assert ours.keys() == theirs.keys()
    for key, array in theirs.items():
        assert ours[key].dtype == array.dtype and ours[key].shape == array.shape, key
        np.testing.assert_array_equal(ours[key], array, err_msg=key)


@pytest.mark.parametrize("name", BACKBONES)
def test_it_is_torchvisions_model(name, converted):
    model = converted(name)
    norms = [layer for layer in model.backbone_info.norms()]
    count = model.count_params() - sum(layer.count_params() for layer in [*norms, *model.head.norms])
    if name == "fasterrcnn_resnet50_fpn_v2":  # there it trains, and its scales and shifts are parameters
        count += sum(2 * layer.gamma.shape[0] for layer in [*norms, *model.head.norms])
    assert count == PARAMETERS[name]
    frozen = {layer.name for layer in model.backbone.layers if layer.weights and not layer.trainable}
    stages = [
        {*stage} & {layer.name for layer in model.backbone.layers if layer.weights}
        for stage in model.backbone_info.stages
    ]
    first = 2 if "resnet50" in name else 3
    assert all(stage <= frozen for stage in stages[:first])
    assert all(not stage <= frozen for stage in stages[first:])
    assert all(norm.trainable == (name == "fasterrcnn_resnet50_fpn_v2") for norm in norms[-3:])


def test_labels_are_torchvisions_less_one(converted):
    names = converted(SMALL).class_names
    assert len(names) == 90 and names.count("N/A") == 10
    # Ids of COCO's categories.
    assert (names[0], names[12], names[43], names[89]) == ("person", "stop sign", "bottle", "toothbrush")


def older(state):
    """The same with the names of before torchvision 0.13, and without counters, as frozen layers save it."""
    names = {}
    for name in state:
        old = re.sub(r"(_blocks\.\d+)\.0\.", r"\1.", name).replace("rpn.head.conv.0.0.", "rpn.head.conv.")
        names[name] = old
    assert sum(name != old for name, old in names.items()) > 5 and len(OLDER) == 2
    return {old: state[name] for name, old in names.items() if not name.endswith("num_batches_tracked")}


def test_older_names_and_no_counters(state, converted):
    old = older(state)
    assert {current_name(name) for name in old} < set(state)
    model = kf.weights.load_torchvision(SMALL, old)
    for ours, theirs in zip(model.weights, converted(SMALL).weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_other_classes(state):
    head = "roi_heads.box_predictor."
    own = {**state}
    for name, rows in (("cls_score", 4), ("bbox_pred", 16)):
        for kind in ("weight", "bias"):
            own[f"{head}{name}.{kind}"] = state[f"{head}{name}.{kind}"][:rows]
    model = kf.weights.load_torchvision(SMALL, own, class_names=["RBC", "WBC", "Platelets"])
    assert model.class_names == ("RBC", "WBC", "Platelets")
    for name, array in kf.weights.to_torchvision(model).items():
        np.testing.assert_array_equal(array, own[name])
    refused(
        own, "classes of the state dict are 3, and the names 90 .* give 3 names with class_names, or with -"
    )


def test_a_missing_an_extra_and_a_misshapen_tensor(state):
    name = "rpn.head.bbox_pred.bias"
    refused(
        {key: value for key, value in state.items() if key != name},
        f"Tensor {name} is missing in the state dict; is it",
    )
    refused(
        {**state, "rpn.head.surprise": np.zeros(3)}, "Tensor rpn.head.surprise of the state dict has no place"
    )
    refused({**state, name: np.zeros(59)}, rf"{name} of the state dict has shape \[59\] where \[60\] belongs")


def test_messages_spell_a_tensor_as_the_file_does(state):
    old, name = older(state), "rpn.head.conv.weight"
    refused({**old, name: np.zeros(3)}, rf"Tensor {name} of the state dict has shape \[3\]")
    twice = {**state, name: state["rpn.head.conv.0.0.weight"]}
    refused(twice, f"Tensors rpn.head.conv.0.0.weight and {name} of the state dict are one by two names")


def test_nothing_is_assigned_where_something_does_not_fit(state, converted):
    model = converted(SMALL)
    before = [weight.numpy() for weight in model.weights]
    tensors = detector_tensors(model)
    other = {name: np.full_like(array, 7) for name, array in state.items()}
    for bad in (
        {name: array for name, array in other.items() if name != tensors[-1].name},
        {**other, tensors[-1].name: np.zeros(3)},
        {**other, "surprise": np.zeros(3)},
    ):
        with pytest.raises(ValueError, match="is it of this network"):
            checkpoints.assign(tensors, bad, "the state dict")
    for weight, value in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(weight, value)


@pytest.mark.parametrize("argument", ["backbone", "backbone_weights", "weights_source"])
def test_what_the_name_and_the_source_decide(state, argument):
    with pytest.raises(TypeError, match=f"takes no {argument}: the name and the source decide"):
        kf.weights.load_torchvision(SMALL, state, **{argument: "none"})


def test_a_name_that_torchvision_lacks(state):
    with pytest.raises(ValueError, match="no Faster R-CNN 'fasterrcnn_resnet18'"):
        kf.weights.load_torchvision("fasterrcnn_resnet18", state)


def test_epsilon(state, tmp_path):
    assert kf.weights.load_torchvision(SMALL, state).arguments["batch_norm_epsilon"] == 1e-5
    published = tmp_path / f"fasterrcnn_resnet50_fpn_coco-{TRAINED_WITHOUT_EPSILON}.npz"
    np.savez(published, **state)
    model = kf.weights.load_torchvision(SMALL, published)
    assert model.arguments["batch_norm_epsilon"] == 0.0
    assert {norm.epsilon for norm in model.backbone_info.norms()} == {0.0}
    assert model.arguments["weights_source"] == published.name
    model.save(tmp_path / "zero.keras")
    again = keras.saving.load_model(tmp_path / "zero.keras")
    assert {norm.epsilon for norm in again.backbone_info.norms()} == {0.0}
    other = kf.weights.load_torchvision(SMALL, published, batch_norm_epsilon=1e-3)
    assert {norm.epsilon for norm in other.backbone_info.norms()} == {1e-3}


@pytest.mark.slow
def test_models_that_torchvision_lacks(converted, make_model):
    with pytest.raises(ValueError, match="no model like this FasterRCNN"):
        kf.weights.to_torchvision(make_model())
    model = kf.models.compress(converted(SMALL), (64, 64))
    with pytest.raises(ValueError, match="has another head_ranks than torchvision's"):
        kf.weights.to_torchvision(model)


@pytest.mark.parametrize(
    "arguments",
    [
        {"pool_aligned": True},
        {"anchor_offset": 0.5},
        {"anchor_sizes": ((16,), (32,), (64,), (128,), (256,))},
        {"head_units": (512, 512)},
        {"rpn_channels": 128},
        {"preprocessing": "tf"},
        {"canvas": True},
    ],
)
def test_arguments_that_torchvision_has_otherwise(arguments):
    (name,) = arguments
    model = kf.FasterRCNN(["a"], "resnet50_fpn", **arguments)
    with pytest.raises(ValueError, match=f"has another {name} than torchvision's resnet50_fpn"):
        kf.weights.to_torchvision(model)


def test_arguments_that_torchvisions_builder_takes(tmp_path):
    model = kf.FasterRCNN(["a"], "mobilenet_v3_large_320_fpn", image_size=(64, 80), score_threshold=0.5)
    model.save(tmp_path / "a.keras")
    again = keras.saving.load_model(tmp_path / "a.keras")
    assert kf.weights.to_torchvision(again).keys() == kf.weights.to_torchvision(model).keys()


def test_what_is_no_faster_rcnn():
    with pytest.raises(ValueError, match="no model like this Functional"):
        kf.weights.to_torchvision(kf.backbones.get("tiny_fpn").network)


def test_frozen_batch_norm_of_the_head():
    for frozen in (True, False):
        model = kf.FasterRCNN(
            ["a"], "resnet50_fpn_v2", weights_source="somewhere", frozen_batch_norm=frozen, frozen_stages=0
        )
        norms = [*model.backbone_info.norms(), *model.head.norms]
        assert len(model.head.norms) == 4 and all(norm.trainable != frozen for norm in norms)


def test_weights_of_resnet50():
    """torchvision's classifier, with tensors made up at random."""
    body = {
        tensor.name: tensor.shape
        for layer in kf.backbones.get("resnet50_fpn").network.layers
        for tensor in checkpoints.layer_tensors(layer, layer.name)
    }
    random = np.random.default_rng(0)
    state = {name: random.random(shape, np.float32) for name, shape in body.items()}
    state |= {"fc.weight": np.zeros((1000, 2048)), "fc.bias": np.zeros(1000)}
    assert len(state) == 320 and state["layer4.2.conv3.weight"].shape == (2048, 512, 1, 1)
    model = kf.FasterRCNN(["a"], "resnet50_fpn", state)
    assert model.arguments["frozen_stages"] == 2 and model.arguments["weights_source"] == "state dict"
    kernel = model.backbone.get_layer("layer2.0.conv2").kernel
    np.testing.assert_array_equal(kernel, state["layer2.0.conv2.weight"].transpose(2, 3, 1, 0))
    mean = model.backbone.get_layer("bn1").moving_mean
    np.testing.assert_array_equal(mean, state["bn1.running_mean"])


def test_weights_that_a_backbone_does_not_take(tmp_path):
    for name in ("vgg16", "zf", "tiny_fpn", "resnet50", "mobilenet_v2_fpn"):
        with pytest.raises(ValueError, match=f"Backbone '{name}' takes no state dict"):
            kf.backbones.get(name, {"a": np.zeros(3)})
    with pytest.raises(
        ValueError, match="of Keras, but this backbone takes torchvision's state dict of resnet50"
    ):
        kf.backbones.get("resnet50_fpn", tmp_path / "mine.weights.h5")


def test_weights_of_a_classifier(state, tmp_path):
    """ImageNet files: the same tensors under shorter names, and a classifier besides."""
    classifier = {
        "features." + name.removeprefix("backbone.body."): array
        for name, array in state.items()
        if name.startswith("backbone.body.")
    }
    classifier["classifier.0.weight"] = np.zeros((4, 4), np.float32)
    file = tmp_path / "mobilenet_v3_large.npz"
    np.savez(file, **classifier)
    model = kf.FasterRCNN(["a"], "mobilenet_v3_large_fpn", str(file))
    assert model.arguments["frozen_stages"] == 3 and model.arguments["frozen_batch_norm"]
    assert model.arguments["weights_source"] == file.name
    kernel = model.backbone.get_layer("features.16.0").kernel
    np.testing.assert_array_equal(kernel[0, 0].numpy().T, state["backbone.body.16.0.weight"][:, :, 0, 0])
    assert f"{file.name}" in model.loading_report()
    del classifier["features.0.0.weight"]
    with pytest.raises(ValueError, match="Tensor features.0.0.weight is missing in the state dict"):
        kf.backbones.get("mobilenet_v3_large_fpn", classifier)

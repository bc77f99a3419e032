import dataclasses

import keras
import numpy as np
import pytest

from keras_frcnn.training import recipe as recipes
from keras_frcnn.training.recipe import Recipe, from_yaml, to_yaml

TINY = Recipe(backbone="tiny_fpn", backbone_weights="none", image_size=(64, 96))


@pytest.mark.parametrize("name", recipes.names())
def test_every_recipe_of_the_package_is_valid(name):
    recipe = recipes.load(name)
    assert from_yaml(to_yaml(recipe), "again") == recipe
    assert recipe.short_sides == () or max(recipe.short_sides) <= recipe.image_size[1]
    # Weights are downloads; the network itself and the arguments of the detector are what may be wrong.
    model = dataclasses.replace(recipe, backbone_weights="none").build(["a", "b"])
    assert model.image_size == recipe.image_size
    assert model.canvas == recipe.canvas


def test_there_is_one_for_the_shapes():
    assert "shapes" in recipes.names()


def test_yaml_round_trip():
    recipe = Recipe(
        image_size=(480, 640),
        short_sides=(400, 480),
        learning_rate=1e-5,
        mixed_precision="bfloat16",
        detector={"nms_iou": 0.4, "head_units": [64]},
    )
    assert from_yaml(to_yaml(recipe), "again") == recipe


def test_what_the_text_leaves_out_is_as_before():
    assert from_yaml("", "empty") == Recipe()
    base = Recipe(epochs=3, batch_size=7)
    assert from_yaml("epochs: 5", "one", base) == dataclasses.replace(base, epochs=5)


@pytest.mark.parametrize("text, value", [("1e-3", 0.001), ("1", 1.0), ("0.5", 0.5)])
def test_a_rate_is_a_float_however_it_is_written(text, value):
    rate = from_yaml(f"learning_rate: {text}", "a file").learning_rate
    assert isinstance(rate, float) and rate == value


@pytest.mark.parametrize(
    "text, part",
    [
        ("epoch: 5", "unknown fields epoch;"),
        ("1: 2", "unknown fields 1;"),
        ("[1, 2]", "must be a mapping"),
        ("epochs: [", "not valid YAML"),
        ("epochs: many", "epochs in a file is 'many'"),
        ("epochs: 1.5", "must be int"),
        ("epochs: true", "must be int"),
        ("epochs: 0", "above 0"),
        ("learning_rate: fast", "must be float"),
        ("image_size: 600", "image_size in a file is 600"),
        ("image_size: [600]", "image_size"),
        ("short_sides: [a]", "short_sides"),
        ("optimizer: adam", "one of sgd, adamw"),
        ("detector: [1]", "detector"),
        ("backbone: null", "must be str"),
    ],
)
def test_refuses_in_one_sentence(text, part):
    with pytest.raises(ValueError) as error:
        from_yaml(text, "a file")
    assert part in str(error.value) and "\n" not in str(error.value) and str(error.value).endswith(".")


def test_refuses_an_unknown_name():
    with pytest.raises(ValueError, match="'speed'.*shapes"):
        recipes.load("speed")


@pytest.mark.parametrize("name", ["nonsense", "backbone"])
def test_refuses_what_the_detector_does_not_take(name):
    with pytest.raises(ValueError, match=f"has {name}, but takes"):
        dataclasses.replace(TINY, detector={name: 1}).build(["a"])


def test_the_model_has_what_the_recipe_says():
    recipe = dataclasses.replace(TINY, canvas=True, mixed_precision="bfloat16", detector={"nms_iou": 0.25})
    model = recipe.build(["a", "b"])
    config = model.get_config()
    assert config["class_names"] == ["a", "b"]
    assert config["nms_iou"] == 0.25
    assert model.canvas and model.image_size == (64, 96)
    assert model.dtype_policy.name == "mixed_bfloat16"


@pytest.mark.parametrize("warmup_steps, warmed", [(5, 5), (50, 10), (0, 0)])
def test_the_rate_rises_and_falls_to_zero(warmup_steps, warmed):
    recipe = dataclasses.replace(TINY, warmup_steps=warmup_steps, learning_rate=0.5)
    optimizer = recipe.make_optimizer(100)
    rates = []
    for step in range(101):
        optimizer.iterations.assign(step)
        rates.append(float(optimizer.learning_rate))
    assert int(np.argmax(rates)) == warmed
    assert rates[warmed] == pytest.approx(0.5)
    assert (np.diff(rates[: warmed + 1]) > 0).all() and (np.diff(rates[warmed:]) < 0).all()
    assert rates[-1] == pytest.approx(0.0, abs=1e-8)


@pytest.mark.parametrize("name, kind", [("sgd", keras.optimizers.SGD), ("adamw", keras.optimizers.AdamW)])
@pytest.mark.parametrize("decay", [0.0, 0.01])
def test_the_optimizer(name, kind, decay):
    optimizer = dataclasses.replace(TINY, optimizer=name, weight_decay=decay, clip_norm=3.0).make_optimizer(
        10
    )
    assert isinstance(optimizer, kind)
    assert optimizer.global_clipnorm == 3.0
    assert (optimizer.weight_decay or 0.0) == decay
    kernel, bias = keras.Variable(np.ones([2]), name="kernel"), keras.Variable(np.ones([2]), name="bias")
    optimizer.build([kernel, bias])
    for variable, shrinks in ((kernel, decay > 0), (bias, False)):
        assert bool(decay and optimizer._use_weight_decay(variable)) == shrinks

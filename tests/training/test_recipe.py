import dataclasses
import warnings
from unittest.mock import Mock

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_frcnn import models
from keras_frcnn.data.readers import shapes
from keras_frcnn.models.first_batch import warn_of_other_size
from keras_frcnn.training import CaffeSGD, recipe_files
from keras_frcnn.training.recipe import Recipe
from keras_frcnn.training.recipe_files import from_yaml, to_yaml

TINY = Recipe(backbone="tiny_fpn", backbone_weights="none", image_size=(64, 96))


@pytest.mark.parametrize("name", recipe_files.names())
def test_every_recipe_of_the_package_is_valid(name):
    recipe = recipe_files.load(name)
    assert from_yaml(to_yaml(recipe), "again") == recipe
    assert recipe.short_sides == () or max(recipe.short_sides) <= recipe.image_size[1]
    # Weights are downloads, and the head of VGG16 takes half a gigabyte; the rest is what may be wrong.
    detector = {**recipe.detector, "head_units": [8]}
    small = {"vgg16": "mobilenet_v2", "zf": "mobilenet_v2"}
    model = dataclasses.replace(
        recipe,
        backbone=small.get(recipe.backbone, recipe.backbone),
        backbone_weights="none",
        detector=detector,
    ).build(["a", "b"])
    assert model.image_size == recipe.image_size
    assert model.canvas == recipe.canvas


def test_there_is_one_for_the_shapes():
    assert "shapes" in recipe_files.names()


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


def test_numbers_of_the_detector_without_a_dot():
    read = recipe_files.from_yaml("detector: {rpn_min_size: 1e-3, objectness: softmax}", "test")
    assert read.detector == {"rpn_min_size": 0.001, "objectness": "softmax"}


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
        ("accumulate: 0", "above 0"),
        ("steps: -1", "finite and not below 0"),
        ("clip_norm: -1", "finite and not below 0"),
        ("rate_schedule: linear", "one of cosine, steps"),
        ("rate_steps: [0.5]", "rate_steps"),
        ("model: yolo", "one of faster_rcnn, cascade_rcnn"),
        ("learning_rate: fast", "must be float"),
        ("image_size: 600", "image_size in a file is 600"),
        ("image_size: [600]", "image_size"),
        ("short_sides: [a]", "short_sides"),
        ("optimizer: adam", "one of sgd, adamw, caffe"),
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
        recipe_files.load("speed")


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
    reloaded = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    for either in (optimizer, reloaded):
        either.build([kernel, bias])
        for variable, shrinks in ((kernel, decay > 0), (bias, False)):
            assert bool(decay and either._use_weight_decay(variable)) == shrinks


@pytest.mark.parametrize("accumulate, steps", [(1, None), (4, 4)])
@pytest.mark.parametrize("name", ["sgd", "adamw", "caffe"])
def test_what_the_optimizers_share(name, accumulate, steps):
    recipe = dataclasses.replace(TINY, optimizer=name, clip_norm=0.0, accumulate=accumulate, momentum=0.5)
    optimizer = recipe.make_optimizer(10)
    assert optimizer.global_clipnorm is None
    assert optimizer.gradient_accumulation_steps == steps
    assert getattr(optimizer, "momentum", 0.5) == 0.5


def test_weight_decay_of_caffe_is_in_the_gradient():
    recipe = dataclasses.replace(TINY, optimizer="caffe", weight_decay=0.01, bias_rate=3.0, bias_decay=False)
    optimizer = recipe.make_optimizer(10)
    assert isinstance(optimizer, CaffeSGD) and optimizer.weight_decay is None
    assert (optimizer.l2, optimizer.bias_rate, optimizer.l2_on_bias) == (0.01, 3.0, False)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_warm_up_and_drops_count_updates(accumulate):
    recipe = dataclasses.replace(
        TINY,
        learning_rate=0.5,
        rate_schedule="steps",
        rate_steps=(40, 60),
        rate_factor=0.2,
        warmup_steps=10,
        accumulate=accumulate,
    )
    optimizer = recipe.make_optimizer(100 * accumulate)
    for update, rate in [(10, 0.5), (39, 0.5), (40, 0.1), (59, 0.1), (60, 0.02), (99, 0.02)]:
        optimizer._iterations.assign((update + 1) * accumulate - 1)
        assert int(optimizer.iterations) == update
        assert float(optimizer.learning_rate) == pytest.approx(rate)
    optimizer._iterations.assign(0)
    assert float(optimizer.learning_rate) == pytest.approx(0.005)


def test_epochs_decide_where_no_steps_are_given():
    assert (TINY.epochs_for(7), TINY.batches_an_epoch(7)) == (12, 7)


@given(steps=st.integers(1, 10**6), accumulate=st.integers(1, 8), batches=st.integers(1, 10**5))
def test_steps_decide_over_epochs(steps, accumulate, batches):
    recipe = dataclasses.replace(TINY, steps=steps, accumulate=accumulate)
    count, length = recipe.epochs_for(batches), recipe.batches_an_epoch(batches)
    assert 1 <= length <= batches
    assert 0 <= count * length - steps * accumulate < count
    assert (count - 1) * batches < steps * accumulate


def test_epochs_of_a_file_replace_steps_of_the_recipe_beneath():
    base = Recipe(steps=100)
    assert from_yaml("epochs: 5", "a file", base) == Recipe(epochs=5)
    assert from_yaml("epochs: 5\nsteps: 7", "a file", base) == Recipe(epochs=5, steps=7)
    assert from_yaml("batch_size: 5", "a file", base).steps == 100


def test_batches_are_made_as_the_recipe_says():
    recipe = Recipe(
        batch_size=3,
        seed=5,
        flip=0.25,
        short_sides=(40,),
        photometric=0.5,
        crop=0.75,
        scale_jitter=(0.5, 2.0),
        cache="never",
        balance=0.1,
    )
    data, model = Mock(), Mock(image_size=(40, 60), arguments={})
    model.distribute_strategy.num_replicas_in_sync = 2
    assert recipe.batches(data, model, training=True) is data.batches.return_value
    data.batches.assert_called_once_with(
        3,
        image_size=(40, 60),
        training=True,
        seed=5,
        flip=0.25,
        short_sides=(40,),
        canvas=False,
        photometric=0.5,
        crop=0.75,
        scale_jitter=(0.5, 2.0),
        cache=False,
        balance=0.1,
        drop_remainder=True,
    )
    Recipe().batches(data, model, training=False)
    assert data.batches.call_args.kwargs["scale_jitter"] is None


def test_the_limit_of_an_image_pyramid_holds_in_training_too():
    recipe = Recipe(model="fast_rcnn", short_sides=(64, 128), detector={"pyramid_limit": 256})
    given = []

    class Dataset:
        def batches(self, batch_size, image_size, **arguments):
            given.append(image_size)

    class Model:
        image_size = (64, 96)
        arguments = {"pyramid_sides": (64, 128), "pyramid_limit": 256}
        distribute_strategy = Mock(num_replicas_in_sync=1)

    recipe.batches(Dataset(), Model(), training=True)
    recipe.batches(Dataset(), Model(), training=False)
    assert given == [(64, 256), (64, 96)]


def test_a_length_of_ones_own_holds_in_every_step():
    base = Recipe(steps=9, alternating_steps=(8, 4, 8, 4), alternating_rate_steps=(6, 3, 6, 3))
    for text in ("epochs: 2", "steps: 5"):
        mine = from_yaml(text, "mine", base)
        assert mine.alternating_steps == mine.alternating_rate_steps == ()
    assert from_yaml("learning_rate: 0.1", "mine", base).alternating_steps == (8, 4, 8, 4)


def test_refuses_a_value_of_the_wrong_kind():
    with pytest.raises(ValueError, match="^head_units is 8; give a tuple of whole numbers, at least 1.$"):
        Recipe(backbone_weights="none", detector={"head_units": 8}).build(["a"])
    unknown = {"class_name": "Unheard", "config": {}}
    with pytest.raises(ValueError, match="`detector` has a value of the wrong kind"):
        Recipe(backbone_weights="none", detector={"class_loss": unknown}).build(["a"])


@pytest.mark.parametrize("own", [{}, {"short_sides": (48,)}, {"scale_jitter": (0.5, 2.0)}, {"canvas": True}])
def test_its_batches_have_the_size_of_its_model(own):
    recipe, scenes = dataclasses.replace(TINY, **own), shapes.load("val", 2)
    model = recipe.build(scenes.class_names)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_other_size(model, *(recipe.batches(scenes, model, training) for training in (True, False)))


def test_an_rpn_needs_no_class_names():
    model = dataclasses.replace(TINY, model="rpn", detector={"rpn_channels": 8}).build(["a", "b"])
    assert isinstance(model, models.RPN)
    with pytest.raises(ValueError, match="has class_names, but takes of rpn only"):
        dataclasses.replace(TINY, model="rpn", detector={"class_names": ["a"]}).build(["a"])

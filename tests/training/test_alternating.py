"""The 4-step alternating schedule."""

import dataclasses
import json

import keras
import numpy as np
import pytest

from keras_frcnn import backbones
from keras_frcnn.data.readers import shapes
from keras_frcnn.training import alternating
from keras_frcnn.training.recipe import Recipe

# One run that all share takes most of a minute.
pytestmark = pytest.mark.slow
RECIPE = Recipe(
    backbone="small",
    backbone_weights="none",
    image_size=(96, 120),
    epochs=1,
    batch_size=4,
    optimizer="sgd",
    detector={"rpn_channels": 16, "head_units": [16], "rpn_post_nms": [60, 30], "head_batch_size": 16},
)


@pytest.fixture(scope="module", autouse=True)
def named(small_network):
    """A backbone with a name that is traced sooner than those of the package."""

    def small(weights):
        own = backbones.get(small_network())
        return dataclasses.replace(own, source=str(weights), anchor_sizes=((24, 34), (48, 68), (96, 136)))

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(backbones.NETWORKS, "small", small)
        yield


@pytest.fixture(scope="module")
def sets():
    return shapes.load("train", 8), shapes.load("val", 4)


@pytest.fixture(scope="module")
def run(sets, tmp_path_factory):
    folder = tmp_path_factory.mktemp("alternating")
    return alternating.alternate(RECIPE, *sets, folder), folder


def load(folder, step):
    return keras.saving.load_model(folder / alternating.STEPS[step] / "last.keras", compile=False)


def test_ends_with_one_set_of_convolutions(run):
    model, folder = run
    second, third, fourth = (load(folder, step) for step in (1, 2, 3))
    for other in (second, third, fourth):
        for mine, theirs in zip(model.backbone.get_weights(), other.backbone.get_weights(), strict=True):
            np.testing.assert_array_equal(mine, theirs)
    for mine, theirs in zip(model.rpn.get_weights(), third.rpn.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_the_whole_answers_as_its_parts(run, sets, assert_same):
    model, folder = run
    third, fourth = load(folder, 2), load(folder, 3)
    image = sets[1].image(0)
    boxes = third.propose(image)["boxes"]
    # The threshold is low enough for a model that has hardly learned.
    for one in (model, fourth):
        one.arguments = {**one.arguments, "score_threshold": 0.0}
        one.connect_stages()
    assert_same(fourth.detect(image, boxes), model.detect(image))


def test_each_step_may_be_as_long_as_in_the_paper(sets, tmp_path, monkeypatch):
    seen = []

    def fit(recipe, model, train, val, folder):
        seen.append((recipe.steps, recipe.rate_steps, recipe.seed))
        folder.mkdir(parents=True)
        model.save(folder / "last.keras")

    monkeypatch.setattr(alternating, "fit", fit)
    recipe = dataclasses.replace(
        RECIPE, alternating_steps=(8, 4, 8, 4), alternating_rate_steps=(6, 3, 6, 3), rate_schedule="steps"
    )
    alternating.alternate(recipe, *sets, tmp_path)
    assert seen == [(8, (6,), 0), (4, (3,), 1), (8, (6,), 2), (4, (3,), 3)]
    with pytest.raises(ValueError, match="each of the four"):
        dataclasses.replace(RECIPE, alternating_steps=(8, 4))


@pytest.mark.parametrize("begins", ["new", "first"])
def test_the_third_step_begins_anew_or_goes_on(sets, tmp_path, monkeypatch, begins):
    """py-faster-rcnn's stage 2 RPN begins with stage 1's Fast R-CNN, whose layers of an RPN are new."""
    rpns = []

    def fit(recipe, model, train, val, folder):
        folder.mkdir(parents=True)
        if hasattr(model, "rpn"):
            rpns.append(model.rpn.get_weights())
            # What training would do.
            model.rpn.set_weights([weight + 1.0 for weight in model.rpn.get_weights()])
        model.save(folder / "last.keras")

    monkeypatch.setattr(alternating, "fit", fit)
    alternating.alternate(dataclasses.replace(RECIPE, alternating_rpn=begins), *sets, tmp_path)
    first, third = rpns
    trained = [np.array_equal(one + 1.0, other) for one, other in zip(first, third, strict=True)]
    assert all(trained) if begins == "first" else not any(trained)


def test_refuses_two_images_of_one_name_at_once(sets, tmp_path):
    twice = shapes.load("train", 8)
    twice.records[1] = twice.records[0]
    with pytest.raises(ValueError, match="two images called"):
        alternating.alternate(RECIPE, twice, None, tmp_path)
    assert not list(tmp_path.iterdir())


def test_every_step_leaves_its_model_and_proposals(run):
    _, folder = run
    for index, step in enumerate(alternating.STEPS):
        names = {path.name for path in (folder / step).iterdir()}
        assert {"last.keras", "log.csv", "complete"} <= names
        assert ({"recall.json", "train", "val"} <= names) == (index in (0, 2))
    curve = json.loads((folder / "1-rpn" / "recall.json").read_text())["train"]
    assert curve["images"] == 8 and curve["proposals_per_image"] > 30


def test_goes_on_where_it_stopped(run, sets, tmp_path, monkeypatch):
    _, folder = run
    stopped = tmp_path / "stopped"

    def stop(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(alternating._Alternation, "_share", staticmethod(stop))
        with pytest.raises(KeyboardInterrupt):
            alternating.alternate(RECIPE, *sets, stopped)
    first = (stopped / "1-rpn" / "last.keras").stat().st_mtime_ns
    (stopped / "3-rpn-shared").mkdir(exist_ok=True)
    (stopped / "3-rpn-shared" / "half").touch()
    model = alternating.alternate(RECIPE, *sets, stopped)
    assert (stopped / "1-rpn" / "last.keras").stat().st_mtime_ns == first
    assert not (stopped / "3-rpn-shared" / "half").exists()
    assert np.isfinite(model.get_weights()[0]).all()

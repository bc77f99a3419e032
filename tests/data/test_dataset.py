import re

import numpy as np
import pytest

from keras_frcnn.data.dataset import DetectionDataset
from keras_frcnn.data.joining import join
from keras_frcnn.data.records import BoxCheck
from keras_frcnn.data.sources import Drawn


def make(name="set", ids=("a", 7, "c"), class_names=("cat", "dog")):
    check = BoxCheck(name)
    records = [
        check.record(image_id, f"{name}/{image_id}.jpg", 40, 60, [[1, 2, 9, 9]], [index % 2], [False])
        for index, image_id in enumerate(ids)
    ]
    return DetectionDataset(
        name, class_names, records, Drawn(lambda i: np.zeros([40, 60, 3], np.uint8), len(ids))
    )


def some(count, seed=0):
    corners = np.random.default_rng(seed).integers(0, 30, [count, 2])
    return np.concatenate([corners, corners + 5], axis=1).astype(np.float32)


@pytest.fixture
def proposals():
    """For the images of `make()`, and one of another set."""
    return {"a": some(5), "7": np.zeros([0, 4], np.float32), "c": some(9, seed=1), "z": some(2)}


def test_proposals_are_found_by_the_text_of_the_id(proposals):
    dataset = make()
    assert dataset.proposals is None
    found = dataset.with_proposals(proposals)
    assert dataset.proposals is None
    assert (found.name, found.class_names, len(found)) == (dataset.name, dataset.class_names, 3)
    for boxes, key in zip(found.proposals, ("a", "7", "c")):
        assert boxes.dtype == np.float32
        np.testing.assert_array_equal(boxes, proposals[key])


def test_an_image_is_asked_for_by_its_place():
    dataset = make()
    assert dataset.image(np.int64(-1)).shape == (40, 60, 3)
    for wrong in ("a", 1.0, None):
        with pytest.raises(
            ValueError, match=r"^dataset.image takes the place of an image, from 0, not .*; names"
        ):
            dataset.image(wrong)
    with pytest.raises(IndexError, match=r"^set has 3 images, and none at 3; count from 0\.$"):
        dataset.image(3)


def test_the_best_ones_within_the_image(proposals):
    proposals["a"] = [
        [-5, -5, 20, 20],
        [60, 0, 70, 10],
        [3, 3, 3, 9],
        [9, 3, 5, 9],
        [50, 30, 90, 90],
        [np.nan, 0, 9, 9],
        [1.5, 2.5, 3.5, 4.5],
        [0, 0, 60, 40],
    ]
    found = make().with_proposals(proposals, top=3)
    expected = [[0, 0, 20, 20], [50, 30, 60, 40], [1.5, 2.5, 3.5, 4.5]]
    np.testing.assert_array_equal(found.proposals[0], expected)
    np.testing.assert_array_equal(found.proposals[2], proposals["c"][:3])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"7": None}, "There are no proposals for the image 7 of set; make them with `python -m keras_frcnn"),
        ({"a": np.zeros([4])}, "The proposals for the image a of set have the shape (4,); give [P, 4]"),
        ({"a": np.zeros([2, 5])}, "The proposals for the image a of set have the shape (2, 5); give [P, 4]"),
    ],
)
def test_bad_proposals(proposals, change, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        make().with_proposals({**proposals, **change})


def test_bad_top(proposals):
    with pytest.raises(ValueError, match="top is 0; give at least 1"):
        make().with_proposals(proposals, top=0)


def test_two_images_of_one_id(proposals):
    with pytest.raises(ValueError, match=re.escape("has two images a, set/a.jpg and other/a.jpg; give each")):
        join([make(), make("other")]).with_proposals(proposals)
    # The same image in two splits is no such case.
    assert len(join([make(), make()]).with_proposals(proposals).proposals) == 6


def test_proposals_survive_other_class_names(proposals):
    found = make().with_proposals(proposals).with_class_names(["bird", "dog", "cat"])
    np.testing.assert_array_equal(found.records[0].labels, [2])
    np.testing.assert_array_equal(found.proposals[2], proposals["c"])


def test_proposals_survive_a_join(proposals):
    sets = [make().with_proposals(proposals), make("other", ids=["z"]).with_proposals(proposals)]
    np.testing.assert_array_equal(join(sets).proposals[3], proposals["z"])
    assert join([make(), make("other")]).proposals is None
    with pytest.raises(ValueError, match="other has no proposals, but another set that it is joined with"):
        join([sets[0], make("other")])


def test_batches_of_a_set_without_proposals_have_none(proposals):
    assert "proposals" not in make().batches(1).element_spec[0]
    spec = make().with_proposals(proposals).batches(1).element_spec[0]["proposals"]
    assert spec.shape.as_list() == [None, None, 4] and spec.dtype == "float32"


def test_class_names_hold_each_name_once():
    with pytest.raises(ValueError, match="The class names dog, cat, dog hold a name twice; give each once"):
        make().with_class_names(["dog", "cat", "dog"])
    found = make().with_class_names(["N/A", "dog", "N/A", "cat", "N/A"])  # ids without a class
    assert found.class_names == ("N/A", "dog", "N/A", "cat", "N/A")
    assert [record.labels.tolist() for record in found.records] == [[3], [1], [3]]


def test_the_single_best_proposal(proposals):
    found = make().with_proposals(proposals, top=1)
    np.testing.assert_array_equal(found.proposals[2], proposals["c"][:1])

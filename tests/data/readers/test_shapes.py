import numpy as np
import pytest

from keras_frcnn import data
from keras_frcnn.data.readers import shapes


@pytest.fixture(scope="module")
def scenes():
    return shapes.load("train", 300)


def test_sizes_of_the_splits():
    train, val = data.load("shapes@train"), data.load("shapes")
    assert (len(train), len(val)) == (2000, 200)
    assert val.name == "shapes@val"
    assert data.load("shapes", default_split="train").name == "shapes@train"
    assert not {record.image_id for record in train.records} & {record.image_id for record in val.records}


def test_objects(scenes):
    counts = [len(record.labels) for record in scenes.records]
    assert max(counts) <= 8
    assert 0.05 < np.mean(np.equal(counts, 0)) < 0.16
    boxes = np.concatenate([record.boxes for record in scenes.records])
    sides = boxes[:, 2:] - boxes[:, :2]
    assert sides.min() >= 16 and sides.max() <= 160
    assert boxes.min() >= 0 and (boxes[:, 2] <= 320).all() and (boxes[:, 3] <= 256).all()
    labels = np.concatenate([record.labels for record in scenes.records])
    assert np.bincount(labels).min() > 0.1 * len(labels)
    assert len(scenes.class_names) == 6


def test_overlap_is_at_most_a_half(scenes):
    for record in scenes.records:
        for i, (ax1, ay1, ax2, ay2) in enumerate(record.boxes):
            for bx1, by1, bx2, by2 in record.boxes[:i]:
                shared = max(0, min(ax2, bx2) - max(ax1, bx1)) * max(0, min(ay2, by2) - max(ay1, by1))
                union = (ax2 - ax1) * (ay2 - ay1) + (bx2 - bx1) * (by2 - by1) - shared
                assert shared / union <= 0.5


def test_boxes_are_tight():
    for index in range(50):
        for thing in shapes.compose(index):
            for edge in (thing.mask[0], thing.mask[-1], thing.mask[:, 0], thing.mask[:, -1]):
                assert edge.any()


def test_the_drawing_is_where_the_box_is(monkeypatch):
    # Left out of the scene, an object changes the picture nowhere but in its box, and there up to each side.
    whole = shapes.compose(3)
    last = whole[-1]
    assert last.label >= 0
    draw = shapes.draw.__wrapped__  # the one that remembers would give the same scene twice
    before = draw(3)
    monkeypatch.setattr(shapes, "compose", lambda index: whole[:-1])
    grainless = np.abs(before.astype(int) - draw(3)).sum(-1)
    monkeypatch.undo()
    height, width = last.mask.shape
    inside = np.zeros(grainless.shape, bool)
    inside[last.y : last.y + height, last.x : last.x + width] = last.mask
    assert (grainless[inside] > 40).mean() > 0.9
    assert grainless[~inside].max() <= 80


def test_deterministic(scenes):
    again = shapes.load("train", 20)
    for index in (0, 7, 19):
        np.testing.assert_array_equal(again.image(index), scenes.image(index))
        np.testing.assert_array_equal(again.records[index].boxes, scenes.records[index].boxes)
    image = scenes.image(0)
    assert image.shape == (256, 320, 3) and image.dtype == np.uint8
    assert (image != scenes.image(1)).any()


def test_scenes_are_kept_and_cannot_be_changed(scenes):
    assert scenes.image(0) is scenes.image(0)
    with pytest.raises(ValueError, match="read-only"):
        scenes.image(0)[0] = 0
    assert shapes.draw.cache_info().maxsize >= sum(count for _, count in shapes.SPLITS.values())


def test_unknown_split():
    with pytest.raises(ValueError, match="shapes has no split 'test'; it has train and val"):
        data.load("shapes@test")

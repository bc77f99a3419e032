"""What R-CNN and SPPnet do after `fit`."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_frcnn as kf
from keras_frcnn.data.readers import shapes
from keras_frcnn.models import staged_training

KINDS = {
    "spp": (kf.SPPNet, {"pool_levels": (1, 2, 4)}),
    "rcnn": (kf.RCNN, {"warp_size": 64, "pool_size": 2, "region_batch": 8}),
}


@pytest.fixture(scope="module")
def dataset():
    """Eight scenes whose proposals lie around the objects, and anywhere."""
    dataset, random, proposals = shapes.load("train", 8), np.random.default_rng(0), {}
    for record in dataset.records:
        near = np.repeat(record.boxes, 6, axis=0)
        near = near + random.normal(0, 4, near.shape)
        corner = random.uniform(0, 160, [12, 2])
        far = np.concatenate([corner, corner + random.uniform(20, 90, [12, 2])], axis=1)
        proposals[str(record.image_id)] = np.concatenate([near, far]).astype(np.float32)
    return dataset.with_proposals(proposals)


def make(name, dataset, **arguments):
    keras.utils.set_random_seed(0)
    kind, own = KINDS[name]
    return kind(
        dataset.class_names,
        backbone="zf",
        image_size=(128, 160),
        head_units=(32,),
        head_batch_size=16,
        **own,
        **arguments,
    )


@pytest.mark.parametrize("name", KINDS)
def test_boxes_are_regressed_afterwards(name, dataset, tmp_path):
    model = make(name, dataset, box_ridge=0.01)
    image, proposals = dataset.image(0), dataset.proposals[0]
    assert not model.head.box_dense.kernel.numpy().any()
    model.finish_training(dataset, tmp_path)

    record, near = dataset.records[0], len(dataset.records[0].boxes) * 6
    boxes = proposals[:near]
    _, pooled = model.region_features(
        tf.constant(image[None], tf.float32), tf.constant(model.image_size), boxes[None]
    )
    deltas = tf.reshape(model.head.box_dense(pooled), [near, len(model.class_names), 4])
    own = record.labels[np.repeat(np.arange(len(record.boxes)), 6)]
    deltas = deltas.numpy()[np.arange(near), own]
    moved = model.regions.coder.decode(deltas, boxes).numpy()
    truth = np.repeat(record.boxes, 6, axis=0)
    # Not far, for regions that quantized bins cannot tell apart are moved alike.
    assert np.abs(moved - truth).mean() < 0.9 * np.abs(boxes - truth).mean()


@pytest.mark.parametrize("classifier", ["softmax", "svm"])
@pytest.mark.parametrize("name", KINDS)
def test_an_image_without_objects_takes_part(name, classifier, dataset, tmp_path):
    pytest.importorskip("sklearn")
    empty = dataclasses.replace(
        dataset.records[1],
        boxes=np.zeros([0, 4], np.float32),
        labels=np.zeros(0, int),
        ignore=np.zeros(0, bool),
    )
    two = kf.data.DetectionDataset(
        "two",
        dataset.class_names,
        [dataset.records[0], empty],
        dataset.source,
        proposals=dataset.proposals[:2],
    )
    model = make(name, dataset, classifier=classifier)
    model.finish_training(two, tmp_path)
    assert model.head.box_dense.kernel.numpy().any()


def test_cache_is_not_made_twice(dataset, tmp_path):
    model = make("spp", dataset)
    files = model.cache_features(dataset, tmp_path)
    assert len(files) == 8 and all(file.exists() for file in files)
    before = [file.stat().st_mtime_ns for file in files]
    files[3].unlink()
    model.cache_features(dataset, tmp_path)
    after = [file.stat().st_mtime_ns for file in files]
    assert [a == b for a, b in zip(before, after)] == [index != 3 for index in range(8)]
    # Other weights, other features.
    layer = model.head.dense[0][0]
    layer.bias.assign(layer.bias + 1.0)
    model.cache_features(dataset, tmp_path)
    assert all(file.stat().st_mtime_ns != time for file, time in zip(files, after))
    # A model that was saved and loaded knows its files again.
    times = [file.stat().st_mtime_ns for file in files]
    model.save(tmp_path / "model.keras")
    keras.saving.load_model(tmp_path / "model.keras").cache_features(dataset, tmp_path)
    assert [file.stat().st_mtime_ns for file in files] == times
    with np.load(files[0]) as cache:
        assert "features" not in cache  # softmax needs none
        assert len(cache["pooled"]) == len(cache["pairs"]) > 0
        assert np.all(cache["overlaps"][cache["pairs"]].max(1) >= 0.5)


def regions_of(model, dataset, index):
    """Boxes of an image, objects then proposals, and what the model sees of each, alone."""
    boxes = np.concatenate([dataset.records[index].boxes, dataset.proposals[index]])
    image = tf.constant(dataset.image(index)[None], tf.float32)
    return boxes, *model.region_features(image, tf.constant(model.image_size), boxes[None])


def overlaps_of(boxes, objects):
    corner, end = (
        np.maximum(boxes[:, None, :2], objects[:, :2]),
        np.minimum(boxes[:, None, 2:], objects[:, 2:]),
    )
    shared = np.maximum(end - corner, 0).prod(-1)
    area, own = ((one[:, 2:] - one[:, :2]).prod(-1) for one in (boxes, objects))
    return shared / (area[:, None] + own - shared)


def test_negatives_of_a_class_are_all_regions_far_from_it(dataset, tmp_path, monkeypatch):
    """rcnn_train.m, sample_negative_features: overlap with the class below 0.3, objects of others too."""
    asked = []

    class Noted:
        def __init__(self, positives, *arguments):
            self.positives, self.negatives = positives, []
            asked.append(self)

        def add(self, negatives):
            self.negatives.append(negatives)

        def solve(self):
            return 0.0, 0.0

    monkeypatch.setattr(staged_training, "HardNegativeSVM", Noted)
    model = make("spp", dataset, classifier="svm")
    model._fit_svms(model.cache_features(dataset, tmp_path))
    others = 0
    for index, record in enumerate(dataset.records):
        boxes, features, _ = regions_of(model, dataset, index)
        overlaps = overlaps_of(boxes, record.boxes)
        for label, svm in enumerate(asked):
            far = overlaps[:, record.labels == label].max(axis=1, initial=0.0) < 0.3
            np.testing.assert_allclose(svm.negatives[index], features[far], rtol=1e-4, atol=1e-5)
            others += far[: len(record.boxes)].sum()
    assert others > 8
    assert sum(len(svm.positives) for svm in asked) == sum(len(record.boxes) for record in dataset.records)


@pytest.mark.parametrize("classifier", ["softmax", "svm"])
def test_the_scale_of_the_ridge_is_that_of_all_regions(dataset, tmp_path, monkeypatch, classifier):
    """rcnn_feature_stats.m: the mean norm, made 20, is not that of the regions near objects alone."""
    seen = []

    class Noted(staged_training.Ridge):
        def add(self, features, targets):
            seen.append(features)
            super().add(features, targets)

    monkeypatch.setattr(staged_training, "Ridge", Noted)
    model = make("spp", dataset, classifier=classifier, box_positive_iou=0.9)
    model._fit_boxes(model.cache_features(dataset, tmp_path))
    norms, near = [], []
    for index, record in enumerate(dataset.records):
        boxes, _, pooled = regions_of(model, dataset, index)
        norms.append(np.linalg.norm(pooled, axis=1))
        near.append(norms[-1][overlaps_of(boxes, record.boxes).max(axis=1) >= 0.9])
    norms, near = np.concatenate(norms), np.concatenate(near)
    assert abs(near.mean() / norms.mean() - 1) > 0.01
    found = np.linalg.norm(np.concatenate(seen), axis=1)
    np.testing.assert_allclose(np.sort(found), np.sort(near) * 20 / norms.mean(), rtol=1e-4)


def test_the_scale_is_taken_from_a_sample(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(staged_training, "NORM_IMAGES", 2)
    monkeypatch.setattr(staged_training, "NORM_REGIONS", 3)
    files = make("spp", dataset).cache_features(dataset, tmp_path)
    assert sorted(len(np.load(file)["norms"]) for file in files) == [0] * 6 + [3] * 2


def test_svms(dataset, tmp_path):
    pytest.importorskip("sklearn")
    model = make("spp", dataset, classifier="svm", svm_c=1.0)
    model.finish_training(dataset, tmp_path / "features")
    with np.load(tmp_path / "features" / "000000.npz") as cache:
        count = int(cache["objects"])
        margins = cache["features"] @ model.head.class_dense.kernel + model.head.class_dense.bias
        labels = cache["labels"]
    assert np.all(np.asarray(margins)[:count, 1:].argmax(-1) == labels)
    found = model.detect(dataset.image(0), dataset.proposals[0])
    assert np.all((found["scores"] > 0) & (found["scores"] < 1))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    again = loaded.detect(dataset.image(0), dataset.proposals[0])
    np.testing.assert_allclose(again["scores"], found["scores"], atol=1e-4)


@pytest.mark.parametrize("ignore", [False, True])
def test_what_an_ignored_region_covers_is_no_negative(dataset, tmp_path, ignore):
    record = dataset.records[0]
    crowd = np.float32([[0, 0, record.width, record.height]])
    record = dataclasses.replace(
        record,
        boxes=np.concatenate([record.boxes, crowd]),
        labels=np.append(record.labels, np.int32(0)),
        ignore=np.append(record.ignore, ignore),
    )
    one = kf.data.DetectionDataset(
        "one", dataset.class_names, [record], dataset.source, proposals=dataset.proposals[:1]
    )
    (file,) = make("spp", dataset).cache_features(one, tmp_path)
    with np.load(file) as cache:
        assert np.all(cache["left_alone"] == ignore)


def test_the_warp_fits_the_backbone():
    assert kf.RCNN(["a"], backbone="zf", head_units=(8,)).arguments["warp_size"] == 192
    assert kf.RCNN(["a"], backbone="mobilenet_v2", head_units=(8,)).arguments["warp_size"] == 224


def test_refuses_an_unknown_classifier():
    with pytest.raises(ValueError, match="softmax or svm"):
        kf.SPPNet(["a"], backbone="mobilenet_v2", classifier="tree")


def test_refuses_a_warp_that_does_not_fit():
    with pytest.raises(ValueError, match="warp_size"):
        kf.RCNN(["a"], backbone="mobilenet_v2", warp_size=200)
    with pytest.raises(ValueError, match="context"):
        kf.RCNN(["a"], backbone="mobilenet_v2", warp_size=32)


def test_softmax_compares_the_classes_and_each_svm_stands_alone(dataset):
    model, logits = make("spp", dataset), np.float32([[[0.0, 1.0, -2.0, 3.0]]])
    e = np.exp(logits)
    np.testing.assert_allclose(model.to_scores(logits), e / e.sum(), rtol=1e-6)
    model.margins.assign(1.0)  # as after training SVMs
    np.testing.assert_allclose(model.to_scores(logits), 1 / (1 + 1 / e), rtol=1e-6)

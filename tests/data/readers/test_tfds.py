import io
import sys

import cv2
import numpy as np
import pytest

from keras_frcnn import data

tfds = pytest.importorskip("tensorflow_datasets")


class TinyBoxes(tfds.core.GeneratorBasedBuilder):
    """Three pictures, the second without objects."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        objects = {
            "bbox": tfds.features.BBoxFeature(),
            "label": tfds.features.ClassLabel(names=["one", "two"]),
            "is_difficult": np.bool_,
        }
        features = {"image": tfds.features.Image(), "objects": tfds.features.Sequence(objects)}
        return self.dataset_info_from_configs(features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples(3), "test": self._generate_examples(1)}

    def _generate_examples(self, count):
        for index in range(count):
            image = np.full([20 + index, 30, 3], index, np.uint8)
            image[5:10, 6:18] = 200
            box = tfds.features.BBox(ymin=5 / (20 + index), xmin=0.2, ymax=10 / (20 + index), xmax=0.6)
            objects = [{"bbox": box, "label": index % 2, "is_difficult": index == 2}]
            yield index, {"image": image, "objects": [] if index == 1 else objects}


class BrokenBoxes(TinyBoxes):
    """Three pictures, the second of which is cut off."""

    def _generate_examples(self, count):
        for index, example in super()._generate_examples(count):
            contents = cv2.imencode(".png", example["image"])[1].tobytes()
            example["image"] = io.BytesIO(contents[:40] if index == 1 else contents)
            yield index, example


class NoBoxes(tfds.core.GeneratorBasedBuilder):
    """Only pictures."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict({"image": tfds.features.Image()})
        )

    def _split_generators(self, dl_manager):
        return {}

    def _generate_examples(self):
        yield from ()


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    monkeypatch.setattr(tfds.core.constants, "DATA_DIR", str(tmp_path))
    TinyBoxes(data_dir=str(tmp_path)).download_and_prepare()


def test_a_set(tiny):
    train = data.load("tfds:tiny_boxes@train")
    assert train.class_names == ("one", "two")
    assert sorted(record.height for record in train.records) == [20, 21, 22]
    for index, (record, image) in enumerate(zip(train.records, train.images().as_numpy_iterator())):
        assert image.shape == (record.height, 30, 3) == (record.height, record.width, 3)
        np.testing.assert_array_equal(image, train.image(index))
        if record.height == 21:
            assert record.boxes.shape == (0, 4)
            continue
        np.testing.assert_allclose(record.boxes, [[6, 5, 18, 10]], atol=1e-4)
        assert (image[5:10, 6:18] == 200).all() and image[4].max() == record.height - 20
        np.testing.assert_array_equal(record.labels, [0])
        np.testing.assert_array_equal(record.ignore, [record.height == 22])
    x, _ = next(iter(train.batches(3, image_size=(20, 40), training=True)))
    assert x["images"].shape == (3, 32, 32, 3)


def test_pictures_that_cannot_be_decoded(tiny, tmp_path):
    BrokenBoxes(data_dir=str(tmp_path)).download_and_prepare()
    with pytest.warns(UserWarning, match="1 picture that cannot be decoded skipped .first: tfds:br"):
        train = data.load("tfds:broken_boxes@train", on_broken="skip")
    assert [record.height for record in train.records] == [image.shape[0] for image in train.images()]
    assert sorted(record.height for record in train.records) == [20, 22]
    with pytest.warns(UserWarning, match="without --missing-annotation and --allow-outside.$"):
        data.load("tfds:tiny_boxes@train", missing_annotation="empty", allow_outside=True)


def test_splits_add_up(tiny):
    assert len(data.load("tfds:tiny_boxes@train+test")) == 4
    assert len(data.load("tfds:tiny_boxes@train[:2]")) == 2
    with pytest.raises(ValueError, match="tiny_boxes has no split val; it has test, train"):
        data.load("tfds:tiny_boxes@val")


def test_unsuitable(tiny):
    with pytest.raises(ValueError, match="TFDS has no set no_such_set"):
        data.load("tfds:no_such_set@train")
    with pytest.raises(ValueError, match="no_boxes has no image with objects"):
        data.load("tfds:no_boxes@train")


def test_without_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(ValueError, match="tfds: sets need a package .*; pip install tensorflow-datasets"):
        data.load("tfds:tiny_boxes@train")


def test_encoded_images_are_kept_as_they_are(tiny):
    train = data.load("tfds:tiny_boxes@train")
    contents, _ = train.source._read(0)
    assert (
        cv2.imdecode(np.frombuffer(contents, np.uint8), cv2.IMREAD_COLOR).shape[:2]
        == train.image(0).shape[:2]
    )

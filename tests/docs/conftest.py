"""A folder in which the code of the documentation runs: data, photographs, a trained model."""

import functools
import inspect
import pathlib
import shutil

import cv2
import keras
import pytest

import keras_frcnn as kf
from keras_frcnn import backbones
from keras_frcnn.data import readers
from keras_frcnn.data.readers import shapes

ROOT = pathlib.Path(__file__).parents[2]
SPLITS = ("train", "val", "trainval", "test", "few")


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """The folder, made once."""
    root = tmp_path_factory.mktemp("documentation")
    write_voc(root / "DATA")
    (root / "data").mkdir()
    shutil.copytree(root / "DATA", root / "data/bccd")
    (root / "photos").mkdir()
    image = cv2.imread(str(root / "DATA/JPEGImages/0.jpg"))
    for name in ("photo.jpg", "photo.png", "photos/a.jpg"):
        cv2.imwrite(str(root / name), image)
    writer = cv2.VideoWriter(
        str(root / "clip.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 10.0, image.shape[1::-1]
    )
    for _ in range(3):
        writer.write(image)
    writer.release()
    for name in ("runs/NAME", "runs/cells"):
        (root / name).mkdir(parents=True)
        shutil.copy(ROOT / "tests/stored/trained/pyramid.keras", root / name / "last.keras")
    (root / "own.yaml").write_text("epochs: 3\n")
    return root


def write_voc(root):
    """Two scenes of the shapes in each split."""
    for name in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (root / name).mkdir(parents=True)
    dataset = shapes.load("val", 2 * len(SPLITS))
    for index, record in enumerate(dataset.records):
        cv2.imwrite(str(root / f"JPEGImages/{index}.jpg"), dataset.image(index)[..., ::-1])
        objects = "".join(
            f"<object><name>{dataset.class_names[label]}</name><bndbox><xmin>{x1 + 1:.0f}</xmin>"
            f"<ymin>{y1 + 1:.0f}</ymin><xmax>{x2:.0f}</xmax><ymax>{y2:.0f}</ymax></bndbox></object>"
            for (x1, y1, x2, y2), label in zip(record.boxes, record.labels)
        )
        size = f"<size><width>{record.width}</width><height>{record.height}</height></size>"
        (root / f"Annotations/{index}.xml").write_text(f"<annotation>{size}{objects}</annotation>")
    for place, split in enumerate(SPLITS):
        (root / f"ImageSets/Main/{split}.txt").write_text(f"{2 * place}\n{2 * place + 1}\n")
    (root / "labels.txt").write_text("\n".join(shapes.CLASS_NAMES))


@pytest.fixture
def world(folder, monkeypatch, small_network, recipe):
    """The folder as the current one; detectors and the shapes are few and small, and `fit` makes one epoch.

    The arguments of the documentation are held against the real signature before they are replaced.
    """
    monkeypatch.chdir(folder)
    monkeypatch.setattr(readers, "READERS", dict(readers.READERS))
    monkeypatch.setattr(shapes, "SPLITS", {"train": (0, 8), "val": (1_000_000, 8)})
    signature, detector, fit = inspect.signature(kf.FasterRCNN), kf.FasterRCNN, kf.FasterRCNN.fit

    def small(*args, **kwargs):
        given = signature.bind(*args, **kwargs).arguments
        assert given.get("backbone", "tiny_fpn") in backbones.NETWORKS
        return detector(given["class_names"], small_network(), **recipe)

    def of_preset(name, class_names=("person", "N/A")):
        assert name in kf.weights.PRESETS
        return small(class_names)

    small.from_preset = of_preset

    @functools.wraps(fit)
    def one_epoch(self, *args, epochs=1, **kwargs):
        return fit(self, *args, epochs=1, **{**kwargs, "verbose": 0})

    monkeypatch.setattr(detector, "fit", one_epoch)
    yield lambda: monkeypatch.setattr(kf, "FasterRCNN", small)
    keras.utils.clear_session(free_memory=False)

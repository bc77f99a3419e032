"""A clean data set in each layout, made from shapes scenes, and the check of a spec."""

import shutil
import warnings

import cv2
import numpy as np
import pytest

import keras_frcnn as kf
from keras_frcnn.checking.check import check, check_pairs
from keras_frcnn.data import writers
from keras_frcnn.data.readers import shapes
from keras_frcnn.data.readers.assembly import STRICT
from keras_frcnn.layers import AnchorGenerator

COUNT = 12


@pytest.fixture(scope="session")
def clean(tmp_path_factory):
    """Function from a layout, of the writers, to a folder with the set `train`, and its spec."""
    made = {}
    scenes = shapes.load("train", COUNT)
    folder = tmp_path_factory.mktemp("pictures")
    for index in range(COUNT):
        image = np.ascontiguousarray(scenes.image(index)[..., ::-1])
        cv2.imwrite(str(folder / f"scene{index}.jpg"), image)
    boxes = [record.boxes for record in scenes.records]
    labels = [[scenes.class_names[label] for label in record.labels] for record in scenes.records]
    files = [folder / f"scene{index}.jpg" for index in range(COUNT)]
    dataset = kf.data.from_arrays(files, boxes, labels)
    for record, name in zip(dataset.records, files):
        object.__setattr__(record, "image_id", name.stem)

    def copy(layout, to):
        if layout not in made:
            root = tmp_path_factory.mktemp(layout)
            made[layout] = root, writers.WRITERS[layout](dataset, root, "train")
        root, spec = made[layout]
        shutil.copytree(root, to, dirs_exist_ok=True)
        return spec.replace(str(root), str(to))

    return copy


@pytest.fixture
def checked():
    """Function from specs to their `Checked`, and to the findings between them."""
    anchors = AnchorGenerator(sizes=(16, 32, 64, 128), strides=(4, 8, 16, 32))

    def run(*specs, reading=STRICT):
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # a check tells, it does not warn
            sets = [
                check(spec, reading, (256, 320), anchors, True, lambda done, total: None) for spec in specs
            ]
        return *sets, check_pairs(sets)

    return run

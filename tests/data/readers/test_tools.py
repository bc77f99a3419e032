"""What annotation tools really wrote (`stored/make_exports.py`): it loads, trains and is evaluated."""

import pathlib
import runpy
import shutil
import typing
import warnings

import cv2
import keras
import numpy as np
import pytest

import keras_frcnn as kf

STORED = pathlib.Path(__file__).parents[2] / "stored"
MADE = runpy.run_path(str(STORED / "make_exports.py"))
NUMBERED = "label_studio"
EMPTY = {"missing_annotation": "empty"}
OUTLINES, WITHOUT = "7 outlines replaced", "1 picture without an annotation taken"


class Export(typing.NamedTuple):
    """How an export is named, where its pictures belong, and what is special in it.

    Args:
        spec: spec in its folder.
        pictures: folder of the pictures.
        shift: 1 if the tool counts pixels from 0 in VOC XML, where the reader takes the first for 1.
        rounding: most that a corner may differ.
        said: the beginning of the one warning.
        options: arguments of `load`.
        listed: a file with the class names that users add, and its text.
    """

    spec: str
    pictures: str
    shift: int = 0
    rounding: float = 1e-3
    said: str = ""
    options: typing.Any = {}
    listed: tuple = ()


EXPORTS = {
    "globox/coco": Export("coco:coco.json@images", "images"),
    "globox/voc": Export("folder:voc", "voc", shift=1),
    "globox/yolo": Export("folder:yolo", "yolo", listed=("yolo/classes.txt", "\n".join(MADE["CLASSES"]))),
    "globox/labelme": Export("labelme:labelme", "labelme"),
    "globox/openimages": Export("csv:openimages.csv@images", "images"),
    "supervision/coco": Export("folder:coco@train", "coco/train"),
    "supervision/voc": Export("folder:voc", "voc/images"),
    "supervision/yolo": Export("yolo:yolo/data.yaml@train", "yolo/train/images"),
    "labelimg/voc": Export("folder:voc", "voc", shift=1),
    "labelimg/yolo": Export("folder:yolo", "yolo"),
    "labelme/json": Export("labelme:.", "."),
    "label_studio/coco": Export(
        "coco:coco/result.json@coco/images",
        "coco/images",
        said="5 pictures found by another form",
        options={"allow_outside": True},
    ),
    "label_studio/voc": Export(  # cuts digits off
        "folder:voc", "voc/images", shift=1, rounding=1, said=WITHOUT, options=EMPTY
    ),
    "label_studio/yolo": Export("folder:yolo", "yolo/images"),
    "pylabel/coco": Export("coco:coco.json@images", "images", said="1 annotation written twice"),
    "pylabel/voc": Export("folder:voc", "voc", shift=1),
    "pylabel/yolo": Export("yolo:yolo/dataset.yaml@train", "yolo/images", rounding=0.05),
    "ultralytics/yolo": Export(
        "yolo:yolo/data.yaml@train",
        "yolo/images/train",
        said="1 picture without a text file",
        listed=("yolo/data.yaml", f"train: images/train\nnames: {[*MADE['CLASSES']]}\n"),
    ),
    "datumaro/coco": Export(
        "coco:coco_instances/annotations/instances_train.json@coco_instances/images/train",
        "coco_instances/images/train",
    ),
    "datumaro/voc": Export(
        "voc:voc_detection@train", "voc_detection/JPEGImages", shift=1, said=WITHOUT, options=EMPTY
    ),
    "datumaro/yolo": Export("folder:yolo@obj_train_data", "yolo/obj_train_data"),
    "datumaro/yolo_ultralytics": Export(
        "yolo:yolo_ultralytics/data.yaml@train", "yolo_ultralytics/images/train"
    ),
    "datumaro/label_me": Export("folder:label_me", "label_me/Images/train", shift=1, said=OUTLINES),
    "datumaro/open_images": Export(
        "csv:open_images/annotations/train-annotations-bbox.csv@open_images/images/train",
        "open_images/images/train",
    ),
}
# They have no reader, and the sentence says what to do.
REFUSED = {
    "globox/cvat.xml": ("folder:.", "begins with <annotations>, not <annotation>; export it as VOC, COCO or"),
    "globox/via.json": ("coco:via.json@.", "is no COCO instances file"),
    "labelimg/createml.json": ("folder:.", "has neither VOC XML nor _annotations.coco.json, and no"),
    "label_studio/csv": ("csv:result.csv@.", "has the columns .*; write path,x1,y1,x2,y2,class without"),
    "datumaro/cvat": ("folder:.", "begins with <annotations>, not <annotation>; export it as VOC, COCO or"),
}


def put_pictures(folder, numbered):
    folder.mkdir(parents=True, exist_ok=True)
    for number, scene in enumerate(MADE["SCENES"], start=1):
        name = f"{number:08x}-{scene.file}" if numbered else scene.file
        cv2.imwrite(str(folder / name), MADE["draw"](scene))


def load(name, folder):
    """Load an export whose pictures are drawn; returns the set and the warnings."""
    export, tool = EXPORTS[name], name.partition("/")[0]
    shutil.copytree(STORED / "exports" / tool, folder, dirs_exist_ok=True)
    put_pictures(folder / export.pictures, tool == NUMBERED)
    if export.listed:
        (folder / export.listed[0]).write_text(export.listed[1])
    kind, _, places = export.spec.partition(":")
    spec = f"{kind}:" + "@".join(
        part if index and kind not in ("coco", "csv") else f"{folder}/{part}"
        for index, part in enumerate(places.split("@"))
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        dataset = kf.data.load(spec, class_names=sorted(MADE["CLASSES"]), **export.options)
    return dataset, [str(warning.message).partition(": ")[2] for warning in caught]


@pytest.mark.parametrize("name", EXPORTS)
def test_an_export_has_the_boxes_that_were_drawn(name, tmp_path):
    export = EXPORTS[name]
    dataset, said = load(name, tmp_path)
    assert [text.startswith(export.said) for text in said] == ([True] if export.said else [])
    scenes = {pathlib.Path(scene.file).stem: scene for scene in MADE["SCENES"]}
    found = {pathlib.Path(record.file).stem.rpartition("-")[2]: record for record in dataset.records}
    # Open Images lists objects only.
    assert set(scenes) - set(found) == ({"five"} if export.spec.startswith("csv") else set())
    for stem, record in found.items():
        scene = scenes[stem]
        assert (record.height, record.width) == (scene.height, scene.width) and not record.ignore.any()
        assert [dataset.class_names[label] for label in record.labels] == [name for name, _ in scene.objects]
        expected = np.reshape([box for _, box in scene.objects], [-1, 4]) - export.shift * np.int32(
            [1, 1, 0, 0]
        )
        np.testing.assert_allclose(record.boxes, expected, atol=export.rounding)


def test_every_folder_of_a_tool_is_tried():
    kept = {path.name for path in (STORED / "exports").iterdir()}
    assert kept == {name.partition("/")[0] for name in EXPORTS}


@pytest.mark.parametrize("name", REFUSED)
def test_an_export_without_a_reader_is_refused(name, tmp_path):
    source, (spec, sentence) = STORED / "exports" / name, REFUSED[name]
    put_pictures(tmp_path, False)
    shutil.copytree(source, tmp_path, dirs_exist_ok=True) if source.is_dir() else shutil.copy(
        source, tmp_path
    )
    kind, _, places = spec.partition(":")
    with pytest.raises((ValueError, FileNotFoundError), match=sentence):
        kf.data.load(f"{kind}:" + "@".join(f"{tmp_path}/{part}" for part in places.split("@")))


@pytest.fixture(scope="module")
def detector(set_back):
    """A function that gives one fresh small detector; its training step is traced once."""
    keras.utils.set_random_seed(0)
    model = kf.FasterRCNN(sorted(MADE["CLASSES"]), "tiny_fpn", "none", image_size=(64, 80))
    model.compile()
    return set_back(model)


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPORTS)
def test_an_export_trains_and_is_evaluated(name, tmp_path, detector):
    dataset, _ = load(name, tmp_path)
    model = detector()
    before = [variable.numpy() for variable in model.trainable_variables]
    batches = dataset.batches(2, image_size=model.image_size, training=True)
    history = model.fit(batches.repeat(), steps_per_epoch=20, verbose=0, shuffle=False)
    assert np.isfinite(history.history["loss"]).all()
    assert any((old != new.numpy()).any() for old, new in zip(before, model.trainable_variables))
    scores = kf.evaluation.evaluate(model, dataset)
    assert scores["images"] == len(dataset) and 0 <= scores["voc_ap50"] <= 1

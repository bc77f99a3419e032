"""From what people have to a detector that is served, with the commands of the documentation."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest

from keras_frcnn import data
from keras_frcnn.data.readers import shapes

ROOT = pathlib.Path(__file__).parents[2]
SPLITS = {"train": 6, "valid": 4, "test": 2}
# Words that only make it short.
SHORT = "--image-size 64 80 --backbone tiny_fpn --backbone-weights none --batch-size 2 --epochs 1".split()
# What a server needs: TensorFlow, and nothing of this package.
SERVE = """
import pathlib, sys
sys.modules["keras_frcnn"] = sys.modules["keras"] = None
import tensorflow as tf
loaded = tf.saved_model.load(sys.argv[1])
answer = loaded.signatures["serving_bytes"](image_bytes=tf.io.read_file(sys.argv[2])[None])
assert answer["image_ok"].numpy() == [1.0] and answer["detection_boxes"].shape[2] == 4
print(pathlib.Path(sys.argv[1], "assets/labels.txt").read_text())
"""
ARRAYS = """
import numpy as np
import keras_frcnn as kf

data = np.load("scenes.npz")
images, boxes, labels = ([data[f"{part}{index}"] for index in range(6)] for part in ("image", "box", "label"))
names = ["circle", "cross", "ring", "square", "star", "triangle"]
train = kf.data.from_arrays(images, boxes, labels, class_names=names, box_format="xywh")
model = kf.FasterRCNN(train.class_names, "tiny_fpn", "none", image_size=(64, 80))
model.compile()
model.fit(train.batches(2, image_size=model.image_size, training=True), epochs=1, shuffle=False)
model.export("saved_models/mine/1")
"""


def scenes(split, count):
    """Tuples of a name, a picture of 64 by 80 pixels in BGR, and pairs of class and half-open corners."""
    dataset = shapes.load("val" if split == "valid" else "train", count)
    for index, record in enumerate(dataset.records):
        image = cv2.resize(dataset.image(index), (80, 64), interpolation=cv2.INTER_AREA)[..., ::-1]
        boxes = np.round(record.boxes / 4).astype(int).tolist()
        yield f"{split}{index}", image, [(dataset.class_names[k], b) for k, b in zip(record.labels, boxes)]


def xml(name, objects):
    text = f"<annotation><folder></folder><filename>{name}.jpg</filename><path>{name}.jpg</path>"
    text += "<size><width>80</width><height>64</height><depth>3</depth></size><segmented>0</segmented>"
    for label, box in objects:
        corners = "".join(
            f"<{key}>{value}</{key}>"
            for key, value in zip(("xmin", "xmax", "ymin", "ymax"), np.array(box)[[0, 2, 1, 3]])
        )
        text += f"<object><name>{label}</name><pose>Unspecified</pose><truncated>0</truncated>"
        text += f"<difficult>0</difficult><occluded>0</occluded><bndbox>{corners}</bndbox></object>"
    return text + "</annotation>"


def yolo(objects):
    lines = []
    for label, (x1, y1, x2, y2) in objects:
        center = (x1 + x2) / 160, (y1 + y2) / 128
        numbers = " ".join(f"{number:.6f}" for number in (*center, (x2 - x1) / 80, (y2 - y1) / 64))
        lines.append(f"{shapes.CLASS_NAMES.index(label)} {numbers}")
    return "\n".join(lines)


def coco(found):
    """Roboflow's file, with the project above the classes."""
    content = {"info": {"description": "Exported from roboflow.com"}, "images": [], "annotations": []}
    content["categories"] = [{"id": 0, "name": "shapes", "supercategory": "none"}]
    for number, name in enumerate(shapes.CLASS_NAMES, start=1):
        content["categories"].append({"id": number, "name": name, "supercategory": "shapes"})
    for number, (name, objects) in enumerate(found):
        content["images"].append({"id": number, "file_name": f"{name}.jpg", "height": 64, "width": 80})
        for label, (x1, y1, x2, y2) in objects:
            row = {"id": len(content["annotations"]), "image_id": number, "iscrowd": 0, "segmentation": []}
            row |= {"category_id": 1 + shapes.CLASS_NAMES.index(label), "area": (x2 - x1) * (y2 - y1)}
            content["annotations"].append({**row, "bbox": [x1, y1, x2 - x1, y2 - y1]})
    return json.dumps(content)


def roboflow(folder, flavor):
    """Write what unzips from Roboflow."""
    for split, count in SPLITS.items():
        place, found = folder / split, []
        pictures, labels = (place / "images", place / "labels") if flavor == "yolo" else (place, place)
        pictures.mkdir(parents=True)
        labels.mkdir(exist_ok=True)
        for plain, image, objects in scenes(split, count):
            name = f"{plain}_jpg.rf.0a1b2c3d"
            cv2.imwrite(str(pictures / f"{name}.jpg"), image)
            found.append((name, objects))
            if flavor == "voc":
                (labels / f"{name}.xml").write_text(xml(name, objects))
            if flavor == "yolo":
                (labels / f"{name}.txt").write_text(yolo(objects))
        if flavor == "coco":
            (place / "_annotations.coco.json").write_text(coco(found))
    if flavor == "yolo":
        lines = [f"{key}: ../{split}/images" for key, split in zip(("train", "val", "test"), SPLITS)]
        names = f"nc: {len(shapes.CLASS_NAMES)}\nnames: {[*shapes.CLASS_NAMES]}"
        (folder / "data.yaml").write_text("\n".join([*lines, names]))


def labelimg(folder, flavor):
    """Write a folder of pictures and annotations, mixed."""
    folder.mkdir(parents=True)
    for split, count in SPLITS.items():
        for name, image, objects in scenes(split, count):
            cv2.imwrite(str(folder / f"{name}.jpg"), image)
            text = xml(name, objects) if flavor == "voc" else yolo(objects)
            (folder / f"{name}.{'xml' if flavor == 'voc' else 'txt'}").write_text(text)
    if flavor == "yolo":
        (folder / "classes.txt").write_text("".join(f"{name}\n" for name in shapes.CLASS_NAMES))


def run(folder, *words):
    """Run Python as in a shell of that folder; returns what it printed."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    usual = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    words = [sys.executable, *map(str, words)]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, env=usual)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


JOURNEYS = {
    "roboflow-coco": (roboflow, "--train folder:mine@train --val folder:mine@valid"),
    "roboflow-voc": (roboflow, "--train folder:mine@train --val folder:mine@valid"),
    "roboflow-yolo": (roboflow, "--train yolo:mine/data.yaml@train --val yolo:mine/data.yaml@val"),
    "labelimg-voc": (labelimg, "--train folder:mine --val-split 0.2"),
    "labelimg-yolo": (labelimg, "--train folder:mine --val-split 0.2"),
}


@pytest.mark.parametrize("name", JOURNEYS)
def test_what_unzips_has_the_boxes_that_were_packed(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write, words = JOURNEYS[name]
    write(pathlib.Path("mine"), name.rpartition("-")[2])
    dataset = data.load(words.split()[1])
    packed = {name: objects for split in SPLITS for name, _, objects in scenes(split, SPLITS[split])}
    found = {pathlib.Path(record.file).stem.partition("_")[0]: record for record in dataset.records}
    assert len(found) == (SPLITS["train"] if write is roboflow else sum(SPLITS.values()))
    for stem, record in found.items():
        boxes = np.reshape([box for _, box in packed[stem]], [-1, 4])
        # These tools count the pixels of VOC's corners from 0.
        np.testing.assert_allclose(record.boxes, boxes, atol=1.01 if "voc" in name else 1e-3)
        assert [dataset.class_names[label] for label in record.labels] == [label for label, _ in packed[stem]]
    assert set(dataset.class_names) == set(shapes.CLASS_NAMES)


@pytest.mark.slow
@pytest.mark.parametrize("name", JOURNEYS)
def test_from_a_zip_or_folder_to_a_served_detector(name, tmp_path):
    write, words = JOURNEYS[name]
    write(tmp_path / "packed", name.rpartition("-")[2])
    zipped = shutil.make_archive(str(tmp_path / "mine"), "zip", tmp_path / "packed")
    run(tmp_path, "-m", "zipfile", "-e", zipped, "mine")
    output = run(tmp_path, ROOT / "train.py", *words.split(), "--export", "saved_models/mine", *SHORT)
    picture = next((tmp_path / "mine").rglob("test0*.jpg"))
    labels = run(tmp_path, "-c", SERVE, "saved_models/mine/1", picture)
    assert labels.split() == list(shapes.CLASS_NAMES), output


@pytest.mark.slow
def test_from_arrays_to_a_served_detector(tmp_path):
    arrays = {}
    for index, (_, image, objects) in enumerate(scenes("train", 6)):
        boxes = np.reshape([box for _, box in objects], [-1, 4]).astype(np.float32)
        boxes[:, 2:] -= boxes[:, :2]
        numbers = [shapes.CLASS_NAMES.index(label) for label, _ in objects]
        arrays |= {f"image{index}": image[..., ::-1], f"box{index}": boxes, f"label{index}": numbers}
    np.savez(tmp_path / "scenes.npz", **arrays)
    run(tmp_path, "-c", ARRAYS)
    cv2.imwrite(str(tmp_path / "photo.jpg"), image)
    assert run(tmp_path, "-c", SERVE, "saved_models/mine/1", "photo.jpg").split() == list(shapes.CLASS_NAMES)

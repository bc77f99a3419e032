"""Small data sets written to disk."""

import json

import cv2
import numpy as np
import pytest


def picture(height, width, boxes=()):
    """Dark, with a bright patch in every box; half-open corners."""
    image = np.full([height, width, 3], 20, np.uint8)
    for x1, y1, x2, y2 in boxes:
        image[y1:y2, x1:x2] = 240
    return image


def annotation(size, objects):
    """VOC XML; objects are (name, 1-based inclusive corners) or (name, corners, difficult)."""
    text = "<annotation><filename>other.jpg</filename>"
    text += f"<size><width>{size[1]}</width><height>{size[0]}</height></size>"
    for name, corners, *difficult in objects:
        box = "".join(
            f"<{key}>{value}</{key}>" for key, value in zip(("xmin", "ymin", "xmax", "ymax"), corners)
        )
        mark = f"<difficult>{difficult[0]}</difficult>" if difficult else ""
        part = "<part><name>head</name></part>"
        text += f"<object><name>{name}</name>{mark}<bndbox>{box}</bndbox>{part}</object>"
    return text + "</annotation>"


@pytest.fixture
def voc_folder(tmp_path):
    """A VOC-like folder: `a` and `b` in train, `c` in val."""
    root = tmp_path / "voc"
    for folder in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (root / folder).mkdir(parents=True)
    cv2.imwrite(str(root / "JPEGImages/a.jpg"), picture(40, 60, [(4, 9, 20, 30)]))
    cv2.imwrite(str(root / "JPEGImages/b.PNG"), picture(60, 40))
    cv2.imwrite(str(root / "JPEGImages/c.jpeg"), picture(50, 50))
    dog, cat = ("dog", (5, 10, 20, 30)), ("cat", (1, 1, 60, 40), 1)
    (root / "Annotations/a.xml").write_text(annotation((40, 60), [dog, cat]))
    (root / "Annotations/b.xml").write_text(annotation((60, 40), []))
    (root / "Annotations/c.xml").write_text(annotation((50, 50), [("bird", (2, 3, 4, 5))]))
    (root / "ImageSets/Main/train.txt").write_text("a\nb\n")
    (root / "ImageSets/Main/val.txt").write_text("c 1\n")
    return root


@pytest.fixture
def coco_files(tmp_path):
    """`(json, folder, content)`: two images, one without annotations, and category ids with gaps."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    cv2.imwrite(str(folder / "1.png"), picture(40, 60))
    cv2.imwrite(str(folder / "2.png"), picture(30, 30))
    content = {
        "images": [
            {"id": 71, "file_name": "1.png", "height": 40, "width": 60},
            {"id": 3, "file_name": "2.png", "height": 30, "width": 30},
        ],
        "categories": [{"id": 90, "name": "cat"}, {"id": 7, "name": "dog"}],
        "annotations": [
            {"id": 1, "image_id": 71, "category_id": 90, "bbox": [5, 6, 10, 20], "area": 120.5, "iscrowd": 0},
            {"id": 2, "image_id": 71, "category_id": 7, "bbox": [0, 0, 60, 40], "area": 900, "iscrowd": 1},
        ],
    }
    file = tmp_path / "instances.json"
    file.write_text(json.dumps(content))
    return file, folder, content


@pytest.fixture
def write_annotation():
    return annotation


@pytest.fixture
def write_picture():
    return lambda path, height, width, boxes=(): cv2.imwrite(str(path), picture(height, width, boxes))

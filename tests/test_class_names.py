"""Names of classes that would break what they are written into are refused, others are escaped there."""

import json
from pathlib import Path

import numpy as np
import pytest

import keras_frcnn as kf
from keras_frcnn.class_names import LONGEST, checked_class_names, fault
from keras_frcnn.data.dataset import DetectionDataset
from keras_frcnn.export import companions
from keras_frcnn.export.markdown import block, escaped
from keras_frcnn.export.model_card import model_card

# Each with the words that its refusal holds.
REFUSED = {
    "": "is empty",
    " ": "is empty",
    "red\ncell": "line break",
    "red\rcell": "line break",
    "red\u2028cell": "line break",
    "red\x85cell": "line break",
    "red\tcell": "tab",
    " red": "blank",
    "red  cell": "blank",
    "red\0cell": "U+0000",
    "red\x1b[31m": "U+001B",
    "red\x7f": "U+007F",
    "red\ud800": "U+D800",
    "\u202egnp.llec": "U+202E",
    "\u2067cell": "U+2067",
    "a" * (LONGEST + 1): "longer than 200",
}
ODD = [
    "<script>alert(1)</script>",
    "a | b",
    "`x`",
    "*é*",
    "\u05d0\u200f",
    "[a](javascript:b)",
    "no",
    "1",
    "'\"\\",
]


@pytest.mark.parametrize("name", REFUSED)
def test_refused_wherever_classes_are_named(name, tmp_path):
    assert REFUSED[name] in fault(name)
    with pytest.raises(ValueError, match="^class_names has .*; rename the class\\.$"):
        checked_class_names(["cat", name])
    with pytest.raises(ValueError, match="^mine has the class .*; rename it\\.$"):
        DetectionDataset("mine", ["cat", name], [], None)
    image = np.zeros([40, 60, 3], np.uint8)
    with pytest.raises(ValueError, match="class") as error:
        kf.data.from_arrays([image], [[[1, 2, 30, 31]]], [[0]], class_names=[name])
    assert "\n" not in str(error.value) and "\x1b" not in str(error.value)


@pytest.mark.parametrize("name", ODD)
def test_odd_names_are_names(name):
    assert checked_class_names([name]) == (name,)
    labels = companions.labels([name, "z"])
    assert labels.split("\n") == [name, "z", ""]
    line = companions.label_map([name]).splitlines()[2]
    assert json.loads(line.removeprefix("  name: ")) == name


def annotated(root: Path, kind, name):
    """A set of one picture whose object has a name that JSON, YAML and CSV can hold; its spec."""
    import cv2

    (root / "images").mkdir()
    cv2.imwrite(str(root / "images/a.jpg"), np.full([40, 60, 3], 90, np.uint8))
    if kind == "coco":
        content = {
            "images": [{"id": 1, "file_name": "a.jpg"}],
            "categories": [{"id": 1, "name": name}],
            "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [5, 6, 20, 25]}],
        }
        (root / "a.json").write_text(json.dumps(content))
        return f"coco:{root}/a.json@{root}/images"
    if kind == "labelme":
        shapes = [{"label": name, "points": [[5, 6], [30, 31]], "shape_type": "rectangle"}]
        (root / "images/a.json").write_text(json.dumps({"imagePath": "a.jpg", "shapes": shapes}))
        return f"labelme:{root}/images"
    if kind == "yolo":
        (root / "images/a.txt").write_text("0 0.3 0.4 0.2 0.2\n")
        (root / "data.yaml").write_text(f"train: images\nnames: [{json.dumps(name)}]\n")
        return f"yolo:{root}/data.yaml@train"
    cell = name.replace('"', '""')
    (root / "a.csv").write_text(f'a.jpg,5,6,30,31,"{cell}"\n', encoding="utf-8", newline="")
    return f"csv:{root}/a.csv@{root}/images"


@pytest.mark.parametrize("kind", ["coco", "labelme", "yolo", "csv"])
def test_readers_mend_blanks_and_refuse_what_cannot_be_shown(kind, tmp_path):
    for index, (name, wanted) in enumerate(
        {"red\n cell ": ("red cell",), "red\tcell": ("red cell",), "<b>": ("<b>",)}.items()
    ):
        (tmp_path / str(index)).mkdir()
        assert kf.data.load(annotated(tmp_path / str(index), kind, name)).class_names == wanted
    for name in ("red\x1bcell", "\u202ecell", "a" * 400):
        folder = tmp_path / f"refused {ord(name[0])} {len(name)}"
        folder.mkdir()
        with pytest.raises(ValueError) as error:
            kf.data.load(annotated(folder, kind, name))
        assert "\n" not in str(error.value) and "\x1b" not in str(error.value)


@pytest.mark.parametrize("text", ["a", "<b>", "```", "x ```` y\nz", "~~~"])
def test_a_block_holds_every_text(text):
    fence, *lines, end = block(text).split("\n")
    assert fence == end and fence not in text and "\n".join(lines) == text


def test_a_model_card_shows_names_as_they_are(tmp_path):
    settings = ("model", "backbone", "score_threshold", "nms_iou", "max_detections", "precision")
    description = {
        **dict.fromkeys((*settings, "keras_frcnn_version"), "x"),
        **{"class_names": ODD, "image_size": [60, 80], "canvas": False, "preprocessing": "tf"},
        "format": "saved_model",
        **{"max_bytes": 1, "max_pixels": 1, "needs_proposals": False, "weights_source": "<img src=a>.keras"},
    }
    card = model_card(tmp_path / "<b>" / "1", description, {}, metrics="```\n<i>")
    assert "<" not in card.replace("\n````\n```\n<i>\n````\n", "")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;, a \\| b, \\`x\\`" in card


def test_markdown_and_html_are_escaped():
    assert escaped("<script>") == "&lt;script&gt;"
    assert escaped("[a](b) `c` *d* e|f") == r"\[a\](b) \`c\` \*d\* e\|f"
    assert escaped("red cell, größe-1") == "red cell, größe-1"

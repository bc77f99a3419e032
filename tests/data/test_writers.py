"""What is written in each layout is read again as it was."""

import json
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO

from keras_frcnn import data
from keras_frcnn.commands import convert_data
from keras_frcnn.data.writers import WRITERS

SIDE = st.floats(0, 1, width=32)
NAMES = ("black cat", "dög & <script>\"'`|", "\u200fno: - #]]>")


def same(found, dataset, layout):
    assert found.class_names == dataset.class_names and len(found) == len(dataset)
    for mine, theirs in zip(found.records, dataset.records):
        keep = ~theirs.ignore if layout == "yolo" else np.ones(len(theirs.boxes), bool)
        np.testing.assert_allclose(mine.boxes, theirs.boxes[keep], rtol=1e-6, atol=1e-4)
        np.testing.assert_array_equal(mine.labels, theirs.labels[keep])
        np.testing.assert_array_equal(mine.ignore, theirs.ignore[keep])
        assert (mine.height, mine.width) == (theirs.height, theirs.width)


@pytest.mark.parametrize("layout", WRITERS)
@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.lists(
            st.tuples(SIDE, SIDE, SIDE, SIDE, st.integers(0, 2), st.booleans()),
            max_size=4,
        ),
        min_size=1,
        max_size=3,
    )
)
def test_round_trip(tmp_path_factory, layout, pictures):
    images, boxes, labels, ignore = [], [], [], []
    for index, objects in enumerate(pictures):
        images.append(np.full([30 + index, 50, 3], 40 * index, np.uint8))
        # At least two pixels on each side, so that the last digit decides nothing.
        corners = [(x * 40, y * 20, x * 40 + 2 + w * 7, y * 20 + 2 + h * 7) for x, y, w, h, _, _ in objects]
        # No object twice: the reader of YOLO takes a repeated line for a slip, as Ultralytics does.
        places = {(*np.round(box, 3), row[4]): (box, row) for box, row in zip(corners, objects)}
        corners, objects = ([pair[part] for pair in places.values()] for part in (0, 1))
        boxes.append(corners)
        labels.append([label for *_, label, _ in objects])
        ignore.append([flag for *_, flag in objects])
    dataset = data.from_arrays(images, boxes, labels, NAMES, ignore=ignore)
    folder = tmp_path_factory.mktemp("written")
    found = data.load(WRITERS[layout](dataset, folder, "train"))
    same(found, dataset, layout)
    for index in range(len(images)):
        np.testing.assert_array_equal(found.image(index), images[index])


@pytest.mark.filterwarnings("error")
def test_pycocotools_reads_it(voc_folder, tmp_path):
    dataset = data.load(f"voc:{voc_folder}@train")
    WRITERS["coco"](dataset, tmp_path / "out", "train")
    official = COCO(str(tmp_path / "out/train.json"))
    assert len(official.imgs) == 2 and {entry["name"] for entry in official.cats.values()} == {
        "bird",
        "cat",
        "dog",
    }
    boxes = [entry["bbox"] for entry in official.imgToAnns[1]]
    np.testing.assert_array_equal(boxes, [[4, 9, 16, 21], [0, 0, 60, 40]])
    assert [entry["iscrowd"] for entry in official.imgToAnns[1]] == [0, 1]


def test_the_command(voc_folder, coco_files, tmp_path, capsys):
    file, folder, _ = coco_files
    words = [f"voc:{voc_folder}@train", f"coco:{file}@{folder}", "--to", "yolo", str(tmp_path / "out")]
    spec = convert_data.main(words)
    assert spec == f"yolo:{tmp_path}/out/data.yaml@train"
    output = capsys.readouterr().out
    assert "has no ignored objects; 2 of them were left out" in output and spec in output
    assert [len(record.boxes) for record in data.load(spec).records] == [0, 1, 1, 0]  # by name
    convert_data.main([f"voc:{voc_folder}@val", "--to", "yolo", str(tmp_path / "out"), "--split", "val"])
    assert len(data.load(f"yolo:{tmp_path}/out/data.yaml@val")) == 1 and len(data.load(spec)) == 4


def test_a_turned_picture_is_written_upright(voc_folder, tmp_path):
    path = voc_folder / "JPEGImages/a.jpg"
    tag = struct.pack(">HHIHxx", 0x0112, 3, 1, 6)
    tiff = b"MM\0*" + struct.pack(">IH", 8, 1) + tag + b"\0" * 4
    contents = path.read_bytes()
    segment = b"\xff\xe1" + struct.pack(">H", 8 + len(tiff)) + b"Exif\0\0" + tiff
    path.write_bytes(contents[:2] + segment + contents[2:])
    dataset = data.load(f"voc:{voc_folder}@train")
    found = data.load(WRITERS["coco"](dataset, tmp_path / "out", "train"))
    same(found, dataset, "coco")
    assert json.loads((tmp_path / "out/train.json").read_text())["images"][0]["file_name"] == "a.png"
    np.testing.assert_array_equal(found.image(0), dataset.image(0))


@pytest.mark.slow
def test_real_pictures_through_every_format(shared, tmp_path):
    """The raccoons as other tools would leave them, and from a program."""
    dataset = data.load(f"voc:{shared}/data/raccoon@test")
    found = {layout: WRITERS[layout](dataset, tmp_path / layout, "test") for layout in WRITERS}
    shutil.copytree(tmp_path / "voc/JPEGImages", tmp_path / "flat")
    shutil.copytree(tmp_path / "voc/Annotations", tmp_path / "flat", dirs_exist_ok=True)
    found["folder"] = f"folder:{tmp_path}/flat"
    shutil.copytree(tmp_path / "voc/JPEGImages", tmp_path / "labelme")
    rows, boxes, labels, files = [], [], [], []
    for record in dataset.records:
        file = tmp_path / "voc/JPEGImages" / f"{record.image_id}{Path(record.file).suffix}"
        corners = record.boxes.tolist()
        shapes = [
            {"label": "raccoon", "points": [box[:2], box[2:]], "shape_type": "rectangle"} for box in corners
        ]
        content = {"imagePath": file.name, "shapes": shapes}
        (tmp_path / "labelme" / f"{file.stem}.json").write_text(json.dumps(content))
        rows += [",".join([file.name, *map(str, box), "raccoon"]) for box in corners]
        files.append(file)
        boxes.append(corners)
        labels.append(["raccoon"] * len(corners))
    (tmp_path / "train.csv").write_text("\n".join(rows))
    found |= {
        "csv": f"csv:{tmp_path}/train.csv@{tmp_path}/voc/JPEGImages",
        "labelme": f"labelme:{tmp_path}/labelme",
    }
    sets = {name: data.load(spec) for name, spec in found.items()} | {
        "arrays": data.from_arrays(files, boxes, labels)
    }
    for name, other in sets.items():
        by_name = {Path(record.file).stem: record for record in other.records}
        assert other.class_names == ("raccoon",) and len(by_name) == len(dataset)
        for record in dataset.records:
            mine = by_name[str(record.image_id)]
            np.testing.assert_allclose(mine.boxes, record.boxes, atol=1e-3, err_msg=name)
            assert (mine.height, mine.width) == (record.height, record.width)
            assert mine.labels.tolist() == record.labels.tolist() and not mine.ignore.any()

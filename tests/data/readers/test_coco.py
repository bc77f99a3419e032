import json

import numpy as np
import pytest
from pycocotools.coco import COCO

from keras_frcnn import data


def test_a_file(coco_files):
    file, folder, _ = coco_files
    dataset = data.load(f"coco:{file}@{folder}")
    assert dataset.class_names == ("dog", "cat")
    assert dataset.category_ids == {"dog": 7, "cat": 90}
    first, second = dataset.records
    np.testing.assert_array_equal(first.boxes, [[5, 6, 15, 26], [0, 0, 60, 40]])
    np.testing.assert_array_equal(first.labels, [1, 0])
    np.testing.assert_array_equal(first.ignore, [False, True])
    np.testing.assert_array_equal(first.area, np.float32([120.5, 900]))
    assert (first.image_id, second.image_id, second.height) == (71, 3, 30)
    assert second.boxes.shape == (0, 4)


def test_other_class_names(coco_files):
    file, folder, _ = coco_files
    dataset = data.load(f"coco:{file}@{folder}", class_names=["cat", "bird", "dog"])
    np.testing.assert_array_equal(dataset.records[0].labels, [0, 2])
    assert dataset.class_names == ("cat", "bird", "dog")
    assert dataset.category_ids["cat"] == 90


def test_tiny_coco(shared):
    for split, boxes in (("train", 470), ("val", 382)):
        root = shared / "data/tiny_coco"
        file = root / f"annotations/instances_{split}2017.json"
        dataset = data.load(f"coco:{file}@{root}/{split}2017")
        official = COCO(str(file))
        assert sum(len(record.labels) for record in dataset.records) == boxes
        assert sum(record.ignore.sum() for record in dataset.records) == 5
        assert len(dataset) == 50 and len(dataset.class_names) == 80
        for record in dataset.records:
            entries = official.imgToAnns[record.image_id]
            x, y, w, h = np.reshape([entry["bbox"] for entry in entries], [-1, 4]).T
            np.testing.assert_allclose(record.boxes, np.stack([x, y, x + w, y + h], -1), atol=1e-3)
            names = [official.cats[entry["category_id"]]["name"] for entry in entries]
            assert [dataset.class_names[label] for label in record.labels] == names


def test_defects_are_counted(coco_files):
    file, folder, content = coco_files
    content["annotations"][0]["bbox"] = [5, 6, 0, 20]
    content["annotations"][1]["bbox"] = [-3, 0, 20, 20]
    file.write_text(json.dumps(content))
    with (
        pytest.warns(UserWarning, match=r"1 box without area .*object 0 of image 71 in .*instances\.json"),
        pytest.warns(UserWarning, match=r"1 box reaching outside .*object 1 of image 71 in "),
    ):
        dataset = data.load(f"coco:{file}@{folder}")
    np.testing.assert_array_equal(dataset.records[0].boxes, [[0, 0, 17, 20]])
    np.testing.assert_array_equal(dataset.records[0].area, [900])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda content: content.pop("categories"), 'missing or unknown: "categories"'),
        (
            lambda content: content["annotations"][1].update(image_id=5),
            r'Annotation 2 in .*instances\.json names image 5, which its "images" do not list; add',
        ),
        (
            lambda content: content["annotations"][0].update(category_id=5),
            r'Annotation 1 in .*instances\.json names category 5, which its "categories" do not list; add',
        ),
        (
            lambda content: content["annotations"][0].pop("image_id"),
            "Annotation 1 in .* has no `image_id`; add it",
        ),
        (
            lambda content: content["annotations"][0].pop("bbox"),
            "Annotation 1 in .* has a `bbox` that is not four numbers",
        ),
        (
            lambda content: content["annotations"][0].update(bbox=[1, 2]),
            r"Annotation 1 in .* has a `bbox` that is not four numbers \(\[1, 2\] is",
        ),
        (lambda content: content["images"][0].update(width=70), "states 70x40 pixels but .* has 60x40"),
        (lambda content: content["images"][0].update(file_name="x.png"), r"There is no image .*x\.png"),
    ],
)
def test_bad_content(coco_files, change, sentence):
    file, folder, content = coco_files
    change(content)
    file.write_text(json.dumps(content))
    with pytest.raises((ValueError, FileNotFoundError), match=sentence):
        data.load(f"coco:{file}@{folder}")


def test_bad_files(coco_files):
    file, folder, _ = coco_files
    with pytest.raises(FileNotFoundError, match=r"There is no annotation file .*none\.json"):
        data.load(f"coco:{file.parent}/none.json@{folder}")
    with pytest.raises(FileNotFoundError, match="There is no image folder .*none"):
        data.load(f"coco:{file}@{folder}/none")
    file.write_text("{")
    with pytest.raises(ValueError, match=r"instances\.json is not readable as JSON"):
        data.load(f"coco:{file}@{folder}")
    file.write_text("[]")
    with pytest.raises(ValueError, match=r"instances\.json is no COCO instances file"):
        data.load(f"coco:{file}@{folder}")

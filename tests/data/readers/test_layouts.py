"""Layouts in which tools leave pictures and annotations apart."""

import pathlib
import re

import numpy as np
import pytest

from keras_frcnn import data


@pytest.fixture
def apart(tmp_path, write_picture, write_annotation):
    """A function that writes a picture and its XML into folders of their own."""

    def write(picture, annotation, box):
        picture, annotation = tmp_path / picture, tmp_path / annotation
        for path in (picture, annotation):
            path.parent.mkdir(parents=True, exist_ok=True)
        write_picture(picture, 40, 60)
        annotation.write_text(write_annotation((40, 60), [("cat", box)]).replace("other.jpg", picture.name))
        return tmp_path

    return write


@pytest.mark.filterwarnings("error")
def test_pictures_and_annotations_in_two_folders(apart):
    apart("day1/images/a.jpg", "day1/annotations/a.xml", (2, 3, 9, 9))
    root = apart("day2/images/a.jpg", "day2/annotations/a.xml", (4, 5, 9, 9))
    found = {record.image_id: record.boxes.tolist() for record in data.load(f"folder:{root}").records}
    assert found == {"day1/images/a": [[1, 2, 9, 9]], "day2/images/a": [[3, 4, 9, 9]]}


def test_two_annotations_of_a_picture(apart):
    apart("images/a.jpg", "annotations/a.xml", (2, 3, 9, 9))
    root = apart("images/a.jpg", "old/a.xml", (4, 5, 9, 9))
    with pytest.raises(ValueError, match="annotations/a.xml and .*old/a.xml are both of the picture .*a.jpg"):
        data.load(f"folder:{root}")


def test_an_object_that_was_deleted(tmp_path, write_picture, write_annotation):
    write_picture(tmp_path / "a.jpg", 40, 60)
    text = write_annotation((40, 60), [("cat", (2, 3, 9, 9)), ("dog", (4, 5, 9, 9))])
    (tmp_path / "a.xml").write_text(text.replace("<name>dog", "<deleted>1</deleted><name>dog"))
    dataset = data.load(f"folder:{tmp_path}")
    assert dataset.class_names == ("cat",) and len(dataset.records[0].boxes) == 1


def test_a_yaml_beside_the_pictures_is_told(tmp_path, write_picture):
    write_picture(tmp_path / "a.jpg", 40, 60)
    (tmp_path / "data.yaml").write_text("names: [cat]\n")
    with pytest.raises(FileNotFoundError, match=re.escape(f"name yolo:{tmp_path}/data.yaml@train.")):
        data.load(f"folder:{tmp_path}")


@pytest.mark.parametrize("place", ["train/images", "images/train"])
def test_a_yaml_without_splits(tmp_path, write_picture, place):
    folder = tmp_path / place
    folder.mkdir(parents=True)
    write_picture(folder / "a.jpg", 40, 60)
    labels = pathlib.Path(str(folder).replace("images", "labels"))
    labels.mkdir(parents=True)
    (labels / "a.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    (tmp_path / "data.yaml").write_text("names: [cat]\n")
    (record,) = data.load(f"yolo:{tmp_path}/data.yaml@train").records
    np.testing.assert_allclose(record.boxes, [[15, 10, 45, 30]])
    with pytest.raises(FileNotFoundError, match="has no split val; it has none"):
        data.load(f"yolo:{tmp_path}/data.yaml@val")


def test_groups_and_fractions_of_open_images(tmp_path, write_picture):
    write_picture(tmp_path / "a.jpg", 40, 60)
    file, header = tmp_path / "train.csv", "ImageID,LabelName,XMin,XMax,YMin,YMax,IsGroupOf\n"
    file.write_text(f"{header}a,/m/01,0.1,0.5,0.25,0.5,0\na,/m/01,0,1,0,1,1\n")
    (record,) = data.load(f"csv:{file}@{tmp_path}").records
    np.testing.assert_allclose(record.boxes, [[6, 10, 30, 20], [0, 0, 60, 40]], rtol=1e-6)
    assert record.ignore.tolist() == [False, True]
    file.write_text(f"{header}a,/m/01,6,30,10,20,0\n")
    with pytest.raises(
        ValueError, match="Line 2 of .* has 30, but with a column IsGroupOf corners are fract"
    ):
        data.load(f"csv:{file}@{tmp_path}")


@pytest.mark.filterwarnings("error")
def test_the_last_digit_of_a_fraction_is_no_defect(tmp_path, write_picture):
    write_picture(tmp_path / "a.jpg", 40, 60)
    (tmp_path / "classes.txt").write_text("cat\n")
    (tmp_path / "a.txt").write_text("0 0.950001 0.5 0.1 1.000001\n")
    (record,) = data.load(f"folder:{tmp_path}").records
    np.testing.assert_allclose(record.boxes, [[54, 0, 60, 40]], atol=1e-3)

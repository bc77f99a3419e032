"""Splits that a column of a CSV names."""

import numpy as np
import pytest
from PIL import Image

import keras_frcnn as kf


@pytest.fixture
def folder(tmp_path):
    for name in ("a", "b"):
        Image.fromarray(np.full([64, 96, 3], 90, np.uint8)).save(tmp_path / f"{name}.jpg")
    return tmp_path


def csv(folder, *lines):
    (folder / "x.csv").write_text("\n".join(lines), "utf-8")
    return kf.data.load(f"csv:{folder}/x.csv@{folder}")


def test_splits_of_a_csv(folder):
    rows = [
        "filename,xmin,ymin,xmax,ymax,class,split",
        "a.jpg,20,10,60,50,cat,train",
        "b.jpg,1,2,9,9,dog,test",
    ]
    with pytest.raises(
        ValueError, match=r"x\.csv has the splits test, train; name one, as in csv:.*@train, or rename"
    ):
        csv(folder, *rows)
    for split, names in (("train", ["a"]), ("test", ["b"])):
        data = kf.data.load(f"csv:{folder}/x.csv@{folder}@{split}")
        assert [record.image_id for record in data.records] == names
        assert data.class_names == ("cat", "dog")
    (folder / "x.csv").write_text("\n".join([*rows, "a.jpg,1,2,9,9,dog,test", "a.jpg,1,2,9,9,dog,"]))
    with pytest.raises(ValueError, match="Line 4 .* has a.jpg in the split 'test', another line in 'train'"):
        kf.data.load(f"csv:{folder}/x.csv@{folder}@train")
    (folder / "x.csv").write_text("\n".join(rows))
    with pytest.raises(
        FileNotFoundError, match=r"has no split tset; did you mean test\? It has test, train\.$"
    ):
        kf.data.load(f"csv:{folder}/x.csv@{folder}@tset")
    assert len(csv(folder, *rows[:2])) == 1
    csv(folder, "a.jpg,20,10,60,50,cat")
    with pytest.raises(ValueError, match="has no column of splits; name it without @train"):
        kf.data.load(f"csv:{folder}/x.csv@{folder}@train")


@pytest.mark.parametrize("title, one, two", [("set", "scene1", "scene2"), ("usage", "free", "paid")])
def test_a_column_that_only_has_the_title_of_one_of_splits(folder, title, one, two):
    header = f"filename,xmin,ymin,xmax,ymax,class,{title}"
    data = csv(folder, header, f"a.jpg,20,10,60,50,cat,{one}", f"a.jpg,1,2,9,9,dog,{two}")
    assert len(data) == 1 and data.class_names == ("cat", "dog")
    with pytest.raises(ValueError, match=f"has the splits Test, train; .* rename the column {title}"):
        csv(folder, header, "a.jpg,20,10,60,50,cat,Test", "b.jpg,1,2,9,9,dog,train")
    data = kf.data.load(f"csv:{folder}/x.csv@{folder}@test")
    assert [record.image_id for record in data.records] == ["a"]


def test_rows_without_a_split_go_with_their_picture(folder):
    header = "filename,xmin,ymin,xmax,ymax,class,split"
    assert len(csv(folder, header, "a.jpg,20,10,60,50,cat,train", "b.jpg,1,2,9,9,cat,")) == 2
    csv(folder, header, "a.jpg,20,10,60,50,cat,train", "a.jpg,1,2,9,9,cat,", "b.jpg,1,2,9,9,cat,")
    (record,) = kf.data.load(f"csv:{folder}/x.csv@{folder}@train").records
    assert record.image_id == "a" and len(record.boxes) == 2


def test_folders_with_the_sign_of_splits(folder):
    there = folder / "me@home"
    there.mkdir()
    (there / "a.jpg").write_bytes((folder / "a.jpg").read_bytes())
    (there / "x.csv").write_text("filename,xmin,ymin,xmax,ymax,class,split\na.jpg,20,10,60,50,cat,train\n")
    for split in ("", "@train"):
        assert len(kf.data.load(f"csv:{there}/x.csv@{there}{split}")) == 1
    with pytest.raises(FileNotFoundError, match="There is no file .*me@home/gone.csv"):
        kf.data.load(f"csv:{there}/gone.csv@{folder}")

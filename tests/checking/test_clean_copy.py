"""A clean copy has what is right, reads without a word, and the original stays as it was."""

import hashlib
import shutil
import warnings

import cv2
import pytest

import keras_frcnn as kf
from keras_frcnn.checking import clean_copy


def digests(folder):
    """The contents of all files of a folder."""
    return {
        file.relative_to(folder): hashlib.sha256(file.read_bytes()).digest()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def strictly(spec):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return kf.data.load(spec)


@pytest.mark.parametrize("layout", ["voc", "coco", "yolo"])
def test_what_is_wrong_is_left_out_and_listed(clean, checked, tmp_path, layout):
    root, copy = tmp_path / "data", tmp_path / "copy"
    spec = clean(layout, root)
    before = kf.data.load(spec)
    files = [record.file for record in before.records]
    with open(files[0], "r+b") as file:
        file.truncate(200)
    png = cv2.imencode(".png", cv2.imread(files[1]))[1]
    with open(files[1], "wb") as file:
        file.write(png.tobytes())
    contents = digests(root)
    found, _ = checked(spec)
    sentence = clean_copy.write([found], copy)
    assert digests(root) == contents
    (spec,) = [word for word in sentence.split() if word.startswith(f"{layout}:")]
    kept = strictly(spec.rstrip(";"))
    assert len(kept) == 11 and kept.class_names == before.class_names
    assert [len(record.labels) for record in kept.records] == [
        len(record.labels) for record in before.records[1:]
    ]
    assert kept.records[0].file.endswith(".png")
    changes = (copy / "changes.txt").read_text()
    assert f"{files[0]}" in changes and f"picture given the ending of its format: {files[1]}" in changes
    again, _ = checked(spec.rstrip(";"))
    assert {finding.severity for finding in again.findings} <= {"note"}


def test_repeated_pictures_and_objects_are_kept_once(clean, checked, tmp_path):
    spec = clean("voc", tmp_path / "data")
    annotations, pictures = tmp_path / "data/Annotations", tmp_path / "data/JPEGImages"
    shutil.copy(annotations / "scene4.xml", annotations / "scene5.xml")
    shutil.copy(pictures / "scene4.jpg", pictures / "scene5.jpg")
    text = (annotations / "scene1.xml").read_text()
    start = text.index("<object>")
    first = text[start : text.index("</object>") + len("</object>")]
    (annotations / "scene1.xml").write_text(text.replace(first, first * 2))
    found, _ = checked(spec)
    clean_copy.write([found], tmp_path / "copy")
    kept = strictly(f"voc:{tmp_path}/copy@train")
    assert len(kept) == 11
    changes = (tmp_path / "copy/changes.txt").read_text()
    assert "scene4.jpg left out: " in changes and "object annotated twice left out: object 1 of" in changes


def test_what_only_the_user_can_decide_is_kept_and_listed(clean, checked, tmp_path):
    spec, other = clean("voc", tmp_path / "data"), clean("voc", tmp_path / "other")
    pictures = tmp_path / "data/JPEGImages"
    shutil.copy(pictures / "scene4.jpg", pictures / "scene5.jpg")
    *sets, together = checked(spec, other)
    clean_copy.write(sets, tmp_path / "copy", together)
    assert len(strictly(f"voc:{tmp_path}/copy/1@train")) == 12
    lines = (tmp_path / "copy/changes.txt").read_text().splitlines()
    doubt = lines.index(
        "  left for you to decide: 1 picture equal to another with different objects. Keep the right one"
    )
    assert lines[doubt + 1] == f"    {pictures / 'scene5.jpg'} ({pictures / 'scene4.jpg'})"
    assert lines[lines.index("All sets together:") + 1].startswith("  left for you to decide: ")


def test_several_sets_share_their_classes_and_a_folder(clean, checked, tmp_path):
    first, second = clean("yolo", tmp_path / "one"), clean("yolo", tmp_path / "two")
    yaml = tmp_path / "two/data.yaml"
    yaml.write_text(yaml.read_text().replace("star", "moon").replace("train: ", "val: "))
    one, two, _ = checked(first, second.replace("@train", "@val"))
    clean_copy.write([one, two], tmp_path / "copy")
    train, val = (strictly(f"yolo:{tmp_path}/copy/data.yaml@{split}") for split in ("train", "val"))
    assert train.class_names == val.class_names and "moon" in train.class_names


def test_sets_of_one_split_go_to_folders_of_their_own(clean, checked, tmp_path):
    first, second = clean("voc", tmp_path / "one"), clean("voc", tmp_path / "two")
    *sets, _ = checked(first, second)
    clean_copy.write(sets, tmp_path / "copy")
    assert (
        len(strictly(f"voc:{tmp_path}/copy/1@train")) == len(strictly(f"voc:{tmp_path}/copy/2@train")) == 12
    )


def test_nothing_is_written_into_a_folder_that_holds_something(tmp_path):
    clean_copy.check_folder(tmp_path / "new")
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="holds something already; name a new folder"):
        clean_copy.check_folder(tmp_path)

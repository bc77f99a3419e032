"""Small inputs as other tools and editors leave them: mended, counted or refused, never a stack trace."""

import codecs
import json
import shutil
import unicodedata

import numpy as np
import pytest

from keras_frcnn import data

SPLIT, XML = "ImageSets/Main/train.txt", "Annotations/a.xml"


def train(root, **options):
    return data.load(f"voc:{root}@train", **options)


def same(dataset, other):
    assert dataset.class_names == other.class_names
    for mine, theirs in zip(dataset.records, other.records, strict=True):
        assert (mine.file, mine.height, mine.width) == (theirs.file, theirs.height, theirs.width)
        np.testing.assert_array_equal(mine.boxes, theirs.boxes)
        np.testing.assert_array_equal(mine.labels, theirs.labels)
        np.testing.assert_array_equal(mine.ignore, theirs.ignore)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "encoded",
    [
        lambda text: codecs.BOM_UTF8 + text.encode(),
        lambda text: text.encode("utf-16"),
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: text.replace("\n", "  \n\n").encode(),
    ],
)
@pytest.mark.parametrize("file", [SPLIT, "labels.txt"])
def test_text_of_other_editors(voc_folder, encoded, file):
    (voc_folder / "labels.txt").write_text("bird\ncat\ndog\n")
    before = train(voc_folder)
    (voc_folder / file).write_bytes(encoded((voc_folder / file).read_text()))
    same(train(voc_folder), before)


@pytest.mark.parametrize("file", [SPLIT, "labels.txt"])
def test_text_in_an_encoding_that_nothing_tells(voc_folder, file):
    (voc_folder / file).write_bytes("ä\n".encode("cp1252"))
    with pytest.raises(
        ValueError, match=f"{file.rpartition('/')[2]} is not in UTF-8 .byte 0.; save it as UTF-8"
    ):
        train(voc_folder)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("encoding", ["gb2312", "big5", "cp1252", "utf-16", "utf-8"])
def test_xml_in_other_encodings(voc_folder, encoding):
    before = train(voc_folder)
    text = f'<?xml version="1.0" encoding="{encoding}"?>\n' + (voc_folder / XML).read_text()
    (voc_folder / XML).write_bytes(text.encode(encoding))
    same(train(voc_folder), before)


@pytest.mark.parametrize(
    ("contents", "sentence"),
    [
        (b'<?xml version="1.0" encoding="klingon"?><annotation/>', "its encoding klingon is unknown"),
        (b'<?xml version="1.0" encoding="big5"?><annotation>\xff</annotation>', "byte .* is not big5"),
        (b"", "is not readable as XML"),
        (b"<html/>", "is no VOC annotation: it begins with <html>, not <annotation>"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><annotation>&b;</annotation>', "is not readable as XML .*Entit"),
        (b"<annotation><object><name> </name></object></annotation>", "Object 0 of .* lacks a name; name"),
        (
            b"<annotation><object><name>a</name></object></annotation>",
            "lacks a bndbox of four numbers .there is none",
        ),
        (
            b"<annotation><size><width>6.5</width></size></annotation>",
            "The size in .* is not a pair of whole",
        ),
    ],
)
def test_xml_that_is_none(voc_folder, contents, sentence):
    (voc_folder / XML).write_bytes(contents)
    with pytest.raises(ValueError, match=sentence):
        train(voc_folder)


@pytest.mark.parametrize(
    "line",
    ["JPEGImages/a.jpg", "./a", '"a"', "images\\a.jpg", "http://host/x/a.jpg?size=1", "day9/a"],
)
def test_other_forms_of_a_name(voc_folder, line):
    before = train(voc_folder)
    (voc_folder / SPLIT).write_text(f"{line}\nb\n")
    with pytest.warns(UserWarning, match="1 picture found by another form of its name .first: "):
        same(train(voc_folder), before)


@pytest.mark.filterwarnings("error")
def test_a_name_with_its_ending(voc_folder):
    before = train(voc_folder)
    (voc_folder / SPLIT).write_text("a.jpg\nb.PNG\n")
    same(train(voc_folder), before)


@pytest.mark.filterwarnings("error")
def test_names_with_blanks_and_in_folders(voc_folder):
    for name in ("scene", "scene 2", "day1/a"):
        (voc_folder / "JPEGImages" / name).parent.mkdir(exist_ok=True)
        (voc_folder / "Annotations" / name).parent.mkdir(exist_ok=True)
        shutil.copy(voc_folder / "JPEGImages/a.jpg", voc_folder / f"JPEGImages/{name}.jpg")
        shutil.copy(voc_folder / XML, voc_folder / f"Annotations/{name}.xml")
    (voc_folder / SPLIT).write_text("scene\nscene 2\nday1/a\n")
    assert [record.image_id for record in train(voc_folder).records] == ["scene", "scene 2", "day1/a"]


def test_a_split_of_one_class(voc_folder):
    (voc_folder / SPLIT).write_text("a  1\nb -1\n")
    with pytest.warns(UserWarning, match="1 picture that train marks as without its class kept .first: b"):
        assert [record.image_id for record in train(voc_folder).records] == ["a", "b"]


def test_a_picture_that_is_listed_twice(voc_folder):
    (voc_folder / SPLIT).write_text("a\nb\na\n")
    with pytest.warns(UserWarning, match="1 line of the split train naming a picture again left out"):
        assert len(train(voc_folder)) == 2


@pytest.mark.filterwarnings("error")
def test_letters_that_are_composed_differently(voc_folder):
    apart, one = unicodedata.normalize("NFD", "größe"), unicodedata.normalize("NFC", "größe")
    shutil.copy(voc_folder / "JPEGImages/a.jpg", voc_folder / f"JPEGImages/{apart}.jpg")
    shutil.copy(voc_folder / XML, voc_folder / f"Annotations/{apart}.xml")
    (voc_folder / SPLIT).write_text(one)
    assert len(train(voc_folder).records[0].boxes) == 2


def test_two_pictures_of_one_name(voc_folder):
    shutil.copy(voc_folder / "JPEGImages/a.jpg", voc_folder / "JPEGImages/a.png")
    with pytest.raises(
        ValueError, match="a.jpg and .*a.png both have this name; rename one, or write its ending"
    ):
        train(voc_folder)


def test_the_picture_that_the_xml_names(voc_folder):
    (voc_folder / "JPEGImages/a.jpg").rename(voc_folder / "JPEGImages/other.jpg")
    with pytest.warns(UserWarning, match="found by another form of its name"):
        assert train(voc_folder).records[0].file.endswith("other.jpg")


@pytest.mark.filterwarnings("error")
def test_hidden_files_are_left_out(voc_folder):
    before = train(voc_folder)
    (voc_folder / "JPEGImages/._a.jpg").write_bytes(b"\0")
    (voc_folder / "Annotations/._a.xml").write_bytes(b"\0")
    same(train(voc_folder), before)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("word", "ignore"), [("true", True), ("1.0", True), ("Unspecified", False), ("", False), ("False", False)]
)
def test_words_of_difficult(voc_folder, write_annotation, word, ignore):
    (voc_folder / XML).write_text(write_annotation((40, 60), [("dog", (5, 10, 20, 30), word)]))
    assert train(voc_folder).records[0].ignore.tolist() == [ignore]


def test_a_difficult_that_says_nothing(voc_folder, write_annotation):
    (voc_folder / XML).write_text(write_annotation((40, 60), [("dog", (5, 10, 20, 30), "perhaps")]))
    with pytest.raises(
        ValueError, match="Object 0 of .*a.xml has a `difficult` that is wrong: 'perhaps' is neither"
    ):
        train(voc_folder)


@pytest.mark.filterwarnings("error")
def test_a_size_with_a_fraction_of_zero(voc_folder):
    before = train(voc_folder)
    text = (voc_folder / XML).read_text()
    (voc_folder / XML).write_text(
        text.replace("<width>60<", "<width>60.0<").replace("<height>40<", "<height> 40 <")
    )
    same(train(voc_folder), before)


def test_corners_that_are_swapped(voc_folder, write_annotation):
    (voc_folder / XML).write_text(
        write_annotation((40, 60), [("dog", (5, 10, 20, 30)), ("dog", (30, 5, 20, 9))])
    )
    with pytest.raises(
        ValueError, match="Object 1 of .*a.xml ends before it begins .x from 29 to 20, .*; swap"
    ):
        train(voc_folder)


@pytest.mark.parametrize("corner", ["1e308", "inf", "nan", "9" * 400])
def test_coordinates_that_are_no_place(voc_folder, write_annotation, corner):
    objects = [("dog", (5, 10, 20, 30)), ("dog", (5, 10, corner, 30))]
    (voc_folder / XML).write_text(write_annotation((40, 60), objects))
    with pytest.warns(
        UserWarning, match="1 box with a coordinate that is not finite dropped .first: object 1"
    ):
        assert len(train(voc_folder).records[0].boxes) == 1


def test_boxes_that_are_fractions(voc_folder, write_annotation):
    (voc_folder / XML).write_text(write_annotation((40, 60), [("dog", (0.1, 0.2, 0.5, 0.9))]))
    with pytest.raises(
        ValueError, match="looks normalized: its boxes end before pixel 1; multiply x by the width"
    ):
        train(voc_folder)


def test_polygons_and_rotated_boxes(voc_folder):
    polygon = "<x1>5</x1><y1>12</y1><x2>20</x2><y2>10</y2><x3>9</x3><y3>30</y3>"
    points = "<pt><x>5</x><y>12</y></pt><pt><x>20</x><y>10</y></pt><pt><x>9</x><y>30</y></pt>"
    turned = "<cx>12</cx><cy>20</cy><w>20</w><h>10</h><angle>1.5707963267948966</angle>"
    parts = [
        f"<polygon>{polygon}</polygon>",
        f"<polygon>{points}</polygon>",
        f"<robndbox>{turned}</robndbox>",
    ]
    objects = "".join(f"<object><name>cat</name>{part}</object>" for part in parts)
    (voc_folder / XML).write_text(f"<annotation>{objects}</annotation>")
    with pytest.warns(UserWarning, match="3 outlines replaced with the box around it"):
        boxes = train(voc_folder).records[0].boxes
    np.testing.assert_allclose(boxes, [[4, 9, 20, 30], [4, 9, 20, 30], [6, 9, 17, 30]], atol=1e-4)


def test_a_picture_without_an_annotation(voc_folder):
    (voc_folder / XML).unlink()
    with pytest.raises(FileNotFoundError, match="There is no annotation .*a.xml"):
        train(voc_folder)
    with pytest.warns(UserWarning, match="1 picture without an annotation taken as one without objects"):
        assert len(train(voc_folder, missing_annotation="empty").records[0].boxes) == 0
    with pytest.raises(ValueError, match="missing_annotation is 'none'; use 'refuse' or 'empty'"):
        train(voc_folder, missing_annotation="none")


def test_pictures_that_cannot_be_decoded(voc_folder):
    path = voc_folder / "JPEGImages/a.jpg"
    path.write_bytes(path.read_bytes()[:300])
    with pytest.warns(UserWarning, match="1 picture that cannot be decoded skipped .first: .*a.jpg"):
        assert [record.image_id for record in train(voc_folder, on_broken="skip").records] == ["b"]


@pytest.mark.filterwarnings("error")
def test_a_home_folder_and_a_path(voc_folder, monkeypatch, coco_files):
    monkeypatch.setenv("HOME", str(voc_folder.parent))
    assert len(data.load("voc:~/voc@train")) == 2
    assert len(data.load("coco:~/instances.json@~/pictures")) == 2


def change(coco_files, where, **values):
    file, folder, content = coco_files
    group, index = where
    content[group][index].update(values)
    file.write_text(json.dumps(content))
    return f"coco:{file}@{folder}"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("where", "values"),
    [
        (("annotations", 0), {"iscrowd": "0"}),
        (("annotations", 0), {"iscrowd": "false"}),
        (("annotations", 0), {"iscrowd": None}),
        (("annotations", 0), {"bbox": ["5", "6.0", 10, 20]}),
        (("annotations", 0), {"image_id": "71", "category_id": 90.0}),
        (("images", 0), {"width": "60", "height": 40.0}),
        (("images", 0), {"id": 71.0}),
    ],
)
def test_json_scalars_of_other_kinds(coco_files, where, values):
    file, folder, _ = coco_files
    before = data.load(f"coco:{file}@{folder}")
    same(data.load(change(coco_files, where, **values)), before)


@pytest.mark.parametrize("area", [None, float("nan"), -1, "", "large"])
def test_an_area_that_is_none(coco_files, area):
    with pytest.warns(
        UserWarning, match="1 area other than a number above 0 replaced with that of the box .first: Ann"
    ):
        dataset = data.load(change(coco_files, ("annotations", 0), area=area))
    assert dataset.records[0].area[0] == 200


def test_category_names_that_are_numbers(coco_files):
    assert data.load(change(coco_files, ("categories", 0), name=8)).class_names == ("dog", "8")


@pytest.mark.parametrize(
    ("where", "values", "sentence"),
    [
        (
            ("annotations", 0),
            {"iscrowd": "maybe"},
            "Annotation 1 in .* has an `iscrowd` that is wrong: 'maybe' is",
        ),
        (
            ("annotations", 0),
            {"bbox": "1 2 3 4"},
            "has a `bbox` that is not four numbers .'1 2 3 4' is not 4",
        ),
        (("annotations", 0), {"bbox": [1, 2, 3, "x"]}, "is not four numbers .'x' is no number"),
        (("annotations", 0), {"bbox": [9, 9, -4, 3]}, "Object 0 of image 71 in .* ends before it begins"),
        (("images", 0), {"id": 3}, 'Two of "images" in .* have the id 3; give each an id of its own'),
        (("categories", 0), {"id": 7}, 'Two of "categories" in .* have the id 7'),
        (("categories", 0), {"name": " "}, "Category 90 in .* has no name"),
        (("images", 0), {"file_name": None}, "Image 71 in .* has no `file_name`"),
        (
            ("images", 0),
            {"file_name": "../../x.png"},
            "which leads out of .*; write it relative .* --allow-outside",
        ),
        (("images", 0), {"file_name": "/etc/passwd"}, "which leads out of"),
        (("images", 0), {"file_name": "x" * 400}, "There is no image .*x"),
        (("images", 0), {"width": "wide"}, "Image 71 in .* has a `width` or `height` that is wrong: 'wide'"),
        (("images", 1), {"file_name": "1.png", "width": 60, "height": 40}, None),
    ],
)
def test_json_that_has_two_meanings(coco_files, where, values, sentence):
    spec = change(coco_files, where, **values)
    if sentence is None:  # a second entry without objects means nothing else
        with pytest.warns(UserWarning, match="1 image listing a picture again left out .first: image 3"):
            assert len(data.load(spec)) == 1
        return
    with pytest.raises((ValueError, FileNotFoundError), match=sentence):
        data.load(spec)


def test_one_picture_with_two_lists_of_objects(coco_files):
    content = coco_files[2]
    content["annotations"].append({"id": 3, "image_id": 3, "category_id": 7, "bbox": [1, 1, 5, 5]})
    spec = change(coco_files, ("images", 1), file_name="1.png", width=60, height=40)
    with pytest.raises(
        ValueError, match="Images 71 and 3 in .* are one file, .*1.png, with different objects"
    ):
        data.load(spec)


@pytest.mark.parametrize("name", ["images\\1.png", "pictures/1.png", "https://host/a/1.png", "1"])
def test_other_forms_of_a_file_name(coco_files, name):
    with pytest.warns(UserWarning, match="1 picture found by another form of its name .first: "):
        assert len(data.load(change(coco_files, ("images", 0), file_name=name))) == 2


def test_pictures_outside_the_folder_where_allowed(coco_files, write_picture):
    outside = coco_files[0].parent / "outside.png"
    write_picture(outside, 40, 60)
    spec = change(coco_files, ("images", 0), file_name=str(outside))
    assert data.load(spec, allow_outside=True).records[0].file == str(outside)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[" * 100_000, "is nested too deeply for an annotation|is not readable as JSON"),
        ('{"images": [' + "9" * 5000 + "]}", "is not readable as JSON|is no COCO instances file"),
        ("null", "is no COCO instances file"),
        ('{"images": [1], "categories": [], "annotations": []}', 'missing or unknown: "images"'),
    ],
)
def test_hostile_json(coco_files, text, sentence):
    file, folder, _ = coco_files
    file.write_text(text)
    with pytest.raises(ValueError, match=sentence):
        data.load(f"coco:{file}@{folder}")


def test_a_number_of_400_digits(coco_files):
    with pytest.warns(UserWarning, match="1 box with a coordinate that is not finite dropped"):
        data.load(change(coco_files, ("annotations", 0), bbox=[5, 6, 10**400, 20]))
    with pytest.raises(ValueError, match="names image 1000"):
        data.load(change(coco_files, ("annotations", 0), image_id=10**400))


@pytest.mark.filterwarnings("error")
def test_json_with_a_mark(coco_files):
    file, folder, _ = coco_files
    before = data.load(f"coco:{file}@{folder}")
    file.write_bytes(codecs.BOM_UTF8 + file.read_bytes())
    same(data.load(f"coco:{file}@{folder}"), before)


@pytest.mark.parametrize("line", ["x" * 400, "a\0b", "x/" * 300])
def test_names_that_no_file_can_have(voc_folder, line):
    (voc_folder / SPLIT).write_text(line)
    with pytest.raises(FileNotFoundError, match="JPEGImages has no image "):
        train(voc_folder)


def test_links_and_files_without_an_ending(coco_files, tmp_path):
    file, folder, _ = coco_files
    (tmp_path / "real").mkdir()
    shutil.copy(folder / "1.png", tmp_path / "real/1.png")
    (folder / "linked").symlink_to(tmp_path / "real")
    (folder / "1.png").rename(folder / "noending")
    for name in ("linked/1.png", "noending"):
        assert data.load(change(coco_files, ("images", 0), file_name=name)).records[0].file == str(
            folder / name
        )


def test_an_annotation_of_two_pictures(voc_folder):
    (voc_folder / "JPEGImages/day2").mkdir()
    shutil.copy(voc_folder / "JPEGImages/a.jpg", voc_folder / "JPEGImages/day2/a.jpg")
    (voc_folder / SPLIT).write_text("a\nday2/a\n")
    with pytest.raises(ValueError, match="a.xml would be the annotation of .*a.jpg and of .*day2/a.jpg"):
        train(voc_folder)


@pytest.mark.parametrize("line", ["/outside/e", "../e", "C:\\x\\e"])
def test_a_split_that_leads_outside(voc_folder, line):
    (voc_folder / SPLIT).write_text(line)
    with pytest.raises(ValueError, match="which leads out of .*; write it relative to that folder"):
        train(voc_folder)


@pytest.mark.filterwarnings("error")
def test_names_that_look_like_flags(voc_folder):
    for number in (0, 1):
        shutil.copy(voc_folder / "JPEGImages/a.jpg", voc_folder / f"JPEGImages/scene {number}.jpg")
        shutil.copy(voc_folder / XML, voc_folder / f"Annotations/scene {number}.xml")
    (voc_folder / SPLIT).write_text("scene 0\nscene 1\n")
    assert [record.image_id for record in train(voc_folder).records] == ["scene 0", "scene 1"]


def test_not_every_picture_can_be_broken(voc_folder):
    for name in ("a.jpg", "b.PNG"):
        (voc_folder / "JPEGImages" / name).write_bytes(b"no picture")
    with pytest.raises(ValueError, match="has 2 of 2 pictures that cannot be decoded"):
        train(voc_folder, on_broken="skip")


def test_ids_with_other_signs(coco_files):
    file, folder, content = coco_files
    content["images"][0]["id"], content["images"][1]["id"] = "1_23", "12_3"
    for annotation in content["annotations"]:
        annotation["image_id"] = "1_23"
    file.write_text(json.dumps(content))
    assert [record.image_id for record in data.load(f"coco:{file}@{folder}").records] == ["1_23", "12_3"]


def test_entries_that_are_written_twice(coco_files):
    file, folder, content = coco_files
    content["images"].append(content["images"][0])
    content["annotations"].append(content["annotations"][0])
    file.write_text(json.dumps(content))
    with (
        pytest.warns(UserWarning, match="1 entry of images written twice left out"),
        pytest.warns(UserWarning, match="1 annotation written twice left out"),
    ):
        assert [len(record.boxes) for record in data.load(f"coco:{file}@{folder}").records] == [2, 0]
    content["annotations"][2] = {**content["annotations"][0], "bbox": [1, 1, 2, 2]}
    file.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="Annotation 1 in .* has the id of another annotation; give each"):
        data.load(f"coco:{file}@{folder}")


def test_fractions_that_rounding_pushed_above_one(coco_files):
    content = coco_files[2]
    for annotation in content["annotations"]:
        annotation["bbox"] = [0.7, 0.1, 0.300001, 0.5]
    with pytest.raises(ValueError, match="looks normalized"):
        data.load(change(coco_files, ("images", 0)))


def test_classes_of_nearly_one_name(coco_files):
    with pytest.warns(UserWarning, match="1 class with nearly the name of another kept apart .first: Cat"):
        data.load(change(coco_files, ("categories", 1), name="Cat"))


def test_a_home_that_is_not_known():
    with pytest.raises(ValueError, match="The home folder in ~nobody_of_this_name/a is not known"):
        data.load("voc:~nobody_of_this_name/a@train")

"""What is right in one reader is right in the others: flags, names, numbers, areas, keys that repeat."""

import json
import os
import re
import unicodedata
import warnings

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import keras_frcnn as kf
from keras_frcnn.checking.findings import Finding
from keras_frcnn.commands import evaluate
from keras_frcnn.data.writers import write_voc
from keras_frcnn.evaluation import coco

BOX = [20, 10, 60, 50]
COMPOSED, APART = (unicodedata.normalize(form, "größe") for form in ("NFC", "NFD"))
CORNERS = "<bndbox><xmin>21</xmin><ymin>11</ymin><xmax>60</xmax><ymax>50</ymax></bndbox>"
PIXELS = np.full([64, 96, 3], 90, np.uint8)


@pytest.fixture
def folder(tmp_path):
    for name in ("a", "b"):
        Image.fromarray(PIXELS).save(tmp_path / f"{name}.jpg")
    return tmp_path


def csv(folder, *lines, classes=None):
    (folder / "x.csv").write_text("\n".join(lines), "utf-8")
    if classes:
        (folder / "classes.csv").write_text(classes, "utf-8")
    return kf.data.load(f"csv:{folder}/x.csv@{folder}")


def json_of_coco(folder, category="cat", text=None, **annotation):
    content = {
        "images": [{"id": 1, "file_name": "a.jpg", "height": 64, "width": 96}],
        "categories": [{"id": 1, "name": category}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [20, 10, 40, 40], **annotation}],
    }
    (folder / "x.json").write_text(text or json.dumps(content), "utf-8")
    return kf.data.load(f"coco:{folder}/x.json@{folder}")


def yolo(folder, text, lines="0 .4 .4 .3 .3\n"):
    (folder / "a.txt").write_text(lines)
    (folder / "data.yaml").write_text(f"path: .\ntrain: .\n{text}", "utf-8")
    return kf.data.load(f"yolo:{folder}/data.yaml@train")


def voc(folder, *names, objects="<object><name>{}</name>{}</object>"):
    for file, name in zip("ab", names):
        text = f"<annotation>{objects.format(name, CORNERS)}</annotation>"
        (folder / f"{file}.xml").write_text(text, "utf-8")
    return kf.data.load(f"folder:{folder}")


def arrays(labels=("cat",), boxes=(BOX,), **arguments):
    return kf.data.from_arrays([PIXELS], [[*boxes]], [[*labels]], **arguments)


@pytest.mark.parametrize(
    "word, ignored", [("1", True), ("1.0", True), ("True", True), ("yes", True), ("-1", False), ("", False)]
)
def test_flags_of_a_csv(folder, word, ignored):
    header = "ImageID,LabelName,XMin,XMax,YMin,YMax,IsGroupOf"
    assert csv(folder, header, f"a,cat,.2,.6,.2,.7,{word}").records[0].ignore.tolist() == [ignored]
    header = "filename,xmin,ymin,xmax,ymax,class,difficult"
    assert csv(folder, header, f"a.jpg,20,10,60,50,cat,{word}").records[0].ignore.tolist() == [ignored]


@pytest.mark.parametrize(
    "word, ignored", [("false", False), ("0", False), (0, False), (1.0, True), (True, True)]
)
def test_flags_of_arrays(word, ignored):
    assert arrays(ignore=[[word]]).records[0].ignore.tolist() == [ignored]


@pytest.mark.parametrize("first, second", [(COMPOSED, APART), (APART, COMPOSED)])
def test_letters_of_class_names(folder, first, second):
    for data in (
        voc(folder, first, second),
        csv(folder, f"a.jpg,20,10,60,50,{first}", f"b.jpg,20,10,60,50,{second}"),
        arrays([first, second], [BOX, BOX]),
    ):
        assert data.class_names == (COMPOSED,)
    for data in (
        json_of_coco(folder, first),
        yolo(folder, f"names: [{first}]"),
        arrays([first], class_names=[second]),
    ):
        assert data.with_class_names([second]).class_names == (COMPOSED,)


@pytest.mark.parametrize("values", [{"area": 1e12}, {"bbox": [20, 10, 1e20, 1e20]}, {"area": 1e29}])
def test_an_area_beyond_the_picture(folder, values):
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        data = json_of_coco(folder, **values)
    (record,) = data.records
    sides = record.boxes[0, 2:] - record.boxes[0, :2]
    assert record.area.tolist() == [sides.prod()]
    found = [{"boxes": record.boxes, "scores": np.ones(1), "labels": record.labels}]
    assert coco.evaluate(found, data.records, data.class_names)["ap"] == 1.0


REFUSED = {
    "flag of a csv": (
        lambda f: csv(f, "filename,xmin,ymin,xmax,ymax,class,iscrowd", "a.jpg,20,10,60,50,cat,maybe"),
        r"^Line 2 of .*x\.csv has a flag that is wrong: 'maybe' is neither yes nor no; write 0 or 1\.$",
    ),
    "more columns": (
        lambda f: csv(f, "a.jpg,20,10,60,50,cat", "a.jpg,1,1,9,9,cat, striped"),
        "has 7 columns, not 6; quote what has a comma",
    ),
    "two sizes": (
        lambda f: csv(
            f,
            "filename,width,height,xmin,ymin,xmax,ymax,class",
            "a.jpg,96,64,20,10,60,50,cat",
            "a.jpg,192,128,40,20,120,100,cat",
        ),
        "is 192 x 128, another line 96 x 64",
    ),
    "a number twice in classes.csv": (
        lambda f: csv(f, "a.jpg,20,10,60,50,cat", classes="cat,0\ndog,1\nbird,1\n"),
        "Line 3 of .*classes.csv has 1 again, which is dog",
    ),
    "a number twice in names": (lambda f: yolo(f, "names: {0: cat, '0': dog}"), "two `names` of one number"),
    "a key twice in YAML": (lambda f: yolo(f, "names:\n  0: cat\n  0: dog\n"), "it has the key 0 twice"),
    "names and their number": (
        lambda f: yolo(f, "nc: 3\nnames: [cat, dog]"),
        "has 2 `names`, but `nc: 3`; make the two agree",
    ),
    "a NaN as a name": (lambda f: json_of_coco(f, float("nan")), "has a name that is wrong: nan is no name"),
    "no images": (lambda f: kf.data.from_arrays([], [], []), "There are no images; give one or more"),
    "no classes": (lambda f: arrays([], []), "There is no class; give class_names"),
    "a class that pandas lacks": (
        lambda f: csv(f, "a.jpg,20,10,60,50,nan"),
        "Line 1 of .* has the class nan, which stands for no value; name its class, or list it",
    ),
    "no pictures": (
        lambda f: csv(f, "filename,xmin,ymin,xmax,ymax,class"),
        "^csv:.* has no picture; check its folder",
    ),
    "no objects": (lambda f: csv(f, "a.jpg,,,,,"), "^csv:.* has no class, because none of its pictures has"),
    "no categories": (
        lambda f: json_of_coco(f, text='{"images": [], "annotations": [], "categories": []}'),
        "^coco:.* has no picture; check its folder",
    ),
    "another box_format": (
        lambda f: arrays(["cat"] * 20, [[80 - x, 40, 9, 9] for x in range(20)]),
        'give box_format="xywh"',
    ),
    "fractions": (lambda f: arrays(boxes=[[0.1, 0.1, 0.5, 0.6]]), 'give box_format="rel_xyxy"'),
    "a fraction as a number": (lambda f: yolo(f, "names: {0: cat, 0.5: dog}"), "keys are no numbers"),
    "an infinite number": (lambda f: yolo(f, "names: {.inf: cat}"), "keys are no numbers"),
    "a key twice in JSON": (
        lambda f: json_of_coco(f, text='{"images": [], "annotations": [1], "annotations": []}'),
        "it has the key 'annotations' twice",
    ),
    "a list as a name": (lambda f: json_of_coco(f, ["cat"]), "Category 1 in .* has a name that is wrong"),
    "objects in objects": (
        lambda f: voc(f, "cat", objects="<objects><object><name>{}</name>{}</object></objects>"),
        "put each <object> directly below <annotation>",
    ),
    "a flag of arrays": (lambda f: arrays(ignore=[["maybe"]]), "image 0 has a wrong|entry of ignore"),
    "a large number": (lambda f: arrays(boxes=[[20, 10, 10**400, 50]]), "not four numbers each"),
    "one file, two contents": (
        lambda f: kf.data.from_arrays([f / "a.jpg"] * 2, [[BOX], [[1, 2, 30, 40]]], [["cat"]] * 2),
        "comes twice with different objects",
    ),
    "names in a number": (lambda f: arrays([0], class_names=5), "must be a list of names"),
    "names in a set": (lambda f: arrays([0], class_names={"cat"}), "must be a list of names"),
    "names in a dict": (lambda f: arrays([0], class_names={0: "cat"}), "must be a list of names"),
    "a format that is a list": (lambda f: arrays(box_format=["xyxy"]), "box_format is"),
    "boxes in a dict": (lambda f: kf.data.from_arrays([PIXELS], {"boxes": []}, [[]]), "boxes is a dict"),
    "bytes": (lambda f: arrays([b"k\xe4tze"]), "which is not UTF-8"),
    "class names of a number": (
        lambda f: json_of_coco(f).with_class_names(5),
        "must be a list.*not 5",
    ),
    "no spec": (lambda f: kf.data.load(None), "No data set is named"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_in_one_sentence(case, folder):
    make, words = REFUSED[case]
    with pytest.raises(ValueError, match=words) as error:
        make(folder)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("labels, boxes", [([0], [BOX, BOX]), ([[1, 0]], [BOX]), ([0], BOX[:3])])
def test_dicts_whose_parts_do_not_fit(labels, boxes):
    element = {"images": PIXELS, "bounding_boxes": {"boxes": np.float32(boxes), "labels": np.int32(labels)}}
    data = tf.data.Dataset.from_tensors(element)
    with pytest.raises(
        ValueError, match=r"^Image 0 of the tf.data.Dataset has boxes .*; give boxes \[M, 4\]"
    ):
        kf.data.from_arrays(data, class_names=["a", "b"])


@pytest.mark.parametrize("rows", [1, 3])
def test_batches_whose_parts_have_other_numbers_of_rows(rows):
    targets = {"boxes": np.tile(np.float32(BOX), [rows, 1, 1]), "labels": np.zeros([rows, 1], np.int32)}
    data = tf.data.Dataset.from_tensors({"images": np.stack([PIXELS] * 2), "bounding_boxes": targets})
    with pytest.raises(ValueError, match=f"from image 0 on has 2 images, {rows} boxes, {rows} labels; give"):
        kf.data.from_arrays(data, class_names=["cat"])


def test_ragged_tensors():
    images = tf.ragged.stack([PIXELS, PIXELS[:60]])
    boxes = tf.ragged.constant([[BOX], [BOX, [1, 2, 30, 40]]], ragged_rank=1)
    labels = tf.ragged.constant([[0], [1, 0]])
    element = {"images": images, "bounding_boxes": {"boxes": boxes, "labels": labels}}
    for data in (
        kf.data.from_arrays(images, boxes, labels, class_names=["cat", "dog"]),
        kf.data.from_arrays(tf.data.Dataset.from_tensors(element), class_names=["cat", "dog"]),
        kf.data.from_arrays(tf.data.Dataset.from_tensor_slices(element), class_names=["cat", "dog"]),
    ):
        assert [record.height for record in data.records] == [64, 60]
        assert data.records[1].boxes.tolist() == [BOX, [1, 2, 30, 40]]
        assert data.records[1].labels.tolist() == [1, 0]


def test_an_infinite_corner_is_dropped_wherever_it_stands(folder):
    with pytest.warns(UserWarning, match="not finite dropped"):
        data = csv(folder, "a.jpg,inf,10,60,50,cat", "a.jpg,20,10,60,50,cat")
    assert len(data.records[0].boxes) == 1


def test_a_file_that_is_given_twice(folder):
    with pytest.warns(UserWarning, match="1 picture given again left out"):
        data = kf.data.from_arrays([folder / "a.jpg"] * 2, [[BOX]] * 2, [["cat"]] * 2)
    assert len(data) == 1


def test_an_empty_xml_is_a_missing_one(folder):
    voc(folder, "cat", "cat")
    (folder / "b.xml").write_text(" \n")
    with pytest.raises(ValueError, match=r"b\.xml is not readable as XML"):
        kf.data.load(f"folder:{folder}")
    with pytest.warns(UserWarning, match="without an annotation taken as one without objects"):
        data = kf.data.load(f"folder:{folder}", missing_annotation="empty")
    assert [len(record.boxes) for record in data.records] == [1, 0]


def test_ids_that_are_null_or_names_of_files(folder, tmp_path):
    text = json.dumps(
        {
            "images": [{"id": "a.jpg", "file_name": "a.jpg", "height": 64, "width": 96}],
            "categories": [{"id": 1, "name": "cat"}],
            "annotations": [
                {"id": None, "image_id": "a.jpg", "category_id": 1, "bbox": [x, 10, 40, 40]} for x in (1, 20)
            ],
        }
    )
    data = json_of_coco(folder, text=text)
    assert len(data.records[0].boxes) == 2
    again = kf.data.load(write_voc(data, tmp_path / "written", "train"))
    np.testing.assert_array_equal(again.records[0].boxes, data.records[0].boxes)


@pytest.mark.parametrize("name", ["\u200b", "x\uffff"])
def test_names_that_nobody_sees(name):
    with pytest.raises(ValueError, match="cannot be (seen|shown)"):
        arrays([name])


@pytest.mark.parametrize("names", [np.array(["cat"]), ("cat",), {"cat": 0}.keys()])
def test_lists_of_names(names, folder):
    assert arrays([0], class_names=names).class_names == ("cat",)
    assert json_of_coco(folder).with_class_names(names).class_names == ("cat",)


def test_many_things_twice(folder):
    """Counting each among all would take hours."""
    many = [str(number) for number in range(200_000)]
    with pytest.raises(ValueError, match="it has the key '7' twice"):
        json_of_coco(folder, text="{" + ", ".join(f'"{key}": 0' for key in [*many, "7"]) + "}")
    (folder / "train.txt").write_text("a.jpg\n" * 100_000)
    (folder / "a.txt").write_text("0 .4 .4 .3 .3\n")
    (folder / "data.yaml").write_text("path: .\ntrain: train.txt\nnames: [cat]\n")
    with pytest.warns(UserWarning, match="1 picture named again counted once"):
        assert len(kf.data.load(f"yolo:{folder}/data.yaml@train")) == 1


def test_lists_and_text_files_of_yolo(folder):
    (folder / "images").mkdir()
    (folder / "labels").mkdir()
    Image.fromarray(PIXELS).save(folder / "images" / f"{COMPOSED}.jpg")
    Image.fromarray(PIXELS).save(folder / "images" / "c.jpg")
    (folder / "labels" / f"{APART}.txt").write_text("0 .4 .4 .3 .3\n")
    (folder / "labels" / "c.TXT").write_text("0 .4 .4 .3 .3\n")
    (folder / "train.txt").write_text(f'images/{COMPOSED}.jpg\n"images/c.jpg"\nimages/c\n', "utf-8")
    (folder / "data.yaml").write_text("path: .\ntrain: train.txt\nnames: [cat]\n")
    with pytest.warns(UserWarning, match="1 picture named again counted once"):
        data = kf.data.load(f"yolo:{folder}/data.yaml@train")
    assert [len(record.boxes) for record in data.records] == [1, 1]
    (folder / "train.txt").write_text("nothing\n")
    with pytest.raises(ValueError, match="train.txt names no picture; write one path a line"):
        kf.data.load(f"yolo:{folder}/data.yaml@train")


@pytest.mark.parametrize("text", ["", " \n", "{}", '{"imagePath": "b.jpg", "shapes": null}'])
def test_a_labelme_file_without_shapes_is_a_missing_one(folder, text):
    shape = {"label": "cat", "points": [[20, 10], [60, 50]], "shape_type": "rectangle"}
    (folder / "a.json").write_text(json.dumps({"imagePath": "a.jpg", "shapes": [shape]}))
    (folder / "b.json").write_text(text)
    with pytest.raises(ValueError, match=r"b\.json is (not readable as JSON|no file of LabelMe)"):
        kf.data.load(f"labelme:{folder}")
    with pytest.warns(UserWarning, match="without an annotation taken as one without objects"):
        data = kf.data.load(f"labelme:{folder}", missing_annotation="empty")
    assert [len(record.boxes) for record in data.records] == [1, 0]


def test_pictures_of_one_name_in_two_folders_of_yolo(folder):
    for place in ("one", "two"):
        (folder / "images" / place).mkdir(parents=True)
        Image.fromarray(PIXELS).save(folder / "images" / place / "a.jpg")
    (folder / "data.yaml").write_text("train: [images/one, images/two]\nnames: [cat]\n")
    with pytest.warns(UserWarning, match="without a text file"):
        data = kf.data.load(f"yolo:{folder}/data.yaml@train")
    assert [record.image_id for record in data.records] == ["one/a", "two/a"]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("nc: 2\nnames: [cat, dog]", ("cat", "dog")),
        ("names: {0: 007, 1: 0x1f}", ("007", "0x1f")),
        ("names: [7, 1_000, 12:30, 1.10]", ("7", "1_000", "12:30", "1.10")),
        ("names: {00: cat, 01: dog}", ("cat", "dog")),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_numbers_as_names_of_yolo(folder, text, names):
    assert yolo(folder, text).class_names == names


def test_a_picture_with_fractions_among_others(folder):
    """One box in the first pixel is one, if it ends at the border of the pixel."""
    header = "filename,xmin,ymin,xmax,ymax,class"
    others = [f"b.jpg,{x},10,60,50,cat" for x in range(9)]
    data = csv(folder, header, *others, "a.jpg,0,0,1,1,cat")
    assert sorted(len(record.boxes) for record in data.records) == [1, 9]
    with pytest.raises(ValueError, match=r"^a\.jpg in .*x\.csv looks normalized: .* or remove them\.$"):
        csv(folder, header, *others, "a.jpg,.2,.1,.6,.7,cat")
    small = "<xmin>0.2</xmin><ymin>0.1</ymin><xmax>0.6</xmax><ymax>0.7</ymax>"
    voc(folder, "cat", "cat")
    (folder / "b.xml").write_text(
        f"<annotation><object><name>cat</name><bndbox>{small}</bndbox></object></annotation>"
    )
    with pytest.raises(ValueError, match=r"b\.xml looks normalized: its boxes end before pixel 1"):
        kf.data.load(f"folder:{folder}")


@pytest.mark.parametrize(
    ("line", "picture", "annotation", "named"),
    [
        ("c", "a.jpg", "c", "a.jpg.jpg"),
        ("a", "a.jpg.jpg", "a", "a.jpg"),
        ("a.jpg", "a.jpg.jpg", "a.jpg", "a.jpg.jpg"),
        ("a.jpg.jpg", "a.jpg", "a", "a.jpg.jpg"),
    ],
)
def test_endings_that_are_there_twice(tmp_path, line, picture, annotation, named):
    for place in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (tmp_path / place).mkdir(parents=True)
    Image.fromarray(PIXELS).save(tmp_path / "JPEGImages" / picture)
    text = f"<annotation><filename>{named}</filename><object><name>cat</name>{CORNERS}</object></annotation>"
    (tmp_path / "Annotations" / f"{annotation}.xml").write_text(text)
    (tmp_path / "ImageSets" / "Main" / "train.txt").write_text(line)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        data = kf.data.load(f"voc:{tmp_path}@train")
    assert len(data.records[0].boxes) == 1
    mended = [f"{one.message}" for one in caught]
    assert all("1 picture found by another form of its name" in one for one in mended)
    assert len(mended) == (line != "a.jpg")


@pytest.mark.parametrize("name", ["%61%20b.jpg", "https://host/of/a%20b.jpg?size=1", "http://host/a%20b"])
def test_names_that_are_quoted_as_in_urls(folder, name):
    (folder / "a.jpg").rename(folder / "a b.jpg")
    entry = {"id": 1, "file_name": name}
    text = json.dumps({"images": [entry], "annotations": [], "categories": [{"id": 1, "name": "cat"}]})
    with pytest.warns(UserWarning, match="1 picture found by another form of its name"):
        data = json_of_coco(folder, text=text)
    assert data.records[0].file.endswith("a b.jpg")
    (folder / "a b.jpg").rename(folder / "a%20b.jpg")
    assert len(json_of_coco(folder, text=text.replace(name, "a%20b.jpg"))) == 1


def test_names_of_files_that_are_not_utf8(folder, tmp_path):
    name = os.fsdecode(b"k\xe4tze")
    try:
        (folder / "a.jpg").rename(folder / f"{name}.jpg")
    except OSError:
        pytest.skip("this disk has no such names")
    (folder / "b.jpg").unlink()
    text = f"<annotation><object><name>cat</name>{CORNERS}</object></annotation>"
    (folder / f"{name}.xml").write_text(text)
    data = kf.data.load(f"folder:{folder}")
    assert [record.image_id for record in data.records] == [name]
    assert data.image(0).shape == next(iter(data.images())).shape == PIXELS.shape
    assert len(kf.data.load(write_voc(data, tmp_path / "written", "train"))) == 1


@pytest.mark.parametrize(
    "kind", ["voc:{}\0@a", "coco:{}\0.json@a", "csv:{}@\0", "folder:\0{}", "yolo:{}\0@a"]
)
def test_a_spec_with_a_zero_byte(tmp_path, kind):
    with pytest.raises(ValueError, match=r"^'.*\\x00.*' has a zero byte, which no path has; leave it out\.$"):
        kf.data.load(kind.format(tmp_path))


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32"])
def test_wide_encodings_without_their_mark(folder, encoding):
    (folder / "x.csv").write_bytes("a.jpg,20,10,60,50,cat".encode(encoding))
    (folder / "x.json").write_bytes("[1, 2]".encode(encoding))
    (folder / "data.yaml").write_text("train: .\nnames: [cat]\n")
    (folder / "a.txt").write_bytes("0 .4 .4 .3 .3".encode(encoding))
    for spec in (
        f"csv:{folder}/x.csv@{folder}",
        f"coco:{folder}/x.json@{folder}",
        f"yolo:{folder}/data.yaml@train",
    ):
        with pytest.raises(ValueError, match=r"is in UTF-16 or UTF-32 without .*; save it as UTF-8\.$"):
            kf.data.load(spec)


@pytest.mark.parametrize("sign", ["\x1b[2J", "\n", "\u2028", "\u202e"])
def test_names_of_files_that_would_change_a_terminal(folder, sign, capsys):
    """The warning, the error and the report show them escaped."""
    (folder / "a.jpg").rename(folder / f"a{sign}b.jpg")
    (folder / "data.yaml").write_text("train: .\nnames: [cat]\n")
    spec = f"yolo:{folder}/data.yaml@train"
    shown = re.escape("a" + sign.encode("unicode_escape").decode() + "b")
    with pytest.warns(UserWarning, match=rf"taken as one without objects \(first: .*{shown}\.jpg\)\.$"):
        kf.data.load(spec)
    (folder / f"a{sign}b.txt").write_text("9 .4 .4 .3 .3\n")
    with pytest.raises(SystemExit):
        evaluate.main(["--model", "none.keras", "--data", spec])
    assert re.search(rf"^Line 1 of .*{shown}\.txt has the class 9", capsys.readouterr().err)
    found = Finding("note", "a picture", [f"a{sign}b.jpg"])
    assert re.fullmatch(rf"a picture: {shown}\.jpg", found.line())


@pytest.mark.parametrize("nc", ["1", "1.0", "01", "0x1", "+1", "", "~"])
def test_a_number_of_classes_in_any_form(folder, nc):
    (folder / "a.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    (folder / "data.yaml").write_text(f"train: .\nnc: {nc}\nnames: [cat]\n")
    assert kf.data.load(f"yolo:{folder}/data.yaml@train").class_names == ("cat",)


@pytest.mark.parametrize("box", ["-40.5,-30.2,-3.1,-2.7", "-40.5,-30.2,0.6,0.7", "0,0,0.03,0.02"])
def test_a_box_beside_the_picture_is_no_fraction(folder, box):
    data = csv(folder, f"a.jpg,{box},cat", "b.jpg,1,2,9,9,cat")
    assert len(data) == 2 and len(data.records[1].boxes) == 1


def test_a_row_of_pandas_without_an_object(folder):
    data = csv(folder, "a.jpg,20,10,60,50,cat", "b.jpg,nan,nan,nan,nan,nan")
    assert [len(record.boxes) for record in data.records] == [1, 0] and data.class_names == ("cat",)
    header = "filename,width,height,class,xmin,ymin,xmax,ymax,difficult"
    data = csv(
        folder, header, "a.jpg,nan,nan,cat,20,10,60,50,nan", "b.jpg,None,NULL,N/A,nan,nan,nan,nan,<NA>"
    )
    assert [len(record.boxes) for record in data.records] == [1, 0] and data.class_names == ("cat",)
    data = csv(folder, "a.jpg,20,10,60,50,nan", "b.jpg,,,,,", classes="nan,0\n")
    assert data.class_names == ("nan",) and len(data.records[0].boxes) == 1


def test_a_set_without_objects_beside_one_that_has_some(folder):
    (folder / "empty").mkdir()
    (folder / "a.jpg").rename(folder / "empty" / "a.jpg")
    (folder / "empty" / "a.json").write_text('{"imagePath": "a.jpg", "shapes": []}')
    csv(folder, "b.jpg,20,10,60,50,cat")
    specs = [f"csv:{folder}/x.csv@{folder}", f"labelme:{folder}/empty"]
    assert [len(record.boxes) for record in kf.data.load(specs).records] == [1, 0]
    assert kf.data.load(specs[1], class_names=["cat"]).class_names == ("cat",)
    with pytest.raises(ValueError, match="^labelme:.* has no class, because none of its pictures"):
        kf.data.load(specs[1])

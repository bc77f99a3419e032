"""The same pictures as labelImg, Roboflow, Ultralytics, keras-retinanet, Kaggle and LabelMe leave them."""

import json
import shutil

import numpy as np
import pytest

from keras_frcnn import data

BOXES = {"a": [("cat", (4, 9, 20, 30)), ("dog", (30, 5, 59, 40))], "b": [("dog", (1, 2, 3, 58))], "c": []}
SIZES = {"a": (40, 60), "b": (60, 40), "c": (50, 50)}


@pytest.fixture
def pictures(tmp_path, write_picture):
    """A function that writes the three pictures into a folder."""

    def write(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for name, size in SIZES.items():
            write_picture(folder / f"{name}.jpg", *size)
        return folder

    return write


def yolo_line(label, box, height, width):
    x1, y1, x2, y2 = box
    numbers = (x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height
    return " ".join([str(label), *(f"{number:.8f}" for number in numbers)])


def write_yolo(folder, names):
    folder.mkdir(parents=True, exist_ok=True)
    for name, objects in BOXES.items():
        lines = [yolo_line(names.index(label), box, *SIZES[name]) for label, box in objects]
        if lines:
            (folder / f"{name}.txt").write_text("\n".join(lines) + "\n")


def check(dataset, names=("cat", "dog")):
    assert dataset.class_names == names
    assert [record.file.rpartition("/")[2] for record in dataset.records] == ["a.jpg", "b.jpg", "c.jpg"]
    for record, (name, objects) in zip(dataset.records, BOXES.items()):
        assert (record.height, record.width) == SIZES[name]
        np.testing.assert_allclose(record.boxes, np.reshape([box for _, box in objects], [-1, 4]), atol=1e-4)
        assert [dataset.class_names[label] for label in record.labels] == [label for label, _ in objects]
        assert not record.ignore.any()


def write_xml(folder, write_annotation, shift=1):
    for name, objects in BOXES.items():
        inclusive = [(label, (x1 + 1, y1 + 1, x2, y2)) for label, (x1, y1, x2, y2) in objects]
        (folder / f"{name}.xml").write_text(write_annotation(SIZES[name], inclusive))


@pytest.mark.filterwarnings("error")
def test_labelimg(pictures, tmp_path, write_annotation):
    write_xml(pictures(tmp_path / "flat"), write_annotation)
    check(data.load(f"folder:{tmp_path}/flat"))


@pytest.mark.parametrize("place", ["", "train"])
def test_labels_of_a_folder_with_xml(pictures, tmp_path, write_annotation, place):
    write_xml(pictures(tmp_path / "set/train"), write_annotation)
    before = data.load(f"folder:{tmp_path}/set@train")
    names = ["other", *reversed(before.class_names)]
    (tmp_path / "set" / place / "labels.txt").write_text("\n".join(names))
    found = data.load(f"folder:{tmp_path}/set@train")
    assert found.class_names == tuple(names)
    for mine, theirs in zip(found.records, before.records, strict=True):
        assert [names[label] for label in mine.labels] == [
            before.class_names[label] for label in theirs.labels
        ]
    (tmp_path / "set" / place / "labels.txt").write_text("other")
    with pytest.raises(ValueError, match="has the class .*, which .*labels.txt lacks; add it there"):
        data.load(f"folder:{tmp_path}/set@train")


@pytest.mark.filterwarnings("error")
def test_roboflow_voc(pictures, tmp_path, write_annotation):
    for split in ("train", "valid"):
        write_xml(pictures(tmp_path / "my@home" / split), write_annotation)
    (tmp_path / "my@home/valid/b.xml").write_text(write_annotation((60, 40), [("owl", (1, 1, 9, 9))]))
    check(data.load(f"folder:{tmp_path}/my@home@train"), ("cat", "dog", "owl"))
    with pytest.raises(ValueError, match="has the folders train, valid; name one, such as folder:.*@train"):
        data.load(f"folder:{tmp_path}/my@home")
    with pytest.raises(FileNotFoundError, match="There is no folder .*test; it has train, valid"):
        data.load(f"folder:{tmp_path}/my@home@test")


def coco_content():
    content = {
        "images": [],
        "annotations": [],
        "categories": [{"id": 0, "name": "cat"}, {"id": 1, "name": "dog"}],
    }
    for number, (name, objects) in enumerate(BOXES.items()):
        height, width = SIZES[name]
        content["images"].append({"id": number, "file_name": f"{name}.jpg", "height": height, "width": width})
        for label, (x1, y1, x2, y2) in objects:
            content["annotations"].append(
                {
                    "id": len(content["annotations"]),
                    "image_id": number,
                    "category_id": ("cat", "dog").index(label),
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                }
            )
    return content


@pytest.mark.filterwarnings("error")
def test_roboflow_coco(pictures, tmp_path):
    folder = pictures(tmp_path / "x/train")
    (folder / "_annotations.coco.json").write_text(json.dumps(coco_content()))
    check(data.load(f"folder:{tmp_path}/x@train"))


@pytest.mark.parametrize("train", ["images/train", "../images/train", "lists.txt", ["images/train"]])
def test_ultralytics(pictures, tmp_path, train):
    pictures(tmp_path / "images/train")
    write_yolo(tmp_path / "labels/train", ["dog", "cat"])
    (tmp_path / "lists.txt").write_text("".join(f"./images/train/{name}.jpg\n" for name in BOXES))
    content = {"train": train, "val": "images/val", "names": {0: "dog", 1: "cat"}}
    (tmp_path / "data.yaml").write_text(json.dumps(content))
    with pytest.warns(UserWarning, match="1 picture without a text file taken as one without objects"):
        check(data.load(f"yolo:{tmp_path}/data.yaml@train"), ("dog", "cat"))
    with pytest.raises(FileNotFoundError, match="has no split test; it has train, val"):
        data.load(f"yolo:{tmp_path}/data.yaml@test")


def test_yolo_in_one_folder(pictures, tmp_path):
    folder = pictures(tmp_path / "flat")
    write_yolo(folder, ["cat", "dog"])
    with pytest.raises(
        FileNotFoundError, match="has neither VOC XML nor _annotations.coco.json, and no classes.txt"
    ):
        data.load(f"folder:{folder}")
    (folder / "classes.txt").write_text("cat\ndog\n")
    with pytest.warns(UserWarning, match="1 picture without a text file"):
        check(data.load(f"folder:{folder}"))


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("0 0.1 0.1 0.2", "Line 1 of .*a.txt has 3 coordinates; write the center"),
        ("2 0.1 0.1 0.2 0.2", "Line 1 of .*a.txt has the class 2, but there are the numbers 0 to 1"),
        ("1e308 0.1 0.1 0.2 0.2", "has the class 1e308, but there are"),
        ("9" * 400 + " 0.1 0.1 0.2 0.2", "has the class 9999"),
        ("0 0.1 x 0.2 0.2", "Line 1 of .*a.txt is wrong: 'x' is no number"),
        ("0 30 20 10 10", "has 30, which is no fraction; divide x by the width"),
        ("0 0.5 0.5 -0.1 0.1", "Object 0 of .*a.txt ends before it begins"),
    ],
)
def test_lines_of_yolo_that_are_wrong(pictures, tmp_path, line, sentence):
    folder = pictures(tmp_path / "flat")
    write_yolo(folder, ["cat", "dog"])
    (folder / "c.txt").write_text("")
    (folder / "classes.txt").write_text("cat\ndog\n")
    (folder / "a.txt").write_text(line)
    with pytest.raises(ValueError, match=sentence):
        data.load(f"folder:{folder}")


def test_polygons_and_repeated_lines_of_yolo(pictures, tmp_path):
    folder = pictures(tmp_path / "flat")
    write_yolo(folder, ["cat", "dog"])
    (folder / "c.txt").write_text("0 0.2 0.1 0.6 0.3 0.4 0.5\n0 0.2 0.1 0.6 0.3 0.4 0.5\n")
    (folder / "classes.txt").write_text("cat\ndog\n")
    with (
        pytest.warns(UserWarning, match="1 polygon replaced with the box around it"),
        pytest.warns(UserWarning, match="1 line repeating another of its file left out"),
    ):
        record = data.load(f"folder:{folder}").records[2]
    np.testing.assert_allclose(record.boxes, [[10, 5, 30, 25]], atol=1e-4)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("train: x\n", "has no list of `names`; add the names"),
        ("names: {0: a, 2: b}\ntrain: x\n", "has `names` with gaps"),
        ("names: [a, a]\ntrain: x\n", "an empty name or one twice in `names`"),
        ("names: [a]\ntrain: " + "x" * 400, "There is no folder"),
        ("names: [a]\ntrain: x\npath: " + "x" * 400, "There is no folder .*x, which"),
        ("names: [a]\ntrain: x\n", "There is no folder .*x, which .*data.yaml names; check its `path`"),
        ("[1", "is not readable as YAML"),
        ("7", "is no YAML file of YOLO"),
    ],
)
def test_yaml_that_is_wrong(tmp_path, text, sentence):
    (tmp_path / "data.yaml").write_text(text)
    with pytest.raises((ValueError, FileNotFoundError), match=sentence):
        data.load(f"yolo:{tmp_path}/data.yaml@train")


def rows(names=("path", "x1", "y1", "x2", "y2", "class")):
    for name, objects in BOXES.items():
        for label, box in objects or [("", ("",) * 4)]:
            yield dict(zip(names, (f"{name}.jpg", *box, label)))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_keras_retinanet(pictures, tmp_path, delimiter):
    lines = [delimiter.join(str(value) for value in row.values()) for row in rows()]
    (tmp_path / "train.csv").write_text("\ufeff" + "\r\n".join(lines))
    (tmp_path / "classes.csv").write_text("dog,0\ncat,1\n")
    check(data.load(f"csv:{tmp_path}/train.csv@{pictures(tmp_path / 'images')}"), ("dog", "cat"))


@pytest.mark.filterwarnings("error")
def test_tensorflow_and_kaggle(pictures, tmp_path):
    folder = pictures(tmp_path / "images")
    lines = ["filename,width,height,class,xmin,ymin,xmax,ymax"]
    kaggle = ["image_id,width,height,bbox,label"]
    for row in rows():
        (height, width), box = SIZES[row["path"][0]], [row[key] for key in ("x1", "y1", "x2", "y2")]
        lines.append(",".join(map(str, [row["path"], width, height, row["class"], *box])))
        x1, y1, x2, y2 = box
        text = f'"[{x1}, {y1}, {x2 - x1}, {y2 - y1}]"' if row["class"] else ""
        kaggle.append(f"{row['path'][0]},{width},{height},{text},{row['class']}")
    for name, content in (("tf.csv", lines), ("kaggle.csv", kaggle)):
        (tmp_path / name).write_text("\n".join(content))
        check(data.load(f"csv:{tmp_path}/{name}@{folder}"))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "has no row; write one for each object"),
        ("a.jpg,1,2,x,4,cat", "Line 1 of .* has a box that is not four numbers .'x' is no number"),
        ("a.jpg,1,2,3,4,", "Line 1 of .* has an empty class name"),
        (f"image,bbox\na.jpg,{'[' * 100_000}", "Line 2 of .* has a box that is not four numbers"),
        ("z.jpg,1,2,3,4,cat", "There is no image .*z.jpg, which Line 1 of .* names"),
        ("../a.jpg,1,2,3,4,cat", "which leads out of .*; write it relative to that folder"),
        ('a,"b\n1,2\n', "has the columns a, b 1,2; write"),
        ("a,b\n1,2", "has the columns a, b; write path,x1,y1,x2,y2,class without a header"),
        ("a.jpg,1,2,3,4,cat\na.jpg,1,2", "Line 2 of .* has 3 columns, not 6"),
        ("a.jpg,0.1,0.2,0.3,0.4,cat", "looks normalized"),
    ],
)
def test_rows_that_are_wrong(pictures, tmp_path, text, sentence):
    (tmp_path / "train.csv").write_text(text)
    with pytest.raises((ValueError, FileNotFoundError), match=sentence):
        data.load(f"csv:{tmp_path}/train.csv@{pictures(tmp_path / 'images')}")


def shape(label, points, kind="rectangle"):
    return {"label": label, "points": points, "shape_type": kind}


@pytest.mark.filterwarnings("error")
def test_labelme(pictures, tmp_path):
    folder = pictures(tmp_path / "images")
    for name, objects in BOXES.items():
        height, width = SIZES[name]
        # Its rectangles have two corners, in either order.
        shapes = [shape(label, [[x2, y2], [x1, y1]]) for label, (x1, y1, x2, y2) in objects]
        content = {
            "imagePath": f"..\\x\\{name}.jpg",
            "imageHeight": height,
            "imageWidth": width,
            "shapes": shapes,
        }
        (folder / f"{name}.json").write_text(json.dumps(content))
    check(data.load(f"labelme:{folder}"))


def test_other_shapes_and_files_of_labelme(pictures, tmp_path):
    folder = pictures(tmp_path / "images")
    shapes = [
        shape("cat", [[5, 6], [9, 20], [3, 8]], "polygon"),
        shape("cat", [[20, 20], [20, 25]], "circle"),
    ]
    (folder / "a.json").write_text(json.dumps({"imagePath": "a.jpg", "shapes": shapes}))
    with pytest.raises(
        FileNotFoundError, match="There is no annotation .*b.json; .* --missing-annotation empty"
    ):
        data.load(f"labelme:{folder}")
    with pytest.warns(UserWarning, match="2 shapes other than a rectangle replaced with the box around it"):
        dataset = data.load(f"labelme:{folder}", missing_annotation="empty")
    np.testing.assert_allclose(dataset.records[0].boxes, [[3, 6, 9, 20], [15, 15, 25, 25]])
    for content, sentence in (
        ({"version": 1}, "a.json is no file of LabelMe"),
        ({"imagePath": "a.jpg", "shapes": [{"points": []}]}, "Shape 0 of .*a.json has no `label`"),
        (
            {"imagePath": "a.jpg", "shapes": [shape("cat", [[1, "x"]])]},
            "Shape 0 of .*a.json has `points` that are",
        ),
    ):
        (folder / "a.json").write_text(json.dumps(content))
        with pytest.raises(ValueError, match=sentence):
            data.load(f"labelme:{folder}")


def test_an_xml_without_a_picture(pictures, tmp_path, write_annotation):
    folder = pictures(tmp_path / "flat")
    write_xml(folder, write_annotation)
    shutil.copy(folder / "a.xml", folder / "z.xml")
    with pytest.warns(UserWarning, match="1 annotation without a picture left out .first: .*z.xml"):
        check(data.load(f"folder:{folder}"))


def test_yolo_beside_the_pictures_in_a_folder_named_images(pictures, tmp_path):
    folder = pictures(tmp_path / "images")
    write_yolo(folder, ["cat", "dog"])
    (folder / "classes.txt").write_text("cat\ndog\n")
    with pytest.warns(UserWarning, match="1 picture without a text file"):
        check(data.load(f"folder:{folder}"))


def test_lists_of_yolo(pictures, tmp_path):
    pictures(tmp_path / "images")
    write_yolo(tmp_path / "labels", ["cat", "dog"])
    (tmp_path / "data.yaml").write_text("train: list.txt\nnames: [cat, dog]\n")
    (tmp_path / "list.txt").write_text(f"{tmp_path}/images/a.jpg\n")
    with pytest.raises(ValueError, match="which leads out of its folder; write paths relative to it, or"):
        data.load(f"yolo:{tmp_path}/data.yaml@train")
    assert len(data.load(f"yolo:{tmp_path}/data.yaml@train", allow_outside=True)) == 1
    (tmp_path / "list.txt").write_text("images/a.jpg\nimages/b.jpg # x\n")
    with pytest.warns(UserWarning, match="1 line naming no picture left out .first: images/b.jpg # x"):
        assert len(data.load(f"yolo:{tmp_path}/data.yaml@train")) == 1


def test_a_broken_picture_of_yolo_is_skipped(pictures, tmp_path):
    folder = pictures(tmp_path / "flat")
    write_yolo(folder, ["cat", "dog"])
    (folder / "classes.txt").write_text("cat\ndog\n")
    (folder / "a.jpg").write_bytes(b"no picture")
    with pytest.warns(UserWarning, match="1 picture that cannot be decoded skipped"):
        assert len(data.load(f"folder:{folder}", on_broken="skip")) == 2


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("names: [no, yes]", "has False in `names`, which is no name; put it into quotes"),
        ("names: [[a, b]]", "which is no name"),
        ("names: [a]\nkpt_shape: [17, 3]", "has key points, not boxes"),
        ("d: 2020-13-45", "is not readable as YAML"),
        ("d: !!timestamp foo", "is not readable as YAML"),
    ],
)
def test_yaml_of_other_kinds(tmp_path, text, sentence):
    (tmp_path / "data.yaml").write_text(f"{text}\ntrain: x\n")
    with pytest.raises(ValueError, match=sentence):
        data.load(f"yolo:{tmp_path}/data.yaml@train")


def test_names_of_one_picture_in_a_csv(pictures, tmp_path):
    folder = pictures(tmp_path / "images")
    (tmp_path / "train.csv").write_text("a.jpg,1,2,9,9,cat\n./a.jpg,3,4,9,9,dog\n")
    with pytest.warns(UserWarning, match="1 row naming its picture in another form joined with the others"):
        (record,) = data.load(f"csv:{tmp_path}/train.csv@{folder}").records
    assert len(record.boxes) == 2
    (tmp_path / "train.csv").write_text("train/a.jpg,1,2,9,9,cat\nval/a.jpg,3,4,9,9,dog\n")
    with pytest.raises(ValueError, match="names val/a.jpg, and another line train/a.jpg, but both are "):
        data.load(f"csv:{tmp_path}/train.csv@{folder}")


def test_columns_of_a_csv(pictures, tmp_path):
    folder = pictures(tmp_path / "images")
    (tmp_path / "train.csv").write_text("filename,name,class,xmin,ymin,xmax,ymax\na.jpg,x,cat,1,2,9,9\n")
    assert data.load(f"csv:{tmp_path}/train.csv@{folder}").class_names == ("cat",)
    (tmp_path / "train.csv").write_text("filename,xmin,ymin,xmax,ymax,species\na.jpg,1,2,9,9,cat\n")
    with pytest.raises(ValueError, match="has no column of classes; rename that of 'species' to class"):
        data.load(f"csv:{tmp_path}/train.csv@{folder}")


def test_labelme_in_sub_folders(pictures, tmp_path):
    folder = pictures(tmp_path / "images")
    pictures(folder / "day2")
    for place, count in ((folder, 1), (folder / "day2", 2)):
        for name in SIZES:
            shapes = [shape("cat", [[2, 3], [9, 20]])] * count
            (place / f"{name}.json").write_text(json.dumps({"imagePath": f"{name}.jpg", "shapes": shapes}))
    counts = {record.image_id: len(record.boxes) for record in data.load(f"labelme:{folder}").records}
    assert counts == {**dict.fromkeys("abc", 1), **{f"day2/{name}": 2 for name in "abc"}}


def test_the_picture_that_an_xml_of_another_name_names(pictures, tmp_path, write_annotation):
    folder = pictures(tmp_path / "flat")
    write_xml(folder, write_annotation)
    text = (folder / "a.xml").read_text().replace("other.jpg", "a.jpg")
    (folder / "001.xml").write_text(text)
    (folder / "a.xml").unlink()
    with pytest.warns(UserWarning, match="1 picture found by another form of its name"):
        check(data.load(f"folder:{folder}"))


def test_a_class_that_the_list_of_a_csv_lacks(pictures, tmp_path):
    (tmp_path / "train.csv").write_text("a.jpg,1,2,9,9,owl\n")
    (tmp_path / "classes.csv").write_text("cat,0\n")
    with pytest.raises(ValueError, match="a.jpg in .* has the class owl, which .*classes.csv lacks"):
        data.load(f"csv:{tmp_path}/train.csv@{pictures(tmp_path / 'images')}")

"""A check finds what is planted in a set, by file and object, and nothing else."""

import json
import re
import shutil

import cv2
import numpy as np
import pytest

from keras_frcnn.checking.check import check, strays
from keras_frcnn.checking.findings import status
from keras_frcnn.data.readers.assembly import STRICT, Reading
from keras_frcnn.layers import AnchorGenerator

LAYOUTS = ("voc", "coco", "yolo")


def worst(checked, *severities):
    """The texts of the findings, notes left out unless they are asked for."""
    wanted = severities or ("error", "warning")
    return [finding.line() for finding in checked.findings if finding.severity in wanted]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_nothing_is_wrong_in_a_clean_set(clean, checked, tmp_path, layout):
    found, pairs = checked(clean(layout, tmp_path))
    assert worst(found) == [] and pairs == [] and status(found.findings) == 0
    assert found.figures["images"] == 12 and found.figures["width"] == [320, 320, 320]
    assert found.figures["objects"] == sum(found.figures["classes"].values())


def every(checked, kind):
    """The places of the one finding with some words."""
    (finding,) = [finding for finding in checked.findings if re.search(kind, finding.text)]
    return finding.places


def test_all_wrong_annotations_are_told_not_only_the_first(clean, checked, tmp_path):
    spec = clean("voc", tmp_path)
    for number, (old, new) in {
        1: ("<name>[^<]*", "<name> "),
        2: ("</annotation>", ""),
        3: ("<width>320", "<width>300"),
        4: (r"<xmin>\d+", "<xmin>900"),
        5: (r"<ymax>\d+", "<ymax>x"),
        6: ("<difficult>0", "<difficult>maybe"),
    }.items():
        file = tmp_path / f"Annotations/scene{number}.xml"
        file.write_text(re.sub(old, new, file.read_text(), count=1))
    (tmp_path / "Annotations/scene7.xml").unlink()
    (tmp_path / "JPEGImages/scene8.jpg").unlink()
    (tmp_path / "JPEGImages/scene9.jpg").write_bytes(b"no picture")
    found, _ = checked(spec)
    errors = "\n".join(worst(found, "error"))
    for number, words in {
        1: "Object 0 of .*scene1.xml lacks a name",
        2: "scene2.xml is not readable as XML",
        3: "scene3.xml states 300x256 pixels but .*scene3.jpg has 320x256",
        4: "Object 0 of .*scene4.xml ends before it begins",
        5: "Object 0 of .*scene5.xml lacks a bndbox of four numbers",
        6: "Object 0 of .*scene6.xml has a `difficult` that is wrong",
        7: "There is no annotation .*scene7.xml",
        8: "has no image scene8",
        9: "scene9.jpg cannot be decoded",
    }.items():
        assert re.search(words, errors), number
    assert len(worst(found, "error")) == 9 and status(found.findings) == 2
    # What is right in the others is kept.
    assert len(found.dataset) == 7
    assert every(found, "annotation without a picture") == [str(tmp_path / "Annotations/scene8.xml")]


def test_wrong_entries_of_coco(clean, checked, tmp_path):
    spec = clean("coco", tmp_path)
    content = json.loads((tmp_path / "train.json").read_text())
    objects, pictures = content["annotations"], content["images"]
    objects[0]["bbox"] = [1, 2, 3]
    objects[1]["category_id"] = 99
    objects[2]["iscrowd"] = "perhaps"
    objects[3]["image_id"] = 1234
    objects[4]["area"] = None
    objects.append({**objects[5], "bbox": [1, 2, 3, 4]})
    pictures[1]["file_name"] = "../secret.jpg"
    pictures[2]["file_name"] = "missing.jpg"
    pictures.append({**pictures[3], "width": 7})
    (tmp_path / "train.json").write_text(json.dumps(content))
    found, _ = checked(spec)
    errors = worst(found, "error")
    for words in (
        "Annotation 1 .*`bbox`",
        "Annotation 2 .*names category 99",
        "Annotation 3 .*`iscrowd`",
        "Annotation 4 .*names image 1234",
        "Annotation 6 .*id of another annotation",
        "Image 2 .*leads out of",
        "There is no image .*missing.jpg",
        'Two of "images" .*the id 4',
    ):
        assert len([error for error in errors if re.search(words, error)]) == 1, (words, errors)
    # No second complaint about the objects of a refused picture.
    assert len(errors) == 8
    assert every(found, "area other than") == [f"Annotation 5 in {tmp_path}/train.json"]


def test_wrong_lines_of_yolo_csv_and_labelme(clean, checked, tmp_path):
    spec = clean("yolo", tmp_path / "yolo")
    file = tmp_path / "yolo/labels/train/scene0.txt"
    file.write_text(file.read_text() + "99 0.5 0.5 0.1 0.1\n0 0.5 0.5\n0 50 50 10 10\n")
    found, _ = checked(spec)
    assert len(worst(found, "error")) == 3 and len(found.dataset) == 12
    pictures = tmp_path / "yolo/images/train"
    rows = "scene0.jpg,10,10,40,40,star\nscene1.jpg,10,10,x,40,star\nscene77.jpg,1,1,9,9,star\nscene2.jpg,5\n"
    (tmp_path / "rows.csv").write_text(rows)
    found, _ = checked(f"csv:{tmp_path}/rows.csv@{pictures}")
    assert len(worst(found, "error")) == 3 and len(found.dataset) == 2
    shape = {"label": "star", "points": [[1, 2], [30, 40]], "shape_type": "rectangle"}
    for number, shapes in enumerate(([shape, {**shape, "points": [[1]]}], [{**shape, "label": ""}], "none")):
        (pictures / f"scene{number}.json").write_text(json.dumps({"shapes": shapes}))
    found, _ = checked(f"labelme:{pictures}", reading=Reading(missing_annotation="empty"))
    assert len(worst(found, "error")) == 3 and [len(record.labels) for record in found.dataset.records][
        :2
    ] == [1, 0]


def test_what_is_wrong_with_pictures(clean, checked, tmp_path):
    spec = clean("voc", tmp_path)
    folder = tmp_path / "JPEGImages"
    whole = (folder / "scene0.jpg").read_bytes()
    (folder / "scene0.jpg").write_bytes(whole[: len(whole) // 2])
    png = cv2.imencode(".png", cv2.imread(str(folder / "scene1.jpg")))[1]
    (folder / "scene1.jpg").write_bytes(png.tobytes())
    exif = b"\xff\xe1\x00\x22Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x03\0\0\0\0\0\0\0"
    turned = (folder / "scene2.jpg").read_bytes()
    (folder / "scene2.jpg").write_bytes(turned[:2] + exif + turned[2:])
    gray = cv2.imread(str(folder / "scene3.jpg"), cv2.IMREAD_GRAYSCALE)
    cv2.imwrite(str(folder / "scene3.jpg"), gray)
    shutil.copy(folder / "scene4.jpg", folder / "scene5.jpg")
    found, _ = checked(spec)
    assert every(found, "cannot be decoded") == [str(folder / "scene0.jpg")]
    assert every(found, "another format than the ending") == [str(folder / "scene1.jpg")]
    assert every(found, "turned by EXIF") == [str(folder / "scene2.jpg")]
    assert every(found, "without colors") == [str(folder / "scene3.jpg")]
    assert every(found, "equal to another with different objects") == [
        f"{folder}/scene5.jpg ({folder}/scene4.jpg)"
    ]


@pytest.mark.parametrize("share", [0.3, 0.9, 0.99])
def test_a_truncated_picture_is_one_that_training_cannot_decode(clean, checked, tmp_path, share):
    spec = clean("voc", tmp_path)
    file = tmp_path / "JPEGImages/scene0.jpg"
    # Large enough to be decoded at an eighth of its size.
    large = cv2.resize(cv2.imread(str(file)), (1600, 1280))
    contents = cv2.imencode(".jpg", large)[1].tobytes()
    xml = tmp_path / "Annotations/scene0.xml"
    xml.write_text(xml.read_text().replace("320", "1600").replace("256", "1280"))
    for some, broken in ((contents, False), (contents[: int(share * len(contents))], True)):
        file.write_bytes(some)
        found, _ = checked(spec)
        assert found.pictures[str(file)].broken == broken
        if broken:
            with pytest.raises(ValueError, match="cannot be decoded"):
                found.dataset.image(0)


def test_classes_and_boxes(clean, checked, tmp_path):
    spec = clean("voc", tmp_path)
    for number in (0, 1):
        file = tmp_path / f"Annotations/scene{number}.xml"
        objects = "".join(
            f"<object><name>{name}</name><bndbox><xmin>{x}</xmin><ymin>9</ymin><xmax>{x + side}</xmax>"
            f"<ymax>{9 + side}</ymax></bndbox></object>"
            for name, x, side in (("triangl", 9, 40), ("star", 9, 40), ("star", 9, 40), ("cross", 200, 3))
        )
        file.write_text(file.read_text().replace("</annotation>", objects + "</annotation>"))
    labels = tmp_path / "labels.txt"
    labels.write_text(labels.read_text() + "triangl\nunused\n")
    found, _ = checked(spec)
    (file,) = [record.file for record in found.dataset.records if record.file.endswith("scene0.jpg")]
    twins = every(found, "nearly the name of another")
    assert len(twins) == 2 and re.fullmatch(rf"object \d of {file} \(triangl, like triangle\)", twins[0])
    assert every(found, "class without objects") == ["unused"]
    assert "triangl (2)" in every(found, "fewer than 10")
    assert len(every(found, "annotated twice")) == 2 and len(every(found, "less than 8 pixels")) == 2


def test_classes_that_differ_in_case_are_told_once_at_the_objects_of_the_rarer(clean, checked, tmp_path):
    spec = clean("voc", tmp_path)
    (tmp_path / "labels.txt").unlink()
    file = next(one for one in (tmp_path / "Annotations").iterdir() if ">circle<" in one.read_text())
    file.write_text(file.read_text().replace(">circle<", ">Circle <", 1))
    found, _ = checked(spec)
    (told,) = [line for line in worst(found) if "nearly the name" in line]
    assert told.startswith("1 object of a class") and "(Circle, like circle)" in told


def test_sizes_given_as_corners_are_one_finding(clean, checked, tmp_path):
    spec = clean("voc", tmp_path)
    for file in (tmp_path / "Annotations").iterdir():
        text = file.read_text()
        for low, high in (("xmin", "xmax"), ("ymin", "ymax")):
            corner = rf"<{low}>(\d+)</{low}>(.*?)<{high}>(\d+)</{high}>"

            def as_size(found, low=low, high=high):
                size = int(found[3]) - int(found[1])
                return f"<{low}>{found[1]}</{low}>{found[2]}<{high}>{size}</{high}>"

            text = re.sub(corner, as_size, text, flags=re.DOTALL)
        file.write_text(text)
    found, _ = checked(spec)
    (error,) = worst(found, "error")
    assert "but as x, y, width, height 100% of them lie inside" in error


def test_boxes_of_smaller_copies(clean, checked, tmp_path):
    spec = clean("voc", tmp_path)
    for file in (tmp_path / "Annotations").iterdir():
        smaller = re.sub(
            r"(<[xy]m..>)(\d+)", lambda found: f"{found[1]}{int(found[2]) // 3}", file.read_text()
        )
        file.write_text(smaller)
    found, _ = checked(spec)
    (told,) = [line for line in worst(found) if line.startswith("The boxes")]
    assert "of smaller copies" in told and "end before 33% of their picture's sides" in told


def test_a_broken_picture_is_no_picture_that_nothing_names(clean, tmp_path):
    spec = clean("voc", tmp_path)
    (tmp_path / "JPEGImages/scene9.jpg").write_bytes(b"no picture")
    (tmp_path / "JPEGImages/more.jpg").write_bytes((tmp_path / "JPEGImages/scene1.jpg").read_bytes())
    anchors = AnchorGenerator(sizes=(16,), strides=(4,))
    found = check(spec, STRICT, (256, 320), anchors, True, lambda done, total: None)
    (stray,) = strays([found])
    assert stray.places == [str(tmp_path / "JPEGImages/more.jpg")]


def test_a_set_that_is_only_measured_on_gets_no_advice_for_training(clean, tmp_path):
    spec = clean("voc", tmp_path)
    anchors = AnchorGenerator(sizes=(16,), strides=(4,))
    lines = [
        "\n".join(
            worst(check(spec, STRICT, (256, 320), anchors, True, lambda done, total: None, trains), "note")
        )
        for trains in (True, False)
    ]
    assert "hardly be found" in lines[0] and "scores say little" in lines[1]


def test_pictures_that_are_in_two_sets(clean, checked, tmp_path):
    first, second = clean("voc", tmp_path / "one"), clean("voc", tmp_path / "two")
    folder = tmp_path / "two/JPEGImages"
    generator = np.random.default_rng(0)
    for number in range(12):
        file = folder / f"scene{number}.jpg"
        image = cv2.imread(str(file))
        if number == 0:
            continue
        if number == 1:
            image = image[:, ::-1]
        elif number == 2:
            cv2.imwrite(str(file), image, [cv2.IMWRITE_JPEG_QUALITY, 40])
            continue
        elif number == 3:
            image = cv2.convertScaleAbs(image, alpha=1.1, beta=8)
        else:
            noise = generator.uniform(0, 255, [8, 10, 3]).astype(np.uint8)
            image = cv2.resize(noise, (320, 256), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(file), image)
    _, _, pairs = checked(first, second)
    same, near = pairs
    assert [place.split("/")[-2:] for place in same.places] == [["JPEGImages", "scene0.jpg)"]]
    assert sorted(re.findall(r"scene(\d+).jpg \(", " ".join(near.places))) == ["1", "2", "3"]


def test_a_set_in_which_nothing_counts(clean, checked, tmp_path):
    spec = clean("voc", tmp_path)
    for file in (tmp_path / "Annotations").iterdir():
        file.write_text(file.read_text().replace("<difficult>0", "<difficult>1"))
    found, _ = checked(spec)
    assert "No object counts" in worst(found, "error")[0]


def test_anchors_that_fit_nothing(clean, checked, tmp_path):
    spec = clean("voc", tmp_path)
    for file in (tmp_path / "Annotations").iterdir():
        text = file.read_text()
        shrunk = re.sub(r"<xmax>[\d.]+", lambda _: "<xmax>12", re.sub(r"<xmin>[\d.]+", "<xmin>5", text))
        file.write_text(
            re.sub(r"<ymax>[\d.]+", lambda _: "<ymax>12", re.sub(r"<ymin>[\d.]+", "<ymin>5", shrunk))
        )
    found, _ = checked(spec)
    (finding,) = [finding for finding in found.findings if "anchor" in finding.text]
    assert finding.severity == "warning" and "--image-size" in finding.remedy


def test_a_spec_that_names_nothing_is_an_error(checked):
    found, _ = checked("voc:/nowhere@train")
    assert found.dataset is None and "There is no folder" in worst(found, "error")[0]


def test_one_doubtful_name_does_not_lose_the_set(clean, checked, tmp_path):
    spec = clean("voc", tmp_path)
    picture = cv2.imread(str(tmp_path / "JPEGImages/scene11.jpg"))
    split = tmp_path / "ImageSets/Main/train.txt"
    split.write_text(split.read_text().replace("scene11\n", ""))
    cv2.imwrite(str(tmp_path / "JPEGImages/scene11.png"), picture)
    found, _ = checked(spec)
    assert len(found.dataset) == 11


def test_every_missing_picture_of_a_list_is_told(clean, checked, tmp_path):
    spec = clean("yolo", tmp_path)
    listed = "".join(f"./images/train/{name}.jpg\n" for name in ("scene0", "gone", "scene1", "away"))
    (tmp_path / "train.txt").write_text(listed)
    file = tmp_path / "data.yaml"
    file.write_text(file.read_text().replace("images/train", "train.txt"))
    found, _ = checked(spec)
    assert len(worst(found, "error")) == 2 and len(found.dataset) == 2


def test_pictures_in_nested_folders_are_counted_once(clean, checked, tmp_path):
    from keras_frcnn.checking.check import strays

    spec = clean("coco", tmp_path)
    folder = tmp_path / "images/train"
    (folder / "more").mkdir()
    content = json.loads((tmp_path / "train.json").read_text())
    first = content["images"][0]["file_name"]
    shutil.move(folder / first, folder / "more" / first)
    content["images"][0]["file_name"] = f"more/{first}"
    (tmp_path / "train.json").write_text(json.dumps(content))
    shutil.copy(folder / "more" / first, folder / "more" / "alone.jpg")
    found, _ = checked(spec)
    (finding,) = strays([found])
    assert finding.text.startswith("1 picture ")


def test_names_of_signs_are_different_classes(clean, checked, tmp_path):
    spec = clean("voc", tmp_path)
    labels = tmp_path / "labels.txt"
    labels.write_text(labels.read_text() + "+\n-\n")
    assert not [line for line in worst(checked(spec)[0]) if "same name" in line]

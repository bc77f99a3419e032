"""One kind of defect through every reader that it can reach: two pictures of 96 x 64, a cat in each."""

import dataclasses
import json
import unicodedata
from pathlib import Path

import cv2
import numpy as np
import pytest

from keras_frcnn import data

BOX = (20, 10, 60, 50)


@dataclasses.dataclass
class Set:
    """A set to write; what a test changes is given, the rest is intact.

    Attributes:
        root: folder.
        name: class of the objects.
        box: corners of the objects, half-open.
        files: names of the pictures on disk.
        said: the name that the annotations give the first picture, or None for its own.
        sides: width and height as the annotations state them.
        encode: function from the text of the annotations to bytes.
    """

    root: Path
    name: object = "cat"
    box: tuple = BOX
    files: tuple = ("a.jpg", "b.jpg")
    said: str | None = None
    sides: tuple = (96, 64)
    encode: object = staticmethod(str.encode)

    def pictures(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        for number, file in enumerate(self.files):
            suffix = (
                Path(file).suffix.replace(".jfif", ".jpg").replace(".jpe", ".jpg").replace(".jpgg", ".jpg")
            )
            if suffix == ".gif":
                from PIL import Image

                Image.new("RGB", (96, 64), (90, 9, number)).save(folder / file)
            else:
                (folder / file).write_bytes(
                    cv2.imencode(suffix, np.full([64, 96, 3], 90 + number, np.uint8))[1]
                )

    def write(self, file, text):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(self.encode(text))

    @property
    def names(self):
        return (self.said or self.files[0], *self.files[1:])


def xml(one, file):
    corners = zip(("xmin", "ymin", "xmax", "ymax"), np.add(one.box, (1, 1, 0, 0)))
    box = "".join(f"<{corner}>{value}</{corner}>" for corner, value in corners)
    size = f"<size><width>{one.sides[0]}</width><height>{one.sides[1]}</height></size>"
    item = f"<object><name>{one.name}</name><bndbox>{box}</bndbox></object>"
    return f"<annotation><filename>{file}</filename>{size}{item}</annotation>"


def voc(one):
    one.pictures(one.root / "JPEGImages")
    for file in one.files:
        one.write(one.root / "Annotations" / f"{Path(file).stem}.xml", xml(one, file))
    one.write(one.root / "ImageSets/Main/train.txt", "\n".join(one.names))
    return f"voc:{one.root}@train"


def folder_of_xml(one):
    one.pictures(one.root)
    for file in one.files:
        one.write(one.root / f"{Path(file).stem}.xml", xml(one, file))
    return f"folder:{one.root}"


def coco_content(one):
    x1, y1, x2, y2 = one.box
    images = [
        {"id": number, "file_name": file, "width": one.sides[0], "height": one.sides[1]}
        for number, file in enumerate(one.names)
    ]
    objects = [
        {"id": number, "image_id": number, "category_id": 1, "bbox": [x1, y1, x2 - x1, y2 - y1]}
        for number in range(len(images))
    ]
    categories = [{"id": 1, "name": one.name}]
    return json.dumps(
        {"images": images, "annotations": objects, "categories": categories}, ensure_ascii=False
    )


def coco(one):
    one.pictures(one.root / "images")
    one.write(one.root / "instances.json", coco_content(one))
    return f"coco:{one.root}/instances.json@{one.root}/images"


def folder_of_coco(one):
    one.pictures(one.root)
    one.write(one.root / "_annotations.coco.json", coco_content(one))
    return f"folder:{one.root}"


def yolo_line(one):
    x1, y1, x2, y2 = np.divide(one.box, (96, 64, 96, 64))
    return f"0 {(x1 + x2) / 2} {(y1 + y2) / 2} {x2 - x1} {y2 - y1}\n"


def yolo(one):
    one.pictures(one.root / "images")
    for file in one.files:
        one.write(one.root / "labels" / f"{Path(file).stem}.txt", yolo_line(one))
    one.write(one.root / "list.txt", "".join(f"images/{name}\n" for name in one.names))
    one.write(
        one.root / "data.yaml", f"train: list.txt\nnames: [{json.dumps(one.name, ensure_ascii=False)}]\n"
    )
    return f"yolo:{one.root}/data.yaml@train"


def csv(one):
    one.pictures(one.root / "images")
    corners = ",".join(map(str, one.box))
    rows = (f"{name},{corners},{one.name},{one.sides[0]},{one.sides[1]}\n" for name in one.names)
    one.write(one.root / "a.csv", "filename,xmin,ymin,xmax,ymax,class,width,height\n" + "".join(rows))
    return f"csv:{one.root}/a.csv@{one.root}/images"


def labelme(one):
    one.pictures(one.root)
    for file, name in zip(one.files, one.names):
        x1, y1, x2, y2 = one.box
        shapes = [{"label": one.name, "points": [[x1, y1], [x2, y2]], "shape_type": "rectangle"}]
        content = {
            "imagePath": name,
            "imageWidth": one.sides[0],
            "imageHeight": one.sides[1],
            "shapes": shapes,
        }
        one.write(one.root / f"{Path(file).stem}.json", json.dumps(content, ensure_ascii=False))
    return f"labelme:{one.root}"


READERS = (voc, folder_of_xml, coco, folder_of_coco, yolo, csv, labelme)
JSON = (coco, folder_of_coco, labelme)
every = pytest.mark.parametrize("reader", READERS)
ignored = pytest.mark.filterwarnings("ignore")


def right(dataset, name="cat"):
    assert dataset.class_names == (name,) and len(dataset) == 2
    for record in dataset.records:
        np.testing.assert_allclose(record.boxes, [BOX], atol=1e-4)
        assert (record.height, record.width, record.labels.tolist()) == (64, 96, [0])


def refused(spec, words, kind=ValueError, **options):
    with pytest.raises(kind, match=words) as error:
        data.load(spec, **options)
    assert "\n" not in str(error.value) and len(str(error.value)) < 900


@every
@pytest.mark.filterwarnings("error")
def test_intact(reader, tmp_path):
    right(data.load(reader(Set(tmp_path))))


@every
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_encodings_with_a_mark(reader, tmp_path, encoding):
    right(data.load(reader(Set(tmp_path, name="größe", encode=lambda text: text.encode(encoding)))), "größe")


@every
def test_an_encoding_that_nothing_tells(reader, tmp_path):
    spec = reader(Set(tmp_path, name="größe", encode=lambda text: text.encode("cp1252")))
    refused(spec, "(UTF-8|not readable as XML)")


@every
def test_line_ends_of_windows(reader, tmp_path):
    right(data.load(reader(Set(tmp_path, encode=lambda text: text.replace("\n", "\r\n").encode()))))


@ignored
@pytest.mark.parametrize("said", ["x\\a.jpg", "./a.jpg", "http://host/x/a.jpg?v=1", "x/a.jpg", "a"])
@pytest.mark.parametrize("reader", [voc, coco, folder_of_coco, csv, labelme])
def test_other_forms_of_a_name(reader, tmp_path, said):
    right(data.load(reader(Set(tmp_path, said=said))))


@every
@ignored
def test_letters_that_are_composed_differently(reader, tmp_path):
    composed = unicodedata.normalize("NFC", "größe.jpg")
    loose = unicodedata.normalize("NFD", composed)
    right(data.load(reader(Set(tmp_path, files=(loose, "b.jpg"), said=composed))))


@ignored
@pytest.mark.parametrize("sides", [("96", "64"), (96.0, 64.0), ("96.0", "64.0")])
@pytest.mark.parametrize("reader", [one for one in READERS if one is not yolo])
def test_sizes_as_text_and_with_fractions(reader, tmp_path, sides):
    right(data.load(reader(Set(tmp_path, sides=sides))))


@pytest.mark.parametrize("reader", [one for one in READERS if one is not yolo])
def test_boxes_that_are_fractions(reader, tmp_path):
    one = Set(tmp_path, box=(0.2, 0.1, 0.6, 0.5))
    spec = reader(one)
    for file in tmp_path.rglob("*.xml"):  # its corners count from 1
        text = file.read_text()
        for corner, value in (("xmin", 0.2), ("ymin", 0.1)):
            text = text.replace(f"<{corner}>{1 + value}", f"<{corner}>{value}")
        file.write_text(text)
    refused(spec, "looks normalized: .* multiply x by the width")


@every
@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e308])
def test_coordinates_that_are_no_place(reader, tmp_path, value):
    spec = reader(Set(tmp_path, box=(20, 10, value, 50)))
    if reader is yolo and value > 0:
        refused(spec, "Line 1 of .*txt has .*, which is no fraction")
        return
    with pytest.warns(UserWarning, match="2 boxes (with a coordinate that is not finite dropped|reaching)"):
        data.load(spec)


@pytest.mark.parametrize("reader", [one for one in READERS if one not in (yolo, labelme)])
def test_swapped_corners(reader, tmp_path):
    refused(reader(Set(tmp_path, box=(60, 10, 20, 50))), "ends before it begins .*; swap its corners")


@every
@pytest.mark.parametrize("suffix", [".bmp", ".gif", ".jfif", ".jpe", ".png", ".webp", ".tif"])
def test_pictures_of_other_formats(reader, tmp_path, suffix, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    dataset = data.load(reader(Set(tmp_path / "set", files=(f"a{suffix}", f"b{suffix}"))))
    right(dataset)
    assert [image.shape for image in dataset.images()] == [(64, 96, 3)] * 2


@every
def test_the_home_folder(reader, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    spec = reader(Set(tmp_path / "set"))
    right(data.load(spec.replace(str(tmp_path), "~")))


@pytest.mark.parametrize("said", ["../../x.jpg", "/etc/passwd", "C:\\x.jpg"])
@pytest.mark.parametrize("reader", [voc, coco, folder_of_coco, csv, yolo])
def test_names_that_lead_out(reader, tmp_path, said):
    spec = reader(Set(tmp_path, said=said))
    if reader is yolo and said != "../../x.jpg":
        spec = reader(Set(tmp_path))
        (tmp_path / "list.txt").write_text(said)
    refused(spec, "leads out of .*--allow-outside")


@pytest.mark.parametrize("said", ["x" * 400 + ".jpg", "a\0b.jpg", "absent.jpg"])
@pytest.mark.parametrize("reader", [voc, coco, folder_of_coco, csv, yolo])
def test_names_of_no_file(reader, tmp_path, said):
    refused(reader(Set(tmp_path, said=said)), "(no image|no picture|no file)", FileNotFoundError)


@pytest.mark.parametrize("reader", JSON)
@pytest.mark.parametrize("text", ["[" * 100_000, '{"images": [', "9" * 5000, "", "null"])
def test_json_that_is_none(reader, tmp_path, text):
    spec = reader(Set(tmp_path))
    file = next(tmp_path.rglob("*.json"))
    file.write_text(text)
    refused(spec, file.name)


@every
def test_names_that_are_numbers(reader, tmp_path):
    right(data.load(reader(Set(tmp_path, name=7))), "7")


@every
def test_an_empty_name(reader, tmp_path):
    refused(reader(Set(tmp_path, name=" ")), "name")


@pytest.mark.parametrize("reader", [voc, folder_of_xml, labelme])
def test_a_picture_without_an_annotation(reader, tmp_path):
    spec = reader(Set(tmp_path))
    next(path for path in tmp_path.rglob("b.*") if path.suffix in (".xml", ".json")).unlink()
    refused(spec, "--missing-annotation empty", FileNotFoundError)
    with pytest.warns(UserWarning, match="1 picture without an annotation taken as one without objects"):
        dataset = data.load(spec, missing_annotation="empty")
    assert sorted(len(record.boxes) for record in dataset.records) == [0, 1]


@every
def test_a_broken_picture(reader, tmp_path):
    spec = reader(Set(tmp_path))
    next(tmp_path.rglob("b.jpg")).write_bytes(b"no picture")
    refused(spec, "b.jpg cannot be decoded as an image")
    with pytest.warns(UserWarning, match="1 picture that cannot be decoded skipped"):
        assert len(data.load(spec, on_broken="skip")) == 1


@every
@ignored
def test_nothing_counts(reader, tmp_path):
    dataset = data.load(reader(Set(tmp_path, box=(96, 10, 120, 50))))
    with pytest.raises(ValueError, match="has no object that counts"):
        dataset.batches(1, training=True)


def test_a_spec_without_its_split(tmp_path):
    (tmp_path / "ImageSets" / "Main").mkdir(parents=True)
    for split in ("val", "train"):
        (tmp_path / "ImageSets" / "Main" / f"{split}.txt").touch()
    (tmp_path / "data.yaml").write_text("train: a\nval: b\nnames: [cat]\n")
    for spec, splits in ((f"voc:{tmp_path}", "train, val"), (f"yolo:{tmp_path}/data.yaml", "train, val")):
        with pytest.raises(ValueError, match=f"names no split; it has {splits}: write {spec}@train"):
            data.load(spec)

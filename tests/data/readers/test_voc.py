import struct

import numpy as np
import pytest

from keras_frcnn import data


def test_a_folder(voc_folder):
    train = data.load(f"voc:{voc_folder}@train")
    assert train.name == f"voc:{voc_folder}@train"
    # "bird" occurs in the other split only, "head" is a part.
    assert train.class_names == ("bird", "cat", "dog")
    first, second = train.records
    np.testing.assert_array_equal(first.boxes, [[4, 9, 20, 30], [0, 0, 60, 40]])
    np.testing.assert_array_equal(first.labels, [2, 1])
    np.testing.assert_array_equal(first.ignore, [False, True])
    np.testing.assert_array_equal(first.area, [16 * 21, 2400])
    assert (first.image_id, first.height, first.width) == ("a", 40, 60)
    assert first.boxes.dtype == np.float32 and first.labels.dtype == np.int32 and first.ignore.dtype == bool
    assert second.boxes.shape == (0, 4) and second.labels.shape == (0,)
    assert train.image(0).shape == (40, 60, 3)
    assert data.load(f"voc:{voc_folder}@val").class_names == train.class_names


def test_the_painted_patch_is_in_the_box(voc_folder):
    train = data.load(f"voc:{voc_folder}@train")
    y, x = np.nonzero(train.image(0)[..., 0] > 128)
    np.testing.assert_array_equal(train.records[0].boxes[0], [x.min(), y.min(), x.max() + 1, y.max() + 1])


def test_classes_without_objects_in_the_label_map_of_cvat(voc_folder):
    (voc_folder / "labelmap.txt").write_text(
        "# label:color_rgb:parts:actions\nbackground:0,0,0::\nfish:1,2,3::\n"
    )
    assert data.load(f"voc:{voc_folder}@train").class_names == ("bird", "cat", "dog", "fish")


def test_labels_file(voc_folder):
    (voc_folder / "labels.txt").write_text("dog\nfish\ncat\n\n")
    train = data.load(f"voc:{voc_folder}@train")
    assert train.class_names == ("dog", "fish", "cat")
    np.testing.assert_array_equal(train.records[0].labels, [0, 2])
    with pytest.raises(ValueError, match=r"c\.xml has the class bird, which .*labels\.txt lacks"):
        data.load(f"voc:{voc_folder}@val")


@pytest.mark.filterwarnings("error")
def test_defects_are_counted(voc_folder, write_annotation):
    objects = [
        ("dog", (1, 1, 10, 10)),
        ("dog", (5, 5, 5, 5)),
        ("cat", (0, 0, 61, 41)),
        ("dog", (61, 1, 90, 9)),
        ("dog", ("nan", 1, 5, 9)),
    ]
    (voc_folder / "Annotations/a.xml").write_text(write_annotation((40, 60), objects))
    with pytest.warns(UserWarning) as found:
        train = data.load(f"voc:{voc_folder}@train")
    messages = sorted(str(warning.message).partition(": ")[2] for warning in found)
    place = f"{voc_folder}/Annotations/a.xml)."
    assert messages == [
        f"1 box reaching outside the image clipped (first: object 2 of {place}",
        f"1 box with a coordinate that is not finite dropped (first: object 4 of {place}",
        f"2 boxes without area inside the image dropped (first: object 1 of {place}",
    ]
    np.testing.assert_array_equal(train.records[0].boxes, [[0, 0, 10, 10], [0, 0, 60, 40]])
    np.testing.assert_array_equal(train.records[0].labels, [2, 1])
    np.testing.assert_array_equal(train.records[0].area, [100, 2400])


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_boxes_drawn_before_the_turn(voc_folder, orientation):
    # The XML states the size of the stored picture, so its boxes lie there too.
    path = voc_folder / "JPEGImages/a.jpg"
    tag = struct.pack(">HHIHxx", 0x0112, 3, 1, orientation)
    tiff = b"MM\0*" + struct.pack(">IH", 8, 1) + tag + b"\0" * 4
    contents = path.read_bytes()
    path.write_bytes(
        contents[:2] + b"\xff\xe1" + struct.pack(">H", 8 + len(tiff)) + b"Exif\0\0" + tiff + contents[2:]
    )
    train = data.load(f"voc:{voc_folder}@train")
    image = train.image(0)
    assert image.shape == (60, 40, 3) == (train.records[0].height, train.records[0].width, 3)
    y, x = np.nonzero(image[..., 0] > 128)
    np.testing.assert_array_equal(train.records[0].boxes[0], [x.min(), y.min(), x.max() + 1, y.max() + 1])


@pytest.mark.parametrize(
    ("damage", "error", "sentence"),
    [
        (
            lambda root: (root / "Annotations/a.xml").unlink(),
            FileNotFoundError,
            r"There is no annotation .*a\.xml",
        ),
        (lambda root: (root / "JPEGImages/b.PNG").unlink(), FileNotFoundError, "JPEGImages has no image b "),
        (
            lambda root: (root / "Annotations/c.xml").write_text("<a>"),
            ValueError,
            r"c\.xml is not readable as XML",
        ),
        (
            lambda root: (root / "JPEGImages/a.jpg").write_text("hm"),
            ValueError,
            r"a\.jpg cannot be decoded as an image",
        ),
        (
            lambda root: (root / "ImageSets/Main/train.txt").write_text("\n"),
            ValueError,
            r"train\.txt lists no image",
        ),
        (lambda root: (root / "labels.txt").write_text("a\na\n"), ValueError, "each once"),
        (
            lambda root: (root / "Annotations/a.xml").write_text(
                "<annotation><object><name>x</name></object></annotation>"
            ),
            ValueError,
            r"Object 0 of .*a\.xml lacks a bndbox of four numbers",
        ),
        (
            lambda root: (root / "Annotations/a.xml").write_text((root / "Annotations/c.xml").read_text()),
            ValueError,
            r"a\.xml states 50x50 pixels but .*a\.jpg has 60x40",
        ),
    ],
)
def test_damage(voc_folder, damage, error, sentence):
    damage(voc_folder)
    with pytest.raises(error, match=sentence):
        data.load(f"voc:{voc_folder}@train")


def test_missing_split_and_folder(voc_folder):
    with pytest.raises(FileNotFoundError, match="has no split test; it has train, val"):
        data.load(f"voc:{voc_folder}@test")
    with pytest.raises(FileNotFoundError, match="There is no folder .*nowhere"):
        data.load(f"voc:{voc_folder / 'nowhere'}@train")


def test_bccd(shared):
    with pytest.warns(UserWarning, match=r"2 boxes without area .*object 12 of .*BloodImage_00338\.xml"):
        trainval = data.load(f"voc:{shared}/data/bccd@trainval")
    test = data.load(f"voc:{shared}/data/bccd@test")
    assert (len(trainval), len(test)) == (292, 72)
    assert trainval.class_names == test.class_names == ("Platelets", "RBC", "WBC")
    assert sum(len(record.labels) for record in [*trainval.records, *test.records]) == 4888 - 2


def test_raccoon(shared):
    sets = [data.load(f"voc:{shared}/data/raccoon@{split}") for split in ("train", "test")]
    assert [len(one) for one in sets] == [160, 40]
    assert sum(len(record.labels) for one in sets for record in one.records) == 217
    for one in sets:
        for record, image in zip(one.records, one.images().as_numpy_iterator()):
            assert image.shape == (record.height, record.width, 3)


def test_voc2012_sample(shared):
    val = data.load(f"voc:{shared}/data/voc2012_sample@val")
    assert len(val) == 30
    assert sum(record.ignore.any() for record in val.records) == 10
    classes = """aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike
        person pottedplant sheep sofa train tvmonitor"""
    assert set(val.class_names) <= set(classes.split())


def test_a_header_longer_than_one_look(voc_folder):
    path = voc_folder / "JPEGImages/a.jpg"
    contents = path.read_bytes()
    comments = (b"\xff\xfe" + struct.pack(">H", 60002) + bytes(60000)) * 3
    path.write_bytes(contents[:2] + comments + contents[2:])
    record = data.load(f"voc:{voc_folder}@train").records[0]
    assert (record.height, record.width) == (40, 60)


def test_a_size_that_is_not_stated(voc_folder):
    file = voc_folder / "Annotations/a.xml"
    file.write_text(file.read_text().replace("<width>60</width><height>40</height>", "<width>0</width>"))
    record = data.load(f"voc:{voc_folder}@train").records[0]
    assert (record.height, record.width) == (40, 60)
    np.testing.assert_array_equal(record.boxes[0], [4, 9, 20, 30])

import numpy as np
import pytest
from PIL import Image

from keras_frcnn import data
from keras_frcnn.data import readers


@pytest.mark.parametrize(
    ("text", "reader", "arguments"),
    [
        ("shapes", "shapes", ("val",)),
        ("shapes@train", "shapes", ("train",)),
        ("voc:a/b@c@train", "voc", ("a/b@c", "train", "voc:a/b@c@train")),
        ("coco:a/b.json@c@d/e", "coco", ("a/b.json", "c@d/e", "coco:a/b.json@c@d/e")),
        (
            "tfds:voc/2007@train[:10%]+test",
            "tfds",
            ("voc/2007", "train[:10%]+test", "tfds:voc/2007@train[:10%]+test"),
        ),
    ],
)
def test_what_a_reader_is_asked_for(text, reader, arguments, monkeypatch):
    asked = []
    monkeypatch.setattr(f"keras_frcnn.data.readers.{reader}.load", lambda *words: asked.append(words))
    with pytest.raises(ValueError, match="names no data set"):
        data.load(text)
    assert [words[: len(arguments)] for words in asked] == [arguments]


def test_registered(voc_folder, monkeypatch):
    monkeypatch.setattr(readers, "READERS", dict(readers.READERS))
    data.register("mine", lambda text: data.load(f"voc:{voc_folder}@{text}"))
    assert len(data.load("mine:train")) == 2
    assert data.load(["mine:train", "mine:val"]).class_names == data.load("mine:train").class_names
    with pytest.raises(ValueError, match="There is a reader of the name 'mine' already; choose another"):
        data.register("mine", data.load)
    with pytest.warns(UserWarning, match="mine:train is read as its own reader does, without --on-broken.$"):
        data.load("mine:train", on_broken="skip")
    with pytest.raises(ValueError, match="letters, digits, - and _ in its name, not 'a:b'"):
        data.register("a:b", data.load)
    with pytest.raises(ValueError, match="names no data set; write .*tfds:NAME@SPLIT or mine:TEXT"):
        data.load("other:train")


@pytest.mark.parametrize("text", ["", "bccd", "voc:bccd", "voc:@train", "voc:bccd@", "imagenet:a@b"])
def test_unknown_form(text):
    with pytest.raises(
        ValueError, match="names no data set; write shapes@train or .*voc:ROOT.*coco:INST.*tfds:NAME"
    ):
        data.load(text)


def test_no_set_at_all():
    with pytest.raises(ValueError, match="No data set is named"):
        data.load([])


def test_joined_by_class_name(voc_folder, coco_files):
    file, folder, _ = coco_files
    joined = data.load([f"coco:{file}@{folder}", f"voc:{voc_folder}@train", "shapes@val"])
    assert joined.class_names[:3] == ("dog", "cat", "bird")
    assert len(joined) == len(joined.source) == 2 + 2 + 200
    np.testing.assert_array_equal(joined.records[0].labels, [1, 0])
    np.testing.assert_array_equal(joined.records[2].labels, [0, 1])
    assert min(joined.records[4 + i].labels.min(initial=99) for i in range(9)) >= 3
    # Each record travels with its own picture, in Python and in the graph.
    for index, image in enumerate(joined.images().take(8)):
        assert image.shape == (joined.records[index].height, joined.records[index].width, 3)
        np.testing.assert_array_equal(image, joined.image(index))
    x, _ = next(iter(joined.batches(2, image_size=(32, 64), training=True)))
    assert x["images"].shape[0] == 2


def test_files_of_two_folders(voc_folder):
    joined = data.load([f"voc:{voc_folder}@val", f"voc:{voc_folder}@train"])
    assert joined.name == f"voc:{voc_folder}@val + voc:{voc_folder}@train"
    assert [record.image_id for record in joined.records] == ["c", "a", "b"]
    assert [image.shape for image in joined.images()] == [(50, 50, 3), (40, 60, 3), (60, 40, 3)]


def test_one_picture_in_two_sets(voc_folder, coco_files):
    """It would be trained on twice as often as the others, without a word."""
    spec = f"voc:{voc_folder}@train"
    for twice in ([spec, spec], ["shapes@val", "shapes@val"]):
        with pytest.raises(ValueError, match=f"^{twice[0]} is named twice; name it once .`balance` shows"):
            data.load(twice)
    (voc_folder / "ImageSets/Main/all.txt").write_text("a\nc\n")
    (voc_folder.parent / "link").symlink_to(voc_folder)
    for other in (f"voc:{voc_folder}@all", f"voc:{voc_folder}/@train", f"voc:{voc_folder.parent}/link@train"):
        with pytest.raises(ValueError, match=r"[12] of [12] pictures? of voc:.* too \(first: .*a.jpg\)"):
            data.load([spec, other])
    file, folder, _ = coco_files
    assert len(data.load([spec, f"voc:{voc_folder}@val", f"coco:{file}@{folder}"])) == 5


def test_equal_pictures_of_a_format_that_is_decoded_into_a_cache(tmp_path):
    specs = []
    for name in "ab":
        folder = tmp_path / name
        folder.mkdir()
        Image.new("RGB", (40, 30), "white").save(folder / f"{name}.webp", lossless=True)
        (folder / "x.csv").write_text(f"{name}.webp,1,2,20,20,cat\n")
        specs.append(f"csv:{folder}/x.csv@{folder}")
    assert len(data.load(specs)) == 2


def test_class_names_given(voc_folder):
    val = data.load(f"voc:{voc_folder}@val", class_names=["fish", "bird"])
    np.testing.assert_array_equal(val.records[0].labels, [1])
    with pytest.raises(ValueError, match="has objects of the classes cat, dog, not among fish, bird"):
        data.load(f"voc:{voc_folder}@train", class_names=["fish", "bird"])
    with pytest.raises(ValueError, match="hold a name twice"):
        data.load(f"voc:{voc_folder}@train", class_names=["bird", "bird"])

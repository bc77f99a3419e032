"""A validation set that is split off a training set."""

import shutil

import numpy as np
import pytest

from keras_frcnn import data
from keras_frcnn.data.splitting import split_off

IMAGES = [np.full([20, 30, 3], index, np.uint8) for index in range(20)]


@pytest.fixture(scope="module")
def whole():
    return data.from_arrays(IMAGES, [[[1, 2, 9, 9]]] * 20, [["cat"]] * 20)


def test_two_sides_that_make_the_whole(whole):
    train, val = split_off(whole, 0.25)
    assert (len(train), len(val)) == (15, 5)
    ids = [record.image_id for part in (train, val) for record in part.records]
    assert sorted(ids) == list(range(20)) and ids[:15] == sorted(ids[:15])
    for part in (train, val):
        for index, (record, image) in enumerate(zip(part.records, part.images())):
            np.testing.assert_array_equal(image, IMAGES[record.image_id])
            np.testing.assert_array_equal(part.image(index), IMAGES[record.image_id])


def test_the_same_pictures_whatever_their_order(whole):
    turned = data.from_arrays(IMAGES[::-1], [[[1, 2, 9, 9]]] * 20, [["cat"]] * 20)
    mine, theirs = (
        {int(part.image(index)[0, 0, 0]) for index in range(len(part))}
        for part in (split_off(whole, 0.25)[1], split_off(turned, 0.25)[1])
    )
    assert mine == theirs


def test_copies_of_a_picture_stay_together(voc_folder):
    for name in "defghijklmno":
        for folder, suffix in (("JPEGImages", "jpg"), ("Annotations", "xml")):
            shutil.copy(voc_folder / folder / f"a.{suffix}", voc_folder / folder / f"{name}.{suffix}")
    (voc_folder / "ImageSets/Main/train.txt").write_text("\n".join("abdefghijklmnoc"))
    train, val = split_off(data.load(f"voc:{voc_folder}@train"), 0.2)
    sides = [{record.image_id for record in part.records} for part in (train, val)]
    assert sum({*"adefghijklmno"} <= side for side in sides) == 1


@pytest.mark.parametrize(
    ("share", "sentence"),
    [(0, "give a number between 0 and 1"), (1.5, "between"), (0.01, "20 images, too few")],
)
def test_refuses(whole, share, sentence):
    with pytest.raises(ValueError, match=sentence):
        split_off(whole, share)

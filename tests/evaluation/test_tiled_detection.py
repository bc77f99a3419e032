"""Detection in tiles beside what a perfect detector of bright squares sees."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import keras_frcnn as kf
from keras_frcnn.evaluation import TiledDetection
from keras_frcnn.evaluation.tiled_detection import BORDER


class Bright:
    """Finds each bright blob that is at most `largest` pixels wide in the image as it gets it."""

    class_names = ("blob",)
    needs_proposals = only_proposals = has_one_size = False

    def __init__(self, largest=60, smallest=4):
        self.largest, self.smallest, self.shapes = largest, smallest, []

    def detect(self, image, proposals=None, *, image_size=None):
        self.shapes.append(image.shape[:2])
        # Large images are seen at a fifth of their size.
        scale = 5 if max(image.shape[:2]) > 200 else 1
        _, _, rows, _ = cv2.connectedComponentsWithStats((image[..., 0] > 128).astype(np.uint8))
        found = [
            [x, y, x + w, y + h]
            for x, y, w, h, _ in rows[1:]
            if self.smallest <= min(w, h) / scale and max(w, h) / scale <= self.largest
        ]
        boxes = np.array(found, np.float32).reshape(-1, 4)
        scores = np.linspace(0.9, 0.8, len(boxes), dtype=np.float32)
        return {"boxes": boxes, "scores": scores, "labels": np.zeros(len(boxes), np.int32)}


def picture(boxes, height=450, width=700):
    image = np.zeros([height, width, 3], np.uint8)
    for x1, y1, x2, y2 in boxes:
        image[y1:y2, x1:x2] = 255
    return image


@settings(max_examples=60, deadline=None)
@given(
    corners=st.lists(st.tuples(st.integers(0, 14), st.integers(0, 8)), max_size=25, unique=True),
    side=st.integers(5, 40),
    shift=st.integers(0, 15),
)
def test_small_objects_are_found_once_wherever_borders_lie(corners, side, shift):
    boxes = [
        (44 * x + shift, 44 * y + shift, 44 * x + shift + side, 44 * y + shift + side) for x, y in corners
    ]
    found = TiledDetection(Bright(), side=160).detect(picture(boxes))
    assert sorted(map(tuple, found["boxes"].astype(int).tolist())) == sorted(boxes)


@pytest.mark.parametrize("side", range(15, 26))
def test_objects_about_as_wide_as_the_overlap_are_found_wherever_they_lie(side):
    """Two tiles see them whole, and near a border of each; the whole image is too small to show them."""
    tiles = TiledDetection(Bright(smallest=6), side=100, overlap=0.25)
    for left in range(60, 110):
        box = left, 30, left + side, 30 + side
        (found,) = tiles.detect(picture([box], 100, 250))["boxes"].tolist()
        # Of those that no tile sees far from its borders, a few pixels may be missing.
        assert found == pytest.approx(box, abs=0 if side < 25 - 2 * BORDER else BORDER)


def test_large_objects_are_found_in_the_whole_image_and_take_their_parts():
    boxes = [(100, 100, 330, 350), (400, 20, 410, 30)]
    found = TiledDetection(Bright(largest=200), side=160).detect(picture(boxes))
    assert sorted(map(tuple, found["boxes"].astype(int).tolist())) == sorted(boxes)


def test_a_tile_is_believed_where_the_whole_image_shows_something_else():
    class Confused(Bright):
        class_names = ("blob", "speck")

        def detect(self, image, proposals=None, *, image_size=None):
            found = super().detect(image)
            small = max(image.shape[:2]) > 200  # the whole image, a fifth as large
            return {**found, "labels": found["labels"] + small, "scores": found["scores"] + 0.05 * small}

    boxes = [(60, 60, 110, 110), (300, 300, 350, 350)]
    found = TiledDetection(Confused(largest=200), side=160).detect(picture(boxes))
    assert sorted(map(tuple, found["boxes"].astype(int).tolist())) == boxes
    assert found["labels"].tolist() == [0, 0]


@pytest.mark.parametrize(
    ("in_tile", "score"),
    [
        # Unsure, and the rest of a larger object that ends a little before the border of the tile.
        ([105, 100, 350, 350], 0.05),
        ([100, 100, 633, 350], 0.9),
    ],
)
def test_what_the_whole_image_shows_stays_beside_what_a_tile_shows_badly(in_tile, score):
    class Fixed:
        class_names = ("car", "truck")
        needs_proposals = only_proposals = has_one_size = False

        def detect(self, image, proposals=None, *, image_size=None):
            one = [100, 100, 700, 350] if score > 0.5 else [100, 100, 350, 350]
            boxes, scores, labels = [one], [0.99], [0]
            if image.shape[1] == 640:
                first = image[0, 0, 0] == 7
                boxes, scores, labels = ([in_tile], [score], [1]) if first else ([], [], [])
            boxes = np.array(boxes, np.float32).reshape(-1, 4)
            return {"boxes": boxes, "scores": np.array(scores), "labels": np.array(labels, int)}

    image = np.zeros([640, 1200, 3], np.uint8)
    image[0, 0] = 7
    found = TiledDetection(Fixed(), side=640).detect(image)
    assert 0 in found["labels"].tolist()


def test_all_detections_of_many_tiles_are_kept():
    corners = [(x, y) for x in range(10, 1990, 20) for y in range(10, 490, 20)]
    boxes = [(x, y, x + 9, y + 9) for x, y in corners]
    found = TiledDetection(Bright(), side=160).detect(picture(boxes, 500, 2000))
    assert len(found["scores"]) == len(boxes) > 2000


def test_tiles_cover_the_image_with_the_overlap():
    tiles = TiledDetection(Bright(), side=160, overlap=0.25)
    for length in (160, 161, 280, 281, 4000):
        starts = tiles._starts(length)
        assert starts[0] == 0 and starts[-1] == length - 160
        assert all(second - first <= 120 for first, second in zip(starts, starts[1:]))


@pytest.mark.parametrize("shape", [(1, 1), (100, 100), (160, 160), (50, 700)])
def test_small_and_narrow_images(shape):
    detector = Bright()
    found = TiledDetection(detector, side=160).detect(picture([], *shape))
    assert len(found["scores"]) == 0
    assert detector.shapes[0] == shape and all(max(other) <= 160 for other in detector.shapes[1:])
    assert (len(detector.shapes) == 1) == (max(shape) <= 160)


def test_it_is_a_detector_like_others():
    tiles = TiledDetection(Bright(), side=160, max_detections=2)
    images = [picture([(0, 0, 9, 9), (20, 20, 30, 30), (60, 60, 70, 70)]), picture([])]
    many, none = tiles.detect(images)
    assert len(many["scores"]) == 2 and len(none["scores"]) == 0
    assert many["boxes"].dtype == np.float32 and many["labels"].dtype == np.int32
    dataset = kf.data.from_arrays(images, [[[0, 0, 9, 9], [20, 20, 30, 30]], []], [["blob"] * 2, []])
    assert kf.evaluation.evaluate(tiles, dataset)["coco_ap50"] > 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"side": 8}, "side is 8"),
        ({"side": 64, "overlap": 1.0}, "overlap is 1.0"),
        ({"side": 64, "nms_iou": 2.0}, "nms_iou is 2.0"),
        ({"side": 64, "max_detections": 0}, "max_detections is 0"),
    ],
)
def test_refuses(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        TiledDetection(Bright(), **arguments)
    with pytest.raises(ValueError, match="leave image_size out"):
        TiledDetection(Bright(), 64).detect(picture([]), image_size=(1, 2))

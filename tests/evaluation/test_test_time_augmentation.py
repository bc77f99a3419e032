import re

import numpy as np
import pytest

from keras_frcnn import evaluation
from keras_frcnn.detects import Detects
from keras_frcnn.evaluation import test_time_augmentation
from keras_frcnn.evaluation.test_time_augmentation import TestTimeAugmentation

WIDTH, HEIGHT = 100, 80


class Detector:
    """Finds the bright pixels of each channel; what it is asked is kept in `asked`."""

    class_names = ("red", "green", "blue")
    image_size = (600, 1000)
    max_detections = 5

    def __init__(self, error=0.0):
        self.asked, self.error = [], error

    def detect(self, image, proposals=None, *, image_size=None):
        self.asked.append((image[0, 0, 0] > 0, image_size))
        return self.found(image, 0.5 if image_size is None else 1 - image_size[0] / 1000)

    def found(self, image, score):
        boxes, labels = [], []
        for channel in range(3):
            rows, columns = np.nonzero(image[..., channel] > 200)
            if len(rows):
                boxes.append([columns.min(), rows.min(), columns.max() + 1 + self.error, rows.max() + 1])
                labels.append(channel)
        return {
            "boxes": np.array(boxes, np.float32).reshape(-1, 4),
            "scores": np.full(len(boxes), score, np.float32),
            "labels": np.array(labels, np.int32),
        }


class OfOneSize(Detector):
    """As an export is."""

    has_one_size = True

    def detect(self, image, proposals=None, *, image_size=None):
        assert image_size is None
        self.asked.append((image[0, 0, 0] > 0, None))
        return self.found(image, 0.5)


class OnProposals(Detector):
    needs_proposals = True

    def detect(self, image, proposals=None, *, image_size=None):
        self.asked.append(proposals)
        return {**self.found(image, 0.5), "boxes": proposals, "labels": np.zeros(len(proposals), np.int32)}


@pytest.fixture
def image():
    """A red and a green object at the left; the corner pixel tells the image from its mirror image."""
    image = np.zeros([HEIGHT, WIDTH, 3], np.uint8)
    image[0, 0] = 9
    image[10:30, 5:45, 0] = 255
    image[10:30, 5:44, 1] = 255
    return image


BOXES = [[5, 10, 45, 30], [5, 10, 44, 30]]


def test_every_view_is_asked_for_and_the_answers_are_one(image):
    detector = Detector()
    found = TestTimeAugmentation(detector).detect(image)
    sizes = [(480, 800), (600, 1000), (720, 1200)]
    assert detector.asked == [(straight, size) for size in sizes for straight in (True, False)]
    # One box of each class is left, that of the best score; the two overlap, but are of different classes.
    assert [found[name].dtype for name in ("boxes", "scores", "labels")] == [np.float32, np.float32, np.int32]
    order = np.argsort(found["labels"])
    np.testing.assert_array_equal(found["boxes"][order], BOXES)
    np.testing.assert_array_equal(found["labels"][order], [0, 1])
    np.testing.assert_allclose(found["scores"], 0.52)


def test_short_sides_and_no_flip(image):
    detector = Detector()
    TestTimeAugmentation(detector, short_sides=[300, 900], flip=False).detect(image)
    assert detector.asked == [(True, (300, 500)), (True, (900, 1500))]


def test_boxes_of_the_mirror_image_are_carried_back(image):
    # Each view errs by 30 px at its right, so that the two boxes share 40 of 100 columns.
    found = TestTimeAugmentation(Detector(error=30.0), short_sides=[600], nms_iou=0.6).detect(
        image[..., [0, 2, 2]]
    )
    boxes = found["boxes"][np.argsort(found["boxes"][:, 0])]
    np.testing.assert_array_equal(boxes, [[-25, 10, 45, 30], [5, 10, 75, 30]])
    one = TestTimeAugmentation(Detector(error=30.0), short_sides=[600], nms_iou=0.3).detect(
        image[..., [0, 2, 2]]
    )
    assert len(one["boxes"]) == 1


def test_the_best_are_kept(image):
    views = TestTimeAugmentation(Detector(error=30.0), nms_iou=0.3)
    assert views.max_detections == 5
    found = TestTimeAugmentation(Detector(error=30.0), nms_iou=1.0, max_detections=3).detect(image)
    assert len(found["scores"]) == 3
    assert (np.diff(found["scores"]) <= 0).all() and found["scores"][0] == pytest.approx(0.52)


def test_a_detector_of_one_size_is_asked_twice(image):
    detector = OfOneSize()
    found = TestTimeAugmentation(detector).detect(image)
    assert detector.asked == [(True, None), (False, None)]
    assert len(found["boxes"]) == 2
    with pytest.raises(ValueError, match="This detector has sizes of its own"):
        TestTimeAugmentation(detector, short_sides=[600])


def test_an_image_without_objects():
    found = TestTimeAugmentation(Detector()).detect(np.zeros([HEIGHT, WIDTH, 3], np.uint8))
    assert found["boxes"].shape == (0, 4) and found["scores"].shape == found["labels"].shape == (0,)


def test_a_list_of_images(image):
    both = TestTimeAugmentation(Detector()).detect([image, np.zeros_like(image)])
    assert [len(found["scores"]) for found in both] == [2, 0]


def test_proposals_are_mirrored_too(image):
    detector = OnProposals()
    given = np.array([[0, 1, 30, 20], [50, 60, 100, 80]], np.float32)
    found = TestTimeAugmentation(detector, short_sides=[600]).detect(image, proposals=given)
    np.testing.assert_array_equal(detector.asked[0], given)
    np.testing.assert_array_equal(detector.asked[1], [[70, 1, 100, 20], [0, 60, 50, 80]])
    order = np.argsort(found["boxes"][:, 0])
    np.testing.assert_array_equal(found["boxes"][order], given)


def test_arguments_that_do_not_suit_are_refused(image):
    views = TestTimeAugmentation(Detector())
    assert isinstance(views, Detects)
    with pytest.raises(ValueError, match="^The views have sizes of their own; leave image_size out"):
        views.detect(image, image_size=(600, 1000))
    with pytest.raises(ValueError, match="^Detector makes its own proposals; leave them out"):
        views.detect(image, [[0, 1, 30, 20]])
    with pytest.raises(ValueError, match="^There are 2 images, but proposals for 1; give each its own.$"):
        TestTimeAugmentation(OnProposals()).detect([image, image], [[[0, 1, 30, 20]]])


def test_proposals_are_searched_for_once(image, monkeypatch):
    calls = []

    def selective_search(image):
        calls.append(image)
        return np.array([[0, 1, 30, 20], [50, 60, 100, 80]], np.float32)

    monkeypatch.setattr(test_time_augmentation, "selective_search", selective_search)
    detector = OnProposals()
    TestTimeAugmentation(detector).detect(image)
    assert len(calls) == 1 and len(detector.asked) == 6


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"short_sides": []}, "short_sides is []; give one or more sides of at least 1 pixel."),
        ({"short_sides": [0, 9]}, "short_sides is [0, 9]; give one or more sides of at least 1 pixel."),
        ({"nms_iou": 1.5}, "nms_iou is 1.5; give an IoU from 0 to 1."),
        ({"max_detections": 0}, "max_detections is 0; give at least 1."),
    ],
)
def test_bad_arguments(arguments, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        TestTimeAugmentation(Detector(), **arguments)


def test_it_is_evaluated_like_any_detector(image, make_record):
    record = make_record(BOXES, [0, 1])

    class Dataset:
        name, class_names, records, proposals = "painted", Detector.class_names, [record], None

        def images(self):
            yield image

    results = evaluation.evaluate(TestTimeAugmentation(Detector()), Dataset())
    assert results["voc_ap50"] == results["coco_ap"] == 1.0

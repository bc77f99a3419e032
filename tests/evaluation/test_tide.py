import numpy as np
import pytest

from keras_frcnn.evaluation import coco, matches, tide

NAMES = ("cat", "dog")
BOX = (20, 20, 60, 60)
# Shifted by a share of its side, a box has IoU (1 - share) / (1 + share) with what it was.
LOOSE, NEAR, FAR = (36, 20, 76, 60), (24, 20, 64, 60), (150, 150, 190, 190)


def errors_of(records, detections, names=NAMES):
    matched = matches.match(detections, records, names)
    return matched, tide.classify(matched)


@pytest.mark.parametrize(
    "boxes, labels, kinds",
    [
        ([BOX], [1], ["classification"]),
        ([LOOSE], [0], ["localization"]),
        ([LOOSE], [1], ["both", "missed"]),
        ([BOX, NEAR], [0, 0], ["duplicate"]),
        ([FAR], [0], ["background", "missed"]),
        ([], [], ["missed"]),
        ([BOX], [0], []),
    ],
)
def test_a_planted_error_is_reported_as_its_kind(make_record, make_found, boxes, labels, kinds):
    scores = np.linspace(0.9, 0.5, len(boxes))
    _, errors = errors_of([make_record([BOX], [0])], [make_found(boxes, scores, labels)])
    assert errors.counts() == {kind: int(kind in kinds) for kind in tide.KINDS}


def test_only_the_best_of_several_errors_about_an_object_is_mended(make_record, make_found):
    found = make_found([LOOSE, BOX, LOOSE], [0.5, 0.9, 0.7], [0, 1, 0])
    matched, errors = errors_of([make_record([BOX], [0])], [found])
    assert errors.counts() == {**dict.fromkeys(tide.KINDS, 0), "classification": 1, "localization": 2}
    (mendable,) = np.flatnonzero(errors.mendable)
    assert matched.scores[mendable] == pytest.approx(0.9)
    gained = tide.gains(matched, errors)
    # As a cat, the best detection is right and comes first; without the loose boxes nothing is found.
    assert gained["gains"]["classification"] == pytest.approx(1.0)
    assert gained["gains"]["localization"] == 0.0


def test_what_mending_gains(make_record, make_found):
    records = [make_record([BOX], [0]), make_record([BOX], [0])]
    stray = make_found([FAR, BOX], [0.9, 0.8], [0, 0])
    matched, errors = errors_of(records, [stray, make_found()], ("cat",))
    gained = tide.gains(matched, errors)
    # One of two objects is found, after a wrong detection: precision 1/2 at 51 of 101 recalls.
    assert gained["ap50"] == pytest.approx(51 / 101 / 2)
    assert gained["gains"]["background"] == pytest.approx(51 / 101 / 2)
    assert gained["gains"]["missed"] == pytest.approx(1 / 2 - 51 / 101 / 2)
    assert gained["special"]["false_positives"] == pytest.approx(51 / 101 / 2)
    assert gained["special"]["false_negatives"] == pytest.approx(1 / 2 - 51 / 101 / 2)
    assert sum(gained["gains"].values()) != pytest.approx(1 - gained["ap50"])


def test_a_detector_that_finds_nothing_would_gain_all_from_missed_objects(make_record, make_found):
    gained = tide.gains(*errors_of([make_record([BOX], [0])], [make_found()]))
    assert gained["ap50"] == 0.0 and gained["gains"]["missed"] == 1.0


def test_what_lies_on_a_crowd_is_no_error(make_record, make_found):
    record = make_record([BOX, FAR], [0, 0], ignore=[True, False])
    _, errors = errors_of([record], [make_found([BOX, FAR], [0.9, 0.8], [0, 0])])
    assert not any(errors.counts().values())


def test_the_average_precision_is_that_of_coco(random_set):
    for seed in range(3):
        detections, records, names = random_set(seed)
        gained = tide.gains(*errors_of(records, detections, names))
        assert gained["ap50"] == pytest.approx(coco.evaluate(detections, records, names)["ap50"], abs=1e-12)


def made_up():
    """Boxes, classes and scores of six images: every kind of error, several about one object."""
    rng = np.random.RandomState(20)  # the legacy generator, whose numbers never change
    truth, found = [], []
    for _ in range(6):
        corners = rng.randint(0, 200, (3, 2))
        boxes = np.concatenate([corners, corners + rng.randint(30, 90, (3, 2))], axis=1)
        labels = np.array([0, 0, 1])
        truth.append((boxes, labels))
        near = np.repeat(boxes, 3, axis=0) + rng.randint(-12, 13, (9, 4))
        strays = rng.randint(0, 100, (2, 4)) + [0, 0, 120, 120]
        classes = np.append(np.repeat(labels, 3), [0, 1])
        classes = np.where(rng.random_sample(11) < 0.25, 1 - classes, classes)
        keep = rng.random_sample(11) < 0.7
        if len(found) < 2:
            keep[3:6] = False  # all around the second object
        scores = (rng.permutation(11) + 1) / 12 + 0.001 * len(found)
        found.append((np.concatenate([near, strays])[keep], classes[keep], scores[keep]))
    return truth, found


# What tidecv 1.0.1, the package of the paper's authors, gives for `made_up` (thresholds 0.5 and 0.1).
TIDECV = {
    "counts": {
        "classification": 7,
        "localization": 5,
        "both": 1,
        "duplicate": 7,
        "background": 4,
        "missed": 2,
    },
    "ap50": 0.4828932893289331,
    "gains": {
        "classification": 0.0981994409848221,
        "localization": 0.1826663916391628,
        "both": 0.0299701398711296,
        "duplicate": 0.0044004400440045,
        "background": 0.0440424811711940,
        "missed": 0.0435957881502436,
    },
    "special": {"false_positives": 0.2646314631463145, "false_negatives": 0.1618811881188120},
}


def test_counts_and_gains_are_those_of_the_authors_package(make_record, make_found):
    truth, found = made_up()
    records = [make_record(*one) for one in truth]
    detections = [make_found(boxes, scores, labels) for boxes, labels, scores in found]
    matched, errors = errors_of(records, detections)
    gained = tide.gains(matched, errors)
    assert errors.counts() == TIDECV["counts"]
    assert gained["ap50"] == pytest.approx(TIDECV["ap50"], abs=1e-9)
    assert gained["gains"] == pytest.approx(TIDECV["gains"], abs=1e-9)
    assert gained["special"] == pytest.approx(TIDECV["special"], abs=1e-9)

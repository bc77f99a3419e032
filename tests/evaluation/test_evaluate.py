import json

import cv2
import numpy as np
import pytest

import keras_frcnn as kf
from keras_frcnn import evaluation
from keras_frcnn.weights.coco import TORCHVISION_CLASS_NAMES


class Dataset:
    """Records whose images carry their number in the first pixel."""

    name = "made-up"
    proposals = None

    def __init__(self, records, class_names):
        self.records, self.class_names = records, class_names

    def images(self):
        for number, record in enumerate(self.records):
            yield np.full([record.height, record.width, 3], number, np.uint8)


class Detector:
    """Gives prepared detections, by the number in the image."""

    def __init__(self, detections, class_names):
        self.detections, self.class_names = detections, class_names

    def detect(self, image):
        assert isinstance(image, np.ndarray) and image.dtype == np.uint8
        return self.detections[image[0, 0, 0]]


def test_perfect_detections_score_one_under_every_protocol(perfect_set):
    detections, records, class_names = perfect_set
    results = evaluation.evaluate(Detector(detections, class_names), Dataset(records, class_names))
    for name in ("voc07_ap50", "voc_ap50", "coco_ap", "coco_ap50", "coco_ap75", "coco_ar100"):
        assert results[name] == 1.0
    assert results["images"] == 4 and results["seconds_per_image"] > 0
    assert results["per_class"]["square"] == {
        "ground_truths": 3,
        "voc07_ap50": 1.0,
        "voc_ap50": 1.0,
        "coco_ap": 1.0,
        "coco_ap50": 1.0,
        "coco_ap75": 1.0,
    }
    assert results["per_class"]["star"]["voc_ap50"] is None
    assert json.loads(json.dumps(results, allow_nan=False)) == results


def test_the_numbers_are_those_of_the_protocols(random_set):
    detections, records, class_names = random_set(3)
    results = evaluation.evaluate(Detector(detections, class_names), Dataset(records, class_names))
    assert (
        results["voc07_ap50"]
        == evaluation.voc.evaluate(detections, records, class_names, metric="11point")["mean_ap"]
    )
    assert results["voc_ap50"] == evaluation.voc.evaluate(detections, records, class_names)["mean_ap"]
    by_coco = evaluation.coco.evaluate(detections, records, class_names)
    assert all(results[f"coco_{name}"] == by_coco[name] for name in evaluation.coco.NAMES)


def test_classes_are_matched_by_name(perfect_set):
    detections, records, class_names = perfect_set
    other = ("cat", "square", "circle")
    renumber = np.array([2, 1, 0])
    renamed = [{**found, "labels": renumber[found["labels"]]} for found in detections]
    # A class the set lacks, detected everywhere: not the set's business.
    for found in renamed:
        found["boxes"] = np.concatenate([found["boxes"], [[0, 0, 50, 50]]])
        found["scores"] = np.append(found["scores"], 1.0)
        found["labels"] = np.append(found["labels"], 0)
    results = evaluation.evaluate(Detector(renamed, other), Dataset(records, class_names))
    assert results["voc_ap50"] == results["coco_ap"] == 1.0


def test_a_detector_with_the_gaps_of_coco_on_some_of_its_classes(tmp_path):
    names = TORCHVISION_CLASS_NAMES
    categories = [{"id": names.index(name) + 1, "name": name} for name in ("toothbrush", "person", "bottle")]
    file = tmp_path / "instances.json"
    images = [{"id": 5, "file_name": "a.png", "height": 60, "width": 80}]
    boxes = ([5, 5, 20, 30], [40, 10, 30, 40], [10, 40, 50, 15])
    annotations = [
        {"id": 9 - row, "image_id": 5, "category_id": kind["id"], "bbox": box, "iscrowd": 0}
        for row, (kind, box) in enumerate(zip(categories, boxes))
    ]
    file.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros([60, 80, 3], np.uint8))
    dataset = kf.data.load(f"coco:{file}@{tmp_path}")
    boxes = np.float32(boxes)
    boxes[:, 2:] += boxes[:, :2]
    # What it sees besides are gaps and classes that the set lacks.
    found = {
        "boxes": np.concatenate([boxes, boxes, boxes]),
        "scores": np.linspace(0.2, 0.9, 9, dtype=np.float32),
        "labels": np.int32([*(kind["id"] - 1 for kind in categories), 11, 25, 28, 1, 2, 3]),
    }
    assert [names[label] for label in (11, 25, 28)] == ["N/A"] * 3
    results = evaluation.evaluate(Detector([found], names), dataset)
    assert results["coco_ap"] == results["voc_ap50"] == 1.0
    assert set(results["per_class"]) == {"person", "bottle", "toothbrush"}


def test_a_class_the_detector_does_not_know_is_refused(perfect_set):
    detections, records, class_names = perfect_set
    with pytest.raises(ValueError, match="made-up has objects of circle, which this detector does not know"):
        evaluation.evaluate(Detector(detections, ("square", "star")), Dataset(records, class_names))


def test_a_set_without_images_is_refused():
    with pytest.raises(ValueError, match="made-up has no images"):
        evaluation.evaluate(Detector([], ("a",)), Dataset([], ("a",)))


def test_a_set_without_objects_has_no_scores(make_record, make_found):
    results = evaluation.evaluate(Detector([make_found()], ("a",)), Dataset([make_record()], ("a",)))
    assert results["voc_ap50"] is None and results["coco_ap"] is None
    json.dumps(results, allow_nan=False)
    assert evaluation.report(results)


def test_the_report_states_the_protocol_beside_every_number(perfect_set):
    detections, records, class_names = perfect_set
    results = evaluation.evaluate(Detector(detections, class_names), Dataset(records, class_names))
    lines = evaluation.report(results).splitlines()
    assert [line.split()[0] for line in lines[:5]] == ["class", "circle", "square", "star", "mean"]
    assert lines[1].split() == ["circle", "2"] + ["100.00"] * 5
    assert lines[3].split() == ["star", "0"] + ["-"] * 5
    scores = [key for key in results if key.startswith(("voc", "coco", "seconds"))]
    for key in scores:
        (line,) = [line for line in lines if line.startswith(f"{key} ")]
        assert results["protocol"][key] in line


@pytest.mark.parametrize(
    "spec",
    [
        "voc:{}/voc2012_sample@val",
        "voc:{}/bccd@test",
        "coco:{0}/tiny_coco/annotations/instances_val2017.json@{0}/tiny_coco/val2017",
    ],
)
def test_real_annotations_scored_against_themselves(shared, spec):
    dataset = kf.data.load(spec.format(shared / "data"))
    found = [
        {"boxes": record.boxes, "scores": np.ones(len(record.labels)), "labels": record.labels}
        for record in dataset.records
    ]
    results = evaluation.score(found, dataset.records, dataset.class_names)
    assert results["voc07_ap50"] == results["voc_ap50"] == results["coco_ap"] == 1.0

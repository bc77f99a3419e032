"""Write the report: the page, its plots, and its numbers as JSON and CSV.

Letters: N detections of an image, K classes.
"""

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_frcnn.data import DetectionDataset
from keras_frcnn.evaluation import matches as matching
from keras_frcnn.evaluation import per_image
from keras_frcnn.evaluation.analysis import analyze
from keras_frcnn.evaluation.bootstrap import COUNTS, by_image
from keras_frcnn.evaluation.comparison import compare
from keras_frcnn.evaluation.detecting import Found
from keras_frcnn.evaluation.scores import PER_CLASS
from keras_frcnn.files import replacing, write_text
from keras_frcnn.report import crops
from keras_frcnn.report.gallery import COLUMNS, choose, list_errors
from keras_frcnn.report.page import render
from keras_frcnn.report.plots import PLOTS, plots

BEST = ("threshold", "precision", "recall", "f1")
CLASS_COLUMNS = (
    *("class", "ground_truths", *PER_CLASS, "coco_ap50_low", "coco_ap50_high"),
    *(f"best_{name}" for name in BEST),
)


def write_report(
    folder: Path,
    results: Mapping[str, Any],
    found: Found,
    dataset: DetectionDataset,
    title: str,
    proposals: Mapping[str, Any] | None = None,
    warnings: Sequence[str] = (),
    other: Mapping[str, Any] | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Analyze what a detector found, and write `report.html` with everything beside it.

    Args:
        folder: folder to write; files of an earlier report are replaced.
        results: dict from `evaluation.score_found`.
        found: `Found`, from `evaluation.detect_set`.
        dataset: the set.
        title: str, what was evaluated on what.
        proposals: dict from `proposal_recall.recall_curve`, for a detector with an RPN.
        warnings: lines about the set.
        other: dict that an earlier report on the same set wrote as JSON, to compare with.
        progress: function called after each picture with the number done and the total.

    Returns:
        JSON-serializable dict, which `report.json` holds: `results`; what `analysis.analyze` gives; "title",
        "warnings", "proposals", "speed", "gallery", the errors that are shown; "comparison", see
        `comparison.compare`; "class_names"; and "per_image", see `per_image.as_json`.

    Raises:
        ValueError: `other` is about other images or classes.

    Example:
        >>> found = evaluation.detect_set(model, dataset)
        >>> write_report(Path("report"), evaluation.score_found(found, dataset), found, dataset, "my model")
    """
    records = dataset.records
    matches = matching.match(found.detections, records, dataset.class_names)
    report = {**results, "title": title, "warnings": list(warnings), **analyze(matches)}
    threshold = report["operating_point"]["threshold"]
    errors = list_errors(matches, threshold, records)
    report |= {
        "proposals": None if proposals is None else dict(proposals),
        "speed": _speed(found.steady_seconds),
        "gallery": choose(errors),
        "comparison": None,
    }
    others = None
    if other is not None:
        others = matching.match(
            per_image.from_json(other, records, dataset.class_names), records, dataset.class_names
        )
        thresholds = threshold, other["operating_point"]["threshold"]
        report["comparison"] = {"title": other["title"], **compare(matches, others, thresholds, records)}
    pictures, changed = _pictures(report, matches, others, dataset, progress)
    drawn = plots(report)
    report["class_names"] = [*dataset.class_names]
    report["per_image"] = per_image.as_json(found.detections, records)
    page = render(report, drawn, pictures, changed)
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / "report.json").exists():  # an earlier report
        for name in PLOTS.keys() - drawn.keys():
            (folder / f"{name}.png").unlink(missing_ok=True)
    for name, file in drawn.items():
        with replacing(folder / f"{name}.png") as partial:
            partial.write_bytes(file)
    write_text(folder / "classes.csv", _table(_class_rows(report), CLASS_COLUMNS))
    write_text(folder / "errors.csv", _table(errors, COLUMNS))
    write_text(
        folder / "images.csv", _table(_image_rows(matches, threshold, records), ("image", "file", *COUNTS))
    )
    write_report_json(folder / "report.json", report)
    write_text(folder / "report.html", page)
    return report


def write_report_json(path: Path, report: Mapping[str, Any]) -> None:
    """Write a report as JSON, one line for each entry, because it holds all detections.

    Args:
        path: file to write; an existing one is replaced.
        report: dict from `write_report`.
    """
    lines = [f"{json.dumps(name)}: {json.dumps(value, allow_nan=False)}" for name, value in report.items()]
    write_text(path, "{\n" + ",\n".join(lines) + "\n}\n")


def _speed(seconds):
    return {
        "median": float(np.median(seconds)),
        "95th_percentile": float(np.quantile(seconds, 0.95)),
        "slowest": float(np.max(seconds)),
    }


def _pictures(report, matches, others, dataset, progress):
    """The crops of the gallery, and the images that changed, each decoded once."""
    shown, changed = report["gallery"], (report["comparison"] or {"images": []})["images"]
    thresholds = (report["comparison"] or {}).get("thresholds")
    numbers = sorted({one["number"] for one in (*shown, *changed)})
    cropped, pairs = {}, {}
    for done, number in enumerate(numbers, start=1):
        image = np.asarray(dataset.image(number))
        for place, one in enumerate(shown):
            if one["number"] == number:
                cropped[place] = crops.crop(image, one["box"], one["object_box"])
        for place, one in enumerate(changed):
            if one["number"] == number:
                both = zip((matches, others), thresholds.values())
                pairs[place] = tuple(_overview(image, part, number, threshold) for part, threshold in both)
        progress(done, len(numbers))
    return [cropped[place] for place in range(len(shown))], [pairs[place] for place in range(len(changed))]


def _overview(image, matches, number, threshold):
    sure = matches.above(threshold)
    objects, missed = (sure.truth["images"] == number) & sure.counting, sure.finders < 0
    found, boxes = sure.images == number, sure.truth["boxes"]
    return crops.overview(
        image,
        boxes[objects & ~missed],
        boxes[objects & missed],
        sure.boxes[found & sure.hits],
        sure.boxes[found & sure.wrong],
    )


def _class_rows(report):
    rows = []
    for name, numbers in report["per_class"].items():
        best = report["score_curves"]["per_class"][name]["best"] or {}
        low, high = report["intervals"]["per_class"][name]
        rows.append(
            {
                **numbers,
                "class": name,
                "coco_ap50_low": low,
                "coco_ap50_high": high,
                **{f"best_{key}": best.get(key) for key in BEST},
            }
        )
    return rows


def _image_rows(matches, threshold, records):
    counts = by_image(matches, threshold)
    return [
        {
            "image": record.image_id,
            "file": record.file,
            **{name: int(counts[name][number]) for name in COUNTS},
        }
        for number, record in enumerate(records)
    ]


def _table(rows, columns):
    """Rows, a list of dicts, as CSV."""
    file = io.StringIO()
    writer = csv.DictWriter(file, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()

"""The report's plots: precision and recall, errors, confusion, calibration.

Letter: K classes.
"""

import contextlib
import io
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from keras_frcnn.evaluation.coco import RECALLS

# Inches; the page shows a plot as wide as a phone, where its text must be readable.
WIDTH, HEIGHT = 4.4, 3.5
DPI = 160
# More classes than this share one color, and their names are left to the table.
NAMED = 10
# Most classes whose differences are drawn.
COMPARED = 30
# Largest side of a confusion matrix that has numbers in its cells, and names beside it.
NUMBERED, LABELED = 12, 45
BLUE, ORANGE, GREEN, GRAY = "#2563eb", "#d97706", "#059669", "#9ca3af"


def plots(report: Mapping[str, Any]) -> dict[str, bytes]:
    """Draw every plot that the report has numbers for.

    Args:
        report: dict as `folder.write_report` makes it.

    Returns:
        dict from the name of a plot to a PNG file.
    """
    drawn: dict[str, bytes] = {}
    with _plain_text():
        for name, draw in PLOTS.items():
            if name not in OPTIONAL or report.get(name):
                figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
                draw(figure, report)
                drawn[name] = _png(figure)
    return drawn


@contextlib.contextmanager
def _plain_text():
    """Class names may hold dollars, which would be taken for formulas, or letters that the font lacks."""
    with matplotlib.rc_context({"text.parse_math": False, "font.size": 10}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def _png(figure):
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=DPI)
    return file.getvalue()


def precision_recall(figure: Figure, report: Mapping[str, Any]) -> None:
    """Interpolated precision against recall, each class and their mean."""
    axes = figure.add_subplot()
    curves = {name: curve for name, curve in report["precision_at_recall"].items() if curve}
    for color, (name, curve) in enumerate(curves.items()):
        if len(curves) <= NAMED:
            axes.plot(RECALLS, curve, color=f"C{color}", linewidth=1.3, label=_short(name))
        else:
            axes.plot(RECALLS, curve, color=GRAY, linewidth=0.5, alpha=0.6)
    if len(curves) > 1:
        axes.plot(RECALLS, np.mean([*curves.values()], axis=0), color="black", linewidth=2.2, label="mean")
    _unit(axes, "recall", "precision")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=9, loc="lower left")


def scores(figure: Figure, report: Mapping[str, Any]) -> None:
    """Precision, recall and F1 of all classes together against the score threshold."""
    axes = figure.add_subplot()
    curves = report["score_curves"]
    for name, color in (("precision", BLUE), ("recall", ORANGE), ("f1", GREEN)):
        values = np.array(curves["all"][name], np.float64)
        axes.plot(curves["thresholds"], values, color=color, label="F1" if name == "f1" else name)
    threshold = report["operating_point"]["threshold"]
    axes.axvline(threshold, color="black", linestyle=":", label=f"operating point {threshold:.2f}")
    _unit(axes, "score threshold", "fraction")
    axes.legend(fontsize=9, loc="best")


def f1_per_class(figure: Figure, report: Mapping[str, Any]) -> None:
    """F1 of each class against the score threshold, with its best point."""
    axes = figure.add_subplot()
    curves = report["score_curves"]
    for color, (name, curve) in enumerate(curves["per_class"].items()):
        few = len(curves["per_class"]) <= NAMED
        style = {"color": f"C{color}", "label": _short(name)} if few else {"color": GRAY, "linewidth": 0.6}
        axes.plot(curves["thresholds"], np.array(curve["f1"], np.float64), **style)
        if curve["best"]:
            place = curve["best"]["threshold"], curve["best"]["f1"]
            axes.plot(*place, "o", color=f"C{color}" if few else GRAY, markersize=5 if few else 3)
    _unit(axes, "score threshold", "F1")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=9, loc="best")


def errors(figure: Figure, report: Mapping[str, Any]) -> None:
    """What mending each kind of error would gain."""
    axes = figure.add_subplot()
    gains = {**report["errors"]["gains"], **report["errors"]["special"]}
    names = [name.replace("_", " ") for name in gains]
    values = np.array([100 * (value or 0.0) for value in gains.values()])
    colors = [BLUE] * len(report["errors"]["gains"]) + [GRAY] * len(report["errors"]["special"])
    _bars(axes, names, values, colors, "AP at IoU 0.5 gained, points")


def groups(figure: Figure, report: Mapping[str, Any]) -> None:
    """Average precision of the groups of each attribute that have objects."""
    axes = figure.add_subplot()
    names, values, colors = [], [], []
    for color, (attribute, rows) in enumerate(report["groups"].items()):
        for row in rows:
            if row["ap50"] is not None:
                names.append(f"{attribute.replace('_', ' ')}: {row['group']}")
                values.append(100 * row["ap50"])
                colors.append(f"C{color}")
    figure.set_size_inches(WIDTH, max(HEIGHT, 0.3 * len(names) + 0.8))
    _bars(axes, names, np.array(values), colors, "AP at IoU 0.5, percent")


def calibration(figure: Figure, report: Mapping[str, Any]) -> None:
    """The share of right detections in each bin of scores."""
    axes = figure.add_subplot()
    bins = [one for one in report["calibration"]["bins"] if one["detections"]]
    axes.plot([0, 1], [0, 1], color=GRAY, linestyle="--", label="calibrated")
    lows = [one["from"] for one in bins]
    axes.bar(
        lows, [one["precision"] for one in bins], 0.1, align="edge", color=BLUE, alpha=0.75, edgecolor="white"
    )
    points = [one["mean_score"] for one in bins], [one["precision"] for one in bins]
    axes.plot(*points, "o", color="black", markersize=4, label="mean score of the bin")
    if not bins:
        axes.text(0.5, 0.25, "no detections", ha="center")
    _unit(axes, "score", "share that is right")
    axes.legend(fontsize=9, loc="upper left")


def proposals(figure: Figure, report: Mapping[str, Any]) -> None:
    """Recall against the number of proposals."""
    axes = figure.add_subplot()
    curve = report["proposals"]
    for color, (iou, recall) in zip((BLUE, ORANGE), curve["recall"].items()):
        axes.plot(curve["counts"], np.array(recall, np.float64), "o-", color=color, label=f"IoU {iou}")
    axes.set(xscale="log", ylim=(0, 1.02), xlabel="proposals of an image", ylabel="recall")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=9, loc="lower right")


def comparison(figure: Figure, report: Mapping[str, Any]) -> None:
    """Differences between two models, with their intervals; of many classes those that differ most."""
    axes = figure.add_subplot()
    numbers, classes = (
        {name: row for name, row in report["comparison"][part].items() if row["difference"] is not None}
        for part in ("numbers", "per_class")
    )
    most = sorted(classes, key=lambda name: -abs(classes[name]["difference"]))[:COMPARED]
    rows = [*numbers.items(), *((name, row) for name, row in classes.items() if name in most)]
    figure.set_size_inches(WIDTH, max(HEIGHT, 0.3 * len(rows) + 0.8))
    for place, (_, row) in enumerate(rows):
        low, high = row["interval"]
        if low is not None:
            axes.plot([100 * low, 100 * high], [place, place], color=BLUE, linewidth=2)
        axes.plot(100 * row["difference"], place, "o", color="black", markersize=4)
    axes.axvline(0, color=GRAY, linestyle="--")
    axes.set_yticks(range(len(rows)), [_short(name) for name, _ in rows])
    axes.set(xlabel="this less the other, points", ylim=(len(rows) - 0.5, -0.5))
    axes.grid(axis="x", alpha=0.3)


def confusion(figure: Figure, report: Mapping[str, Any]) -> None:
    """The confusion matrix: rows are divided by their sums for the colors, cells hold the counts."""
    names = [_short(name) for name in report["confusion"]["classes"]]
    matrix = np.array(report["confusion"]["matrix"])
    side = min(9.0, max(4.6, 0.5 * len(names) + 1.6, 0.1 * len(names)))
    figure.set_size_inches(side, side)
    axes = figure.add_subplot()
    shares = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if len(names) <= NUMBERED:
        for row, column in np.ndindex(*matrix.shape):
            color = "white" if shares[row, column] > 0.5 else "black"
            text = f"{matrix[row, column]}"
            if (row, column) == (len(names) - 1, len(names) - 1):
                text = ""
            axes.text(column, row, text, ha="center", va="center", color=color, fontsize=9)
    if len(names) <= LABELED:
        size = 9 if len(names) <= NUMBERED else 6
        axes.set_xticks(range(len(names)), names, rotation=90, fontsize=size)
        axes.set_yticks(range(len(names)), names, fontsize=size)
    axes.set(xlabel="detected as", ylabel="object")


PLOTS: dict[str, Callable[[Figure, Mapping[str, Any]], None]] = {
    "precision_recall": precision_recall,
    "scores": scores,
    "f1_per_class": f1_per_class,
    "errors": errors,
    "groups": groups,
    "calibration": calibration,
    "proposals": proposals,
    "comparison": comparison,
    "confusion": confusion,
}
# Drawn only if the report has the entry of this name.
OPTIONAL = ("proposals", "comparison")


def _bars(axes, names, values, colors, label):
    places = np.arange(len(names))
    axes.barh(places, values, color=colors)
    for place, value in zip(places, values):
        axes.text(value, place, f" {value:.1f}", va="center", fontsize=8)
    axes.set_yticks(places, names, fontsize=9)
    axes.set_xlim(min(0, values.min(initial=0)), max(1.0, 1.2 * values.max(initial=0)))
    axes.invert_yaxis()
    axes.set_xlabel(label)
    axes.grid(axis="x", alpha=0.3)


def _unit(axes, xlabel, ylabel):
    # A little room below, so that a curve at 0 is seen.
    axes.set(xlim=(0, 1), ylim=(-0.02, 1.02), xlabel=xlabel, ylabel=ylabel)
    axes.grid(alpha=0.3)


def _short(name):
    """A class name as a label: not too long, and with a sign that nobody sees before an underscore, because
    matplotlib leaves out of legends what begins with one."""
    shown = name if len(name) <= 20 else f"{name[:19]}…"
    return f"\u200b{shown}" if shown.startswith("_") else shown

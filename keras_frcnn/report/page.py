"""The page itself: the template filled with the report."""

import base64
import re
from collections.abc import Mapping, Sequence
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup

from keras_frcnn.evaluation.scores import PROTOCOLS
from keras_frcnn.report.gallery import PER_KIND
from keras_frcnn.report.numbers import Numbers

# What to do about each kind of error, in the order of the table; HTML.
ADVICE = {
    "classification": "Right place, wrong class. Look at the confusion matrix: are the two classes annotated "
    "consistently? More examples of the rarer one help.",
    "localization": "Right class, loose box. Train longer or at a larger <code>--image-size</code>, and "
    "check how tightly the annotations fit.",
    "both": "Wrong class and loose box. Usually hard or rare objects: look at the pictures below.",
    "duplicate": "Several detections of one object. Lower the IoU of the suppression: <code>nms_iou</code> "
    "of the model, or <code>--nms-iou</code> of export.",
    "background": "Detections where nothing is annotated. Look at the pictures first: missing annotations "
    "are common. Otherwise add images without objects.",
    "missed": "Objects that nothing found. Compare the table by size: small ones need a larger "
    "<code>--image-size</code> or smaller anchors; otherwise train longer.",
}
MOST_CONFUSIONS = 12


def render(
    report: Mapping[str, Any],
    plots: Mapping[str, bytes],
    crops: Sequence[bytes],
    changed: Sequence[tuple[bytes, bytes]],
) -> str:
    """Fill the template.

    Args:
        report: dict as `folder.write_report` makes it.
        plots: dict from the name of a plot to a PNG file.
        crops: JPEG files of the errors in `report["gallery"]`.
        changed: pairs of JPEG files, this model and the other, of the images in `report["comparison"]`.

    Returns:
        HTML, with everything that it needs inside.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("keras_frcnn.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["file_name"] = _file_name
    return environment.get_template("report.html").render(
        report=report,
        number=Numbers(report),
        scores=[(name, text) for name, text in PROTOCOLS.items() if name in report],
        plots={name: _data_uri(file, "png") for name, file in plots.items()},
        crops=[_data_uri(file, "jpeg") for file in crops],
        changed=[tuple(_data_uri(file, "jpeg") for file in pair) for pair in changed],
        advice={kind: Markup(text) for kind, text in ADVICE.items()},
        per_kind=PER_KIND,
        worst=_worst(report["errors"]["gains"]),
        confusions=_confusions(report["confusion"]),
    )


def _file_name(file):
    """The last part of a path of any system; names of pictures in memory stay as they are."""
    return re.split(r"[/\\]", file)[-1] or file


def _data_uri(file, kind):
    return f"data:image/{kind};base64,{base64.b64encode(file).decode('ascii')}"


def _worst(gains):
    """The kind of error that costs most, None if nothing does."""
    kind = max(gains, key=lambda name: gains[name] or 0.0)
    return kind if gains[kind] else None


def _confusions(confusion):
    """Rows and columns of the largest numbers off the diagonal, background left out."""
    times = np.array(confusion["matrix"])[:-1, :-1]
    np.fill_diagonal(times, 0)
    rows, columns = np.nonzero(times)
    most = np.argsort(-times[rows, columns], kind="stable")[:MOST_CONFUSIONS]
    return list(zip(rows[most].tolist(), columns[most].tolist()))

"""Where a model came from, according to its run folder."""

import json
from typing import Any

from keras_frcnn import evaluation
from keras_frcnn.callbacks.epoch_log import read_rows
from keras_frcnn.commands.detectors import is_preset
from keras_frcnn.evaluation.scores import PROTOCOLS
from keras_frcnn.export.markdown import block

# Log entry that selects the best epoch of a detector; see `Detector.score_name`.
BEST = "val_voc_ap50"


def provenance(file) -> dict[str, Any]:
    """Read the data and metrics for the model card of an export.

    Args:
        file: `pathlib.Path` of a `.keras` file, whose folder is read if it is a run folder; or the name of a
            preset, which has no folder.

    Returns:
        dict of "data" and "metrics", str or None, arguments of `export.saved_model`.

    Raises:
        ValueError: metrics.json is damaged.
    """
    config = file.with_name("config.yaml")
    beside = not is_preset(file) and config.is_file()
    command, _, _ = config.read_text(encoding="utf-8").partition("\n") if beside else ("", "", "")
    if not command.startswith("# train.py"):
        return {"data": None, "metrics": None}
    # metrics.json has the scores of the model after the last epoch.
    readers = {"last.keras": ("metrics.json", _last_scores), "best.keras": ("log.csv", _best_scores)}
    metrics = None
    if file.name in readers:
        name, read = readers[file.name]
        scores = file.with_name(name)
        metrics = read(scores) if scores.is_file() else None
    return {"data": f"Trained with\n\n{block(command.removeprefix('# '))}", "metrics": metrics}


def _last_scores(file):
    try:
        return evaluation.report(json.loads(file.read_text(encoding="utf-8")))
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{file} is damaged; move it away, and the model card will have no metrics."
        ) from error


def _best_scores(file):
    rows = [row for row in read_rows(file) if BEST in row]
    if not rows:
        return None
    # Of equal epochs the later one, as in `RunFolder`.
    row = max(reversed(rows), key=lambda row: float(row[BEST]))
    lines = [
        f"{name:18}{100 * float(row[f'val_{name}']):8.1f}  {protocol}"
        for name, protocol in PROTOCOLS.items()
        if f"val_{name}" in row
    ]
    return "\n".join([f"validation set, after epoch {int(row['epoch']) + 1}; scores in percent:", *lines])

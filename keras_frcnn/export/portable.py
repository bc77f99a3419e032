"""Write an export for ONNX Runtime, OpenVINO or LiteRT: a folder that is complete and agrees, or none."""

import hashlib
import os
import tempfile
from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import Literal, TypedDict

from keras_frcnn.export import companions
from keras_frcnn.export.agreement import agreement
from keras_frcnn.export.description import described
from keras_frcnn.export.folding import fold_batch_norm
from keras_frcnn.export.model_card import model_card
from keras_frcnn.export.portable_detector import PortableDetector
from keras_frcnn.export.settings import with_settings
from keras_frcnn.export.target import new_folder
from keras_frcnn.files import write_json
from keras_frcnn.models import Detector


class PortableSettings(TypedDict, total=False):
    """Settings of the portable formats; what is left out, or None, stays as the model has it."""

    image_size: tuple[int, int] | None
    max_detections: int | None
    score_threshold: float | None
    nms_iou: float | None
    precision: Literal["float32", "float16"] | None
    """What weights are stored in; boxes and scores stay float32. By default float32."""
    data: str | None
    """For the model card, what the model was trained on."""
    metrics: str | None
    """For the model card, its scores and the protocol behind them."""


def write_portable(
    model: Detector,
    path: str | PathLike,
    kind: str,
    write: Callable,
    *,
    precision=None,
    data=None,
    metrics=None,
    **settings,
) -> None:
    """Write the folder of an export after comparing it with `detect`.

    Args:
        model: `Detector`; it is not changed.
        path: folder to create.
        kind: name of the format.
        write: function from a detector with folded normalization, whether to store float16, and a folder, to
            the file that it wrote there.
        precision, data, metrics: see `PortableSettings`.
        **settings: see `with_settings`.

    Raises:
        FileExistsError: `path` already exists.
        ValueError: a setting is not possible, the model cannot be written in this format, a package is
            missing, or the file does not give the detections of the model.
    """
    path = new_folder(path)
    if precision not in (None, "float32", "float16"):
        raise ValueError(f"{kind} stores float32 or float16, not {precision}; give one of them as precision.")
    computes = model.dtype_policy.compute_dtype
    if not isinstance(model.arguments["backbone"], str) and computes != "float32":
        raise ValueError(
            f"A backbone of your own that computes in {computes} has a form in float32 only; "
            "build the backbone in float32, or export a SavedModel."
        )
    half = precision == "float16"

    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".export-", dir=path.parent) as temporary:
        folder, description = Path(temporary) / "export", {}

        def written(**changed):
            """Write the file; that of changed settings, which only the comparison needs, beside it."""
            place = Path(temporary) / "twin" if changed else folder
            place.mkdir()
            reference = with_settings(model, "float32", **{**settings, **changed})
            folded = with_settings(model, "float32", **{**settings, **changed})
            fold_batch_norm(folded, model)
            facts = {**described(folded), "format": kind, "precision": precision or "float32"}
            write_json(place / "model.json", facts)
            description.update({} if changed else facts)
            return PortableDetector(write(folded, half, place)), reference

        threshold = settings.get("score_threshold")
        threshold = model.arguments.get("score_threshold", 0.0) if threshold is None else threshold
        parity = agreement(written, f"The {kind} file", threshold, half)
        own = {**described(model), "precision": description["precision"]}
        changed = [name for name, value in own.items() if description[name] != value]
        card = model_card(path, description, _checksums(folder), data, metrics, changed, parity)
        (folder / "labels.txt").write_text(companions.labels(model.class_names), encoding="utf-8")
        (folder / "model_card.md").write_text(card, encoding="utf-8")
        os.rename(folder, path)


def _checksums(folder):
    """Hexadecimal SHA-256 of the files with the weights, by name."""
    checksums = {}
    for file in sorted(folder.glob("model.*")):
        if file.suffix != ".json":
            with open(file, "rb") as contents:
                checksums[file.name] = hashlib.file_digest(contents, "sha256").hexdigest()
    return checksums

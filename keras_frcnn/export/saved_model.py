"""Write a detector as a SavedModel that speaks the TF Object Detection API contract.

Letters: B images, H height, W width, P proposals, N detections.
"""

import hashlib
import json
import os
import tempfile
from os import PathLike
from pathlib import Path

import tensorflow as tf

from keras_frcnn.export import companions
from keras_frcnn.export.agreement import agreement
from keras_frcnn.export.description import described
from keras_frcnn.export.folding import fold_batch_norm
from keras_frcnn.export.model_card import model_card
from keras_frcnn.export.served_detector import ServedDetector
from keras_frcnn.export.settings import with_settings
from keras_frcnn.export.signatures import signatures
from keras_frcnn.export.target import new_folder
from keras_frcnn.export.variables import variables
from keras_frcnn.export.warm_up import write_warm_up
from keras_frcnn.models import Detector
from keras_frcnn.models.detection import EXPORTERS

# Limits of one encoded image: bytes in a request, and pixels, which take up to 150 MB when decoded.
MAX_BYTES = 32 * 2**20
MAX_PIXELS = 50_000_000


def saved_model(
    model: Detector,
    path: str | PathLike,
    *,
    image_size: tuple[int, int] | None = None,
    max_detections: int | None = None,
    score_threshold: float | None = None,
    nms_iou: float | None = None,
    precision: str | None = None,
    max_bytes: int = MAX_BYTES,
    max_pixels: int = MAX_PIXELS,
    data: str | None = None,
    metrics: str | None = None,
) -> None:
    """Write a detector with all its pre- and post-processing as a SavedModel of stock TensorFlow operations.

    TF-Serving serves the folder without changes. Batch normalization is folded into the convolutions before
    it. There are two signatures:

    - `serving_default`: `input_tensor` uint8 `[B, H, W, 3]`, RGB, images of one shape;
    - `serving_bytes`: `image_bytes` string `[B]`, encoded images (JPEG, PNG, GIF, BMP) of any sizes.

    A model that works on external proposals has only the first, with a second input: `proposals` float32
    `[B, P, 4]`, xyxy in pixels of the image, padded with −1.

    Both return float32: `detection_boxes` `[B, N, 4]` (ymin, xmin, ymax, xmax as fractions of the
    image), `detection_scores` `[B, N]`, `detection_classes` `[B, N]` counted from 1 and
    `num_detections` `[B]`; padding rows are box 0, score 0, class 1. `serving_bytes` also answers
    `image_ok` `[B]`: 0 for bytes that cannot be decoded or exceed a limit, such images have no detections
    and do not affect the others. The object that `tf.saved_model.load` returns is callable too, with the
    arguments and results of `serving_default`.

    Besides the SavedModel itself, the folder has `assets/labels.txt` (one class per line),
    `assets/label_map.pbtxt` (the same for clients of the TF Object Detection API), `assets/model.json` (facts
    for clients), `model_card.md`, and under `assets.extra/` the requests that TF-Serving warms up with and
    examples of its configuration files.

    Args:
        model: `Detector`; it is not changed.
        path: folder to create; for TF-Serving, its name is a version number.
        image_size, max_detections, score_threshold, nms_iou, precision: by default the model's own; see
            `with_settings`.
        max_bytes: `serving_bytes` rejects encoded images above this length.
        max_pixels: it also rejects images whose header claims more pixels, before decoding anything.
        data: str for the model card, what the model was trained on.
        metrics: str for the model card, its scores and the protocol behind them.

    Raises:
        FileExistsError: `path` already exists.
        ValueError: a setting is not possible, or the SavedModel does not give the detections of the model.

    Example:
        >>> saved_model(keras_frcnn.FasterRCNN(["cell"], image_size=(96, 128)), "saved_models/cells/1")
        >>> serve = tf.saved_model.load("saved_models/cells/1").signatures["serving_bytes"]
        >>> serve(image_bytes=tf.constant([open("cells.jpg", "rb").read()]))["num_detections"]
    """
    path = new_folder(path)
    if min(max_bytes, max_pixels) < 1:
        raise ValueError(f"max_bytes is {max_bytes} and max_pixels {max_pixels}; both are at least 1.")
    settings = {
        "image_size": image_size,
        "max_detections": max_detections,
        "score_threshold": score_threshold,
        "nms_iou": nms_iou,
    }
    limits = {"max_bytes": max_bytes, "max_pixels": max_pixels}
    path.parent.mkdir(parents=True, exist_ok=True)
    # Write next to the target and rename, so that a server watching the folder never sees half a model.
    with tempfile.TemporaryDirectory(prefix=".export-", dir=path.parent) as temporary:
        folder, description = Path(temporary) / "export", {}

        def written(**changed):
            """Write the SavedModel; that of changed settings, which only the comparison needs, beside it."""
            place = Path(temporary) / "twin" if changed else folder
            reference = with_settings(model, precision, **{**settings, **changed})
            folded = with_settings(model, precision, **{**settings, **changed})
            fold_batch_norm(folded, model)
            facts = {**described(folded), "format": "saved_model", **limits}
            description.update({} if changed else facts)
            _write(folded, place, facts)
            if not changed:
                write_warm_up(place / "assets.extra" / "tf_serving_warmup_requests", folded, path.parent.name)
            return ServedDetector(place), reference

        threshold = (
            model.arguments.get("score_threshold", 0.0) if score_threshold is None else score_threshold
        )
        computes = precision or model.dtype_policy.compute_dtype
        parity = agreement(written, "The SavedModel", threshold, computes != "float32")
        extra = folder / "assets.extra"
        (extra / "models.config").write_text(companions.models_config(path), encoding="utf-8")
        (extra / "batching.config").write_text(companions.BATCHING_CONFIG, encoding="utf-8")
        changed = [name for name, value in described(model).items() if description[name] != value]
        card = model_card(path, description, _checksums(folder), data, metrics, changed, parity)
        (folder / "model_card.md").write_text(card, encoding="utf-8")
        os.rename(folder, path)


def _write(model, folder, description):
    """Write the SavedModel and its assets."""
    folder.mkdir()
    assets = {
        "labels.txt": companions.labels(model.class_names),
        "label_map.pbtxt": companions.label_map(model.class_names),
        "model.json": json.dumps(description, indent=2) + "\n",
    }
    with tempfile.TemporaryDirectory() as elsewhere:
        for name, text in assets.items():
            (Path(elsewhere) / name).write_text(text, encoding="utf-8")
        module = tf.Module()
        functions = signatures(model, description["max_bytes"], description["max_pixels"])
        module.weights = variables(model)
        # Clients of the TF Object Detection API call the loaded object itself.
        module.__call__ = functions["serving_default"]
        module.assets = [tf.saved_model.Asset(str(Path(elsewhere) / name)) for name in assets]
        tf.saved_model.save(
            module,
            str(folder),
            signatures=functions,
            options=tf.saved_model.SaveOptions(experimental_custom_gradients=False),
        )
    (folder / "assets.extra").mkdir()


def _checksums(served):
    """Hexadecimal SHA-256 of the files with the weights, by their path in the export."""
    checksums = {}
    for file in sorted((served / "variables").glob("variables.data-*")):
        with open(file, "rb") as contents:
            checksums[f"variables/{file.name}"] = hashlib.file_digest(contents, "sha256").hexdigest()
    return checksums


EXPORTERS["saved_model"] = saved_model

"""The model card: documentation for people who find the export without its author."""

import datetime
import platform

import keras
import numpy as np
import tensorflow as tf

from keras_frcnn.export.markdown import block, escaped

PREPROCESSING = {
    "tf": "scaled to −1…1",
    "torch": "scaled to 0…1, less the mean of ImageNet, over its deviation",
    "caffe": "as BGR, less the mean of ImageNet",
    "none": "as they are; the network normalizes",
}

_TEXT = """\
# {name}, version {version}

A {model} over {backbone} that finds {count}: {classes}. Written by keras_frcnn {keras_frcnn} on {date}.

## Data

{data}

## Metrics

{metrics}

## Settings

| setting | value |
|---|---|
| detections score above | {score_threshold} |
| boxes of a class that overlap a better one by more are dropped (IoU) | {nms_iou} |
| detections an image, at most | {max_detections} |
{rows}

## Preprocessing

{images} {resize} Pixels are then {pixels}.

## Contract

{contract}

## Versions

Python {python}, TensorFlow {tensorflow}, Keras {keras}, NumPy {numpy}, keras_frcnn {keras_frcnn}.

## Weights

The network began with weights from: {weights_source}. SHA-256, for `sha256sum --check`:

```
{checksums}
```
"""

_SERVED_ROWS = """\
| the network computes in | {precision} |
| bytes of an encoded image, at most | {max_bytes:,} |
| pixels of an encoded image, at most | {max_pixels:,} |"""

_SERVED_IMAGES = """\
All of it is in the graph. Clients send images as they are: RGB, 0…255, any size, with or without an EXIF
orientation."""

_SERVED_CONTRACT = """\
`serving_default` takes `input_tensor`, uint8 [B, H, W, 3]{more}
Answers are float32: `detection_boxes` [B, {max_detections}, 4] (ymin, xmin, ymax, xmax as fractions of the
image), `detection_scores`, `detection_classes` counted from 1 as in `assets/label_map.pbtxt`,
`num_detections`."""

_BYTES_TOO = """\
, images of one shape; `serving_bytes` takes `image_bytes`, encoded
images (JPEG, PNG, GIF, BMP) of any sizes, and also answers `image_ok`: 0 for one that cannot be read."""

_PROPOSALS_TOO = """\
, and `proposals`, float32 [B, P, 4], xyxy in pixels, padded with −1."""

_PORTABLE_ROWS = """\
| format | {format} |
| weights are stored in | {precision} |"""

_PORTABLE_IMAGES = """\
Clients decode images and turn them upright: RGB, 0…255, any size. The rest is in the graph."""

_PORTABLE_CONTRACT = """\
The input is `images`, uint8 [{batch}, H, W, 3]. The outputs are `boxes`, float32
[{batch}, {max_detections}, 4] (xmin, ymin, xmax, ymax in pixels of the image as given), `scores`, float32
[{batch}, {max_detections}], `labels`, int32 [{batch}, {max_detections}], counted from 0 as in `labels.txt`,
all padded with −1, and `num_detections`, int32 [{batch}]."""

_PARITY = """\


Parity, measured when it was written: {parity}."""


def model_card(path, description, checksums, data=None, metrics=None, changed=(), parity=None):
    """Write the card as Markdown.

    Args:
        path: `pathlib.Path` of the export; its name is the version, and its folder's name is the model's.
        description: dict, the contents of model.json.
        checksums: dict of SHA-256 sums by file.
        data: str, what the model was trained on.
        metrics: str, its scores and the protocol behind them.
        changed: names of the settings that changed after the model was scored.
        parity: str, how far the export agrees with the model.

    Returns:
        str.
    """
    names = description["class_names"]
    short, long = description["image_size"]
    if "pyramid_sides" in description:
        short, long = ", ".join(map(str, description["pyramid_sides"])), description["pyramid_limit"]
    resize = (
        f"The short side becomes {short} pixels, or the long side {long} where it would become longer "
        "(bilinear, half-pixel centers)."
    )
    if "pyramid_sides" in description:
        resize += (
            " Every image is resized to each of these sizes, and a proposal is pooled from the one where its "
            "area is nearest to 224²."
        )
    if description["canvas"]:
        resize += " Every image is then padded to one square."
    if metrics:
        metrics = block(metrics)
        metrics += f"\n\nMeasured before a change of {', '.join(changed)}." if changed else ""
    if description["format"] == "saved_model":
        rows, images, contract = _SERVED_ROWS, _SERVED_IMAGES, _SERVED_CONTRACT
    else:
        rows, images, contract = _PORTABLE_ROWS, _PORTABLE_IMAGES, _PORTABLE_CONTRACT
    more = {
        "more": _PROPOSALS_TOO if description["needs_proposals"] else _BYTES_TOO,
        "batch": 1 if description["format"] == "litert" else "B",
    }
    return _TEXT.format(
        **{**description, "weights_source": escaped(str(description["weights_source"]))},
        name=escaped(path.parent.name),
        version=path.name,
        count="one class" if len(names) == 1 else f"{len(names)} classes",
        classes=", ".join(map(escaped, names)),
        date=datetime.datetime.now(datetime.UTC).date(),
        data=data or "Not recorded.",
        metrics=metrics or "Not recorded.",
        resize=resize,
        pixels=PREPROCESSING[description["preprocessing"]],
        rows=rows.format(**description),
        images=images,
        contract=contract.format(**description, **more) + (_PARITY.format(parity=parity) if parity else ""),
        python=platform.python_version(),
        tensorflow=tf.__version__,
        keras=keras.__version__,
        numpy=np.__version__,
        keras_frcnn=description["keras_frcnn_version"],
        checksums="\n".join(f"{checksum}  {file}" for file, checksum in checksums.items()),
    )

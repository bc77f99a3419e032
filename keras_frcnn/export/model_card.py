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
| the network computes in | {precision} |
| bytes of an encoded image, at most | {max_bytes:,} |
| pixels of an encoded image, at most | {max_pixels:,} |

## Preprocessing

All of it is in the graph. Clients send images as they are: RGB, 0…255, any size, with or without an EXIF
orientation. {resize} Pixels are then {pixels}.

## Contract

`serving_default` takes `input_tensor`, uint8 [B, H, W, 3]{more}
Answers are float32: `detection_boxes` [B, {max_detections}, 4] (ymin, xmin, ymax, xmax as fractions of the
image), `detection_scores`, `detection_classes` counted from 1 as in `assets/label_map.pbtxt`,
`num_detections`.

## Versions

Python {python}, TensorFlow {tensorflow}, Keras {keras}, NumPy {numpy}, keras_frcnn {keras_frcnn}.

## Weights

The network began with weights from: {weights_source}. SHA-256, for `sha256sum --check`:

```
{checksums}
```
"""


def model_card(path, description, checksums, data=None, metrics=None, changed=()):
    """Write the card as Markdown.

    Args:
        path: `pathlib.Path` of the export; its name is the version, and its folder's name is the model's.
        description: dict, the contents of `assets/model.json`.
        checksums: dict of SHA-256 sums by file.
        data: str, what the model was trained on.
        metrics: str, its scores and the protocol behind them.
        changed: names of the settings that changed after the model was scored.

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
    bytes_too = (
        ", images of one shape; `serving_bytes` takes `image_bytes`, encoded\nimages (JPEG, PNG, GIF, "
        "BMP) of any sizes, and also answers `image_ok`: 0 for one that cannot be read."
    )
    if metrics:
        metrics = block(metrics)
        metrics += f"\n\nMeasured before a change of {', '.join(changed)}." if changed else ""
    proposals_too = ", and `proposals`, float32 [B, P, 4], xyxy in pixels, padded with −1."
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
        more=proposals_too if description["needs_proposals"] else bytes_too,
        python=platform.python_version(),
        tensorflow=tf.__version__,
        keras=keras.__version__,
        numpy=np.__version__,
        keras_frcnn=description["keras_frcnn_version"],
        checksums="\n".join(f"{checksum}  {file}" for file, checksum in checksums.items()),
    )

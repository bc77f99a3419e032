"""This package's side of the comparisons, each subject in a process of its own; `worker.py` starts it.

Letters: B images, H height, W width, N detections, M objects of an image, K classes.
"""

import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import keras
import numpy as np
import profiling
import tensorflow as tf
from arithmetic import counted
from subject import Subject, serve

import keras_frcnn as kf
from keras_frcnn import images
from keras_frcnn.data import shapes
from keras_frcnn.weights.coco import TORCHVISION_CLASS_NAMES

POLICIES = {"none": "float32", "float16": "mixed_float16", "bfloat16": "mixed_bfloat16"}
RATE = 1e-4
OBJECTS = 8


def detector(model, state=None, **arguments):
    """The model that a benchmark is about.

    Args:
        model: name of a backbone of torchvision's detectors, or a `.keras` file.
        state: `.npz` file of torchvision's state dict; without one the weights are new.
        arguments: further ones of `FasterRCNN`.
    """
    if model.endswith(".keras"):
        return keras.saving.load_model(model, compile=False)
    if state:
        return kf.weights.load_torchvision(f"fasterrcnn_{model}", state, **arguments)
    return kf.FasterRCNN(TORCHVISION_CLASS_NAMES, backbone=model, **arguments)


def pictures(file, count, size):
    """Write uint8 images `[B, H, W, 3]` and what they show as a `.npz` file.

    Args:
        file: path; it gets "images", "boxes" `[B, M, 4]` and "labels" `[B, M]`.
        count: B.
        size: H and W, pixels.
    """
    dataset = shapes.load("val", 4 * count)
    chosen = [index for index, record in enumerate(dataset.records) if len(record.boxes) >= OBJECTS // 2]
    chosen = chosen[:count]
    scale = np.float32([size[1] / shapes.WIDTH, size[0] / shapes.HEIGHT] * 2)
    drawn = [images.resize(dataset.image(index), size).numpy().round().astype(np.uint8) for index in chosen]
    records = [dataset.records[index] for index in chosen]
    np.savez(
        file,
        images=np.stack(drawn),
        boxes=np.stack([record.boxes[: OBJECTS // 2] * scale for record in records]),
        labels=np.stack([record.labels[: OBJECTS // 2] for record in records]),
    )


def preparation():
    """What is done once before anything is timed."""

    def picture(file, count, size, image=None):
        if image is None:
            return pictures(file, count, size)
        return np.savez(file, images=images.read(image)[None])

    def export(model, state, folder, precision, **settings):
        kf.export.saved_model(detector(model, state), folder, precision=precision, **settings)

    def work(model, state, file):
        """Floating-point operations of an image's detection."""
        model = detector(model, state)
        batch, _ = model.prepare_batch(tf.constant(np.load(file)["images"][:1], tf.float32))
        with counted() as arithmetic:
            model.infer(batch)
        return {"operations": arithmetic.forward, "size": [int(side) for side in batch["image_shapes"][0]]}

    return Subject(picture=picture, export=export, work=work, peak=profiling.matmul_peak)


def saved_model(folder, file):
    """The exported model, as a server runs it."""
    loaded = tf.saved_model.load(folder)
    serve_default = loaded.signatures["serving_default"]
    pixels = tf.constant(np.load(file)["images"])
    size = np.float32([pixels.shape[1], pixels.shape[2]] * 2)

    def run():
        # The functions of a SavedModel hold its weights only as long as `loaded` lives.
        answer = {name: value.numpy() for name, value in serve_default(input_tensor=pixels).items() if loaded}
        count = int(answer["num_detections"][0])
        return {
            "boxes": (answer["detection_boxes"][0, :count] * size)[:, [1, 0, 3, 2]],
            "scores": answer["detection_scores"][0, :count],
            "labels": answer["detection_classes"][0, :count],
        }

    return Subject(run)


def detect(model, state, file):
    """`detect` of the model itself."""
    model = detector(model, state)
    image = np.load(file)["images"][0]

    def run():
        answer = model.detect(image)
        return {**answer, "labels": answer["labels"] + 1}

    return Subject(run)


def training(model, state, file, precision="none", jit=False):
    """A step of `train_on_batch`, with the resizing that torchvision's model does inside."""


if __name__ == "__main__":
    tensorflow = ("tensorflow", "keras")
    serve(
        {
            "preparation": (tensorflow, preparation),
            "saved_model": (tensorflow, saved_model),
            "detect": (tensorflow, detect),
            "profile": (
                tensorflow,
                lambda folder, file: Subject(profile=lambda: profiling.by_operation(folder, file)),
            ),
        }
    )

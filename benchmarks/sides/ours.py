"""This package's side of the comparisons; `worker.py` starts each subject in its own process.

Letters: B images, H height, W width, N detections, M objects per image, K classes.
"""

import math
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf
from measures import trace as profiling
from measures.arithmetic import counted

import keras_frcnn as kf
from keras_frcnn import boxes as box_ops
from keras_frcnn import images as image_ops
from keras_frcnn.data.readers import shapes
from keras_frcnn.export.settings import with_settings
from keras_frcnn.weights.coco import TORCHVISION_CLASS_NAMES
from sides.subject import Subject, serve

kf.keep_memory()  # as every command does

POLICIES = {"none": "float32", "float16": "mixed_float16", "bfloat16": "mixed_bfloat16"}
# Frozen stages of the five of a ResNet and the six of a MobileNetV3; three train.
FROZEN = {
    "resnet50_fpn": 2,
    "resnet50_fpn_v2": 2,
    "mobilenet_v3_large_fpn": 3,
    "mobilenet_v3_large_320_fpn": 3,
}
RATE = 1e-4
OBJECTS = 4


def detector(model, state=None, **arguments):
    """Build the model that a benchmark measures.

    Args:
        model: name of a backbone of torchvision's detectors, or a `.keras` file.
        state: `.npz` file of torchvision's state dict; without it the weights are new.
        arguments: further arguments of `FasterRCNN`.
    """
    if model.endswith(".keras"):
        return with_settings(keras.saving.load_model(model, compile=False), **arguments)
    if state:
        return kf.weights.load_torchvision(f"fasterrcnn_{model}", state, **arguments)
    return kf.FasterRCNN(TORCHVISION_CLASS_NAMES, backbone=model, **arguments)


def pictures(file, count, size):
    """Write uint8 images `[B, H, W, 3]` and their objects to a `.npz` file.

    Args:
        file: path; it gets "images", "boxes" `[B, M, 4]` and "labels" `[B, M]`.
        count: B.
        size: H and W, pixels.
    """
    dataset = shapes.load("val", 8 * count)
    chosen = [index for index, record in enumerate(dataset.records) if len(record.boxes) >= OBJECTS]
    chosen = chosen[:count]
    scale = np.float32([size[1] / shapes.WIDTH, size[0] / shapes.HEIGHT] * 2)
    drawn = [
        image_ops.resize(dataset.image(index), size).numpy().round().astype(np.uint8) for index in chosen
    ]
    records = [dataset.records[index] for index in chosen]
    np.savez(
        file,
        images=np.stack(drawn),
        boxes=np.stack([record.boxes[:OBJECTS] * scale for record in records]),
        labels=np.stack([record.labels[:OBJECTS] for record in records]),
    )


def preparation():
    """Make the subject that prepares everything before the timing."""

    def picture(file, count, size, image=None):
        if image is None:
            return pictures(file, count, size)
        return np.savez(file, images=image_ops.read(image)[None])

    def export(model, state, folder, precision, **settings):
        kf.export.saved_model(detector(model, state), folder, precision=precision, **settings)

    def portable(model, state, form, folder):
        detector(model, state).export(folder, format=form)

    def work(model, state, file):
        """Count the floating-point operations of detecting in one image."""
        model = detector(model, state)
        batch, _ = model.resizing.prepare_batch(tf.constant(np.load(file)["images"][:1], tf.float32))
        with counted() as arithmetic:
            model.infer(batch)
        return {"operations": arithmetic.forward, "size": [int(side) for side in batch["image_shapes"][0]]}

    return Subject(picture=picture, export=export, portable=portable, work=work, peak=profiling.matmul_peak)


def saved_model(folder, file):
    """The exported model, as a server runs it."""
    loaded = tf.saved_model.load(folder)
    serve_default = loaded.signatures["serving_default"]
    pixels = tf.constant(np.load(file)["images"])
    size = np.float32([pixels.shape[1], pixels.shape[2]] * 2)

    def run():
        # The functions of a SavedModel keep its weights only while `loaded` exists.
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


def training(model, state, file, precision="none", jit=False, **arguments):
    """A training step as `fit` makes it, including the resizing that torchvision's model does inside."""
    if model in FROZEN:
        arguments |= {"frozen_stages": FROZEN[model], "frozen_batch_norm": True}
    model = detector(model, state, dtype=POLICIES[precision], **arguments)
    if precision != "none" and isinstance(model.arguments["backbone"], keras.Model):
        raise ValueError("a backbone of one's own has its own precision; leave --mixed-precision out")
    for norm in model.head.norms:
        norm.trainable = False
    model.compile(keras.optimizers.SGD(RATE, momentum=0.9), jit_compile=jit)
    given = {name: tf.constant(array) for name, array in np.load(file).items()}

    count, *shape, _ = given["images"].shape
    # Use Python integers, so that a compiled step knows its shapes.
    size = [int(side) for side in image_ops.resized_shape(*shape, model.image_size, model.resize_rounding)]
    shapes_now = tf.constant([size] * count)

    def prepared():
        x = {"images": image_ops.resize(given["images"], size), "image_shapes": shapes_now}
        boxes = box_ops.rescale(given["boxes"], tf.constant([shape] * count), shapes_now)
        return x, {"boxes": boxes, "labels": given["labels"], "ignore": given["labels"] < 0}

    batches = iter(tf.data.Dataset.from_tensors(0).repeat().map(lambda _: prepared()))
    model.make_train_function()

    def run():
        return {name: float(value) for name, value in model.train_function(batches).items()}

    def work():
        """Count the floating-point operations of a step."""
        with counted() as arithmetic:
            model.training_losses(*prepared(), True)
        return arithmetic.step

    def facts():
        """Settings that must be equal on both sides."""
        norms = [layer for layer in model.backbone_info.norms() if layer.trainable]
        return {
            "trainable parameters": sum(math.prod(weight.shape) for weight in model.trainable_weights),
            "trainable normalization": len(norms),
            "trainable stages": len(model.backbone_info.stages) - model.arguments["frozen_stages"],
            "sampled RoIs": model.arguments["head_batch_size"],
            "proposals": model.arguments["rpn_post_nms"][0],
            "objects": int(given["labels"].shape[1]),
        }

    def write_stablehlo(path):
        from measures import stablehlo  # here, because only --stablehlo needs it

        stablehlo.write(model, prepared(), path)

    return Subject(run, work=work, facts=facts, stablehlo=write_stablehlo)


if __name__ == "__main__":
    tensorflow = ("tensorflow", "keras")
    serve(
        {
            "preparation": (tensorflow, preparation),
            "saved_model": (tensorflow, saved_model),
            "detect": (tensorflow, detect),
            "training": (tensorflow, training),
            "profile": (
                tensorflow,
                lambda folder, file: Subject(profile=lambda: profiling.by_operation(folder, file)),
            ),
        }
    )

"""What a step would do on a GPU, without one: its operations, their kernels in TensorFlow's registry, and the
bytes that cross between host and GPU.

    python benchmarks/gpu_readiness.py [--backbone resnet50_fpn] [--images 2] [--height 600] [--width 800]

Operations without a GPU kernel run on the host, and their inputs and results cross the bus. Their sizes are
those of one real step. The batch itself, which crosses too, stands beside them.
"""

import argparse
import contextlib
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
import tensorflow as tf
from measures.device_kernels import operations, runs_on_gpu
from measures.report import Report

import keras_frcnn as kf


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backbone", default="resnet50_fpn", help="name of a backbone")
    parser.add_argument("--images", type=int, default=2, help="images of a batch")
    parser.add_argument("--height", type=int, default=600)
    parser.add_argument("--width", type=int, default=800)
    options = parser.parse_args()
    size = options.height, options.width
    report = Report(f"steps of {options.backbone} with {options.images} images of {size}", vars(options))
    model = kf.FasterRCNN(
        tuple(f"class {index}" for index in range(80)),
        backbone=options.backbone,
        backbone_weights="none",
        image_size=(min(size), max(size)),
    )
    model.compile()
    model.optimizer.build(model.trainable_variables)
    batch = _batch(options.images, *size)
    steps = {
        "train": (model.train_step, batch),
        "test": (model.test_step, batch),
        "detect": (model.detect_batch, batch[0]["images"]),
    }
    # The kernels that are chosen where there is a GPU.
    kf.kernels.for_gathers = lambda: True
    rows = []
    for name, (step, data) in steps.items():
        nodes = list(operations(tf.function(step, autograph=False).get_concrete_function(data)))
        host = sorted({node.op for node in nodes if not runs_on_gpu(node)})
        rows.append(
            {
                "step": name,
                "operations": len(nodes),
                "kinds": len({node.op for node in nodes}),
                "kinds on the host": len(host),
                "MB to the host and back": _crossing(step, data) / 1e6,
                "MB of the batch": sum(part.nbytes for part in map(np.asarray, tf.nest.flatten(data))) / 1e6,
            }
        )
        print(f"{name}: on the host run {', '.join(host) or 'no operations'}")
    report.table("steps", rows, "d", "d", "d", ".3f", ".1f")


def _batch(images, height, width):
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 0.6, [images, 8, 2]) * [width, height]
    boxes = np.concatenate([corners, corners + rng.uniform(0.1, 0.3, [images, 8, 2]) * [width, height]], -1)
    x = {
        "images": tf.constant(rng.uniform(0, 255, [images, height, width, 3]), tf.float32),
        "image_shapes": tf.constant([[height, width]] * images, tf.int32),
    }
    y = {
        "boxes": tf.constant(boxes, tf.float32),
        "labels": tf.constant(rng.integers(0, 80, [images, 8]), tf.int32),
        "ignore": tf.zeros([images, 8], tf.bool),
    }
    return x, y


def _crossing(step, data):
    """Bytes that go into the suppression, the only operation on the host, and come out, in one step."""
    crossed = []
    original = tf.image.combined_non_max_suppression

    def counted(boxes, scores, **arguments):
        kept = original(boxes, scores, **arguments)
        crossed.extend(part.nbytes for part in map(np.asarray, (boxes, scores, *kept)))
        return kept

    with contextlib.ExitStack() as stack:
        tf.image.combined_non_max_suppression = counted
        stack.callback(setattr, tf.image, "combined_non_max_suppression", original)
        tf.config.run_functions_eagerly(True)
        stack.callback(tf.config.run_functions_eagerly, False)
        step(data)
    return sum(crossed)


if __name__ == "__main__":
    main()

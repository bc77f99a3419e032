"""Measure where a training step and an inference spend their time."""

import statistics
import time

import numpy as np
import tensorflow as tf

from keras_frcnn.models.proposing_detector import ProposingDetector
from keras_frcnn.profiling import trace

# Parts that are not layers, by the name scopes of their operations.
SCOPES = ("proposals", "targets", "losses", "post_processing", "update")
INPUT, OTHER = "input", "other"
# In the order in which a step runs them.
PARTS = (
    *(INPUT, "backbone", "rpn", "proposals", "targets", "roi_pooling", "head"),
    *("losses", "post_processing", "update", OTHER),
)
WARM_UP = 2
MOST_TRACED = 5


def check_kind(model):
    """Raise a ValueError unless a model has an RPN and a head or several, as a `FasterRCNN` has."""
    if not isinstance(model, ProposingDetector) or not model.detection_heads():
        raise ValueError(
            f"A {type(model).__name__} is not profiled part by part; give a FasterRCNN or a CascadeRCNN."
        )


def profile(model, dataset, batch_size, steps, folder):
    """Time training steps and inferences, and divide their time among the parts of the detector.

    Steps are timed as `fit` runs them, including input. The shares of the parts come from a trace that
    repeats the last step without input; traced steps are slower, so only their shares are used.

    Args:
        model: `FasterRCNN` or `CascadeRCNN`, compiled; training changes its weights.
        dataset: `DetectionDataset` with the classes of the model.
        batch_size: int, images per training step; an inference has one.
        steps: int, timed steps of each kind.
        folder: `pathlib.Path` that receives the traces, in `training` and `inference`.

    Returns:
        dict of "training" and "inference", each a dict of "images" (per step), "seconds" (median of a step
        and its input), "spread" (seconds, minimum and maximum), "traces" (of the graph, for all shapes of
        the batches or images) and "parts", a dict from part to a pair of seconds: forward (or total) and
        backward. The parts add up to "seconds".

    Raises:
        ValueError: the model is of another kind, or is compiled by XLA.
    """
    check_kind(model)
    if model.jit_compile:
        raise ValueError(
            "XLA makes one operation of a whole step, which has no parts; compile the model with "
            "jit_compile=False."
        )
    part_of = _Parts(model)
    print(f"Timing {steps} training steps and {steps} inferences, and tracing some of them", flush=True)
    return {
        "training": {
            "images": batch_size,
            **_training(model, dataset, batch_size, steps, folder / "training", part_of),
        },
        "inference": {"images": 1, **_inference(model, dataset, steps, folder / "inference", part_of)},
    }


def report(figures):
    """Format the result of `profile` as text: one table for each kind of step."""
    lines = []
    for phase, step in figures.items():
        low, high = (1000 * seconds for seconds in step["spread"])
        images = f"{step['images']} image{'s' * (step['images'] > 1)}"
        lines += [
            f"{phase}, {images}: {1000 * step['seconds']:.1f} ms a step ({low:.1f} to {high:.1f}), "
            f"{step['traces']} trace{'s' * (step['traces'] != 1)}",
            f"  {'part':16}{'forward':>10}{'backward':>10}{'ms':>10}{'share':>8}",
        ]
        for part, (forward, backward) in step["parts"].items():
            both = forward + backward
            numbers = (f"{1000 * value:.2f}" for value in (forward, backward, both))
            columns = "".join(f"{number:>10}" for number in numbers)
            lines.append(f"  {part:16}{columns}{both / step['seconds']:8.1%}")
        lines.append("")
    return "\n".join(lines)


def _training(model, dataset, batch_size, steps, folder, part_of):
    batches = dataset.batches(
        batch_size, image_size=model.image_size, training=True, canvas=model.canvas
    ).repeat()
    # Otherwise the step is traced twice: the first trace creates the optimizer's variables.
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    step = tf.function(
        model.train_step,
        input_signature=[batches.element_spec],
        autograph=False,
        jit_compile=False,
    )
    return _timed(iter(batches), step, lambda batch: step(batch)["loss"].numpy(), steps, folder, part_of)


def _inference(model, dataset, steps, folder, part_of):
    images = (image.numpy() for image in dataset.images().repeat())
    return _timed(images, model.detect_function, model.detect, steps, folder, part_of)


def _timed(inputs, graph, run, steps, folder, part_of):
    waits, seconds = [], []
    for _ in range(WARM_UP + steps):
        started = time.perf_counter()
        given = next(inputs)
        ready = time.perf_counter()
        run(given)
        waits.append(ready - started)
        seconds.append(time.perf_counter() - started)
    waits, seconds = waits[WARM_UP:], seconds[WARM_UP:]
    traced, operations = trace.record(folder, lambda: run(given), min(steps, MOST_TRACED))
    divided: dict[tuple[str, bool], float] = trace.divide(operations, part_of)
    # Time outside all operations: their dispatch, and Python.
    divided[OTHER, False] = divided.get((OTHER, False), 0.0) + max(traced - sum(divided.values()), 0.0)
    middle, wait = statistics.median(seconds), float(np.mean(waits) / np.mean(seconds))
    scale = middle * (1.0 - wait) / sum(divided.values())
    parts = {
        part: tuple(scale * divided.get((part, backward), 0.0) for backward in (False, True))
        for part in PARTS
    }
    parts[INPUT] = middle * wait, 0.0
    return {
        "seconds": middle,
        "spread": (min(seconds), max(seconds)),
        "traces": graph.experimental_get_tracing_count(),
        "parts": {part: pair for part, pair in parts.items() if any(pair)},
    }


class _Parts:
    """Map an operation's name to a part of the detector, and whether it is in the backward pass."""

    def __init__(self, model):
        layers = [("rpn", model.rpn), ("roi_pooling", model.roi_pooling), ("backbone", model.backbone)]
        layers += [("head", head) for head in model.detection_heads()]
        self.scopes = {part: part for part in SCOPES}
        self.scopes |= {_plain(layer.name): part for part, layer in layers}
        self.scopes[_plain(model.pixels.name)] = "backbone"

    def __call__(self, name):
        words = name.rpartition(":")[0].split("/")
        # The outermost scope decides, as backbone layers may have any name; but proposals lie inside the RPN.
        found = [self.scopes[scope] for scope in map(_plain, words[:-1]) if scope in self.scopes]
        part = "proposals" if found[:2] == ["rpn", "proposals"] else next(iter(found), OTHER)
        return part, "gradient_tape" in words


def _plain(name):
    """A scope name without the number that makes it unique."""
    stem, _, number = name.rpartition("_")
    return stem if stem and number.isdigit() else name

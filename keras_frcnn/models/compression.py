"""Truncated SVD of a detector's fully connected layers."""

from collections.abc import Sequence
from typing import Any

from keras_frcnn.models.detector import Detector


def compress(model: Detector, ranks: Sequence[int | None] = (1024, 256)) -> Detector:
    """Replace each fully connected layer of a detector with two thinner ones (Fast R-CNN, section 3.1).

    A layer W (u × v) becomes Σ Vᵀ with t rows and no bias, then U with the bias: t (u + v) multiply-adds
    instead of u v.

    Args:
        model: detector with fully connected layers in its head; it is not changed.
        ranks: t of fc6, fc7 …; 1024 and 256 in the paper. A layer stays whole if its rank is None or 0, or
            would save nothing.

    Returns:
        A model of the same class, which saves, loads and exports like the original.

    Raises:
        ValueError: the head has no fully connected layers, their number differs from that of `ranks`, or
            they are compressed already.

    Example:
        >>> small = compress(keras.saving.load_model("vgg16.keras"))
        >>> small.save("vgg16_svd.keras")
    """
    heads = [head for head in model.detection_heads() if head.dense_layers]
    if not heads:
        raise ValueError(
            f"{type(model).__name__} has no fully connected layers in its head; there is nothing to compress."
        )
    if any(heads[0].ranks):
        raise ValueError("The fully connected layers are factored already; compress the model from before.")
    shapes: Any = [layer.kernel.shape for layer in heads[0].dense_layers]
    if len(ranks) != len(shapes):
        raise ValueError(f"ranks {tuple(ranks)} do not fit the {len(shapes)} layers; give one each.")
    ranks = [
        int(rank) if rank and rank * (rows + columns) < rows * columns else None
        for rank, (rows, columns) in zip(ranks, shapes)
    ]
    small = type(model).from_config({**model.get_config(), "head_ranks": ranks})
    for name in ("backbone", "rpn"):
        if hasattr(model, name):
            getattr(small, name).set_weights(getattr(model, name).get_weights())
    for mine, theirs in zip(small.detection_heads(), model.detection_heads()):
        mine.copy_from(theirs)
    if hasattr(model, "margins"):
        small.margins.assign(model.margins)
    small.restored = True
    return small

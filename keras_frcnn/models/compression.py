"""Truncated SVD of a detector's fully connected layers."""

import numpy as np


def compress(model, ranks=(1024, 256)):
    """A detector whose fully connected layers are each two thinner ones (Fast R-CNN, section 3.1).

    A layer W (u × v) becomes Σ Vᵀ of t rows without bias, then U with the bias: t (u + v) multiply-adds in
    place of u v.

    Args:
        model: detector with a head of fully connected layers; it is not changed.
        ranks: t of fc6, fc7 …; the paper's are 1024 and 256. None or 0 leaves a layer whole; a rank that
            would not save anything does too.

    Returns:
        A model of the same class, which saves, loads and exports as the first.

    Raises:
        ValueError: the head has no fully connected layers, other ranks are given than it has layers, or it
            is compressed already.

    Example:
        >>> small = compress(keras.saving.load_model("vgg16.keras"))
        >>> small.save("vgg16_svd.keras")
    """
    dense = getattr(getattr(model, "head", None), "dense", [])
    if not dense:
        raise ValueError(
            f"{type(model).__name__} has no fully connected layers in its head; there is nothing to compress."
        )
    if any(len(layers) > 1 for layers in dense):
        raise ValueError("The fully connected layers are factored already; compress the model from before.")
    if len(ranks) != len(dense):
        raise ValueError(f"ranks {tuple(ranks)} do not fit the {len(dense)} layers; give one each.")
    shapes = [layer.kernel.shape for (layer,) in dense]
    ranks = [
        int(rank) if rank and rank * (rows + columns) < rows * columns else None
        for rank, (rows, columns) in zip(ranks, shapes)
    ]
    small = type(model).from_config({**model.get_config(), "head_ranks": ranks})
    _copy(model, small)
    for rank, (layer,), new in zip(ranks, dense, small.head.dense):
        if not rank:
            new[0].set_weights(layer.get_weights())
            continue
        kernel, bias = layer.get_weights()
        # Keras has the kernel transposed: x W, so that V stands on the left.
        left, values, right = np.linalg.svd(kernel, full_matrices=False)
        new[0].set_weights([left[:, :rank] * values[:rank]])
        new[1].set_weights([right[:rank], bias])
    return small


def _copy(old, new):
    """Copy every weight outside the fully connected layers."""
    for name in ("backbone", "rpn"):
        if hasattr(old, name):
            getattr(new, name).set_weights(getattr(old, name).get_weights())
    kept = [
        [*model.head.convs, *model.head.norms, model.head.class_dense, model.head.box_dense]
        for model in (old, new)
    ]
    for theirs, mine in zip(*kept, strict=True):
        mine.set_weights(theirs.get_weights())
    if hasattr(old, "margins"):
        new.margins.assign(old.margins)
    new.restored = True

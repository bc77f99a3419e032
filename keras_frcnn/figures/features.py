"""Figure of the feature maps (SPPnet, figure 2), and of the RPN's objectness where there is an RPN."""

import numpy as np
import tensorflow as tf

from keras_frcnn.figures.canvas import panels, plain, show
from keras_frcnn.figures.subject import Subject
from keras_frcnn.models.proposing_detector import ProposingDetector
from keras_frcnn.models.rcnn import RCNN


def draw(subject: Subject, top: int | None = None):
    """Draw each feature map as heat, the length of each cell's vector, and the objectness of its best anchor.

    Args:
        subject: the model and the image.
        top: not used, since every map is shown.

    Returns:
        `matplotlib.figure.Figure`: a row of features and one of objectness, a column for each level.

    Raises:
        ValueError: the model is an R-CNN, which has no maps of the whole image.
    """
    model = subject.model
    if isinstance(model, RCNN):
        raise ValueError(
            "RCNN has no feature maps of the image, because each region goes through the network alone; "
            "show rois."
        )
    maps = subject.features
    objectness = _objectness(subject) if isinstance(model, ProposingDetector) else []
    # One scale for all levels, up to what there is: few networks come near to 1.
    highest = max((float(part.max()) for part in objectness), default=1.0)
    figure, axes = panels(
        2 if objectness else 1, 1 + len(maps), subject.picture, f"feature maps of {type(model).__name__}"
    )
    show(axes[0, 0], subject.picture, "the image at the size of the network")
    strides = model.backbone_info.strides
    for level, features in enumerate(maps):
        lengths = np.linalg.norm(features[0].numpy().astype(np.float32), axis=-1)
        height, width, channels = features.shape[1:]
        title = f"stride {strides[level]}: {height} × {width} × {channels}"
        _heat(figure, axes[0, 1 + level], subject, lengths, strides[level], "length of the feature", title)
        if objectness:
            title = "objectness, the best anchor"
            values = objectness[level], strides[level], "probability", title
            _heat(figure, axes[1, 1 + level], subject, *values, (0, highest))
    return figure


def _objectness(subject):
    """For each level, the probability of the best anchor of each cell, `[H_l, W_l]`."""
    k = subject.model.rpn.anchors.anchors_per_cell
    shapes = [features.shape[1:3] for features in subject.features]
    parts = tf.split(subject.proposed.outputs["objectness"][0], [h * w * k for h, w in shapes])
    return [
        tf.reduce_max(tf.reshape(tf.sigmoid(part), [*shape, k]), axis=-1).numpy()
        for part, shape in zip(parts, shapes)
    ]


def _heat(figure, axes, subject, values, stride, unit, title, limits=(None, None)):
    """Show values `[H, W]` over the part of the image that their cells cover."""
    height, width = values.shape
    low, high = limits
    image = axes.imshow(
        values, cmap="magma", vmin=low, vmax=high, extent=(0, width * stride, height * stride, 0)
    )
    axes.set_xlim(0, subject.picture.shape[1])
    axes.set_ylim(subject.picture.shape[0], 0)
    axes.set_title(plain(title), fontsize=10)
    figure.colorbar(image, ax=axes, shrink=0.7, label=unit)

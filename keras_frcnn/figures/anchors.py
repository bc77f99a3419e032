"""Figure of the anchors (Faster R-CNN, figure 3 and section 3.1.1).

Letters: L levels, A anchors of all levels.
"""

import numpy as np

from keras_frcnn.figures.canvas import TRUTH, class_color, draw_boxes, legend, panels, show
from keras_frcnn.figures.subject import Subject
from keras_frcnn.sampling import POSITIVE

POSITIVE_COLOR = 2  # of the palette of classes


def draw(subject: Subject, top: int | None = None):
    """Draw the anchors of one cell for each level and, with ground truth, the positive anchors below them.

    Args:
        subject: the model, which needs an RPN, and the image.
        top: not used, since a cell has few anchors.

    Returns:
        `matplotlib.figure.Figure` with a column for each level.

    Raises:
        ValueError: the model has no RPN.
    """
    model = subject.proposing_model("anchors")
    generator = model.rpn.anchors
    levels = [level.numpy() for level in generator.per_level(subject.features)]
    positive = [] if subject.truth is None else _positive(subject, levels)
    figure, axes = panels(
        2 if positive else 1, len(levels), subject.picture, f"anchors of {type(model).__name__}"
    )
    k, (height, width) = generator.anchors_per_cell, subject.picture.shape[:2]
    for level, (anchors, features) in enumerate(zip(levels, subject.features)):
        rows, columns = features.shape[1:3]
        cell = anchors.reshape(rows, columns, k, 4)[rows // 2, columns // 2]
        title = f"stride {generator.strides[level]}: the {k} of the middle cell, of {len(anchors)}"
        show(axes[0, level], subject.picture, title)
        draw_boxes(axes[0, level], cell, [class_color(index) for index in range(k)])
        axes[0, level].plot(*(cell[0, :2] + cell[0, 2:]) / 2, "+", color="white", markersize=12)
        # The largest anchors reach beyond the image.
        (x1, y1), (x2, y2) = cell[:, :2].min(axis=0), cell[:, 2:].max(axis=0)
        axes[0, level].set(xlim=(min(x1, 0), max(x2, width)), ylim=(max(y2, height), min(y1, 0)))
        if positive:
            chosen = anchors[positive[level]]
            show(axes[1, level], subject.picture, f"{len(chosen)} positive")
            draw_boxes(axes[1, level], subject.y["boxes"][0], TRUTH, 2.5, dashed=True)
            draw_boxes(axes[1, level], chosen, class_color(POSITIVE_COLOR))
    if positive:
        legend(figure, {"positive anchor": class_color(POSITIVE_COLOR), "ground truth": TRUTH})
    return figure


def _positive(subject, levels):
    """For each level, which of its anchors are positive: bool `[A_l]`."""
    targets = subject.proposing_model("anchors").proposals.targets
    verdict, _ = targets.verdict(np.concatenate(levels), subject.image_shapes, subject.y)
    ends = np.cumsum([len(level) for level in levels])[:-1]
    return np.split(verdict[0].numpy() == POSITIVE, ends)

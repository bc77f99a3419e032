"""Figures of what happens inside a detector, drawn as the papers draw them: one figure a file."""

from keras_frcnn.figures import anchors, errors, features, proposals, rois, targets
from keras_frcnn.figures.canvas import write
from keras_frcnn.figures.subject import Subject

# Functions from a `Subject` and the largest number of boxes to a figure, by the name of the figure.
FIGURES = {
    "anchors": anchors.draw,
    "targets": targets.draw,
    "proposals": proposals.draw,
    "features": features.draw,
    "rois": rois.draw,
    "errors": errors.draw,
}

__all__ = ["FIGURES", "Subject", "write"]

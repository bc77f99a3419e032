"""Figure of the minibatches that a step learns from (Faster R-CNN, section 3.1.3; Fast R-CNN, 2.3)."""

import numpy as np
import tensorflow as tf

from keras_frcnn import boxes as box_ops
from keras_frcnn.figures.canvas import TRUTH, class_color, draw_boxes, legend, panels, show
from keras_frcnn.figures.subject import Subject
from keras_frcnn.models.cascade_rcnn import CascadeRCNN
from keras_frcnn.models.external_proposals import ExternalProposals
from keras_frcnn.models.proposing_detector import ProposingDetector

NEGATIVE = "#9e9e9e"
# The seed of validation, so that the same image has the same figure.
SEED = (0, 0)


def draw(subject: Subject, top: int | None = None):
    """Draw the sampled anchors and the sampled RoIs against ground truth, as many as a training step uses.

    Args:
        subject: the model, the image and its ground truth. A model without an RPN has no anchors, an RPN has
            no RoIs, and a cascade has RoIs for each of its stages.
        top: not used, since the minibatch is shown whole.

    Returns:
        `matplotlib.figure.Figure` with a panel for each minibatch.

    Raises:
        ValueError: there is no ground truth.
    """
    subject.required_truth()
    batches = [*_anchors(subject), *_rois(subject)]
    figure, axes = panels(1, len(batches), subject.picture, f"a minibatch of {type(subject.model).__name__}")
    present = set()
    for panel, (name, boxes, labels) in zip(axes[0], batches):
        positive = labels >= 0
        counts = f"{positive.sum()} positive, {(~positive).sum()} negative"
        show(panel, subject.picture, f"{name}: {counts}")
        draw_boxes(panel, boxes[~positive], NEGATIVE, 0.5)
        draw_boxes(panel, boxes[positive], [class_color(label) for label in labels[positive]])
        draw_boxes(panel, subject.y["boxes"][0], TRUTH, 2.5, dashed=True)
        present |= {*labels[positive].tolist()}
    names = {subject.model.class_names[label]: class_color(label) for label in sorted(present)}
    legend(figure, {"ground truth": TRUTH, "negative": NEGATIVE, **names})
    return figure


def _anchors(subject):
    """The minibatch of anchors: name, boxes `[S, 4]`, labels `[S]`, −1 where negative; none without RPN."""
    model = subject.model
    if not isinstance(model, ProposingDetector):
        return
    anchors = subject.proposed.outputs["anchors"]
    sample = model.proposals.targets(anchors, subject.image_shapes, subject.y, SEED)
    labels = tf.gather(subject.y["labels"], tf.where(sample.positive, sample.match, 0), batch_dims=1)
    yield _valid("anchors", tf.gather(anchors, sample.index), labels, sample)


def _rois(subject):
    """The minibatches of RoIs, one for each second stage."""
    model = subject.model
    if isinstance(model, CascadeRCNN):
        proposed = model.proposals(subject.features, subject.image_shapes, training=True)
        rois, is_box = proposed.boxes, proposed.is_box
        for number, stage in enumerate(model.region_stages, start=1):
            sample = stage.sample(rois, is_box, subject.y, SEED)
            yield _valid(f"RoIs of stage {number}", sample.rois, sample.labels, sample)
            _, deltas = stage.head_outputs(subject.features, sample.rois)
            rois = box_ops.clip(stage.coder.decode(deltas[:, :, 0], sample.rois), subject.image_shapes)
            is_box = sample.valid & box_ops.is_box(rois)
    elif not model.only_proposals:
        if isinstance(model, ExternalProposals):
            proposals, is_box = subject.x["proposals"], box_ops.is_box(subject.x["proposals"])
        else:
            proposed = model.proposals(subject.features, subject.image_shapes, training=True)
            proposals, is_box = proposed.boxes, proposed.is_box
        sample = model.regions.sample(proposals, is_box, subject.y, SEED)
        yield _valid("RoIs", sample.rois, sample.labels, sample)


def _valid(name, boxes, labels, sample):
    kept = sample.valid[0].numpy()
    labels = np.where(sample.positive[0], labels[0], -1)
    return name, boxes[0].numpy()[kept], labels[kept]

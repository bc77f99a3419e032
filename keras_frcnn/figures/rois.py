"""Figure of pooled RoIs, and of what the head says about them (Fast R-CNN, figure 1).

Letters: R proposals, N shown RoIs, P bins per side, K classes.
"""

import dataclasses

import numpy as np
import tensorflow as tf

from keras_frcnn import boxes as box_ops
from keras_frcnn.evaluation.voc import pairwise_iou
from keras_frcnn.figures.canvas import class_color, draw_boxes, legend, panels, plain, show
from keras_frcnn.figures.subject import Subject
from keras_frcnn.models.cascade_rcnn import CascadeRCNN
from keras_frcnn.models.rcnn import RCNN
from keras_frcnn.models.sppnet import SPPNet

TOP = 4
# RoIs that overlap a surer one by more are left out, so that the figure shows different objects.
OVERLAP = 0.3
BARS = 5
SURROUNDINGS = 0.3  # of the RoI's sides, shown around it
ROI, MOVED = "#ffffff", "#ffea00"


@dataclasses.dataclass(frozen=True)
class Judged:
    """RoIs with the head's answer, surest first.

    Attributes:
        rois: float32 `[N, 4]`, pixels.
        scores: float32 `[N, K + 1]`, background first.
        boxes: list of float32 `[N, 4]`, the boxes after each stage.
    """

    rois: np.ndarray
    scores: np.ndarray
    boxes: list


def draw(subject: Subject, top: int | None = None):
    """Draw the surest RoIs: the region with its bins, the pooled features, and the head's scores.

    Args:
        subject: the model, which needs a second stage, and the image.
        top: largest number of RoIs; by default 4.

    Returns:
        `matplotlib.figure.Figure` with a row for each RoI.

    Raises:
        ValueError: the model is an RPN, or there is no proposal.
    """
    subject.check_second_stage("RoIs")
    if not len(subject.candidates[0]):
        raise ValueError("The model proposes nothing in this image; show features or anchors.")
    judged = _surest(_judge(subject), top or TOP)
    figure, axes = panels(
        len(judged.rois), 3, np.zeros([7, 10]), f"RoIs of {type(subject.model).__name__}, surest first"
    )
    for row, (region, pooled, bars) in enumerate(axes):
        _draw_region(region, subject, judged, row)
        _draw_pooled(pooled, subject, judged.rois[row])
        _draw_scores(bars, judged.scores[row], subject.model.class_names)
    legend(figure, {"RoI and its bins": ROI, "box by the head": MOVED})
    return figure


def _judge(subject):
    """Ask the head about all proposals; a cascade's scores are the mean of its stages."""
    model, features, shapes = subject.model, subject.features, subject.image_shapes
    stages = model.region_stages if isinstance(model, CascadeRCNN) else (model.regions,)
    first = rois = tf.constant(subject.candidates[0][None])
    scores, after = [], []
    for stage in stages:
        logits, deltas = stage.head_outputs(features, rois)
        scores.append(stage.to_scores(logits))
        boxes = stage.coder.decode(deltas, rois[:, :, None])
        label = (
            tf.argmax(scores[-1][..., 1:], axis=-1)
            if boxes.shape[2] > 1
            else tf.zeros(rois.shape[:2], tf.int64)
        )
        rois = box_ops.clip(tf.gather(boxes, label, axis=2, batch_dims=2), shapes)
        after.append(rois[0].numpy())
    return Judged(first[0].numpy(), (tf.add_n(scores) / len(scores))[0].numpy(), after)


def _surest(judged, top):
    """The RoIs with the highest score of any class that overlap no surer one."""
    order = np.argsort(-judged.scores[:, 1:].max(axis=1), kind="stable")
    kept = []
    for index in order:
        others = judged.rois[kept].reshape(-1, 4)
        if len(kept) < top and pairwise_iou(judged.rois[[index]], others).max(initial=0) <= OVERLAP:
            kept.append(index)
    return Judged(judged.rois[kept], judged.scores[kept], [boxes[kept] for boxes in judged.boxes])


def _draw_region(axes, subject, judged, row):
    """The surroundings of an RoI, its bins, and its box after each stage."""
    x1, y1, x2, y2 = roi = judged.rois[row]
    title = f"RoI of {x2 - x1:.0f} × {y2 - y1:.0f} px{_level(subject.model, roi)}"
    show(axes, subject.picture, title)
    around = max(x2 - x1, y2 - y1) * SURROUNDINGS
    axes.set_xlim(x1 - around, x2 + around)
    axes.set_ylim(y2 + around, y1 - around)
    bins = _bins(subject.model)
    for place in range(1, bins):
        axes.plot([x1 + (x2 - x1) * place / bins] * 2, [y1, y2], color=ROI, lw=0.5, alpha=0.7)
        axes.plot([x1, x2], [y1 + (y2 - y1) * place / bins] * 2, color=ROI, lw=0.5, alpha=0.7)
    draw_boxes(axes, [roi], ROI, 1.5)
    for number, boxes in enumerate(judged.boxes, start=1):
        draw_boxes(
            axes, [boxes[row]], MOVED, 1.0 + number / len(judged.boxes), dashed=number < len(judged.boxes)
        )


def _level(model, roi):
    """Which map an RoI is pooled from, in a pyramid."""
    if isinstance(model, RCNN) or len(model.roi_pooling.strides) == 1:
        return ""
    return f", pooled at stride {model.roi_pooling.strides[int(model.roi_pooling.levels(tf.constant(roi)))]}"


def _bins(model):
    """Bins along each side of an RoI; in SPPnet, those of the finest grid."""
    return max(model.roi_pooling.grids) if isinstance(model, SPPNet) else model.arguments["pool_size"]


def _draw_pooled(axes, subject, roi):
    """The pooled features as heat; in R-CNN, the warped region that the network sees."""
    model, rois = subject.model, tf.constant(roi[None, None])
    if isinstance(model, RCNN):
        size, context = model.arguments["warp_size"], model.arguments["context"]
        window = box_ops.expand(rois, size / (size - 2.0 * context))
        pixels = model.warp([subject.x["images"]], window)[0, 0].numpy()
        show(axes, np.clip(pixels, 0, 255).astype(np.uint8), f"warped to {size} × {size} with its context")
        return
    pooled = model.pool(subject.features, rois)[0, 0].numpy().astype(np.float32)
    title = f"pooled to {' × '.join(map(str, pooled.shape))}"
    if isinstance(model, SPPNet):
        pooled, title = (
            _finest_grid(model.roi_pooling.grids, pooled),
            f"the finest grid of {len(pooled)} numbers",
        )
    axes.imshow(np.linalg.norm(pooled, axis=-1), cmap="magma")
    axes.set_title(title, fontsize=10)


def _finest_grid(grids, pooled):
    """The part `[P, P, C]` of SPPnet's vector that belongs to the grid with the most bins."""
    cells = [grid * grid for grid in grids]
    finest = int(np.argmax(cells))
    start, channels = sum(cells[:finest]), len(pooled) // sum(cells)
    rows = pooled.reshape(-1, channels)[start : start + cells[finest]]
    return rows.reshape(grids[finest], grids[finest], channels)


def _draw_scores(axes, scores, class_names):
    """Bars of the most probable classes, background among them."""
    names = ["background", *class_names]
    best = np.argsort(-scores, kind="stable")[:BARS][::-1]
    colors = ["#9e9e9e" if index == 0 else class_color(index - 1) for index in best]
    axes.set_axis_on()
    axes.barh(range(len(best)), scores[best], color=colors)
    axes.set_yticks(range(len(best)), [plain(names[index][:24]) for index in best])
    for place, index in enumerate(best):
        axes.text(max(scores[index], 0) + 0.01, place, f"{scores[index]:.3f}", va="center", fontsize=8)
    axes.set_xlim(min(0, scores.min()), max(1.15, scores.max()))
    axes.set_title("scores of the head", fontsize=10)

"""The middle of the network as users run it: with trained weights, whose logits lie far below 0."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_frcnn as kf
from keras_frcnn.ops import kernels

BOTH = pytest.mark.parametrize("kind", ["stock", "xla"])


def batch_of(model, dataset):
    """All scenes as one batch and its targets."""
    ((x, y),) = dataset.batches(len(dataset), image_size=model.image_size)
    return x, y


@pytest.fixture(scope="module")
def batch(trained, scenes):
    return batch_of(trained, scenes)


def check_proposals(answer):
    """Of a batch: every counted proposal has an area, and none scores above the one before it."""
    for boxes, scores, count in zip(*(answer[name].numpy() for name in ("proposals", "scores", "count"))):
        sides = boxes[:, 2:] - boxes[:, :2]
        assert np.all(sides[:count] > 0) and not np.any(boxes[count:]) and not np.any(scores[count:])
        assert np.all(scores[: count - 1] >= scores[1:count]) and np.all(scores[:count] > 0)


@BOTH
@pytest.mark.parametrize("training", [False, True])
def test_every_counted_proposal_is_a_box(trained, batch, kind, training):
    x, y = batch
    features = trained.features(x["images"], x["image_shapes"], False)
    with kernels.use(kind):
        answer = trained.rpn(features, x["image_shapes"], training=training)
    assert np.median(answer["objectness"]) < -3  # as a fresh network's is not
    check_proposals(answer)
    proposed = tf.sequence_mask(answer["count"], tf.shape(answer["proposals"])[1])
    assert kf.sampling.recall(answer["proposals"], proposed, y, 0.5)[0] > 0.95
    assert kf.sampling.recall(answer["proposals"], proposed, y, 0.7)[0] > 0.85


@BOTH
def test_more_rows_than_boxes(trained, batch, kind):
    """Suppression leaves fewer boxes than there are rows."""
    x, _ = batch
    features = trained.features(x["images"], x["image_shapes"], False)
    rpn = type(trained.rpn).from_config({**trained.rpn.get_config(), "post_nms": (2500, 2500)})
    with kernels.use(kind):
        rpn(features)
        rpn.set_weights(trained.rpn.get_weights())
        answer = rpn(features, x["image_shapes"])
        few = trained.rpn(features, x["image_shapes"])
    assert np.all((answer["count"] < 2500) & (answer["count"] > few["count"]))
    check_proposals(answer)
    np.testing.assert_array_equal(answer["proposals"][:, : few["proposals"].shape[1]], few["proposals"])


@pytest.mark.slow
def test_no_counted_proposal_without_area_in_200_scenes(trained):
    for x, _ in kf.data.load("shapes@val").batches(20, image_size=trained.image_size):
        features = trained.features(x["images"], x["image_shapes"], False)
        for kind in ("stock", "xla"):
            for training in (False, True):
                with kernels.use(kind):
                    check_proposals(trained.rpn(features, x["image_shapes"], training=training))


def test_both_kernels_propose_and_detect_the_same(trained, batch):
    x, _ = batch
    features = trained.features(x["images"], x["image_shapes"], False)
    proposals, detections = [], []
    for kind in ("stock", "xla"):
        with kernels.use(kind):
            proposals.append([trained.rpn(features, x["image_shapes"], training=phase) for phase in (0, 1)])
            detections.append(trained.infer(x))
    for one, other in zip(*proposals):
        for name in ("proposals", "scores", "count"):
            np.testing.assert_array_equal(one[name], other[name])
    for name, tolerance in (("num_detections", 0), ("labels", 0), ("scores", 1e-5), ("boxes", 1e-3)):
        np.testing.assert_allclose(detections[0][name], detections[1][name], atol=tolerance)
    assert np.all(detections[0]["num_detections"] > 0)


def test_losses_by_hand(trained, batch):
    """Equation 1 of the paper and the one of Fast R-CNN, from what the parts answer."""
    x, y = batch
    losses, figures = trained.training_losses(x, y, training=False)
    shapes, seed = x["image_shapes"], tf.zeros([2], tf.int32)
    features = trained.features(x["images"], shapes, False)
    rpn = trained.rpn(features, shapes, training=True)
    index, targets, positive, valid, _ = trained.proposals.targets(rpn["anchors"], shapes, y, seed)
    logits, deltas = (
        np.take_along_axis(rpn[name].numpy(), rows, 1)
        for name, rows in (("objectness", index.numpy()), ("deltas", index.numpy()[..., None]))
    )
    positive, valid = positive.numpy(), valid.numpy()
    expected = {
        "rpn_class_loss": np.log1p(np.exp(np.where(positive, -logits, logits)))[valid].mean(),
        "rpn_box_loss": smooth_l1(deltas - targets, 1 / 9)[positive].sum() / valid.sum(),
    }
    proposed = tf.sequence_mask(rpn["count"], tf.shape(rpn["proposals"])[1])
    sample = trained.regions.targets(rpn["proposals"], proposed, y, seed)
    rois, labels, targets, positive, valid = (
        getattr(sample, name) for name in ("rois", "labels", "deltas", "positive", "valid")
    )
    logits, deltas = (value.numpy() for value in trained.head(trained.pool(features, rois)))
    positive, valid = positive.numpy(), valid.numpy()
    column = np.where(positive, labels.numpy() + 1, 0)[..., None]
    logits -= logits.max(axis=-1, keepdims=True)
    cross_entropy = np.log(np.exp(logits).sum(-1)) - np.take_along_axis(logits, column, 2)[..., 0]
    own = np.take_along_axis(deltas, np.maximum(column - 1, 0)[..., None], 2)[:, :, 0]
    beta = trained.arguments["head_beta"]
    expected["class_loss"] = cross_entropy[valid].mean()
    expected["box_loss"] = smooth_l1(own - targets, beta)[positive].sum() / valid.sum()
    for name, value in expected.items():
        np.testing.assert_allclose(losses[name], value, rtol=1e-4, err_msg=name)
    assert figures["proposal_recall"][0] > 0.9
    assert positive.sum() > 20 and 0 < losses["rpn_class_loss"] < 0.1


def smooth_l1(difference, beta):
    distance = np.abs(difference)
    return np.where(distance < beta, 0.5 * distance**2 / beta, distance - 0.5 * beta).sum(axis=-1)


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_half_precision_finds_the_same_objects(trained, batch, precision):
    x, _ = batch
    half = type(trained).from_config({**trained.get_config(), "dtype": keras.DTypePolicy(precision)})
    half.set_weights(trained.get_weights())
    found, expected = half.infer(x), trained.infer(x)
    sure = expected["scores"].numpy() > 0.5
    iou = kf.boxes.iou(expected["boxes"], found["boxes"]).numpy()
    iou *= expected["labels"].numpy()[:, :, None] == found["labels"].numpy()[:, None]
    again = (iou * (found["scores"].numpy()[:, None] > 0.3)).max(axis=-1) > 0.8
    assert sure.sum() > 30 and again[sure].mean() > 0.95

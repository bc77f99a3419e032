"""torchvision's models number for number, on weights that both sides can make."""

import numpy as np
import pytest
import tensorflow as tf

from keras_frcnn.weights.torchvision import BACKBONES

# Of the largest stored value. What is left is the order in which float32 convolutions add up: some 3e-6.
TOLERANCE = 1e-3


@pytest.fixture(scope="module", params=BACKBONES)
def run(request, converted, golden, pseudo):
    """The model, every intermediate tensor on the one image, and torchvision's."""
    model, stored = converted(request.param), golden(request.param)
    image = tf.constant(pseudo.pseudo_image(240, 320)[None], tf.float32)

    @tf.function(autograph=False)
    def parts(image, rois):
        x, originals = model.resizing.prepare_batch(image)
        shapes = x["image_shapes"]
        features = model.features(x["images"], shapes, False)
        rpn = model.rpn(features, shapes)
        pooled = model.pool(features, rois)
        proposed = tf.sequence_mask(rpn["count"], tf.shape(rpn["proposals"])[1])
        answer = model.regions.detect_pooled(
            model.pool(features, rpn["proposals"]), rpn["proposals"], proposed, shapes
        )
        answer = model.resizing.restore(answer, shapes, originals)
        padded = tf.shape(model.pixels(x["images"], shapes))[1:3]
        return shapes[0], padded, features, rpn, pooled, model.head(pooled), answer

    return model, stored, parts(image, tf.constant(stored["fixed_rois"][None]))


def close(ours, stored, name):
    stored = stored[name]
    assert ours.shape == stored.shape, name
    error = np.abs(ours - stored).max() / np.abs(stored).max()
    assert error <= TOLERANCE, (name, error)


def test_sizes(run):
    _, stored, (shape, padded, *_) = run
    np.testing.assert_array_equal(shape, stored["image_size"])
    np.testing.assert_array_equal(padded, stored["padded_size"])


def test_features_logits_and_deltas_of_every_level(run):
    model, stored, (_, _, features, rpn, *_) = run
    levels = [key.removeprefix("rpn_logits_") for key in stored if key.startswith("rpn_logits_")]
    anchors, start = model.rpn.anchors.anchors_per_cell, 0
    for level, feature in zip(levels, features, strict=True):
        height, width = feature.shape[1:3]
        rows = slice(start, start + height * width * anchors)
        start = rows.stop
        close(feature.numpy()[0, ::3, ::3, ::16], stored, f"feature_{level}")
        close(np.abs(feature.numpy()).mean(), stored, f"feature_{level}_mean_abs")
        logits = rpn["objectness"].numpy()[0, rows].reshape(height, width, anchors)
        close(logits[::3, ::3], stored, f"rpn_logits_{level}")
        deltas = rpn["deltas"].numpy()[0, rows].reshape(height, width, 4 * anchors)
        close(deltas[::3, ::3], stored, f"rpn_deltas_{level}")
    assert start == rpn["objectness"].shape[1]


def test_the_head_on_the_same_regions(run):
    _, stored, (_, _, _, _, pooled, (logits, deltas), _) = run
    close(pooled.numpy()[0, ..., ::16], stored, "pooled")
    close(logits.numpy()[0], stored, "class_logits")
    # torchvision's first four belong to the background, and nothing reads them.
    assert deltas.shape[2:] == (90, 4)
    theirs = stored["box_deltas"][:, 4:]
    error = np.abs(deltas.numpy().reshape(64, -1) - theirs).max() / np.abs(theirs).max()
    assert error <= TOLERANCE


def test_proposals(run):
    _, stored, (_, _, _, rpn, *_) = run
    count = int(rpn["count"][0])
    assert count == len(stored["proposals"])
    distance = np.abs(rpn["proposals"].numpy()[0, :count, None] - stored["proposals"]).max(axis=-1)
    # Of two anchors whose logits differ by 1e-6 either may come first and suppress the other.
    assert np.mean(distance.min(axis=0) < 0.05) >= 0.995


def detections(answer):
    count = int(answer["num_detections"][0])
    return [answer[key].numpy()[0, :count] for key in ("boxes", "scores", "labels")]


def agree(answer, stored):
    boxes, scores, labels = detections(answer)
    assert len(scores) == len(stored["det_scores"])
    np.testing.assert_array_equal(labels + 1, stored["det_labels"])
    np.testing.assert_allclose(boxes, stored["det_boxes"], atol=0.05)
    np.testing.assert_allclose(scores, stored["det_scores"], atol=1e-3)


def test_detections_from_the_same_proposals(run):
    model, stored, (shape, _, features, *_) = run
    proposals = tf.constant(stored["proposals"][None])
    pooled = model.pool(features, proposals)
    answer = model.regions.detect_pooled(pooled, proposals, tf.fill(proposals.shape[:2], True), shape[None])
    agree(model.resizing.restore(answer, shape[None], tf.constant([[240, 320]])), stored)


def test_detections(run):
    model, stored, (*_, answer) = run
    if model.arguments["backbone"] != "mobilenet_v3_large_fpn":
        agree(answer, stored)
        return
    # Two pairs of its proposals have logits 6e-7 and 4e-7 apart, less than the rounding of float32
    # convolutions: a few detections come from the other one of a pair.
    boxes, scores, labels = detections(answer)
    assert len(scores) == len(stored["det_scores"])
    same = (np.abs(boxes[:, None] - stored["det_boxes"]).max(axis=-1) < 0.05) & (
        labels[:, None] + 1 == stored["det_labels"]
    )
    same &= np.abs(scores[:, None] - stored["det_scores"]) < 1e-3
    assert np.sum(same.any(axis=0)) >= 97

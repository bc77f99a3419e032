"""The region proposal network against its definition."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_frcnn.layers import AnchorGenerator, RegionProposalNetwork

SHAPES = np.array([[64, 96], [50, 70]])


def pyramid_rpn(**arguments):
    defaults = {
        "channels": 16,
        "objectness": "sigmoid",
        "pre_nms": (40, 25),
        "post_nms": (30, 12),
        "min_size": 6.0,
    }
    return RegionProposalNetwork(AnchorGenerator((16, 32), (8, 16)), **{**defaults, **arguments})


def pyramid_features(seed=0):
    rng = np.random.default_rng(seed)
    return [tf.constant(rng.normal(size=shape), tf.float32) for shape in ((2, 8, 12, 4), (2, 4, 6, 4))]


def excite(layer):
    """Weights large enough for scores and boxes that differ."""
    rng = np.random.default_rng(1)
    layer.set_weights([rng.normal(0, 0.2, weight.shape) for weight in layer.get_weights()])


@pytest.mark.parametrize("objectness, filters", [("softmax", 18), ("sigmoid", 9)])
def test_nine_anchors_have_eighteen_scores_and_thirty_six_deltas(objectness, filters):
    rpn = RegionProposalNetwork(channels=16, objectness=objectness)
    answer = rpn(tf.zeros([2, 4, 5, 8]))
    assert rpn.anchors.anchors_per_cell == 9
    assert rpn.class_conv.filters == rpn.class_conv.kernel.shape[-1] == filters
    assert rpn.box_conv.filters == rpn.box_conv.kernel.shape[-1] == 36
    assert answer["objectness"].shape == (2, 4 * 5 * 9)
    assert answer["deltas"].shape == (2, 4 * 5 * 9, 4)


def test_softmax_objectness_is_the_probability_of_the_second_of_two():
    rpn = RegionProposalNetwork(channels=16, objectness="softmax")
    features = tf.random.stateless_normal([2, 4, 5, 8], (0, 0))
    rpn(features)
    excite(rpn)
    logits = rpn.class_conv(rpn.conv(features)).numpy().reshape(2, -1, 2, 9)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)
    answer = tf.sigmoid(rpn(features)["objectness"])
    np.testing.assert_allclose(answer, probabilities[:, :, 1].reshape(2, -1), rtol=1e-5, atol=1e-6)


def iou(box, other):
    size = np.maximum(np.minimum(box[2:], other[2:]) - np.maximum(box[:2], other[:2]), 0)
    shared = size.prod()
    return shared / ((box[2:] - box[:2]).prod() + (other[2:] - other[:2]).prod() - shared)


def box_by_hand(answer, image, row):
    x1, y1, x2, y2 = answer["anchors"].numpy()[row]
    tx, ty, tw, th = answer["deltas"].numpy()[image, row]
    x, y = (x1 + x2) / 2 + tx * (x2 - x1), (y1 + y2) / 2 + ty * (y2 - y1)
    w, h = (x2 - x1) * np.exp(tw), (y2 - y1) * np.exp(th)
    height, width = SHAPES[image]
    return np.array([x - w / 2, y - h / 2, x + w / 2, y + h / 2]).clip(0, [width, height, width, height])


def proposals_by_hand(answer, image, cells, pre_nms, post_nms, min_size, min_size_first, nms_iou=0.7):
    """Section 3.1 a level at a time, from the layer's logits, deltas and anchors: pairs of logit and box.

    The cut and the filter in the order of py-faster-rcnn's proposal_layer.py, steps 3 to 5, or of
    torchvision's `filter_proposals`.
    """

    def large(rows):
        boxes = (box_by_hand(answer, image, row) for row in rows)
        return [row for row, box in zip(rows, boxes) if np.all(box[2:] - box[:2] >= min_size)]

    found, start = [], 0
    for count in cells:
        rows = np.arange(start, start + count)
        start += count
        logits = answer["objectness"].numpy()[image]
        rows = rows[np.argsort(-logits[rows], kind="stable")]
        rows = large(rows)[:pre_nms] if min_size_first else large(rows[:pre_nms])
        kept = []
        for row in rows:
            box = box_by_hand(answer, image, row)
            if all(iou(box, other) <= nms_iou for _, other in kept):
                kept.append((logits[row], box))
        found += kept
    found.sort(key=lambda pair: -pair[0])
    return found[:post_nms]


@pytest.mark.parametrize("min_size_first", [False, True])
@pytest.mark.parametrize("training, pre_nms, post_nms", [(True, 40, 30), (False, 25, 12)])
def test_proposals_equal_a_loop(training, pre_nms, post_nms, min_size_first):
    # Four boxes of five are below 14 px, so that the order of cut and filter decides.
    rpn, features = pyramid_rpn(min_size=14.0, min_size_first=min_size_first), pyramid_features()
    rpn(features)
    excite(rpn)
    answer = rpn(features, SHAPES, training=training)
    assert answer["proposals"].shape == (2, post_nms, 4)
    for image in range(2):
        arguments = (answer, image, (8 * 12 * 3, 4 * 6 * 3), pre_nms, post_nms, 14.0)
        expected = proposals_by_hand(*arguments, min_size_first)
        count = int(answer["count"][image])
        assert count == len(expected)
        boxes, scores = answer["proposals"][image, :count], answer["scores"][image, :count]
        np.testing.assert_allclose(boxes, [box for _, box in expected], rtol=1e-5, atol=1e-3)
        np.testing.assert_allclose(scores, [1 / (1 + np.exp(-logit)) for logit, _ in expected], rtol=1e-5)


def test_small_boxes_that_leave_first_give_up_their_places():
    proposals = {}
    for first in (False, True):
        rpn = pyramid_rpn(min_size=14.0, min_size_first=first)
        rpn(pyramid_features())
        excite(rpn)
        proposals[first] = rpn(pyramid_features(), SHAPES, training=True)["count"].numpy()
    assert np.all(proposals[True] >= proposals[False]) and np.any(proposals[True] > proposals[False])


def test_rows_without_a_proposal_are_zero():
    # So few boxes reach 45 px in the smaller image that rows remain.
    rpn, features = pyramid_rpn(min_size=45.0), pyramid_features()
    rpn(features)
    excite(rpn)
    answer = rpn(features, SHAPES)
    for image, count in enumerate(answer["count"]):
        assert count < 12
        assert not np.any(answer["proposals"][image, count:])
        assert not np.any(answer["scores"][image, count:])


def test_an_impossible_size_leaves_no_proposal():
    answer = pyramid_rpn(min_size=1000.0)(pyramid_features())
    np.testing.assert_array_equal(answer["count"], [0, 0])
    assert not np.any(answer["proposals"]) and not np.any(answer["scores"])


def test_proposals_stay_in_the_whole_map_by_default():
    rpn, features = pyramid_rpn(), pyramid_features()
    rpn(features)
    excite(rpn)
    proposals = rpn(features)["proposals"]
    assert np.all(proposals >= 0) and np.all(proposals <= [96, 64, 96, 64])
    assert np.any(proposals[1, :, 2] > 70)


def test_proposals_have_no_gradient():
    rpn, features = pyramid_rpn(), pyramid_features()
    with tf.GradientTape() as tape:
        answer = rpn(features, SHAPES)
        loss = tf.reduce_sum(answer["proposals"]) + tf.reduce_sum(answer["scores"])
    assert tape.gradient(loss, rpn.trainable_variables) == [None] * 6


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_answers_are_float32_under_mixed_precision(policy):
    answer = pyramid_rpn(dtype=policy)(pyramid_features(), SHAPES)
    assert {name: value.dtype for name, value in answer.items()} == {
        **dict.fromkeys(("objectness", "deltas", "anchors", "proposals", "scores"), tf.float32),
        "count": tf.int32,
    }


def test_part_of_a_functional_model_that_is_saved(tmp_path):
    features = [keras.Input((None, None, 4)), keras.Input((None, None, 4))]
    shapes = keras.Input((2,), dtype="int32")
    model = keras.Model([*features, shapes], pyramid_rpn()(features, shapes))
    model.save(tmp_path / "rpn.keras")
    loaded = keras.saving.load_model(tmp_path / "rpn.keras")
    inputs = [*pyramid_features(), tf.constant(SHAPES, tf.int32)]
    before, after = model(inputs), loaded(inputs)
    for name in before:
        np.testing.assert_array_equal(before[name], after[name])
        symbol = model.output[name]
        assert symbol.dtype == before[name].dtype.name
        assert len(symbol.shape) == before[name].shape.rank
        assert all(said in (None, real) for said, real in zip(symbol.shape, before[name].shape))


def test_part_of_a_saved_model_of_one_map(tmp_path):
    features, shapes = keras.Input((None, None, 4)), keras.Input((2,), dtype="int32")
    rpn = RegionProposalNetwork(AnchorGenerator(((16, 32),), (8,)), channels=8, min_size=1.0)
    model = keras.Model([features, shapes], rpn(features, shapes))
    model.save(tmp_path / "rpn.keras")
    loaded = keras.saving.load_model(tmp_path / "rpn.keras")
    inputs = [pyramid_features()[0], tf.constant(SHAPES, tf.int32)]
    before, after = model(inputs), loaded(inputs)
    for name in before:
        np.testing.assert_array_equal(before[name], after[name])


def test_unknown_objectness_is_refused():
    with pytest.raises(ValueError, match="use 'softmax' or 'sigmoid'"):
        RegionProposalNetwork(objectness="relu")


def test_more_convolutions_in_a_row():
    rpn, features = pyramid_rpn(depth=3), pyramid_features()
    answer = rpn(features)
    hidden = rpn.conv(features[0])
    for conv in rpn.further_convs:
        hidden = conv(hidden)
    assert len(rpn.further_convs) == 2
    first = tf.reshape(rpn.class_conv(hidden), [2, -1])
    np.testing.assert_allclose(answer["objectness"][:, : first.shape[1]], first, rtol=1e-5, atol=1e-6)
    assert RegionProposalNetwork.from_config(rpn.get_config()).depth == 3


def test_proposals_below_the_threshold_are_dropped():
    features = pyramid_features()
    rpn = pyramid_rpn()
    rpn(features)
    excite(rpn)
    every = rpn(features)
    threshold = float(every["scores"][0, 5])
    strict = pyramid_rpn(score_threshold=threshold)
    strict(features)
    excite(strict)
    best = strict(features)
    for image in range(2):
        kept = int(np.sum(every["scores"][image] >= threshold))
        assert best["count"][image] == kept < every["count"][image]
        np.testing.assert_array_equal(best["proposals"][image, :kept], every["proposals"][image, :kept])


@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("objectness", ["softmax", "sigmoid"])
def test_chosen_anchors_alone(objectness, depth):
    """The values of the call at those anchors, and the gradients that it gives."""
    anchors = AnchorGenerator(((16, 32), (64, 128)), (8, 16))
    rpn = RegionProposalNetwork(anchors, 12, objectness, depth=depth)
    features = [tf.Variable(tf.random.stateless_normal([2, *side, 6], [0, 1])) for side in ((9, 7), (5, 4))]
    rpn.build([feature.shape for feature in features])
    for weight in rpn.weights:
        weight.assign(tf.random.stateless_normal(weight.shape, [1, 2], stddev=0.3))
    total = 6 * (9 * 7 + 5 * 4)
    # The corners of both maps, the seam between them, one anchor twice, and some more.
    some = np.random.default_rng(0).integers(0, total, [2, 40])
    index = np.concatenate([some, [[0, 5, 41, 377, 378, total - 1, 7, 7]] * 2], axis=1).astype(np.int32)
    sources = [*features, *(weight.value for weight in rpn.weights)]

    def loss(logits, deltas):
        return tf.reduce_sum(tf.sin(logits)) + tf.reduce_sum(tf.cos(deltas))

    with tf.GradientTape() as tape:
        every = rpn(features)
        expected = [tf.gather(every[name], index, axis=1, batch_dims=1) for name in ("objectness", "deltas")]
        slow = loss(*expected)
    slow = tape.gradient(slow, sources)
    with tf.GradientTape() as tape:
        found = rpn.at(features, tf.constant(index))
        fast = loss(*found)
    fast = tape.gradient(fast, sources)
    for one, two in zip([*expected, *slow], [*found, *fast], strict=True):
        np.testing.assert_allclose(two, one, rtol=1e-4, atol=2e-5 * np.abs(one).max())

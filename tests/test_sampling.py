"""Matching and drawing against loops that follow the papers' sentences."""

import numpy as np
import pytest
import tensorflow as tf

from keras_frcnn.boxes import BoxCoder
from keras_frcnn.sampling import AnchorTargets, BalancedSampler, Matcher, ProposalTargets, recall

POSITIVE, NEGATIVE, NEITHER = 1, 0, -1
RPN = Matcher(0.7, (0.0, 0.3), keep_best=True)


def ground_truth(boxes, labels, ignore=None):
    """One image: boxes `[1, M, 4]`, labels `[1, M]`, ignore `[1, M]`."""
    ignore = [False] * len(labels) if ignore is None else ignore
    return {
        "boxes": tf.reshape(tf.constant(boxes, tf.float32), [1, -1, 4]),
        "labels": tf.constant([labels], tf.int32),
        "ignore": tf.constant([ignore], tf.bool),
    }


def match(matcher, candidates, y, valid=None):
    candidates = np.array(candidates, "float32")
    valid = np.ones(len(candidates), bool) if valid is None else np.array(valid)
    verdict, index = matcher(candidates, y["boxes"], y["labels"], y["ignore"], valid)
    return verdict.numpy()[0], index.numpy()[0]


def shared_by_hand(box, other):
    sides = np.minimum(box[2:], other[2:]) - np.maximum(box[:2], other[:2])
    return np.prod(np.maximum(sides, np.float32(0)))


def match_by_hand(matcher, candidates, y, valid):
    """The rules one candidate at a time, in float32 as the code, so that ties are ties."""
    boxes, labels, ignore = (y[name][0].numpy() for name in ("boxes", "labels", "ignore"))
    objects = [j for j in range(len(labels)) if labels[j] >= 0 and not ignore[j]]
    regions = [j for j in range(len(labels)) if labels[j] >= 0 and ignore[j]]
    iou = np.zeros([len(candidates), len(boxes)], "float32")
    for i, candidate in enumerate(candidates):
        for j in objects:
            shared = shared_by_hand(candidate, boxes[j])
            iou[i, j] = shared / (
                np.prod(candidate[2:] - candidate[:2]) + np.prod(boxes[j][2:] - boxes[j][:2]) - shared
            )
    verdicts, matches = [], []
    for i, candidate in enumerate(candidates):
        best = max((iou[i, j] for j in objects), default=0.0)
        is_best = any(iou[i, j] > 0 and iou[i, j] == max(iou[valid, j]) for j in objects)
        covered = any(
            shared_by_hand(candidate, boxes[j]) >= 0.5 * np.prod(candidate[2:] - candidate[:2])
            for j in regions
        )
        low, high = matcher.negative_iou
        if not valid[i]:
            verdict = NEITHER
        elif best >= matcher.positive_iou or (matcher.keep_best and is_best):
            verdict = POSITIVE
        else:
            verdict = NEGATIVE if low <= best < high and not covered else NEITHER
        verdicts.append(verdict)
        matches.append(next((j for j in objects if iou[i, j] == best), None))
    return verdicts, matches


@pytest.mark.parametrize("matcher", [RPN, Matcher(0.5, (0.1, 0.5))], ids=["rpn", "fast_rcnn"])
@pytest.mark.parametrize("seed", range(5))
def test_matcher_equals_loops(matcher, seed):
    rng = np.random.default_rng(seed)
    # Whole pixels make ties common.
    corners = rng.integers(0, 40, (60, 2))
    candidates = np.concatenate([corners, corners + rng.integers(5, 30, (60, 2))], axis=1).astype("float32")
    objects = candidates[rng.choice(60, 6)] + rng.integers(-3, 3, (6, 4)).clip(-2, 2)
    y = ground_truth(
        [*objects, [-1] * 4, [-1] * 4], [0, 1, 2, 0, 1, 2, -1, -1], [False] * 4 + [True] * 2 + [False] * 2
    )
    valid = rng.random(60) < 0.9
    verdict, index = match(matcher, candidates, y, valid)
    expected, expected_index = match_by_hand(matcher, candidates, y, valid)
    np.testing.assert_array_equal(verdict, expected)
    assert {POSITIVE, NEGATIVE, NEITHER} == set(verdict)
    for row in np.nonzero(verdict == POSITIVE)[0]:
        assert index[row] == expected_index[row]


def test_the_best_anchor_of_an_object_is_positive_however_low():
    # IoU 0.25: below 0.3 it would be negative, and that must not overwrite it.
    y = ground_truth([[0, 0, 10, 10]], [0])
    verdict, index = match(RPN, [[0, 0, 5, 5], [0, 0, 4, 4], [50, 50, 60, 60]], y)
    np.testing.assert_array_equal(verdict, [POSITIVE, NEGATIVE, NEGATIVE])
    assert index[0] == 0


def test_the_best_anchor_is_sought_among_the_valid():
    y = ground_truth([[0, 0, 10, 10]], [0])
    verdict, _ = match(RPN, [[0, 0, 10, 9], [0, 0, 10, 5]], y, valid=[False, True])
    np.testing.assert_array_equal(verdict, [NEITHER, POSITIVE])


def test_all_anchors_that_tie_for_best_are_positive():
    y = ground_truth([[10, 0, 20, 10]], [0])
    verdict, _ = match(RPN, [[5, 0, 15, 10], [15, 0, 25, 10], [0, 0, 11, 10]], y)
    np.testing.assert_array_equal(verdict, [POSITIVE, POSITIVE, NEGATIVE])


def test_without_the_rule_the_best_is_nothing_special():
    y = ground_truth([[0, 0, 10, 10]], [0])
    verdict, _ = match(Matcher(0.5, (0.1, 0.5)), [[0, 0, 5, 5], [0, 0, 2, 2]], y)
    np.testing.assert_array_equal(verdict, [NEGATIVE, NEITHER])


def test_bounds_belong_to_the_side_that_the_recipes_say():
    y = ground_truth([[0, 0, 10, 10]], [0])
    candidates = [[0, 0, 10, 5], [0, 0, 10, 2.5], [0, 0, 10, 1.25]]  # IoU 0.5, 0.25, 0.125
    verdict, _ = match(Matcher(0.5, (0.25, 0.5)), candidates, y)
    np.testing.assert_array_equal(verdict, [POSITIVE, NEGATIVE, NEITHER])
    verdict, _ = match(Matcher(0.7, (0.0, 0.25)), candidates, y)
    np.testing.assert_array_equal(verdict, [NEITHER, NEITHER, NEGATIVE])


def test_an_object_that_no_anchor_touches_makes_none_positive():
    verdict, _ = match(RPN, [[0, 0, 10, 10], [20, 20, 30, 30]], ground_truth([[80, 80, 90, 90]], [0]))
    np.testing.assert_array_equal(verdict, [NEGATIVE, NEGATIVE])


def test_ignore_regions_are_neither_rewarded_nor_punished():
    y = ground_truth([[0, 0, 100, 100], [0, 0, 10, 10]], [0, 1], ignore=[True, False])
    candidates = [
        [0, 0, 10, 10],
        [40, 40, 60, 60],
        [90, 90, 110, 110],
        [90, 0, 110, 20],
        [200, 200, 220, 220],
    ]
    # On an object; in the region; a quarter in it; exactly half in it; far away.
    verdict, index = match(RPN, candidates, y)
    np.testing.assert_array_equal(verdict, [POSITIVE, NEITHER, NEGATIVE, NEITHER, NEGATIVE])
    assert index[0] == 1


def test_what_coco_forgives_on_a_crowd_is_left_alone():
    """COCOeval, iscrowd: half of the detection's own area; Detectron's training asks for 0.7."""
    y = ground_truth([[0, 0, 100, 100]], [0], ignore=[True])
    candidates = [[90, 0, 90 + width, 10] for width in (10 / 0.7, 10 / 0.6, 20, 10 / 0.49)]
    verdict, _ = match(RPN, candidates, y)
    np.testing.assert_array_equal(verdict, [NEITHER, NEITHER, NEITHER, NEGATIVE])


@pytest.mark.parametrize("padding", [[], [[-1] * 4] * 3, [[0, 0, 10, 10]]])
def test_an_image_without_objects_makes_every_candidate_negative(padding):
    """Whatever the boxes of padding rows are."""
    y = ground_truth(padding, [-1] * len(padding))
    verdict, _ = match(RPN, [[0, 0, 10, 10], [-5, -5, 5, 5]], y)
    np.testing.assert_array_equal(verdict, [NEGATIVE, NEGATIVE])


def draw(verdict, size, fraction, seed=(1, 2)):
    index, positive, valid = BalancedSampler(size, fraction)(tf.constant(verdict, tf.int32), seed)
    return index.numpy(), positive.numpy(), valid.numpy()


def test_sampler_keeps_the_quota_and_draws_without_replacement():
    verdict = np.random.default_rng(0).choice([POSITIVE, NEGATIVE, NEITHER], (3, 200))
    index, positive, valid = draw(verdict, 32, 0.25)
    assert np.all(valid)
    np.testing.assert_array_equal(positive.sum(axis=1), [8, 8, 8])
    for image in range(3):
        assert len(set(index[image])) == 32
        drawn = verdict[image, index[image]]
        np.testing.assert_array_equal(drawn, np.where(positive[image], POSITIVE, NEGATIVE))
        assert np.all(positive[image, :8])


def test_negatives_fill_up_where_positives_are_short():
    index, positive, valid = draw([[POSITIVE] * 3 + [NEGATIVE] * 50], 16, 0.5)
    assert valid.sum() == 16 and positive.sum() == 3
    assert set(index[0, :3]) == {0, 1, 2} and len(set(index[0])) == 16


def test_positives_never_exceed_their_share():
    _, positive, valid = draw([[POSITIVE] * 50 + [NEGATIVE] * 2], 16, 0.5)
    assert positive.sum() == 8 and valid.sum() == 10


def test_rows_without_a_candidate_are_not_valid():
    index, positive, valid = draw([[NEITHER, NEGATIVE, POSITIVE, NEITHER], [NEITHER] * 4], 16, 0.5)
    assert index.shape == (2, 16)
    np.testing.assert_array_equal(valid.sum(axis=1), [2, 0])
    np.testing.assert_array_equal(index[0, :2], [2, 1])
    np.testing.assert_array_equal(positive.sum(axis=1), [1, 0])
    assert np.all(index < 4)


def test_the_seed_decides_the_draw():
    verdict = [[POSITIVE] * 100 + [NEGATIVE] * 100]
    first, same, other = (draw(verdict, 32, 0.5, seed)[0] for seed in ((1, 2), (1, 2), (3, 4)))
    np.testing.assert_array_equal(first, same)
    assert np.any(first != other)


def test_every_candidate_has_the_same_chance():
    verdict = tf.constant([[POSITIVE] * 10 + [NEGATIVE] * 10], tf.int32)
    sampler = BalancedSampler(8, 0.5)
    drawn = np.concatenate([sampler(verdict, (0, seed))[0].numpy()[0] for seed in range(300)])
    assert np.bincount(drawn, minlength=20).min() > 80  # 120 expected, deviation 9


def anchor_targets(cross_border, anchors, y, shapes=((100, 100),), size=8):
    targets = AnchorTargets(BoxCoder(), 0.7, 0.3, size, 0.5, cross_border)
    answer = targets(tf.constant(anchors, tf.float32), tf.constant(shapes), y, (0, 0))
    return [part.numpy()[0] for part in answer]


ANCHORS = [[0, 0, 20, 20], [90, 90, 100, 100], [-1, 0, 20, 20], [95, 95, 105, 105], [95, 95, 110, 110]]


@pytest.mark.parametrize("cross_border, expected", [(False, {0, 1}), (True, {0, 1, 2, 3})])
def test_anchors_at_the_border(cross_border, expected):
    """The third and fourth cross the border; the last is centered outside."""
    index, _, _, valid, _ = anchor_targets(cross_border, ANCHORS, ground_truth([], []))
    assert set(index[valid]) == expected


def test_anchors_in_the_padding_of_a_small_image_take_no_part():
    index, _, _, valid, _ = anchor_targets(True, ANCHORS, ground_truth([], []), shapes=((50, 50),))
    assert set(index[valid]) == {0, 2}


def test_anchor_targets_encode_the_matched_object():
    y = ground_truth([[70, 70, 90, 90], [0, 0, 20, 18], [-1] * 4], [0, 1, -1])
    index, deltas, positive, valid, match = anchor_targets(False, [[0, 0, 20, 20], [40, 40, 60, 60]], y)
    np.testing.assert_array_equal(index[valid], [0, 1])
    np.testing.assert_array_equal(positive[valid], [True, False])
    assert match[0] == 1
    np.testing.assert_allclose(deltas[0], [0, -0.05, 0, np.log(0.9)], atol=1e-6)
    assert np.all(np.isfinite(deltas))


def proposal_targets(proposals, y, valid=None, size=8, fraction=0.5):
    proposals = tf.reshape(tf.constant(proposals, tf.float32), [1, -1, 4])
    valid = tf.constant([[True] * proposals.shape[1] if valid is None else valid])
    targets = ProposalTargets(BoxCoder(), 0.5, (0.0, 0.5), size, fraction)
    sample = targets(proposals, valid, y, (0, 0))
    return type(sample)(*(part.numpy()[0] for part in sample))


def test_proposal_targets_append_the_objects_only():
    # The ignore region would be a positive of the object beside it.
    y = ground_truth([[0, 0, 20, 20], [0, 0, 20, 18], [-1] * 4], [2, 1, -1], ignore=[False, True, False])
    sample = proposal_targets([[40, 0, 50, 10]], y)
    assert sample.positive.sum() == 1 and sample.valid.sum() == 2
    np.testing.assert_array_equal(sample.rois[sample.valid], [[0, 0, 20, 20], [40, 0, 50, 10]])
    assert sample.labels[0] == 2 and sample.match[0] == 0
    np.testing.assert_array_equal(sample.boxes[:2], [[0, 0, 20, 20], [0, 0, 0, 0]])
    np.testing.assert_array_equal(sample.deltas[0], [0, 0, 0, 0])


def test_proposals_that_are_padding_take_no_part():
    y = ground_truth([], [])
    sample = proposal_targets([[0, 0, 20, 20], [0, 0, 0, 0]], y, valid=[True, False])
    assert sample.valid.sum() == 1 and not sample.positive.any()
    np.testing.assert_array_equal(sample.rois[0], [0, 0, 20, 20])


def test_recall_counts_objects_that_a_valid_proposal_reaches():
    y = ground_truth(
        [[0, 0, 10, 10], [50, 50, 60, 60], [80, 80, 90, 90], [-1] * 4],
        [0, 0, 1, -1],
        [False] * 2 + [True, False],
    )
    proposals = np.array([[[0, 0, 10, 8], [50, 50, 60, 60], [80, 80, 90, 90]]], "float32")
    assert recall(proposals, np.array([[True, False, True]]), y) == (0.5, 2.0)
    assert recall(proposals, np.ones([1, 3], bool), ground_truth([], [])) == (0.0, 0.0)


def test_recall_is_averaged_over_thresholds():
    y = ground_truth([[0, 0, 10, 10], [50, 50, 60, 60]], [0, 0])
    # IoU 0.8 and 0.6.
    proposals = np.array([[[0, 0, 10, 8], [50, 50, 60, 56]]], "float32")
    share, objects = recall(proposals, np.ones([1, 2], bool), y, (0.5, 0.7, 0.9))
    np.testing.assert_allclose(share, (2 / 3 + 1 / 3) / 2, rtol=1e-6)
    assert objects == 2.0


def test_recall_of_a_single_object():
    y = ground_truth([[0, 0, 10, 10]], [0])
    for box, expected in (([0, 0, 10, 5], 1.0), ([0, 0, 10, 4.9], 0.0)):
        assert recall(np.array([[box]], "float32"), np.array([[True]]), y) == (expected, 1.0)

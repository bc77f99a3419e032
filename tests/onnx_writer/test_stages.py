"""ONNX Runtime pools and suppresses as TensorFlow does."""

import numpy as np
import pytest
import tensorflow as tf

import keras_frcnn as kf
from keras_frcnn.onnx_writer import boxes as box_ops
from keras_frcnn.onnx_writer.graph import OnnxGraph
from keras_frcnn.onnx_writer.regions import pool, postprocess
from keras_frcnn.ops import nms

pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")


def run(graph, outputs, **arrays):
    """Run a graph on float32 arrays; `outputs` maps names to types and ranks."""
    inputs = {name: ("FLOAT", list(array.shape)) for name, array in arrays.items()}
    model = graph.model(inputs, {name: (kind, [None] * rank) for name, (kind, rank) in outputs.items()}, {})
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return session.run(list(outputs), arrays)


def some_boxes(count, side, seed=0):
    random = np.random.default_rng(seed)
    center, size = random.uniform(0, side, (count, 2)), random.uniform(1, side, (count, 2))
    return np.concatenate([center - size / 2, center + size / 2], axis=1).astype("float32")


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("layer", [kf.layers.RoIAlign, kf.layers.RoIPooling])
def test_pooling(layer, aligned):
    layer = layer(3, (8, 16, 32), samples=2, aligned=aligned)
    random = np.random.default_rng(0)
    maps = [random.normal(size=(2, 64 // s, 96 // s, 5)).astype("float32") for s in (8, 16, 32)]
    # Some reach beyond the maps, and one is a point.
    rois = np.stack([some_boxes(20, 60), some_boxes(20, 400)])
    rois[0, 0] = 5.0
    graph = OnnxGraph()
    pooled, place = pool(graph, layer, ["a", "b", "c"], "rois")
    name = graph.Gather(pooled, place)
    given = {key: one.transpose(0, 3, 1, 2) for key, one in zip("abc", maps)}
    (found,) = run(graph, {name: ("FLOAT", 4)}, rois=rois, **given)
    expected = layer(maps, rois).numpy().reshape(-1, 3, 3, 5)
    np.testing.assert_allclose(found.transpose(0, 2, 3, 1), expected, atol=1e-4)


def test_other_poolings_are_refused():
    with pytest.raises(ValueError, match="use pooling='roi_align' or 'roi_pooling'"):
        pool(OnnxGraph(), kf.layers.ExactRoIPooling(3, (8,)), ["a"], "rois")


@pytest.mark.parametrize("own_boxes", [True, False])
@pytest.mark.parametrize("rows, threshold", [(3, 0.25), (500, 0.25), (500, 0)])
def test_postprocessing_with_ties(own_boxes, rows, threshold):
    random = np.random.default_rng(0)
    # Scores of sixteenths are equal many times.
    probabilities = (random.integers(0, 16, (2, 40, 5)) / 16).astype("float32")
    count = 4 if own_boxes else 1
    boxes = some_boxes(2 * 40 * count, 50).reshape(2, 40, count, 4)
    valid = np.arange(40) < np.array([[40], [25]])
    settings = {"score_threshold": threshold, "nms_iou": 0.4, "max_detections": rows, "min_box_size": 2.0}
    expected = nms.postprocess(
        probabilities, boxes, valid, np.int32([[50, 60]] * 2), threshold, 0.4, rows, min_box_size=2.0
    )
    graph = OnnxGraph()
    is_box = graph.Greater("valid", 0.5)
    shape = graph.constant([50]), graph.constant([60])
    names = postprocess(graph, "probabilities", "boxes", is_box, shape, settings)
    kinds = dict(zip(names, [("FLOAT", 3), ("FLOAT", 2), ("INT64", 2), ("BOOL", 2)]))
    found = run(graph, kinds, probabilities=probabilities, boxes=boxes, valid=valid.astype("float32"))
    filled = found[3]
    np.testing.assert_array_equal(filled.sum(axis=1), expected["num_detections"])
    for values, name in zip(found, ("boxes", "scores", "labels")):
        np.testing.assert_array_equal(values[filled], expected[name].numpy()[filled])


def test_suppression_takes_logits_and_nothing():
    boxes, scores = (
        some_boxes(30, 40)[None],
        np.random.default_rng(1).normal(-5, 3, (1, 30)).astype("float32"),
    )
    scores[0, ::3] = -np.inf
    graph = OnnxGraph()
    name = box_ops.suppressed(graph, "boxes", "scores", 0.5, 30)
    (found,) = run(graph, {name: ("FLOAT", 2)}, boxes=boxes, scores=scores)
    _, kept, _, count = nms.grouped_nms(
        tf.constant(boxes), tf.constant(scores[..., None]), 0.5, -float("inf"), 30
    )
    np.testing.assert_array_equal(np.sort(found[np.isfinite(found)])[::-1], kept[0, : int(count[0])])
    (found,) = run(graph, {name: ("FLOAT", 2)}, boxes=boxes, scores=np.full_like(scores, -np.inf))
    assert not np.isfinite(found).any()

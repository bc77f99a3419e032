"""Write a detector as an ONNX graph.

Letters: B images, H height, W width, D detections.
"""

from keras_frcnn.models import CascadeRCNN, FasterRCNN
from keras_frcnn.onnx_writer import boxes as box_ops
from keras_frcnn.onnx_writer.graph import OnnxGraph
from keras_frcnn.onnx_writer.images import prepare, restore
from keras_frcnn.onnx_writer.network import write_network
from keras_frcnn.onnx_writer.proposals import propose
from keras_frcnn.onnx_writer.regions import head_outputs, pool, postprocess


def write_detector(model, half, metadata):
    """Write a detector with its resize and normalization.

    Args:
        model: `FasterRCNN` or `CascadeRCNN`; batch normalization is best folded.
        half: whether weights are stored as float16.
        metadata: dict of str that travels in the file.

    Returns:
        `onnx.ModelProto` with the input "images" uint8 `[B, H, W, 3]`, RGB, and the outputs of
        `Detector.call`: "boxes" float32 `[B, D, 4]` in pixels of the image, "scores" float32 `[B, D]`,
        "labels" int32 `[B, D]`, all padded with −1, and "num_detections" int32 `[B]`.

    Raises:
        ValueError: the method or a layer has no form in ONNX.
    """
    if type(model) not in (FasterRCNN, CascadeRCNN):
        raise ValueError(
            f"{type(model).__name__} cannot be written as ONNX, only FasterRCNN and CascadeRCNN; export a "
            "SavedModel."
        )
    graph = OnnxGraph(half)
    pixels, original, shape = prepare(graph, model, "images")
    features = write_network(graph, model.backbone, pixels)
    proposed = propose(graph, model.rpn, features, shape)
    boxes, scores, labels, filled = _detected(graph, model, features, proposed, shape)
    boxes = box_ops.clip(graph, restore(graph, boxes, shape, original), original)
    graph.Where(graph.Unsqueeze(filled, [2]), boxes, -1.0, name="boxes")
    graph.Where(filled, scores, -1.0, name="scores")
    graph.Where(filled, graph.to(labels, "INT32"), graph.to(-1, "INT32"), name="labels")
    count = graph.to(filled, "INT32")
    graph.ReduceSum(count, [1], keepdims=0, name="num_detections")
    rows = model.max_detections
    outputs = {
        "boxes": ("FLOAT", ["batch", rows, 4]),
        "scores": ("FLOAT", ["batch", rows]),
        "labels": ("INT32", ["batch", rows]),
        "num_detections": ("INT32", ["batch"]),
    }
    return graph.model({"images": ("UINT8", ["batch", "height", "width", 3])}, outputs, metadata)


def _detected(graph, model, features, proposed, shape):
    """Faster R-CNN is a cascade of one stage."""
    stages = model.region_stages if isinstance(model, CascadeRCNN) else [model.regions]
    rois, probabilities, boxes = proposed.boxes, [], ""
    for stage in stages:
        pooled = pool(graph, model.roi_pooling, features[: model.backbone_info.pooled_levels], rois)
        logits, deltas = head_outputs(graph, stage.head, *pooled, rois)
        probabilities.append(graph.Softmax(logits, axis=-1))
        boxes = box_ops.decode(graph, stage.coder, deltas, graph.Unsqueeze(rois, [2]))
        if len(stages) > 1:
            rois = graph.Squeeze(box_ops.clip(graph, boxes, shape), [2])
    scores = probabilities[0]
    for more in probabilities[1:]:
        scores = graph.Add(scores, more)
    if len(stages) > 1:
        scores = graph.Div(scores, float(len(stages)))
    return postprocess(graph, scores, boxes, proposed.is_box, shape, model.arguments)

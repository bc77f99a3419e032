"""What is written down about an exported detector."""

from keras_frcnn.version import __version__


def described(model) -> dict:
    """Return the facts of a `Detector` that travel with every export as model.json."""
    arguments = model.arguments
    backbone = arguments["backbone"]
    pyramid = ("pyramid_sides", "pyramid_limit") if arguments.get("pyramid_sides") else ()
    return {
        "keras_frcnn_version": __version__,
        "model": type(model).__name__,
        "backbone": backbone if isinstance(backbone, str) else backbone.name,
        "weights_source": arguments["weights_source"],
        "class_names": list(model.class_names),
        "needs_proposals": model.needs_proposals,
        "image_size": list(model.image_size),
        **{name: arguments[name] for name in pyramid},
        "canvas": model.canvas,
        "preprocessing": arguments["preprocessing"],
        "precision": model.dtype_policy.compute_dtype,
        "score_threshold": arguments.get("score_threshold", 0.0),
        "nms_iou": arguments.get("nms_iou", arguments.get("rpn_nms_iou")),
        "max_detections": model.max_detections,
    }

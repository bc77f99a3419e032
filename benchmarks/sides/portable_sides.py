"""Start this package's exports in other runtimes; `portable.py` is what their processes run."""

from sides.worker import SideFailed

# The format, the file and the subject of each runtime.
RUNTIMES = {
    "ONNX Runtime": ("onnx", "model.onnx", "onnx_runtime"),
    "OpenVINO": ("onnx", "model.onnx", "openvino"),
    "LiteRT": ("litert", "model.tflite", "litert"),
}


def start(sides, prefix, reference, image):
    """Export and start each runtime, as far as both environments have what it needs.

    Args:
        sides: `Sides` with the worker "preparation".
        prefix: beginning of the names.
        reference: dict of "model" and "state", see `ours.detector`.
        image: path of the `.npz` file with the image; exports are written beside it.

    Returns:
        list of names of sides.
    """
    names = []
    for runtime, (form, file, subject) in RUNTIMES.items():
        folder, name = image.with_name(form), f"{prefix} in {runtime} float32"
        try:
            if not folder.exists():
                sides.workers["preparation"].call("portable", **reference, form=form, folder=str(folder))
        except SideFailed as error:
            sides.skipped[name] = str(error)
            continue
        if sides.peer(name, "portable", subject, path=str(folder / file), file=str(image)):
            names.append(name)
    return names

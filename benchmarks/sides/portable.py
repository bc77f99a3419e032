"""This package's exports in other runtimes; `worker.py` starts each subject in its own process.

This module needs NumPy and the runtime, and neither TensorFlow nor this package.
"""

import os

import numpy as np

from sides.subject import Subject, serve

CORES = int(os.environ["OMP_NUM_THREADS"])
NAMES = ("boxes", "scores", "labels", "num_detections")


def onnx_runtime(path):
    """ONNX Runtime on `model.onnx`."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = CORES
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda images: dict(zip(NAMES, session.run(NAMES, {"images": images})))


def openvino(path):
    """OpenVINO on `model.onnx` too, tuned for the latency of one image."""
    from openvino import Core

    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": CORES,
    }
    request = Core().compile_model(path, "CPU", settings).create_infer_request()

    def run(images):
        answer = request.infer({"images": images})
        return {name: np.array(answer[name]) for name in NAMES}

    return run


def litert(path):
    """LiteRT on `model.tflite`."""
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(path, num_threads=CORES).get_signature_runner()
    return lambda images: runner(images=images)


def subject(make):
    """The maker of a `Subject` that detects in the image of a `.npz` file."""

    def start(path, file):
        detect, images = make(path), np.load(file)["images"][:1]

        def run():
            answer = detect(images)
            count = int(answer["num_detections"][0])
            found = {name: answer[name][0, :count] for name in NAMES[:3]}
            return {**found, "labels": found["labels"] + 1}  # as torchvision counts

        return Subject(run)

    return start


if __name__ == "__main__":
    serve(
        {
            "onnx_runtime": (("onnxruntime",), subject(onnx_runtime)),
            "openvino": (("openvino",), subject(openvino)),
            "litert": (("ai_edge_litert",), subject(litert)),
        }
    )

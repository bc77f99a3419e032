"""Run exported files with the runtime of each format.

Every function takes a file and returns a function from uint8 images `[B, H, W, 3]`, one with LiteRT, to a
dict of the arrays "boxes" `[B, D, 4]`, "scores" `[B, D]`, "labels" `[B, D]` and "num_detections" `[B]`.
"""

import os

from keras_frcnn.extras import needed


def _cores():
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def onnx_runtime(file):
    """Run an ONNX file with ONNX Runtime."""
    runtime = needed("onnxruntime", "onnx")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = _cores()
    session = runtime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda images: dict(zip(names, session.run(names, {"images": images})))


def open_vino(file):
    """Run an OpenVINO file on the processor, in float32."""
    # bfloat16, the default of newer processors, moves boxes by pixels.
    settings = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    network = needed("openvino", "openvino").Core().compile_model(str(file), "CPU", settings)
    names = [output.get_any_name() for output in network.outputs]

    def run(images):
        answer = network({"images": images})
        return {name: answer[name] for name in names}

    return run


def lite_rt(file):
    """Run a LiteRT file."""
    interpreter = needed("ai_edge_litert.interpreter", "litert").Interpreter
    runner = interpreter(str(file), num_threads=_cores()).get_signature_runner()
    return lambda images: runner(images=images)


RUNTIMES = {".onnx": onnx_runtime, ".xml": open_vino, ".tflite": lite_rt}

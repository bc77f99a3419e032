"""An export that all tests here look at, and a stand-in for TF-Serving.

The stand-in speaks REST's and gRPC's Predict over a SavedModel, as TF-Serving's documentation and protocol
files have them, so that the client and the contract can be tested. It is no product: it has no versions, no
batching and no limits, and no binary of TF-Serving has any part in these tests.
"""

import base64
import concurrent.futures
import contextlib
import http.server
import json
import pathlib
import shutil
import subprocess
import threading
import time
import types

import numpy as np
import pytest
import tensorflow as tf

OUTPUTS = ("detection_boxes", "detection_classes", "detection_scores", "image_ok", "num_detections")
CLASS_NAMES = ["red cell", "weiß", "plate"]
PIXEL = tf.zeros([1, 1, 3], tf.uint8)


class Refusal(Exception):
    """What TF-Serving answers with INVALID_ARGUMENT."""

    status = 400


class Full(Refusal):
    """What it answers with UNAVAILABLE."""

    status = 503


class StandIn:
    """A served SavedModel; `delay` is what every answer waits, seconds."""

    def __init__(self, path, name):
        self.loaded = tf.saved_model.load(str(path))
        self.name, self.delay = name, 0.0
        # The first call takes longest, which a test of time limits must not meet.
        self.loaded.signatures["serving_bytes"](
            image_bytes=tf.constant([b"", tf.io.encode_png(PIXEL).numpy()])
        )
        self.loaded.signatures["serving_default"](input_tensor=PIXEL[None])

    def predict(self, signature, inputs, convert):
        """Run a signature on `inputs`, which `convert(value, dtype)` turns into arrays."""
        time.sleep(self.delay)
        if signature not in self.loaded.signatures:
            raise Refusal(f'Serving signature name: "{signature}" not found in signature def')
        function = self.loaded.signatures[signature]
        wanted = function.structured_input_signature[1]
        if set(inputs) != set(wanted):
            raise Refusal(
                f"input tensor alias not found in signature: {', '.join(inputs)}. "
                f"Inputs expected to be in the set {{{','.join(wanted)}}}."
            )
        tensors = {key: tf.constant(convert(inputs[key], spec), spec.dtype) for key, spec in wanted.items()}
        return {key: value.numpy() for key, value in function(**tensors).items()}


def from_json(value, spec):
    if isinstance(value, list):
        return [from_json(item, spec) for item in value]
    if isinstance(value, dict) and spec.dtype == tf.string:
        return base64.b64decode(value["b64"])
    if isinstance(value, dict) or isinstance(value, str) != (spec.dtype == tf.string):
        raise Refusal(f"JSON Value: {json.dumps(value)} Type: {type(value).__name__} is not of expected type")
    return value


def from_proto(proto, spec):
    if proto.dtype != spec.dtype.as_datatype_enum:
        raise Refusal(f"Expects arg to be {spec.dtype.name} but {tf.DType(proto.dtype).name} is provided")
    return tf.make_ndarray(proto)


def rest_handler(stand_in):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path.removesuffix(":predict") not in (
                f"/v1/models/{stand_in.name}",
                f"/v1/models/{stand_in.name}/versions/1",
            ):
                return self.answer(404, {"error": f"Servable not found for request: Latest({self.path})"})
            signature = body.get("signature_name", "serving_default")
            try:
                if "instances" in body:
                    keys = body["instances"][0]
                    columns = {key: [row[key] for row in body["instances"]] for key in keys}
                    outputs = stand_in.predict(signature, columns, from_json)
                    rows = [dict(zip(outputs, row)) for row in zip(*(v.tolist() for v in outputs.values()))]
                    return self.answer(200, {"predictions": rows})
                outputs = stand_in.predict(signature, body["inputs"], from_json)
                self.answer(200, {"outputs": {key: value.tolist() for key, value in outputs.items()}})
            except Refusal as error:
                self.answer(error.status, {"error": str(error)})

        def answer(self, status, content):
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with contextlib.suppress(ConnectionError):  # the client may have given up
                self.wfile.write(body)

        def log_message(self, *_):
            pass

    return Handler


def grpc_servicer(stand_in, grpc):
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    class Servicer(prediction_service_pb2_grpc.PredictionServiceServicer):
        def Predict(self, request, context):
            spec = request.model_spec
            if spec.name != stand_in.name or spec.version.value not in (0, 1):
                context.abort(
                    grpc.StatusCode.NOT_FOUND, f"Servable not found for request: Latest({spec.name})"
                )
            try:
                outputs = stand_in.predict(
                    spec.signature_name or "serving_default", dict(request.inputs), from_proto
                )
            except Refusal as error:
                kind = "UNAVAILABLE" if isinstance(error, Full) else "INVALID_ARGUMENT"
                context.abort(grpc.StatusCode[kind], str(error))
            return predict_pb2.PredictResponse(
                outputs={key: tf.make_tensor_proto(value) for key, value in outputs.items()}
            )

    return Servicer()


@pytest.fixture(scope="package")
def exported_cells(make_model, tmp_path_factory):
    """The model `.model` and the folder `.path` of its export."""
    model = make_model(CLASS_NAMES, backbone="tiny_fpn", anchor_sizes=None)
    path = tmp_path_factory.mktemp("served") / "cells" / "1"
    model.export(path, data="ten cells", metrics="AP 1.0 by nobody's protocol")
    return types.SimpleNamespace(model=model, path=path)


@pytest.fixture(scope="package")
def server(exported_cells):
    """The stand-in as `.stand_in`, with its URLs `.rest` and `.grpc`, and `.full`, what it may raise."""
    grpc = pytest.importorskip("grpc")
    apis = pytest.importorskip("tensorflow_serving.apis.prediction_service_pb2_grpc")
    stand_in = StandIn(exported_cells.path, "cells")
    rest = http.server.ThreadingHTTPServer(("127.0.0.1", 0), rest_handler(stand_in))
    threading.Thread(target=rest.serve_forever, daemon=True).start()
    options = [("grpc.max_receive_message_length", -1)]
    other = grpc.server(concurrent.futures.ThreadPoolExecutor(4), options=options)
    apis.add_PredictionServiceServicer_to_server(grpc_servicer(stand_in, grpc), other)
    port = other.add_insecure_port("127.0.0.1:0")
    other.start()
    yield types.SimpleNamespace(
        stand_in=stand_in,
        full=Full,
        rest=f"http://127.0.0.1:{rest.server_port}/v1/models/cells",
        grpc=f"grpc://127.0.0.1:{port}/cells",
    )
    other.stop(None)
    rest.shutdown()
    rest.server_close()


@pytest.fixture(scope="package")
def program(tmp_path_factory):
    """serve.c, built against the TensorFlow that is installed."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("there is no C compiler to build the program with")
    libraries = pathlib.Path(tf.sysconfig.get_lib())
    names = [path.name for path in sorted(libraries.glob("libtensorflow_[cf]*.so.2"))]
    if len(names) != 2:
        pytest.skip("this TensorFlow brings no libraries to link with")
    target = tmp_path_factory.mktemp("built") / "serve"
    source = pathlib.Path(__file__).with_name("serve.c")
    links = [f"-L{libraries}", *(f"-l:{name}" for name in names), f"-Wl,-rpath,{libraries}"]
    words = [compiler, "-Wall", "-Werror", source, "-o", target, f"-I{tf.sysconfig.get_include()}", *links]
    subprocess.run(words, check=True)
    return target


@pytest.fixture(scope="package")
def without_python(program):
    """A function: a folder of an export and image files, to what `serving_bytes` answers in a C program."""

    def serve(path, files):
        function = tf.saved_model.load(str(path)).signatures["serving_bytes"]
        words = [program, path, *_operations(path), "--", *files]
        done = subprocess.run(
            words, check=True, capture_output=True, text=True, env={"TF_CPP_MIN_LOG_LEVEL": "3"}
        )
        lines = [np.array(line.split()[1:], np.float32) for line in done.stdout.splitlines()]
        shapes = {name: [-1, *spec.shape[1:]] for name, spec in function.structured_outputs.items()}
        return {name: values.reshape(shapes[name]) for name, values in zip(OUTPUTS, lines, strict=True)}

    return serve


def _operations(path):
    """Input and outputs of serving_bytes as the graph names them."""
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel()
    saved.ParseFromString((path / "saved_model.pb").read_bytes())
    signature = saved.meta_graphs[0].signature_def["serving_bytes"]
    return [signature.inputs["image_bytes"].name, *(signature.outputs[name].name for name in OUTPUTS)]

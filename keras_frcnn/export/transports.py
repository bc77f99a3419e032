"""The two transports to TF-Serving's Predict: REST and gRPC.

Each provides a function `predict(signature, inputs)` from a dict of arrays (bytes as dtype object) to a dict
of arrays, which raises errors of one sentence, and a function `close()`.
"""

import base64
import http.client
import json
import re
import time
import urllib.error
import urllib.request

import numpy as np
import tensorflow as tf

_URL = re.compile(
    r"(?P<way>https?|grpc)://(?P<target>[^/]+)/(?P<prefix>([^/:]+/)*?)(?P<path>v1/models/)?(?P<name>[^/:]+)"
    r"(/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?"
)

# Bytes of an answer; the detections of a thousand images take less.
LARGEST_ANSWER = 256 * 2**20
# Bytes of an error's explanation that are read.
LARGEST_REASON = 2**16
# TF-Serving's statuses over REST when a queue is full.
OVERLOADED = (http.HTTPStatus.TOO_MANY_REQUESTS, http.HTTPStatus.SERVICE_UNAVAILABLE)


def connect(url, timeout):
    """Open the transport that a URL names.

    Args:
        url: "http://HOST:8501/v1/models/NAME" (or https) for REST, "grpc://HOST:8500/NAME" for gRPC, with or
            without "v1/models"; both may end in "/versions/NUMBER" or "/labels/LABEL". A path may precede
            the "v1/models" of REST.
        timeout: seconds to wait for an answer.

    Returns:
        The functions `predict` and `close`; see the module.

    Raises:
        ValueError: the URL has neither form, or gRPC's package is not installed.
    """
    url = url.rstrip("/").removesuffix(":predict")
    parts = _URL.fullmatch(url)
    if not parts or (parts["prefix"] if parts["way"] == "grpc" else not parts["path"]):
        raise ValueError(
            f"{url} names no model of a server; give http://HOST:8501/v1/models/NAME or grpc://HOST:8500/NAME."
        )
    return _over_grpc(url, parts, timeout) if parts["way"] == "grpc" else _over_rest(url, timeout)


class _TooLarge(Exception):
    """An answer is larger than `LARGEST_ANSWER`."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Take a redirect for an error: requests go to the server that was named and to no other."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        return None


def _over_rest(url, timeout):
    opener = urllib.request.build_opener(_NoRedirect)

    def predict(signature, inputs):
        columns = {name: _as_json(value) for name, value in inputs.items()}
        body = json.dumps({"signature_name": signature, "inputs": columns}).encode()
        request = urllib.request.Request(f"{url}:predict", body, {"Content-Type": "application/json"})
        try:
            with opener.open(request, timeout=timeout) as reply:
                answer = json.loads(_contents(reply, timeout))
            return {name: np.array(value) for name, value in answer["outputs"].items()}
        except urllib.error.HTTPError as error:
            if error.code in OVERLOADED:
                raise ConnectionError(_overloaded(url, _rest_reason(error))) from error
            raise ValueError(_refused(url, _rest_reason(error))) from error
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            if isinstance(reason, TimeoutError):
                raise TimeoutError(_slow(url, timeout)) from error
            raise ConnectionError(_gone(url, getattr(reason, "strerror", None) or reason)) from error
        except _TooLarge as error:
            raise ValueError(
                f"{url} answers with more than {LARGEST_ANSWER >> 20} MiB; send fewer images at once."
            ) from error
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(f"{url} does not answer as TF-Serving does; check the URL.") from error

    return predict, lambda: None


def _contents(reply, timeout):
    """Read an answer, within its largest size and a time."""
    deadline, contents = time.monotonic() + timeout, b""
    while chunk := reply.read1(2**20):
        contents += chunk
        if len(contents) > LARGEST_ANSWER:
            raise _TooLarge
        if time.monotonic() > deadline:
            raise TimeoutError
    return contents


def _over_grpc(url, parts, timeout):
    try:
        import grpc
        from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc
    except ImportError as error:
        raise ValueError(
            f'gRPC needs a package ({error}); pip install "keras_frcnn[serving]", or use an http:// URL.'
        ) from None
    sizes = [("grpc.max_receive_message_length", LARGEST_ANSWER), ("grpc.max_send_message_length", -1)]
    channel = grpc.insecure_channel(parts["target"], options=sizes)
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)

    def predict(signature, inputs):
        request = predict_pb2.PredictRequest()  # pyright: ignore[reportAttributeAccessIssue]
        spec = request.model_spec
        spec.name, spec.signature_name = parts["name"], signature
        if parts["version"]:
            spec.version.value = int(parts["version"])
        elif parts["label"]:
            spec.version_label = parts["label"]
        for key, value in inputs.items():
            request.inputs[key].CopyFrom(tf.make_tensor_proto(value))
        try:
            reply = stub.Predict(request, timeout)
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.DEADLINE_EXCEEDED:
                raise TimeoutError(_slow(url, timeout)) from error
            full = error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
            # UNAVAILABLE also means a missing server; only a busy one mentions its queue.
            if full or (error.code() == grpc.StatusCode.UNAVAILABLE and "queue" in str(error.details())):
                raise ConnectionError(_overloaded(url, error.details())) from error
            if error.code() == grpc.StatusCode.UNAVAILABLE:
                raise ConnectionError(_gone(url, error.details())) from error
            raise ValueError(_refused(url, error.details())) from error
        return {key: tf.make_ndarray(value) for key, value in reply.outputs.items()}

    return predict, channel.close


def _as_json(array):
    array = np.asarray(array)
    if array.dtype != object:
        return array.tolist()
    # TF-Serving expects each bytes value in its own object.
    return [{"b64": base64.b64encode(value).decode()} for value in array]


def _rest_reason(error):
    try:
        return json.loads(error.read(LARGEST_REASON))["error"]
    except (ValueError, KeyError, TypeError, OSError, RecursionError):
        return f"{error.code} {error.reason}"


def _refused(url, reason):
    return (
        f"{url} refused the request ({_one_line(reason)}); check the model's name in the URL and the inputs, "
        "their names and types."
    )


def _overloaded(url, reason):
    return f"{url} is overloaded ({_one_line(reason)}); try again later or send less at once."


def _gone(url, reason):
    return f"{url} cannot be reached ({_one_line(reason)}); start the server, or name another with --url."


def _slow(url, timeout):
    return f"{url} has not answered within {timeout:g} seconds; wait longer with --timeout, or relieve it."


def _one_line(reason):
    return " ".join(str(reason).split()).rstrip(".")

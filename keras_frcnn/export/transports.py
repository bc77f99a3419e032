"""The two ways to TF-Serving's Predict: REST and gRPC.

Each gives a function `predict(signature, inputs)` from a dict of arrays (bytes as dtype object) to a dict of
arrays, which says in one sentence what went wrong.
"""

import base64
import http.client
import json
import urllib.error
import urllib.parse
import urllib.request

import numpy as np
import tensorflow as tf


def connect(url, timeout):
    """The way that a URL names.

    Args:
        url: "http://HOST:8501/v1/models/NAME" (or https) for REST, "grpc://HOST:8500/NAME" for gRPC, with or
            without "v1/models"; both may end in "/versions/NUMBER" or "/labels/LABEL".
        timeout: seconds to wait for an answer.

    Returns:
        The function `predict`, see above.

    Raises:
        ValueError: the URL is of neither kind, or gRPC's package is not installed.
    """
    url = url.rstrip("/").removesuffix(":predict")
    parts = urllib.parse.urlsplit(url)
    way, place = parts.scheme, parts.path.strip("/").split("/")
    if place[:2] == ["v1", "models"]:
        place = place[2:]
    elif way != "grpc":
        place = []
    name, kind, which = [*place, "", ""] if len(place) == 1 else place if len(place) == 3 else ["", "", ""]
    known = kind == "" or (kind == "labels" and which) or (kind == "versions" and which.isdecimal())
    if way not in ("http", "https", "grpc") or not parts.netloc or not name or not known:
        raise ValueError(
            f"{url} names no model of a server; give http://HOST:8501/v1/models/NAME or grpc://HOST:8500/NAME."
        )
    if way == "grpc":
        return _over_grpc(url, parts.netloc, name, kind, which, timeout)
    return _over_rest(url, timeout)


def _over_rest(url, timeout):
    def predict(signature, inputs):
        columns = {name: _as_json(value) for name, value in inputs.items()}
        body = json.dumps({"signature_name": signature, "inputs": columns}).encode()
        request = urllib.request.Request(f"{url}:predict", body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=timeout) as reply:
                answer = json.load(reply)["outputs"]
        except urllib.error.HTTPError as error:
            raise ValueError(_refused(url, _rest_reason(error))) from error
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            if isinstance(reason, TimeoutError):
                raise TimeoutError(_slow(url, timeout)) from error
            raise ConnectionError(_gone(url, getattr(reason, "strerror", None) or reason)) from error
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{url} does not answer as TF-Serving does; check the URL.") from error
        return {name: np.array(value) for name, value in answer.items()}

    return predict


def _over_grpc(url, target, name, kind, which, timeout):
    try:
        import grpc
        from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc
    except ImportError as error:
        raise ValueError(
            f'gRPC needs a package ({error}); pip install "keras_frcnn[serving]", or use an http:// URL.'
        ) from None
    any_size = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    stub = prediction_service_pb2_grpc.PredictionServiceStub(grpc.insecure_channel(target, options=any_size))

    def predict(signature, inputs):
        request = predict_pb2.PredictRequest()
        request.model_spec.name, request.model_spec.signature_name = name, signature
        if kind == "versions":
            request.model_spec.version.value = int(which)
        elif kind == "labels":
            request.model_spec.version_label = which
        for key, value in inputs.items():
            request.inputs[key].CopyFrom(tf.make_tensor_proto(value))
        try:
            reply = stub.Predict(request, timeout)
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.DEADLINE_EXCEEDED:
                raise TimeoutError(_slow(url, timeout)) from error
            if error.code() == grpc.StatusCode.UNAVAILABLE:
                raise ConnectionError(_gone(url, error.details())) from error
            raise ValueError(_refused(url, error.details())) from error
        return {key: tf.make_ndarray(value) for key, value in reply.outputs.items()}

    return predict


def _as_json(array):
    array = np.asarray(array)
    if array.dtype != object:
        return array.tolist()
    # TF-Serving wants bytes in an object of their own.
    return [{"b64": base64.b64encode(value).decode()} for value in array]


def _rest_reason(error):
    try:
        return json.load(error)["error"]
    except (ValueError, KeyError, TypeError, OSError):
        return f"{error.code} {error.reason}"


def _refused(url, reason):
    return (
        f"{url} refused the request ({_one_line(reason)}); check the model's name and what it was made from."
    )


def _gone(url, reason):
    return f"{url} cannot be reached ({_one_line(reason)}); start the server, or name another with --url."


def _slow(url, timeout):
    return f"{url} has not answered within {timeout:g} seconds; wait longer with --timeout, or relieve it."


def _one_line(reason):
    return " ".join(str(reason).split()).rstrip(".")

"""Requests that TF-Serving sends to a model while loading it, so that the first client does not wait.

The file is a TFRecord of `tensorflow.serving.PredictionLog`, of which these fields are used (numbers from
prediction_log.proto, predict.proto and model.proto of TensorFlow Serving):

    PredictionLog { PredictLog predict_log = 6 }      PredictLog { PredictRequest request = 1 }
    PredictRequest { ModelSpec model_spec = 1; map<string, TensorProto> inputs = 2 }
    ModelSpec { string name = 1; string signature_name = 3 }

On the wire, each is a length-delimited field, so this module writes them without TF-Serving's own package.
"""

import numpy as np
import tensorflow as tf


def write_warm_up(path, model, name):
    """Write requests of every kind that a server will receive.

    Args:
        path: file to write.
        model: `Detector`.
        name: str, name of the served model.
    """
    with tf.io.TFRecordWriter(str(path)) as file:
        for signature, inputs in _requests(model):
            file.write(_prediction_log(name, signature, inputs))


def _requests(model):
    """Yield pairs of signature name and input arrays: one image, two, two sizes, a broken one."""
    short, long = model.image_size
    wide, high = _picture(short, long), _picture(long, short)
    if model.needs_proposals:
        proposals = np.array([[[0, 0, long, short], [0, 0, long // 2, short // 2]]], np.float32)
        for batch in (1, 2):
            images, boxes = np.stack([wide] * batch), np.tile(proposals, [batch, 1, 1])
            yield "serving_default", {"input_tensor": images, "proposals": boxes}
        return
    small = _picture(short // 2, long // 2)
    for images in ([wide], [high], [small, small]):
        yield "serving_default", {"input_tensor": np.stack(images)}
    jpeg, png = tf.io.encode_jpeg(wide).numpy(), tf.io.encode_png(high).numpy()
    for contents in ([jpeg], [png], [jpeg, jpeg], [jpeg, png, b"not an image"]):
        yield "serving_bytes", {"image_bytes": np.array(contents, object)}


def _picture(height, width):
    """Colored squares, uint8 `[height, width, 3]`: smaller than a photograph, but with edges."""
    y, x = np.mgrid[:height, :width] // max(min(height, width) // 4, 1)
    return np.stack([y * 53 % 256, x * 37 % 256, (x + y) % 2 * 160], -1).astype(np.uint8)


def _prediction_log(name, signature, inputs):
    spec = _field(1, name.encode()) + _field(3, signature.encode())
    request = _field(1, spec)
    for key, value in inputs.items():
        tensor = tf.make_tensor_proto(value).SerializeToString()
        request += _field(2, _field(1, key.encode()) + _field(2, tensor))
    return _field(6, _field(1, request))


def _field(number, payload):
    """Encode a length-delimited field of protocol buffers."""
    return _varint(number << 3 | 2) + _varint(len(payload)) + payload


def _varint(value):
    low, rest = value & 127, value >> 7
    return bytes([low | 128]) + _varint(rest) if rest else bytes([low])

"""The small text files that accompany an export."""

import json

# Starting values for the signature `serving_bytes`. Use more rows per batch and more threads with more cores,
# and a longer timeout with a GPU.
BATCHING_CONFIG = """\
# tensorflow_model_server --enable_batching --batching_parameters_file=FILE
# Batches of `image_bytes` may be of any images. `input_tensor` is merged only where the shapes are equal,
# and other requests that meet fail: leave batching off for them. Never pad variable lengths: the padding
# would count as part of the image.
max_batch_size { value: 8 }
batch_timeout_micros { value: 2000 }
num_batch_threads { value: 2 }
max_enqueued_batches { value: 64 }
"""

_MODELS_CONFIG = """\
# tensorflow_model_server --model_config_file=FILE --model_config_file_poll_wait_seconds=60 \\
#     --allow_version_labels_for_unavailable_models=true
# Without the last flag the server refuses to start with version_labels, because no version is loaded yet.
# Without model_version_policy the highest version is served. To roll back, name the one before.
model_config_list {{
  config {{
    name: {name}
    base_path: {base_path}
    model_platform: "tensorflow"
    model_version_policy {{ specific {{ versions: {version} }} }}
    version_labels {{ key: "stable" value: {version} }}
  }}
}}
"""


def labels(class_names):
    """labels.txt: one class per line, in the order of the labels."""
    return "".join(f"{name}\n" for name in class_names)


def label_map(class_names):
    """label_map.pbtxt: the classes as the TF Object Detection API numbers them, from 1."""
    # JSON quotes strings like the text format of protocol buffers.
    names = (json.dumps(name, ensure_ascii=False) for name in class_names)
    return "".join(f"item {{\n  id: {number}\n  name: {name}\n}}\n" for number, name in enumerate(names, 1))


def models_config(path):
    """models.config: an example for the command line of TF-Serving.

    Args:
        path: `pathlib.Path` of the export; its name is the version, and its folder's name is the model's.
    """
    name, version = path.parent.name, path.name if path.name.isdecimal() else "1"
    return _MODELS_CONFIG.format(
        name=json.dumps(name, ensure_ascii=False),
        base_path=json.dumps(f"/models/{name}", ensure_ascii=False),
        version=version,
    )

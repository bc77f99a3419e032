"""Load a detector from a model file or an export, and the proposals that it may need."""

from pathlib import Path

import keras

from keras_frcnn import export
from keras_frcnn.checkpoints import check_finite
from keras_frcnn.data import proposals
from keras_frcnn.export.runtimes import RUNTIMES
from keras_frcnn.models import Detector, FasterRCNN
from keras_frcnn.names import remedy
from keras_frcnn.weights import PRESETS


def is_preset(path) -> bool:
    """Whether a path is the name of a preset; a file or folder of that name comes first."""
    return str(path) in PRESETS and not Path(path).exists()


def load_detector(path):
    """Load a model or an export.

    Args:
        path: `.keras` file of a model, folder of an export, exported `.onnx`, `.tflite` or `.xml` file, or
            name of a preset.

    Returns:
        `Detector`, `export.ServedDetector` or `export.PortableDetector`: all have `class_names` and `detect`.

    Raises:
        FileNotFoundError: there is nothing at `path`.
        ValueError: the file or folder is not a detector of this package, its weights are not finite, or those
            of the preset can neither be found nor fetched.
    """
    path = Path(path)
    if path.is_dir():
        files = [file for suffix in RUNTIMES if (file := path / f"model{suffix}").is_file()]
        return export.PortableDetector(files[0]) if files else export.load(path)
    if is_preset(path):
        return FasterRCNN.from_preset(str(path))
    if not path.is_file():
        given = "give a .keras file, the folder of an export, or a name that keras_frcnn.presets() lists."
        raise FileNotFoundError(f"There is no model {path}; {remedy(path.name, PRESETS, given)}")
    if path.suffix in RUNTIMES:
        return export.PortableDetector(path)
    if path.suffix != ".keras":
        raise ValueError(
            f"{path} is no model; give a .keras file, the folder of an export, or a file that ends with "
            f"{', '.join(RUNTIMES)}."
        )
    try:
        model = keras.saving.load_model(path, compile=False)
    except Exception as error:  # Keras passes on any error of the zip, JSON, HDF5 or layers inside
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise ValueError(
            f"{path} cannot be loaded ({reason}); give a .keras file that keras_frcnn saved."
        ) from error
    if not isinstance(model, Detector):
        raise ValueError(f"{path} is a Keras model, but no detector; give one that keras_frcnn saved.")
    check_finite(((weight.path, weight.numpy()) for weight in model.weights), path)
    return model


def load_proposals(folders):
    """Load the proposals of several folders into one dict; see `data.proposals.load`.

    Raises:
        ValueError: two folders have proposals for images with the same id.
    """
    found = {}
    for folder in folders:
        more = proposals.load(folder)
        twice = found.keys() & more.keys()
        if twice:
            raise ValueError(
                f"{folder} has proposals for image {min(twice)}, and so has another folder of --proposals; "
                "name each image once."
            )
        found |= more
    return found


def check_ids(train, val):
    """Reject sets that share image ids: the proposals of one would be used for the other."""
    files = {str(record.image_id): record.file for record in train.records}
    for record in val.records:
        other = files.get(str(record.image_id), record.file)
        if other != record.file:
            raise ValueError(
                f"Both sets have an image {record.image_id}, {other} and {record.file}: name the proposals "
                "of --val with --val-proposals."
            )

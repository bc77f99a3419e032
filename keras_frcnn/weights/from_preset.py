"""Build detectors from published weights, and keep what was converted."""

import contextlib
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from keras_frcnn import downloads
from keras_frcnn.callbacks.run_folder import save
from keras_frcnn.models import FasterRCNN, transfer
from keras_frcnn.version import __version__
from keras_frcnn.weights.preset import Preset, preset
from keras_frcnn.weights.torchvision import load_torchvision, refuse_decided


def from_preset(
    name: str,
    class_names: Sequence[str] | None = None,
    weights_url: str | os.PathLike | None = None,
    **arguments,
) -> FasterRCNN:
    """Build a detector with published weights; see `FasterRCNN.from_preset`."""
    refuse_decided("from_preset", arguments)
    wanted = preset(name)
    with downloads.from_mirror(weights_url):
        published = _kept(wanted)
    policy = keras.config.dtype_policy()
    if policy != published.dtype_policy:
        arguments = {"dtype": policy, **arguments}
    if class_names is not None:
        arguments["class_names"] = class_names
    return _changed(published, wanted, arguments) if arguments else published


def _changed(published, wanted, arguments):
    """The detector with other arguments, and the weights that fit it."""
    whole: dict[str, Any] = {**published.arguments, "backbone_weights": "none", **arguments}
    model = FasterRCNN(**whole)
    new = transfer(published, model, published.arguments["weights_source"])
    if new:
        warnings.warn(
            f"{', '.join(new)} of this model begin new, because {wanted.name} has no such weights; train it.",
            stacklevel=4,
        )
    return model


def _kept(wanted: Preset) -> FasterRCNN:
    """Load what an earlier call converted, or convert the published file and keep the result beside it."""
    path = downloads.folder() / f"{wanted.name}-{wanted.sha256}-{__version__}.keras"
    model = _loaded(path)
    if model is None:
        file = downloads.published(wanted.file)
        model = load_torchvision(wanted.model, file, dtype="float32")
        try:
            with downloads.lock(path):
                if _loaded(path) is None:  # another process may have written it meanwhile
                    save(model, path)
        except OSError as error:
            warnings.warn(f"{error} The next time {wanted.name} is converted again.", stacklevel=5)
    return model


def _loaded(path: Path) -> FasterRCNN | None:
    """Load a model that was kept; None if there is none, or it is damaged."""
    with contextlib.suppress(Exception):  # Keras passes on any error of a damaged file
        model = keras.saving.load_model(path, compile=False)
        if isinstance(model, FasterRCNN):
            return model
    return None

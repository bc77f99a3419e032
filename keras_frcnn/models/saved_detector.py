"""Saving and loading of a detector: arguments, trainable flags and random states.

Letters: G random generators.
"""

from collections.abc import Mapping
from types import MappingProxyType

import keras
import numpy as np

from keras_frcnn.models.checked_arguments import as_saved
from keras_frcnn.models.detection import DetectionModel
from keras_frcnn.trainable_flags import set_trainable_flags, trainable_flags

# Name in a weights file, among the model's own variables: states of all random generators, int64 `[G, 2]`.
RANDOM_STATE = "random_state"


class SavedDetector(DetectionModel):
    """Base of `Detector`, which saves its arguments, trainable flags and the states of random generators.

    Attributes:
        arguments: read-only mapping from every constructor argument to its value.
        restored: whether the weights come from a file.
        earlier: values of arguments that old files lack, if the old behavior differs from the default.
    """

    arguments: Mapping
    restored = False
    earlier: dict = {}

    def remember_flags(self):
        """Record the trainable flags that follow from the arguments; a constructor calls it last."""
        flags = trainable_flags(self)
        if not isinstance(self.arguments["backbone"], str):
            flags = {}  # the config of a custom network omits the flags of nested layers
        self._flags_by_arguments = MappingProxyType(flags)

    def get_config(self):
        arguments = {
            name: _serialized(value) for name, value in self.arguments.items() if name != "backbone_weights"
        }
        flags = trainable_flags(self).items()
        changed = {path: flag for path, flag in flags if flag != self._flags_by_arguments.get(path, True)}
        return {
            **arguments,
            **super().get_config(),
            "class_names": list(self.class_names),
            "image_size": list(self.image_size),
            **({"trainable_flags": changed} if changed else {}),
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        # A file that is older than an argument keeps its old behavior.
        arguments = {**cls.earlier, **config}
        # Not an argument: flags that changed after construction.
        flags = arguments.pop("trainable_flags", {})
        with as_saved():
            model = super().from_config(arguments, custom_objects)
        set_trainable_flags(model, flags)
        return model

    def compile_from_config(self, config):
        config = keras.saving.deserialize_keras_object(config)
        ours = ("optimizer", "run_eagerly", "steps_per_execution", "jit_compile", "auto_scale_loss")
        self.compile(**{name: config[name] for name in ours if name in config})
        self.optimizer.build(self.trainable_variables)

    def save(self, filepath, overwrite=True, zipped=None, **kwargs):
        """Save as a `.keras` file; see `keras.Model.save`.

        Raises:
            ValueError: the name ends in `.h5` or `.hdf5`, Keras's older format, which cannot hold a detector.
        """
        if str(filepath).endswith((".h5", ".hdf5")):
            raise ValueError(
                f"A detector cannot be loaded from the older format of {filepath}; name it .keras, or "
                ".weights.h5 with save_weights and ModelCheckpoint(save_weights_only=True)."
            )
        super().save(filepath, overwrite=overwrite, zipped=zipped, **kwargs)

    def save_own_variables(self, store):
        super().save_own_variables(store)
        store[RANDOM_STATE] = np.stack([state.numpy() for state in self._random_states()])

    def load_own_variables(self, store):
        self.restored = True
        super().load_own_variables({name: store[name] for name in store.keys() if name != RANDOM_STATE})
        # Files of version 0.1.0 have no states; without dropout, a file has only that of the sampling.
        if RANDOM_STATE in store.keys():
            for state, value in zip(self._random_states(), store[RANDOM_STATE]):
                state.assign(value)

    def _random_states(self):
        """List the states of all random generators: of sampling, dropout …"""
        weights = {id(weight) for weight in self.weights}
        return [variable for variable in self.variables if id(variable) not in weights]


def _serialized(value):
    """Convert an argument for the config: custom networks and losses become dicts."""
    plain = value is None or isinstance(value, (bool, int, float, str, tuple, list, dict))
    return value if plain else keras.saving.serialize_keras_object(value)

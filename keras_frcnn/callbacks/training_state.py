"""The state of a running `fit`: what a checkpoint holds."""

import json
import os
import random
import warnings

import keras
import numpy as np
import tensorflow as tf

from keras_frcnn import _compat
from keras_frcnn.callbacks.simple_values import attributes, changed, plain, put_back
from keras_frcnn.version import __version__


class OtherModel(ValueError):
    """A checkpoint is of another model or optimizer than the one in `fit`."""


class TrainingState:
    """Collect the state of a running `fit`, and put it back.

    Args:
        model: `Detector` in `fit`.
        callback: the callback that asks; its neighbors' states are collected too.
    """

    def __init__(self, model, callback):
        self.model = model
        self._neighbors = [other for other in _compat.neighbors(callback) if other is not callback]
        self._initial = None
        self._kept = None
        self._begin_of_epoch = self.batches()
        self._position = model.consumed.position
        if self._position is None:
            raise ValueError(
                "Checkpoint cannot tell the place in this data; give fit the batches of a data set from "
                "keras_frcnn.data as they are."
            )
        # Both are made on first use, Keras's with a number from Python's generator.
        _compat.global_seeds()
        try:
            tf.random.get_global_generator()
        except RuntimeError:  # operations have to be deterministic, and nobody has set one
            tf.random.set_global_generator(tf.random.Generator.from_seed(0))
        self._rate = self._constant_rate()

    def batches(self):
        """Number of batches that the model has used: int."""
        return int(self.model.consumed.batches.numpy())

    def steps(self):
        """Number of batches of this epoch: int."""
        return self.batches() - self._begin_of_epoch

    def begin(self):
        """Note the start of an epoch."""
        if self._initial is None:
            self._initial = [attributes(other) for other in self._neighbors]
        self._begin_of_epoch = self.batches()
        self._kept = None

    def keep(self):
        """Keep the running means and the callbacks' states before the end of the epoch changes them.

        Validation resets the means; and who goes on from here lets all callbacks end the epoch once more.
        """
        self._kept = self._means(), self._callbacks()

    def end(self, epoch, logs):
        """Note that all callbacks but Keras's `History`, which comes last, have ended an epoch."""
        self._kept = self._means(), self._callbacks(epoch, logs or {})

    def collect(self, epoch, step):
        """Collect the state.

        Args:
            epoch, step: int, the batch of `fit` that comes next.

        Returns:
            dict of arrays, and a dict for JSON.
        """
        arrays = {f"model/{index:04d}": variable.numpy() for index, variable in enumerate(self._variables())}
        means, (others, lists) = self._kept or (self._means(), self._callbacks())
        arrays |= lists
        arrays |= {f"means/{index:04d}": value for index, value in enumerate(means)}
        numpy_name, numpy_words, *numpy_rest = np.random.get_state()
        arrays |= {"random/numpy": numpy_words, "random/keras": _compat.global_seeds().state.numpy()}
        arrays["random/tensorflow"] = tf.random.get_global_generator().state.numpy()
        place = self.model.consumed.place(self.batches())
        state = {
            "epoch": epoch,
            "step": step,
            "batches": self.batches(),
            "data": {"epoch": place[0], "batch": place[1], **self._numbers_of_data()},
            "learning_rate": self._rate,
            "callbacks": others,
            "random": {"python": random.getstate(), "numpy": [numpy_name, *numpy_rest]},
            "versions": _versions(),
            "threads": _threads(),
            "model": {"class": type(self.model).__name__, **self._arguments()},
        }
        return arrays, json.loads(json.dumps(state, default=str))

    def named(self, arrays):
        """The weights and the optimizer's numbers among collected arrays: pairs of path and array."""
        values = [arrays[f"model/{index:04d}"] for index in range(len(self._variables()))]
        return zip((variable.path for variable in self._variables()), values)

    def restore(self, path, arrays, state):
        """Put the model, the optimizer and the data back.

        Raises:
            OtherModel: the state is of another model or optimizer.
            ValueError: the data cannot go to its place.
        """
        variables = self._variables()
        values = [value for name, value in sorted(arrays.items()) if name.startswith("model/")]
        shapes = [tuple(variable.shape) for variable in variables]
        if shapes != [value.shape for value in values]:
            raise OtherModel(
                f"{path} is of another model or optimizer than this one; go on with the same, or begin anew "
                "with another folder."
            )
        before, here = state["model"], {"class": type(self.model).__name__, **self._arguments()}
        others = sorted(name for name in here if name in before and before[name] != here[name])
        if {"class", "class_names"} & {*others}:
            raise OtherModel(
                f"{path} is of a {before['class']} of the classes {_listed(before['class_names'])}, this is "
                f"a {here['class']} of {_listed(here['class_names'])}; go on with the same, or begin anew "
                "with another folder."
            )
        if others:
            warnings.warn(f"{path} was written with another {', '.join(others)} of the model.", stacklevel=2)
        for variable, value in zip(variables, values):
            variable.assign(value)
        self._restore_rate(path, state.get("learning_rate"))
        self.model.consumed.batches.assign(state["batches"])
        epoch, batch = state["data"]["epoch"], state["data"]["batch"]
        if self._position.movable:
            self._position.go_to(epoch, batch)
        elif (epoch, batch) != (self._position.epoch, self._position.batch):
            raise ValueError(
                f"{path} goes on at epoch {epoch}, batch {batch} of the data, and batches with repeat=True "
                f"cannot be moved; make them with first_epoch={epoch}, first_batch={batch}."
            )
        self.model.consumed.note_start()
        here = {"versions": _versions(), "threads": _threads()}
        for name, value in here.items():
            if state[name] != value:
                warnings.warn(
                    f"{path} was written with other {name} ({state[name]}, now {value}), so the last bits of "
                    "the weights may differ from those of a run that was not interrupted.",
                    stacklevel=2,
                )
        numbers = self._numbers_of_data()
        before = {name: state["data"].get(name, number) for name, number in numbers.items()}
        if before != numbers:
            warnings.warn(
                f"{path} was written with other data ({before}, now {numbers}), so this epoch shows some "
                "images twice and others not at all.",
                stacklevel=2,
            )

    def restore_epoch(self, arrays, state):
        """Put back what the start of an epoch changes: running means, callbacks, random generators."""
        self._begin_of_epoch = self.batches() - state["step"]
        means = [arrays[name] for name in sorted(arrays) if name.startswith("means/")]
        variables = list(self._mean_variables())
        # An epoch that has just begun has means of zero; another version may log other numbers.
        if state["step"] and len(means) == len(variables):
            for variable, value in zip(variables, means):
                variable.assign(value)
        kept = dict(enumerate(state["callbacks"]))
        for other in self._neighbors:
            # By kind, because another version of the same program may have more callbacks.
            index = next((index for index, (kind, _) in kept.items() if kind == type(other).__name__), None)
            if index is None:
                continue
            (_, simple), lists = kept.pop(index), {}
            for name in sorted(name for name in arrays if name.startswith(f"callback/{index}/")):
                lists.setdefault(name.split("/")[2], []).append(arrays[name])
            put_back(other, {**simple, **lists})
        version, words, gauss = state["random"]["python"]
        random.setstate((version, tuple(words), gauss))
        name, *rest = state["random"]["numpy"]
        np.random.set_state((name, arrays["random/numpy"], *rest))
        _compat.global_seeds().state.assign(arrays["random/keras"])
        tf.random.get_global_generator().state.assign(arrays["random/tensorflow"])

    def _arguments(self):
        """The model's arguments that JSON can hold, as it gives them back."""
        values = {name: plain(value) for name, value in self.model.arguments.items()}
        return {name: value for name, value in values.items() if value is not NotImplemented}

    def _numbers_of_data(self):
        order = self._position.order
        return {"batches": len(order.sizes), "batch size": order.batch_size, "seed": order.seed}

    def _constant_rate(self):
        """The learning rate; None if it follows a schedule, which is no part of the state."""
        rate = self.model.optimizer.learning_rate
        return float(rate) if isinstance(rate, keras.Variable) else None

    def _restore_rate(self, path, before):
        """Keep a learning rate that was changed in the script since the state was written."""
        if None in (before, self._rate) or before == self._rate:
            return
        self.model.optimizer.learning_rate = self._rate
        print(f"The learning rate is {self._rate:g} now; {path} is of a run with {before:g}.", flush=True)

    def _means(self):
        return [variable.numpy() for variable in self._mean_variables()]

    def _callbacks(self, epoch=None, logs=None):
        """The states of the neighbors: pairs of kind and simple values, and a dict of arrays."""
        others, arrays = [], {}
        for index, other in enumerate(self._neighbors):
            simple, lists = changed(other, self._initial[index] if self._initial else {})
            if isinstance(other, keras.callbacks.History) and logs is not None and epoch not in other.epoch:
                seen = {name: [*other.history.get(name, []), float(value)] for name, value in logs.items()}
                simple = {"epoch": [*other.epoch, epoch], "history": {**other.history, **seen}}
            others.append([type(other).__name__, simple])
            for name, values in lists.items():
                arrays |= {f"callback/{index}/{name}/{row:04d}": value for row, value in enumerate(values)}
        return others, arrays

    def _variables(self):
        return [*self.model.variables, *self.model.optimizer.variables]

    def _mean_variables(self):
        return [variable for metric in self.model.metrics for variable in metric.variables]


def _listed(names):
    return ", ".join(names) or "none"


def _versions():
    return {
        "keras_frcnn": __version__,
        "keras": keras.__version__,
        "tensorflow": tf.__version__,
        "numpy": np.__version__,
    }


def _threads():
    return {
        "processors": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "within an operation": tf.config.threading.get_intra_op_parallelism_threads(),
        "between operations": tf.config.threading.get_inter_op_parallelism_threads(),
    }

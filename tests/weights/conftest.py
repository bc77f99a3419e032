"""Weights that torchvision's models and these can both be given, and what torchvision answers with them."""

import importlib.util

import numpy as np
import pytest

import keras_frcnn as kf


@pytest.fixture(scope="session")
def pseudo(shared):
    """The module that makes tensors from their names."""
    spec = importlib.util.spec_from_file_location("pseudo_weights", shared / "parity/pseudo_weights.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def golden(shared):
    """A function from a name to what torchvision answers."""
    return lambda name: np.load(shared / f"parity/{name}.golden.npz")


@pytest.fixture(scope="session")
def converted(pseudo):
    """A function from a name to the model with those weights, made once."""
    made = {}

    def make(name):
        if name not in made:
            made[name] = kf.weights.load_torchvision(name, pseudo.pseudo_state_dict(name))
        return made[name]

    return make

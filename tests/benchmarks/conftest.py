"""The folder of the benchmarks, whose scripts import one another by name."""

import importlib
import pathlib

import pytest


@pytest.fixture
def benchmark_module(monkeypatch):
    """A function from the name of a script to the module."""
    monkeypatch.syspath_prepend(str(pathlib.Path(__file__).resolve().parents[2] / "benchmarks"))
    return importlib.import_module

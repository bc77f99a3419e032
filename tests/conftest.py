"""What every test shares."""

import os
import pathlib

# Before TensorFlow is imported anywhere: later it has no effect.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import pytest


@pytest.fixture(scope="session")
def shared():
    """The folder of real data beside the repository, as a pathlib.Path."""
    path = pathlib.Path(__file__).resolve().parents[2] / "shared"
    if not path.is_dir():
        message = "the folder of real data (../shared beside the repository) is not here"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return path

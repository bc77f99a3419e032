import os
import subprocess
import sys

import pytest

from keras_frcnn import quiet_tensorflow

SETTING = quiet_tensorflow.SETTING
NOTES = b"""WARNING: All log messages before absl::InitializeLog() is called are written to STDERR
I0000 00:00:1795854452.434379   27614 port.cc:153] oneDNN custom operations are on.
2025-09-17 14:44:05.157831: I external/cudart_stub.cc:32] Could not find cuda drivers on your machine.
"""
OTHERS = b"""E0000 00:00:1758131045.203198 3722035 cuda_dnn.cc:8579] Unable to register cuDNN factory
2025-09-17 14:44:05.176998: E external/cuda_fft.cc:467] Unable to register cuFFT factory
I am no note.
"""


@pytest.mark.parametrize("level, shown", [(None, OTHERS), ("3", OTHERS), ("0", NOTES + OTHERS)])
def test_notes_are_left_out_and_all_else_is_shown(level, shown, monkeypatch, capfdbinary):
    monkeypatch.delenv(SETTING, raising=False)
    if level:
        monkeypatch.setenv(SETTING, level)
    with quiet_tensorflow.without_notes():
        os.write(2, NOTES + OTHERS)
    assert capfdbinary.readouterr().err == shown
    assert os.environ[SETTING] == (level or "2")


def test_what_was_written_before_a_failure_is_shown(capfdbinary):
    with pytest.raises(ImportError), quiet_tensorflow.without_notes():
        os.write(2, OTHERS)
        raise ImportError
    assert capfdbinary.readouterr().err == OTHERS


def test_the_package_is_imported_quietly():
    usual = {name: value for name, value in os.environ.items() if name != SETTING}
    words = [sys.executable, "-c", "import keras_frcnn"]
    done = subprocess.run(words, capture_output=True, text=True, env=usual)
    assert (done.returncode, done.stderr) == (0, "")

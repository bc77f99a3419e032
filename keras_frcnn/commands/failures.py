"""The wrapper of every command: the memory setting, and readable messages for bad input."""

import functools
import io
import re
import signal
import sys
import traceback
import warnings
from pathlib import Path
from typing import Any

import tensorflow as tf

from keras_frcnn.allocator import keep_memory
from keras_frcnn.class_names import visible

PACKAGE = str(Path(__file__).resolve().parents[1])


def in_one_sentence(command):
    """Make a command end with one sentence and status 1 when this package rejects its input.

    An error that this package did not raise itself is a bug and keeps its stack trace. Warnings appear
    without the line of source code that Python prints below them. The process keeps freed memory.
    """

    @functools.wraps(command)
    def wrapper(arguments=None):
        keep_memory()
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):  # names of files can have bytes that are no letters
                stream.reconfigure(errors="backslashreplace")
        usual, warnings.formatwarning = warnings.formatwarning, lambda message, *_: f"{message}\n"
        try:
            return command(arguments)
        except (ValueError, OSError, tf.errors.OpError) as error:
            sentence = sentence_of(error)
            if sentence is None:
                raise
            _stop(sentence)
        except KeyboardInterrupt as error:
            print(f"\n{error}" if str(error) else "\nStopped; what was finished is on disk.", file=sys.stderr)
            sys.exit(128 + getattr(error, "number", signal.SIGINT))
        finally:
            warnings.formatwarning = usual

    return wrapper


def sentence_of(error: Any) -> str | None:
    """The sentence with which this package rejects its input.

    Args:
        error: any exception.

    Returns:
        str, or None if this package did not raise the exception and it is no failure of a file.
    """
    if isinstance(error, ValueError) and _is_ours(error):
        return str(error)
    if isinstance(error, OSError):
        if _is_ours(error) or error.filename is None:
            return str(error)
        return f"{error.filename} cannot be used ({error.strerror}); name another path."
    if isinstance(error, tf.errors.OpError):
        # The graph of the data pipeline raises this, with the sentence inside its own message.
        sentence = re.search(r"assertion failed: \[(.*cannot be decoded.*)\]", str(error))
        return sentence and sentence.group(1)
    return None


def _is_ours(error):
    """Whether this package raised an error itself."""
    return traceback.extract_tb(error.__traceback__)[-1].filename.startswith(PACKAGE)


def _stop(sentence):
    print(visible(sentence), file=sys.stderr)
    sys.exit(1)

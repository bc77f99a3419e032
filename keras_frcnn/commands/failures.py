"""What a command says when the input is bad."""

import functools
import re
import sys
import traceback
import warnings
from pathlib import Path

import tensorflow as tf

PACKAGE = str(Path(__file__).resolve().parents[1])


def in_one_sentence(command):
    """Let a command end with one sentence and status 1 where this package refused its input.

    An error that this package did not raise itself is a fault, and keeps its stack trace. Warnings lose the
    line of source code that Python prints below them.
    """

    @functools.wraps(command)
    def wrapper(arguments=None):
        usual, warnings.formatwarning = warnings.formatwarning, lambda message, *_: f"{message}\n"
        try:
            return command(arguments)
        except (ValueError, OSError) as error:
            if not traceback.extract_tb(error.__traceback__)[-1].filename.startswith(PACKAGE):
                if not isinstance(error, FileNotFoundError):
                    raise
            _stop(str(error))
        except tf.errors.OpError as error:
            # Raised inside the graph of the data pipeline, which wraps the sentence.
            sentence = re.search(r"assertion failed: \[(.*cannot be decoded.*)\]", error.message)
            if not sentence:
                raise
            _stop(sentence.group(1))
        finally:
            warnings.formatwarning = usual

    return wrapper


def _stop(sentence):
    print(sentence, file=sys.stderr)
    sys.exit(1)

"""The wrapper of every command: the memory setting, and readable messages for bad input."""

import functools
import re
import signal
import sys
import traceback
import warnings
from pathlib import Path

import tensorflow as tf

from keras_frcnn.allocator import keep_memory

PACKAGE = str(Path(__file__).resolve().parents[1])


def in_one_sentence(command):
    """Make a command end with one sentence and status 1 when this package rejects its input.

    An error that this package did not raise itself is a bug and keeps its stack trace. Warnings appear
    without the line of source code that Python prints below them. The process keeps freed memory.
    """

    @functools.wraps(command)
    def wrapper(arguments=None):
        keep_memory()
        usual, warnings.formatwarning = warnings.formatwarning, lambda message, *_: f"{message}\n"
        try:
            return command(arguments)
        except ValueError as error:
            if not _is_ours(error):
                raise
            _stop(str(error))
        except OSError as error:
            if _is_ours(error) or error.filename is None:
                _stop(str(error))
            _stop(f"{error.filename} cannot be used ({error.strerror}); name another path.")
        except KeyboardInterrupt as error:
            print(f"\n{error}" if str(error) else "\nStopped; what was finished is on disk.", file=sys.stderr)
            sys.exit(128 + getattr(error, "number", signal.SIGINT))
        except tf.errors.OpError as error:
            # The graph of the data pipeline raises this, with the sentence inside its own message.
            sentence = re.search(r"assertion failed: \[(.*cannot be decoded.*)\]", error.message)
            if not sentence:
                raise
            _stop(sentence.group(1))
        finally:
            warnings.formatwarning = usual

    return wrapper


def _is_ours(error):
    """Whether this package raised an error itself."""
    return traceback.extract_tb(error.__traceback__)[-1].filename.startswith(PACKAGE)


def _stop(sentence):
    print(sentence, file=sys.stderr)
    sys.exit(1)

"""Import TensorFlow without its notes on the processor and on libraries that are not there."""

import contextlib
import os
import re
import tempfile

SETTING = "TF_CPP_MIN_LOG_LEVEL"
# Notes of TensorFlow, also with a date in front, and the line that announces them.
NOTE = re.compile(rb"(I\d{4} |[-\d]+ [\d:.]+: I |WARNING: All log messages before absl::InitializeLog)")


@contextlib.contextmanager
def without_notes():
    """Hold back what is written to the standard error, and write all but notes of TensorFlow at the end.

    The setting of the log level alone does not do it: TensorFlow 2.21 writes before it reads it. Whoever sets
    it to 0 gets all notes.
    """
    if os.environ.setdefault(SETTING, "2") not in ("1", "2", "3"):
        yield
        return
    try:
        error = os.dup(2)
    except OSError:  # a program without a console has none
        yield
        return
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(error, 2)
            os.close(error)
            held.seek(0)
            os.write(2, b"".join(line for line in held if not NOTE.match(line)))

"""One process at a time writes a file of the cache; the others wait and use it."""

import contextlib
from pathlib import Path

import filelock

from keras_frcnn.files import unwritable


@contextlib.contextmanager
def lock(path: Path):
    """Hold the lock of a file within the block; a process that dies releases it.

    Args:
        path: the file; its folder is created if missing.

    Raises:
        OSError: the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        held = filelock.FileLock(path.with_name(f".{path.name}.lock"))
        try:
            held.acquire(blocking=False)
        except filelock.Timeout:
            print(f"Waiting for another process, which writes {path}", flush=True)
            held.acquire()
    except OSError as error:
        raise unwritable(path, error) from error
    try:
        yield
    finally:
        held.release()

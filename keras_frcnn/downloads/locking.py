"""One process at a time writes a file of the cache; the others wait and use it."""

import contextlib
from pathlib import Path

import filelock

from keras_frcnn.files import unwritable

REMEDY = "; name another folder with the environment variable KERAS_HOME"


@contextlib.contextmanager
def lock(path: Path):
    """Hold the lock of a file within the block; a process that dies releases it.

    Args:
        path: the file; its folder is created if missing.

    Raises:
        OSError: the folder cannot be written, or has no locks.
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
        raise unwritable(path, error, REMEDY) from error
    except NotImplementedError as error:  # some versions of filelock, where the system has no flock
        raise OSError(f"{path.parent} is on a file system without locks{REMEDY}.") from error
    try:
        yield
    finally:
        held.release()

"""Files that others publish under names that end with the first digits of their SHA-256."""

import os
import re
from pathlib import Path

from keras_frcnn.downloads.answer import NotFetched
from keras_frcnn.downloads.locking import lock
from keras_frcnn.downloads.mirror import VARIABLE, source
from keras_frcnn.downloads.transfer import sha256, transfer
from keras_frcnn.files import replacing


def folder() -> Path:
    """The folder in which fetched files are kept: `~/.keras/models`, or under `KERAS_HOME`, as Keras's own.

    Where the home cannot be written, Keras turns to /tmp. There others could put files of these names, so
    here it is an error.
    """
    return Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser() / "models"


def published(name: str) -> Path:
    """Find a published file in the cache; the first time, fetch it.

    A download that was cut off, also by the end of the process, goes on where it stopped. Of several
    processes one fetches, and the others wait.

    Args:
        name: name of the file, such as "resnet50-0676ba61.pth"; the digits are the beginning of its SHA-256.

    Returns:
        `pathlib.Path` of the file, whose SHA-256 is right.

    Raises:
        FileNotFoundError: a folder takes the place of the network, and has no such file.
        OSError: the cache cannot be written, or the folder's file not read.
        ValueError: the file cannot be fetched, or is another one than was published.
    """
    file = folder() / name
    if not file.exists():
        found = source(name)
        with lock(file):
            if not file.exists():  # another process may have fetched it meanwhile
                _fetch(found, file)
    _check(file)
    return file


def _fetch(found, file):
    if isinstance(found, Path):
        contents = _contents(found)
        with replacing(file) as partial:
            partial.write_bytes(contents)
        return
    part = file.with_name(f".{file.name}.part")
    try:
        transfer(found, part, _digest(file))
    except NotFetched as error:
        raise ValueError(
            f"{found} could not be fetched ({error}); check the network, put the file at {file}, or name "
            f"another address or a folder with {VARIABLE}."
        ) from None
    with replacing(file) as partial:
        os.replace(part, partial)


def _contents(found):
    """The bytes of the right file in a folder."""
    try:
        _check(found)
        return found.read_bytes()
    except OSError as error:
        raise OSError(
            f"{found} cannot be read ({error.strerror}); make it readable, or name another folder with "
            f"{VARIABLE}."
        ) from error


def _check(file):
    if not sha256(file).startswith(_digest(file)):
        raise ValueError(
            f"{file} is not the file that was published under this name; remove it and try again."
        )


def _digest(file):
    """The first digits of a file's SHA-256, which its name ends with."""
    return re.fullmatch(r".*-([0-9a-f]+)", file.stem)[1]

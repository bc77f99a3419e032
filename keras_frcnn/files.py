"""Files that are written whole or not at all."""

import contextlib
import json
import os
from pathlib import Path


@contextlib.contextmanager
def replacing(path):
    """Write a file beside its place and move it there at the end of the block.

    A reader sees the old file or the new one, also after a power failure. Where the block raises, the old
    file stays and nothing is left beside it. A device or a pipe, such as /dev/stdout, is written directly.

    Args:
        path: file to write; one of this name is replaced.

    Yields:
        pathlib.Path to write to, in the same folder and with the same suffix.

    Example:
        >>> with replacing("scores.json") as partial:
        ...     _ = partial.write_text("{}")
    """
    path = Path(path)
    if path.exists() and not path.is_file():
        yield path
        return
    partial = path.with_name(f".{path.stem}.partial{path.suffix}")
    try:
        yield partial
        _flush(partial)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    _flush(path.parent)


def write_text(path, text):
    """Write a text file in UTF-8.

    Args:
        path: file to write; one of this name is replaced.
        text: str.
    """
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_json(path, value):
    """Write a JSON file, indented by two spaces.

    Args:
        path: file to write; one of this name is replaced.
        value: what `json.dumps` takes.
    """
    write_text(path, json.dumps(value, indent=2) + "\n")


def _flush(path):
    """Wait until a file, or the names in a folder, are on the disk."""
    if os.name == "nt" and path.is_dir():
        return  # Windows opens no folders; it keeps their names by itself
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

"""The numbered folders that TF-Serving watches."""

from os import PathLike
from pathlib import Path


def versions(folder: str | PathLike) -> dict[int, Path]:
    """Return a dict from version number to folder of a model; other names, such as "1_old", do not count."""
    return {
        int(entry.name): entry
        for entry in Path(folder).glob("*")
        if entry.name.isascii() and entry.name.isdigit()
    }


def next_version(folder: str | PathLike) -> Path:
    """Return the folder for the next version of a model: `folder/1`, `folder/2` …, one above the highest.

    Args:
        folder: folder of the model, such as "saved_models/cells"; need not exist.

    Returns:
        `Path`, not created yet.

    Example:
        >>> next_version("saved_models/cells").name
        '1'
    """
    return Path(folder) / str(max(versions(folder), default=0) + 1)

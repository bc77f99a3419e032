"""The numbered folders that TF-Serving watches."""

from pathlib import Path


def versions(folder):
    """The versions of a model: dict of their folders by number; other names, such as "1_old", are none."""
    return {
        int(entry.name): entry
        for entry in Path(folder).glob("*")
        if entry.name.isascii() and entry.name.isdigit()
    }


def next_version(folder):
    """The folder for the next version of a model: `folder/1`, `folder/2` … after the highest there is.

    Args:
        folder: of the model, such as "saved_models/cells"; need not exist.

    Returns:
        `Path`, not made yet.

    Example:
        >>> next_version("saved_models/cells").name
        '1'
    """
    return Path(folder) / str(max(versions(folder), default=0) + 1)

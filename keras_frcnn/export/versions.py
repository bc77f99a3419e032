"""The numbered folders that TF-Serving watches."""

from pathlib import Path


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
    folder = Path(folder)
    taken = [int(entry.name) for entry in folder.glob("*") if entry.name.isascii() and entry.name.isdigit()]
    return folder / str(max(taken, default=0) + 1)

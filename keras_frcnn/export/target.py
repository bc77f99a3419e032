"""The folder that an export goes to."""

from os import PathLike
from pathlib import Path

# What is meant by a path that ends like a file.
MEANT = {
    ".onnx": 'with format="onnx" for that format',
    ".tflite": 'with format="litert" for that format',
    ".xml": 'with format="openvino" for that format',
    ".keras": "or use model.save for a .keras file",
}


def new_folder(path: str | PathLike) -> Path:
    """Check that a path can become the folder of an export.

    Args:
        path: the folder.

    Returns:
        The absolute path.

    Raises:
        FileExistsError: it exists already.
        ValueError: it has the name of a file.

    Example:
        >>> new_folder("exports/new/1").name
        '1'
    """
    path = Path(path).absolute()
    if path.exists():
        raise FileExistsError(
            f"{path} exists already; export to a new folder, such as the next version number."
        )
    meant = MEANT.get(path.suffix.lower())
    if meant:
        raise ValueError(f"{path} has the name of a file, and an export is a folder; name a folder, {meant}.")
    return path

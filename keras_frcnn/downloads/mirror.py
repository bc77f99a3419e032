"""Where published files are fetched from: their publisher, a mirror, or a folder."""

import contextlib
import contextvars
import os
import urllib.parse
import urllib.request
from pathlib import Path

# torchvision's own address for all of its weights (torchvision/models/*.py).
PUBLISHER = "https://download.pytorch.org/models/"
# Environment variable that names a mirror.
VARIABLE = "KERAS_FRCNN_WEIGHTS_URL"

_mirror: contextvars.ContextVar[str | None] = contextvars.ContextVar("mirror", default=None)


@contextlib.contextmanager
def from_mirror(url: str | None):
    """Fetch published files from a mirror within the block.

    Args:
        url: address under which the mirror has files of the same names, or a folder of such files; None
            changes nothing.

    Example:
        >>> with from_mirror("https://mirror.example.org/models/"):
        ...     model = kf.FasterRCNN.from_preset("fasterrcnn_resnet50_fpn_coco")
    """
    token = _mirror.set(url or _mirror.get())
    try:
        yield
    finally:
        _mirror.reset(token)


def source(name: str) -> str | Path:
    """The address of a published file, or its path if the mirror is a folder.

    Args:
        name: name of the file.

    Raises:
        FileNotFoundError: the folder has no such file.
        ValueError: the mirror is neither an address nor a folder.
    """
    base = _mirror.get() or os.environ.get(VARIABLE) or PUBLISHER
    scheme = urllib.parse.urlsplit(base).scheme
    if scheme in ("https", "http"):
        return f"{base.rstrip('/')}/{name}"
    local = urllib.request.url2pathname(urllib.parse.urlsplit(base).path) if scheme == "file" else base
    folder = Path(local).expanduser()
    if not folder.is_dir():
        raise ValueError(
            f"{base} is no place of weights; give an address that begins with https:// or a folder with "
            f"--weights-url or {VARIABLE}."
        )
    if not (folder / name).is_file():
        raise FileNotFoundError(f"The folder of weights {folder} has no {name}; put the file there.")
    return folder / name

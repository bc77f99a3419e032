"""Where published files are fetched from: their publisher, a mirror, or a folder."""

import contextlib
import contextvars
import os
import re
import urllib.parse
import urllib.request
from pathlib import Path

# torchvision's own address for all of its weights (torchvision/models/*.py).
PUBLISHER = "https://download.pytorch.org/models/"
# Environment variable that names a mirror.
VARIABLE = "KERAS_FRCNN_WEIGHTS_URL"

# Beginning of an address with a login, such as https://user:password@example.org/.
LOGIN = re.compile(r"\s*[a-z][a-z0-9+.-]*://[^/?#]*@", re.IGNORECASE)

_mirror: contextvars.ContextVar[str | None] = contextvars.ContextVar("mirror", default=None)


@contextlib.contextmanager
def from_mirror(url: str | os.PathLike | None):
    """Fetch published files from a mirror within the block.

    Args:
        url: address under which the mirror has files of the same names, or a folder of such files; None
            changes nothing.

    Example:
        >>> with from_mirror("https://mirror.example.org/models/"):
        ...     model = kf.FasterRCNN.from_preset("fasterrcnn_resnet50_fpn_coco")
    """
    token = _mirror.set(str(url) if url else _mirror.get())
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
        ValueError: the mirror is neither an address nor a folder, or has a login.
    """
    base = _mirror.get() or os.environ.get(VARIABLE) or PUBLISHER
    remedy = f"give an address that begins with https:// or a folder with {VARIABLE}"
    if LOGIN.match(base):  # messages and logs repeat addresses
        raise ValueError(f"The address of weights has a login, which would not stay secret; {remedy}.")
    try:
        address = urllib.parse.urlsplit(base)
        if address.scheme in ("https", "http"):
            return f"{base.rstrip('/')}/{name}"
        local = urllib.request.url2pathname(address.path) if address.scheme == "file" else base
        folder = Path(local).expanduser()
    except (ValueError, RuntimeError):  # half a bracket, or the home of a user who is not there
        folder = None
    if folder is None or not folder.is_dir():
        raise ValueError(f"{base} is no place of weights; {remedy}.")
    if not (folder / name).is_file():
        raise FileNotFoundError(f"The folder of weights {folder} has no {name}; put the file there.")
    return folder / name

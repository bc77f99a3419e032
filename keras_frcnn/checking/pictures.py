"""Look at picture files: can they be decoded, are they what their names say, which are the same?

Letter: D numbers of a thumbnail.
"""

import concurrent.futures
import dataclasses
import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from keras_frcnn import images as image_ops
from keras_frcnn.checking.findings import Finding
from keras_frcnn.images import headers, other_formats
from keras_frcnn.opencv import cv2

# Side of a thumbnail, and the side that a JPEG is decoded to at least for it.
THUMBNAIL, DECODED = 16, 32


@dataclasses.dataclass(frozen=True)
class Picture:
    """One picture file.

    Attributes:
        path: str.
        digest: bytes, equal for equal contents.
        broken: whether it cannot be decoded.
        misnamed: whether its ending is that of another format.
        orientation: EXIF orientation, 1 to 8.
        gray: whether it has no colors.
        thumbnail: float32 `[D]` of mean 0 and length 1, gray; zeros if nothing can be seen in it.
    """

    path: str
    digest: bytes
    broken: bool = False
    misnamed: bool = False
    orientation: int = 1
    gray: bool = False
    thumbnail: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(THUMBNAIL**2, np.float32))


def examine_all(paths: Sequence[str], progress: Callable[[int, int], None]) -> dict[str, Picture]:
    """Examine files on all cores.

    Args:
        paths: the files.
        progress: function that is called with the number done and the total.

    Returns:
        dict from path to `Picture`, in the order of the paths.
    """
    found = {}
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for picture in pool.map(examine, paths):
            found[picture.path] = picture
            progress(len(found), len(paths))
    return found


def examine(path: str) -> Picture:
    """Examine one file: read and decode it."""
    contents = Path(path).read_bytes()
    digest = hashlib.blake2b(contents, digest_size=16).digest()
    try:
        image = _decoded(contents, path)
    except (ValueError, tf.errors.InvalidArgumentError):
        return Picture(path, digest, broken=True)
    header = headers.header(contents)
    fitting = headers.endings(contents) or other_formats.SUFFIXES
    return Picture(
        path,
        digest,
        misnamed=Path(path).suffix.lower() not in fitting,
        orientation=header[2] if header else 1,
        gray=bool((image == image[..., :1]).all()),
        thumbnail=_thumbnail(image),
    )


def findings(pictures: Sequence[Picture]) -> list[Finding]:
    """What is wrong with the files themselves."""
    kinds = [
        (
            "error",
            "cannot be decoded",
            [picture.path for picture in pictures if picture.broken],
            "Repair them, leave them out with --on-broken skip in training, or write a clean copy with --fix",
        ),
        (
            "warning",
            "of another format than the ending says",
            [picture.path for picture in pictures if picture.misnamed],
            "They are read by their contents; rename them for other programs",
        ),
        (
            "note",
            "turned by EXIF",
            [picture.path for picture in pictures if picture.orientation != 1],
            "They are turned upright, with their boxes",
        ),
        (
            "note",
            "without colors",
            [picture.path for picture in pictures if picture.gray and not picture.broken],
            "",
        ),
    ]
    return [
        finding
        for severity, what, places, remedy in kinds
        for finding in Finding.count(severity, "picture", what, places, remedy)
    ]


def _decoded(contents, path):
    """The pixels, of a JPEG at an eighth of its size or a little more, which takes less time."""
    if not contents.startswith(headers.JPEG):
        return image_ops.from_bytes(contents, path)
    header = headers.header(contents)
    side = min(header[:2]) if header else 0
    ratio = next((ratio for ratio in (8, 4, 2) if side >= ratio * DECODED), 1)
    with tf.device("CPU"):
        image = tf.io.decode_jpeg(contents, channels=3, ratio=ratio).numpy()
    return image_ops.turned(image, header[2]) if header and header[2] != 1 else image


def _thumbnail(image):
    gray = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY)
    small = cv2.resize(gray, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA).astype(np.float32).ravel()
    small -= small.mean()
    length = float(np.linalg.norm(small))
    # Less contrast than one gray level: any two would look alike.
    return small / length if length > THUMBNAIL else np.zeros_like(small)

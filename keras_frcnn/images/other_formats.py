"""Pictures that TensorFlow's decoders do not take, or take wrongly, by OpenCV.

These are WebP, TIFF, AVIF, JPEG 2000, and BMP of OS/2, compressed, or of other than 8, 24 or 32 bits. A
graph has no such decoder. A data set decodes these files once, when it is loaded, into a cache of PNG files.
"""

import hashlib
import os
import struct
import tempfile
from pathlib import Path

import numpy as np

from keras_frcnn.images import headers, tiff
from keras_frcnn.opencv import cv2

SUFFIXES = (".webp", ".tif", ".tiff", ".avif", ".jp2")
TIFF = (b"II*\0", b"MM\0*")
# A BMP of OS/2 begins with the length of its header, 12 bytes.
_OLD_HEADER = b"\x0c"
# The first boxes of JPEG 2000 and AVIF, with the size, lie within so many bytes.
_BOXES = 4096
# The files that a cache of another version wrote are not used.
VERSION = b"1"


def is_other(contents) -> bool:
    """Whether a file, by its first bytes, is for OpenCV."""
    if contents.startswith(headers.BMP):
        if contents[14:15] == _OLD_HEADER:
            return True
        bits, compression = struct.unpack_from("<HI", contents, 28) if len(contents) >= 34 else (24, 0)
        return bits not in (8, 24, 32) or compression not in (0, 3)
    return not contents.startswith((headers.JPEG, headers.PNG, headers.GIF))


def decode(contents, turn, name) -> np.ndarray | None:
    """Decode a file and turn it upright.

    Args:
        contents: bytes.
        turn: function from an image and its orientation to the upright image.
        name: of the file, for messages.

    Returns:
        uint8 `[H, W, 3]` RGB; None if OpenCV cannot decode it.

    Raises:
        ValueError: its header claims too many pixels, or its colors are L*a*b*.
    """
    height, width = _size(contents)
    headers.check_size(height, width, name)
    if contents.startswith(TIFF) and tiff.is_lab(contents):
        raise ValueError(f"{name} has L*a*b* colors, which would be taken for RGB; save it as RGB.")
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        image = cv2.imdecode(np.frombuffer(contents, np.uint8), flags)
    except cv2.error:
        return None
    if image is None or image.ndim != 3 or image.dtype not in (np.uint8, np.uint16):
        return None
    if image.dtype == np.uint16:
        # As in `decoding`: the upper 8 bits of as many as the picture has.
        bits = next(bits for bits in (8, 10, 12, 14, 16) if image.max() < 2**bits)
        image = np.right_shift(image, bits - 8).astype(np.uint8)
    image = image[..., ::-1]
    # OpenCV turns a TIFF by itself, whatever the flags say.
    return image if contents.startswith(TIFF) else turn(image, orientation(contents))


def orientation(contents) -> int:
    """Read the EXIF orientation, 1 to 8; 1 if there is none."""
    if contents.startswith(TIFF):
        return tiff.orientation(contents)
    if contents[:4] == b"RIFF" and contents[8:12] == b"WEBP":
        start = 12
        while start + 8 <= len(contents):
            kind, size = struct.unpack_from("<4sI", contents, start)
            if kind == b"EXIF":
                return tiff.orientation(contents[start + 8 : start + 8 + size].removeprefix(b"Exif\0\0"))
            start += 8 + size + size % 2
    return 1


def _size(contents) -> tuple[int, int]:
    """Height and width that a header claims; 0, 0 if it does not say."""
    try:
        if contents.startswith(headers.BMP):
            sides = "<HH" if contents[14:15] == _OLD_HEADER else "<ii"
            width, height = struct.unpack_from(sides, contents, 18)
            return abs(height), abs(width)
        if contents.startswith(TIFF):
            return tiff.size(contents)
        if contents[8:16] == b"WEBPVP8 ":
            width, height = struct.unpack_from("<HH", contents, 26)
            return height & 0x3FFF, width & 0x3FFF
        if contents[8:16] == b"WEBPVP8L":
            (bits,) = struct.unpack_from("<I", contents, 21)
            return (bits >> 14 & 0x3FFF) + 1, (bits & 0x3FFF) + 1
        if contents[8:16] == b"WEBPVP8X":
            sides = contents[24:30]
            return 1 + int.from_bytes(sides[3:], "little"), 1 + int.from_bytes(sides[:3], "little")
        if (box := contents.find(b"ihdr", 0, _BOXES)) >= 0:  # JPEG 2000
            height, width = struct.unpack_from(">II", contents, box + 4)
            return height, width
        if (box := contents.find(b"ispe", 0, _BOXES)) >= 0:  # AVIF
            width, height = struct.unpack_from(">II", contents, box + 8)
            return height, width
    except struct.error:
        pass
    return 0, 0


def as_png(path, turn) -> tuple[Path, int]:
    """Write a file as an upright PNG into the cache, unless it is there.

    Args:
        path: the file.
        turn: as for `decode`.

    Returns:
        Path of the PNG, and the orientation of the original, 1 to 8.

    Raises:
        ValueError: OpenCV cannot decode the file, or it is too large.
    """
    contents = Path(path).read_bytes()
    file = _cache() / f"{hashlib.sha256(VERSION + contents).hexdigest()}.png"
    if not file.is_file():
        image = decode(contents, turn, path)
        if image is None:
            raise ValueError(headers.undecodable(path, of_set=True))
        _, encoded = cv2.imencode(".png", np.ascontiguousarray(image[..., ::-1]))
        # A name of its own, because other processes and threads may write the same file now.
        handle, partial = tempfile.mkstemp(".png", ".partial", file.parent)
        with open(handle, "wb") as writing:
            writing.write(encoded.tobytes())
        os.replace(partial, file)
    return file, orientation(contents)


def _cache():
    """The folder of the cache: the user's, or a temporary one where that cannot be written."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))
    user = os.getuid() if hasattr(os, "getuid") else "user"
    for folder in (
        base / "keras_frcnn" / "pictures",
        Path(tempfile.gettempdir()) / f"keras_frcnn-pictures-{user}",
    ):
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if os.access(folder, os.W_OK):
                return folder
        except OSError:
            continue
    raise OSError(
        f"Neither {base} nor {tempfile.gettempdir()} can be written; set XDG_CACHE_HOME to a folder that can."
    )

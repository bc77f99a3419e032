"""Read a few tags of TIFF, which EXIF data have too; offsets and types are those of TIFF 6.0."""

import struct

WIDTH, HEIGHT, PHOTOMETRIC, ORIENTATION = 256, 257, 262, 274
# Values of PHOTOMETRIC: CIE L*a*b* in three encodings.
_LAB = (8, 9, 10)
_LONG = 4


def orientation(contents):
    """Read the orientation of EXIF data, 1 to 8; 1 if there is none.

    Args:
        contents: bytes, which begin with the header of a TIFF file.
    """
    for tag, _, at, order in _entries(contents):
        (value,) = struct.unpack_from(order + "H", contents, at)
        if tag == ORIENTATION and 1 <= value <= 8:
            return value
    return 1


def is_lab(contents):
    """Whether the colors of the first picture of a file are L*a*b*."""
    return any(
        tag == PHOTOMETRIC and struct.unpack_from(order + "H", contents, at)[0] in _LAB
        for tag, _, at, order in _entries(contents)
    )


def size(contents):
    """Read `(height, width)` of the first picture of a file; 0 for what is not there."""
    sides = {}
    for tag, kind, at, order in _entries(contents):
        if tag in (HEIGHT, WIDTH):
            (sides[tag],) = struct.unpack_from(order + ("I" if kind == _LONG else "H"), contents, at)
    return sides.get(HEIGHT, 0), sides.get(WIDTH, 0)


def _entries(contents):
    """The entries of the first directory: tag, type, place of the value, order of the bytes."""
    order = "<" if contents[:2] == b"II" else ">"
    try:
        (directory,) = struct.unpack_from(order + "I", contents, 4)
        (entries,) = struct.unpack_from(order + "H", contents, directory)
        for entry in range(directory + 2, directory + 2 + 12 * entries, 12):
            tag, kind, _, _ = struct.unpack_from(order + "HHII", contents, entry)
            yield tag, kind, entry + 8, order
    except struct.error:
        pass

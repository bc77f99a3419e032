"""Read size and orientation from the first bytes of an image file, without decoding it.

`orientation` and the functions that count pixels use stock TensorFlow operations, for `images.decode`;
`header` is for plain Python. All offsets come from the formats' own specifications.
"""

import struct

import tensorflow as tf

from keras_frcnn.images import tiff

JPEG, PNG, GIF, BMP = b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM"
# The endings of each format, the usual one first.
ENDINGS = {JPEG: (".jpg", ".jpeg", ".jpe", ".jfif"), PNG: (".png",), GIF: (".gif",), BMP: (".bmp",)}
# GIF: offset of the color table, and the bytes that start an extension, a frame and the end.
_GIF_TABLE, _EXTENSION, _FRAME, _TRAILER = 13, 0x21, 0x2C, b";"
_BMP_HEADER = 14
# Pixels of a picture: decoded, 600 MB. Headers that claim more are refused before anything is decoded.
MOST_PIXELS = 200_000_000
# A file with more segments before the wanted one was made to keep the reader busy.
_MOST_SEGMENTS = 1000


def starts_with(contents, prefix):
    """Whether a scalar string tensor begins with some bytes; it may be shorter than they are."""
    return tf.strings.substr(contents, 0, len(prefix)) == prefix


def endings(contents):
    """The endings that a file of these first bytes may have; empty for a format of `other_formats.py`."""
    return next((names for prefix, names in ENDINGS.items() if contents.startswith(prefix)), ())


def jpeg_pixels(contents):
    """Number of pixels in the header of a JPEG, a scalar string tensor: int64 scalar."""
    return tf.reduce_prod(tf.io.extract_jpeg_shape(contents, tf.int64)[:2])


def png_pixels(contents):
    """Number of pixels in the header of a PNG, a scalar string tensor: int64 scalar."""
    return _number(contents, 16, 4, little=False) * _number(contents, 20, 4, little=False)


def bmp_pixels(contents):
    """Number of pixels in the header of a BMP, a scalar string tensor: int64 scalar."""
    width, height = (tf.bitcast(tf.cast(_number(contents, at, 4), tf.uint32), tf.int32) for at in (18, 22))
    # A negative height means that the rows go from top to bottom.
    return tf.abs(tf.cast(width, tf.int64)) * tf.abs(tf.cast(height, tf.int64))


def bmp_palette(contents):
    """Read the colors of a BMP with one byte per pixel.

    Args:
        contents: scalar string tensor, the bytes of the file.

    Returns:
        uint8 `[256, 3]` RGB; fewer rows if the file has fewer colors.
    """
    start = _BMP_HEADER + tf.cast(_number(contents, 14, 4), tf.int32)
    end = tf.cast(_number(contents, 10, 4), tf.int32)
    table = tf.io.decode_raw(tf.strings.substr(contents, start, (end - start) // 4 * 4), tf.uint8)
    return tf.reshape(table, [-1, 4])[:, 2::-1]


def first_frame(contents):
    """Cut a GIF after its first frame.

    Args:
        contents: scalar string tensor, the bytes of the file.

    Returns:
        Scalar string tensor, a GIF of one frame that fills its screen, "" if the frame is cut off; int32
        `[2]`, y and x of the frame on the screen of the whole file; and int32 `[2]`, height and width of that
        screen, enlarged to hold the frame if the header says less.
    """
    data = tf.io.decode_raw(contents, tf.uint8)
    size = tf.size(data)

    def byte(position):
        # Bytes beyond the end read as 0, which ends every list.
        value = tf.cast(data[tf.minimum(position, size - 1)], tf.int32)
        return tf.where(position < size, value, 0)

    def table_size(flags):
        return tf.where(flags >= 128, 3 * tf.bitwise.left_shift(2, flags % 8), 0)

    def step(at, inside):
        # Skip a block of data, where length 0 marks the last one, or the two bytes that start an extension.
        length = byte(at)
        return at + tf.where(inside, 1 + length, 2), ~inside | (length > 0)

    def walk(at, inside, through_extensions):
        def goes_on(at, inside):
            return inside | (through_extensions & (byte(at) == _EXTENSION))

        # Blocks usually have 255 bytes or half of that; many tiny ones would keep a server busy for minutes.
        most = size // 64 + _MOST_SEGMENTS
        return tf.while_loop(goes_on, step, [at, tf.constant(inside)], maximum_iterations=most)

    frame, in_extension = walk(_GIF_TABLE + table_size(byte(10)), False, True)
    end, in_frame = walk(frame + 11 + table_size(byte(frame + 9)), True, False)
    whole = (byte(frame) == _FRAME) & ~in_extension & ~in_frame & (end <= size)

    def part(start, end):
        return tf.strings.substr(contents, start, end - start)

    def alone():
        # Shrink the screen to the frame: TensorFlow does not support a frame smaller than its screen.
        shape = part(frame + 5, frame + 9)
        pieces = [part(0, 6), shape, part(10, frame + 1), "\0" * 4, shape, part(frame + 9, end), _TRAILER]
        return tf.strings.join(pieces)

    def pair(at):
        # GIF stores x before y and width before height.
        return tf.stack([byte(at + 2) + 256 * byte(at + 3), byte(at) + 256 * byte(at + 1)])

    corner, shape = pair(frame + 1), pair(frame + 5)
    return tf.cond(whole, alone, lambda: ""), corner, tf.maximum(pair(6), corner + shape)


def orientation(contents):
    """Read the EXIF orientation of a JPEG or PNG.

    Args:
        contents: scalar string tensor, the bytes of the file.

    Returns:
        Scalar int32, 1 (upright) to 8; 1 if the orientation is missing, invalid, behind the pixels of a PNG,
        or behind more than a thousand other segments.
    """
    data = tf.io.decode_raw(contents, tf.uint8)
    size = tf.size(data)

    def bytes_at(start, count):
        # Bytes beyond the end read as 0, so a truncated header means "no orientation".
        position = start + tf.range(count)
        inside = (position >= 0) & (position < size)
        values = tf.gather(data, tf.clip_by_value(position, 0, size - 1))
        return tf.where(inside, tf.cast(values, tf.int32), 0)

    def number(start, count, little=False):
        digits = bytes_at(start, count)
        digits = tf.where(little, digits, digits[::-1])
        return tf.reduce_sum(tf.bitwise.left_shift(digits, 8 * tf.range(count)))

    def has(start, text):
        return tf.reduce_all(bytes_at(start, len(text)) == list(text))

    def is_exif(start):
        return has(start + 4, b"Exif\0\0") & (number(start, 2) == 0xFFE1)

    def is_segment_before_exif(start):
        marker = number(start, 2)
        return (start < size) & (marker >= 0xFFC0) & (marker != 0xFFDA) & ~is_exif(start)

    def following(start):
        # Any number of fill bytes may precede a marker.
        return [start + tf.where(number(start, 2) == 0xFFFF, 1, 2 + number(start + 2, 2))]

    def is_chunk_before_exif(start):
        return (start >= 0) & (start < size) & ~has(start + 4, b"eXIf") & ~has(start + 4, b"IDAT")

    def following_chunk(start):
        # A length beyond the file ends the walk; a negative one is such a length in 32 bits.
        length = number(start, 4)
        return [tf.where((length >= 0) & (length < size), start + 12 + length, size)]

    def from_tiff(start):
        little = number(start, 2) == 0x4949
        directory = start + number(start + 4, 4, little)
        entries = tf.minimum(number(directory, 2, little), size // 12)
        table = tf.reshape(bytes_at(directory + 2, 12 * entries), [entries, 12])
        pair = tf.where(little, [1, 256], [256, 1])
        tags = tf.reduce_sum(table[:, 0:2] * pair, -1)
        values = tf.reduce_sum(table[:, 8:10] * pair, -1)
        known = (tags == tiff.ORIENTATION) & (values <= 8)
        return tf.reduce_max(tf.concat([[1], tf.where(known, values, 1)], 0))

    def walk(goes_on, step, start):
        (end,) = tf.while_loop(goes_on, step, [tf.constant(start)], maximum_iterations=_MOST_SEGMENTS)
        return end

    def of_jpeg():
        start = walk(is_segment_before_exif, following, 2)
        return tf.cond(is_exif(start), lambda: from_tiff(start + 10), lambda: 1)

    def of_png():
        start = walk(is_chunk_before_exif, following_chunk, 8)
        return tf.cond(has(start + 4, b"eXIf"), lambda: from_tiff(start + 8), lambda: 1)

    return tf.cond(starts_with(contents, PNG), of_png, of_jpeg)


def undecodable(name, of_set=False):
    """The error message for a file that is not an image.

    Args:
        name: str, the file.
        of_set: whether it is a picture of a data set, which can be read without it.
    """
    rest = ", or leave such pictures out, in commands with --on-broken skip" if of_set else ""
    return (
        f"{name} cannot be decoded as an image; replace it with an intact file, such as a JPEG or PNG{rest}."
    )


def check_size(height, width, name):
    """Refuse a picture that is too large to be decoded.

    Raises:
        ValueError: it has more than `MOST_PIXELS`.
    """
    if height * width > MOST_PIXELS:
        raise ValueError(
            f"{name} claims {width} x {height} pixels, more than {MOST_PIXELS:,}; shrink it, or cut it into "
            "tiles."
        )


def header(contents):
    """Read size and orientation from the first bytes of an image file.

    Args:
        contents: bytes, the beginning of the file or all of it.

    Returns:
        `(height, width, orientation)`: the size as stored (not turned) and the EXIF orientation, 1 to 8; None
        if the bytes hold no size (not an image, or the header is longer than `contents`).
    """
    try:
        if contents.startswith(JPEG):
            return _jpeg_header(contents)
        if contents.startswith(PNG):
            width, height = struct.unpack_from(">II", contents, 16)
            return height, width, _png_orientation(contents)
        if contents.startswith(GIF):
            return _gif_header(contents)
        if contents.startswith(BMP):
            width, height = struct.unpack_from("<ii", contents, 18)
            return abs(height), width, 1
    except struct.error:
        pass
    return None


def _png_orientation(contents):
    """The EXIF orientation of a PNG before its pixels; struct.error if the bytes end before these."""
    start = 8
    for _ in range(_MOST_SEGMENTS):
        length, kind = struct.unpack_from(">I4s", contents, start)
        if kind == b"eXIf":
            return tiff.orientation(contents[start + 8 : start + 8 + length])
        if kind == b"IDAT":
            break
        start += 12 + length
    return 1


def _gif_header(contents):
    width, height, flags = struct.unpack_from("<HHB", contents, 6)
    frame = _GIF_TABLE + (3 * (2 << flags % 8) if flags >= 128 else 0)
    while contents[frame : frame + 1] == bytes([_EXTENSION]):
        frame += 2
        while True:
            (length,) = struct.unpack_from("B", contents, frame)
            frame += 1 + length
            if not length:
                break
    left, top, frame_width, frame_height = struct.unpack_from("<4H", contents, frame + 1)
    return max(height, top + frame_height), max(width, left + frame_width), 1


def _jpeg_header(contents):
    turn, start = None, 2
    for _ in range(_MOST_SEGMENTS):
        marker, length = struct.unpack_from(">HH", contents, start)
        if marker == 0xFFFF:
            start += 1
            continue
        if marker < 0xFFC0 or marker == 0xFFDA:
            return None
        if 0xFFC0 <= marker <= 0xFFCF and marker not in (0xFFC4, 0xFFC8, 0xFFCC):
            height, width = struct.unpack_from(">HH", contents, start + 5)
            return height, width, turn or 1
        if marker == 0xFFE1 and contents[start + 4 : start + 10] == b"Exif\0\0" and turn is None:
            turn = tiff.orientation(contents[start + 10 : start + 2 + length])
        start += 2 + length
    return None


def _number(contents, start, count, little=True):
    """Read an int64 scalar from some bytes of a scalar string tensor; an error if it ends before them."""
    digits = tf.cast(tf.io.decode_raw(tf.strings.substr(contents, start, count), tf.uint8), tf.int64)
    weights = 256 ** tf.range(count, dtype=tf.int64)
    return tf.reduce_sum(digits * (weights if little else weights[::-1]))

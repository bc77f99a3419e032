import functools
import io
import math
import struct
import zlib
from fractions import Fraction

import cv2
import numpy as np
import PIL.Image
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_frcnn import images as image_ops
from keras_frcnn.images import headers

# The turns as NumPy has them, from the wording of the EXIF standard.
TURNS = {
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    8: lambda a: np.rot90(a, 1),
}


def picture(height=24, width=40):
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 255 / width, y * 255 / height, (x + y) * 2], -1).astype(np.uint8)


def encode(image, suffix):
    channels = image if image.ndim == 2 else image[..., [2, 1, 0, 3][: image.shape[-1]]]
    return cv2.imencode(suffix, channels)[1].tobytes()


def exif(orientation, order=">", padding=b""):
    """A JPEG segment with the orientation second of three tags; `padding` precedes the directory."""
    mark = b"MM\0*" if order == ">" else b"II*\0"
    tags = [(0x0100, 3, 1, 7), (0x0112, 3, 1, orientation), (0x0128, 3, 1, 2)]
    table = struct.pack(order + "H", 3) + b"".join(struct.pack(order + "HHIHxx", *tag) for tag in tags)
    tiff = mark + struct.pack(order + "I", 8 + len(padding)) + padding + table + b"\0" * 4
    return b"\xff\xe1" + struct.pack(">H", 8 + len(tiff)) + b"Exif\0\0" + tiff


def jpeg_with(segments):
    plain = encode(picture(), ".jpg")
    return plain[:2] + segments + plain[2:]


@pytest.mark.parametrize("order", [">", "<"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_upright(orientation, order):
    contents = jpeg_with(exif(orientation, order))
    image = image_ops.from_bytes(contents, "test")
    np.testing.assert_array_equal(image, TURNS[orientation](image_ops.from_bytes(jpeg_with(b""), "test")))
    # OpenCV turns by EXIF too, but decodes with slightly other colors.
    other = cv2.imdecode(np.frombuffer(contents, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert image.shape == other.shape
    assert np.abs(image.astype(int) - other).mean() < 3
    assert headers.header(contents) == (24, 40, orientation)


@pytest.mark.parametrize(
    "segments",
    [
        b"\xff\xe0\0\x04ab" + exif(6),
        b"\xff\xe1\0\x0ahttp://x" + exif(6),
        b"\xff\xff\xff" + exif(6),
        exif(6, "<", b"padding!"),
        exif(6) + exif(3),
    ],
    ids=["after APP0", "after XMP", "fill bytes", "directory further on", "the first of two"],
)
def test_exif_is_found(segments):
    contents = jpeg_with(segments)
    assert headers.orientation(contents) == 6
    assert headers.header(contents) == (24, 40, 6)


@pytest.mark.parametrize("segments", [b"", exif(0), exif(9)], ids=["none", "0", "9"])
def test_nonsense_is_upright(segments):
    assert headers.orientation(jpeg_with(segments)) == 1
    assert headers.header(jpeg_with(segments)) == (24, 40, 1)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=80), st.integers(0, 60), st.booleans())
def test_damaged_headers(noise, cut, with_exif):
    contents = b"\xff\xd8" + (exif(6)[:cut] if with_exif else b"\xff\xe1") + noise
    assert 1 <= orientation_in_graph(tf.constant(contents)) <= 8
    found = headers.header(contents)
    assert found is None or 1 <= found[2] <= 8


@tf.function(input_signature=[tf.TensorSpec([], tf.string)])
def orientation_in_graph(contents):
    return headers.orientation(contents)


def test_formats():
    image = picture()
    for suffix in (".png", ".bmp"):
        np.testing.assert_array_equal(image_ops.from_bytes(encode(image, suffix), suffix), image)
    alpha = np.concatenate([image, image[..., :1]], -1)
    for suffix in (".png", ".bmp"):
        np.testing.assert_array_equal(image_ops.from_bytes(encode(alpha, suffix), "alpha"), image)
    gray = image[..., 0]
    for suffix in (".png", ".bmp"):
        np.testing.assert_array_equal(
            image_ops.from_bytes(encode(gray, suffix), "gray"), np.repeat(gray[..., None], 3, -1)
        )
    deep = image.astype(np.uint16) * 256 + 77
    np.testing.assert_array_equal(image_ops.from_bytes(encode(deep, ".png"), "deep"), image)
    jpeg = image_ops.from_bytes(encode(gray, ".jpg"), "gray")
    assert jpeg.shape == (24, 40, 3)
    assert np.ptp(jpeg.astype(int), axis=-1).max() == 0


def test_gif_gives_its_first_frame():
    # Two frames of one pixel, red and blue, written out by hand.
    palette = bytes([255, 0, 0, 0, 0, 255])
    head = b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + palette
    frames = [
        b"," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02" + data + b"\0"
        for data in (b"\x44\x01", b"\x4c\x01")
    ]
    contents = head + b"".join(frames) + b";"
    np.testing.assert_array_equal(image_ops.from_bytes(contents, "gif"), [[[255, 0, 0]]])
    assert headers.header(contents) == (1, 1, 1)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp"])
def test_header_of_a_prefix(suffix):
    contents = encode(picture(), suffix)
    assert headers.header(contents) == (24, 40, 1)
    assert headers.header(contents[: len(contents) - 20]) == (24, 40, 1)
    assert headers.header(contents[:12]) is None


def test_decode_is_stock_operations():
    graph = tf.function(image_ops.decode).get_concrete_function(tf.TensorSpec([], tf.string)).graph
    functions = [definition.node_def for definition in graph.as_graph_def().library.function]
    names = {node.op for nodes in [graph.as_graph_def().node, *functions] for node in nodes}
    assert "DecodeJpeg" in names
    assert not any("PyFunc" in name for name in names)


@pytest.mark.parametrize("contents", [b"", b"text", cv2.imencode(".png", np.ones([5, 7]))[1].tobytes()[:50]])
def test_decode_or_empty(contents):
    image = image_ops.decode_or_empty(tf.constant(contents))
    assert image.dtype == tf.uint8 and image.shape == (0, 0, 3)


def test_decode_or_empty_of_an_image():
    picture = np.random.default_rng(0).integers(0, 256, [5, 7, 3], np.uint8)
    contents = tf.io.encode_png(picture)
    np.testing.assert_array_equal(image_ops.decode_or_empty(contents), picture)
    np.testing.assert_array_equal(tf.function(image_ops.decode_or_empty)(contents), picture)


def test_as_image(tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, [5, 7, 3], np.uint8)
    file = tmp_path / "picture.png"
    file.write_bytes(tf.io.encode_png(picture).numpy())
    for form in (file, str(file), picture, tf.constant(picture)):
        image = image_ops.as_image(form)
        assert image.dtype == np.uint8
        np.testing.assert_array_equal(image, picture)
    assert image_ops.as_image(picture / 2.0).dtype == np.float64
    for wrong in (picture[0], picture[..., :1], picture[:0]):
        with pytest.raises(ValueError, match=r"wants an RGB image \[H, W, 3\] and got shape"):
            image_ops.as_image(wrong)
    with pytest.raises(FileNotFoundError, match=r"There is no image file .*nowhere\.png; check the path"):
        image_ops.as_image(tmp_path / "nowhere.png")
    with pytest.raises(
        FileNotFoundError, match=r" is a folder; give an image file, or a list of such files\.$"
    ):
        image_ops.as_image(tmp_path)
    for wrong, kind in ((None, "None"), ({}, "a dict"), (("a.png", "b.png"), "a tuple")):
        with pytest.raises(
            ValueError, match=rf"^detect takes the path of .*, not {kind}; give .*, or a list of them\.$"
        ):
            image_ops.as_image(wrong)


def test_read(tmp_path):
    (tmp_path / "a.png").write_bytes(encode(picture(), ".png"))
    np.testing.assert_array_equal(image_ops.read(tmp_path / "a.png"), picture())
    with pytest.raises(FileNotFoundError, match=r"There is no image file .*b\.png"):
        image_ops.read(tmp_path / "b.png")
    for contents in (b"", b"\xff", b"text", encode(picture(), ".jpg")[:200], encode(picture(), ".png")[:60]):
        (tmp_path / "c.jpg").write_bytes(contents)
        with pytest.raises(ValueError, match=r"c\.jpg cannot be decoded as an image"):
            image_ops.read(tmp_path / "c.jpg")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_boxes_turn_with_the_image(orientation):
    stored = np.zeros([20, 30, 1], np.uint8)
    stored[3:9, 5:16] = 1
    upright = image_ops.turn_upright(tf.constant(stored), tf.constant(orientation)).numpy()[..., 0]
    np.testing.assert_array_equal(upright, TURNS[orientation](stored[..., 0]))
    box = image_ops.turn_boxes_upright(np.array([[5.0, 3, 16, 9]]), orientation, *upright.shape)
    y, x = np.nonzero(upright)
    np.testing.assert_array_equal(box, [[x.min(), y.min(), x.max() + 1, y.max() + 1]])


sides = st.integers(1, 5000)


@given(sides, sides, st.integers(1, 1500), st.integers(0, 1500))
def test_resized_shape(height, width, short, more):
    long = short + more
    h, w = image_ops.resized_shape(height, width, (short, long))
    assert (h == min(h, w)) if height <= width else (w == min(h, w))
    assert max(h, w) <= long or min(h, w) == short == 1
    assert min(h, w) == short or max(h, w) == long
    assert min(h, w) <= short
    scale = min(Fraction(short, min(height, width)), Fraction(long, max(height, width)))
    assert h == max(math.floor(height * scale), 1)
    assert w == max(math.floor(width * scale), 1)


@settings(max_examples=30, deadline=None)
@given(sides, sides, st.integers(1, 1500), st.integers(0, 1500))
def test_resized_shape_of_tensors(height, width, short, more):
    expected = image_ops.resized_shape(height, width, (short, short + more))
    found = image_ops.resized_shape(tf.constant(height), tf.constant(width), (short, short + more))
    assert tuple(int(value) for value in found) == expected
    assert all(value.dtype == tf.int32 for value in found)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((375, 500), (600, 800)), ((500, 375), (800, 600)), ((300, 900), (333, 1000)), ((1, 5000), (1, 1000))],
)
def test_resized_shape_examples(shape, expected):
    assert image_ops.resized_shape(*shape, (600, 1000)) == expected


@pytest.mark.parametrize("limit, side", [(1, 32), (31, 32), (32, 32), (33, 64), (1000, 1024), (1333, 1344)])
def test_the_canvas_is_a_multiple_of_32(limit, side):
    assert image_ops.canvas_side((1, limit)) == side


def half_pixel_bilinear(image, height, width):
    def weights(old, new):
        matrix = np.zeros([new, old])
        for row in range(new):
            center = (row + 0.5) * old / new - 0.5
            low = int(np.floor(center))
            for index, weight in ((low, 1 - (center - low)), (low + 1, center - low)):
                matrix[row, min(max(index, 0), old - 1)] += weight
        return matrix

    rows, columns = weights(image.shape[0], height), weights(image.shape[1], width)
    return np.einsum("ah,hwc,bw->abc", rows, image.astype(float), columns)


@pytest.mark.parametrize("shape", [(24, 40), (48, 61), (7, 13), (1, 1)])
def test_resize(shape):
    image = picture()
    resized = image_ops.resize(image, shape)
    assert resized.dtype == tf.float32
    np.testing.assert_allclose(resized, half_pixel_bilinear(image, *shape), atol=1e-3)
    np.testing.assert_array_equal(image_ops.resize(image[None], shape)[0], resized)


def test_pad():
    image = picture()
    padded = image_ops.pad(tf.constant(image), 32, 64)
    assert padded.shape == (32, 64, 3) and padded.dtype == tf.uint8
    np.testing.assert_array_equal(padded[:24, :40], image)
    assert int(tf.reduce_sum(tf.cast(padded, tf.int32))) == image.astype(int).sum()
    np.testing.assert_array_equal(image_ops.pad(tf.constant(image[None]), 32, 64)[0], padded)


def test_resized_shape_by_64_bit_floats():
    """torchvision multiplies by a factor that the quotient of the sides is not always equal to."""
    lost = 0
    for height in range(100, 700, 7):
        for width in (height, 333, 500):
            factor = min(800 / min(height, width), 1333 / max(height, width))
            expected = int(height * factor), int(width * factor)
            found = image_ops.resized_shape(height, width, (800, 1333), "float64")
            assert tuple(int(side) for side in found) == expected
            lost += expected != image_ops.resized_shape(height, width, (800, 1333))
    assert lost > 0
    with pytest.raises(ValueError, match="Unknown resize_rounding 'up'"):
        image_ops.resized_shape(3, 4, (800, 1333), "up")


def gif(*frames, comment=b"", claims=None):
    """A GIF that Pillow wrote, of uint8 images; `claims` overwrites the size of its screen."""
    pictures = [PIL.Image.fromarray(frame).quantize(16) for frame in frames]
    file = io.BytesIO()
    pictures[0].save(file, "GIF", save_all=True, append_images=pictures[1:], comment=comment)
    contents = file.getvalue()
    return contents if claims is None else contents[:6] + struct.pack("<HH", *claims) + contents[10:]


def first_frame(contents):
    cut, _, screen = in_graph(headers.first_frame)(contents)
    return cut.numpy(), int(np.prod(screen.numpy(), dtype=np.int64))


@functools.cache
def in_graph(function):
    return tf.function(function, input_signature=[tf.TensorSpec([], tf.string)], autograph=False)


def test_first_frame_of_a_gif():
    noise = np.random.default_rng(0).integers(0, 256, [40, 60, 3], np.uint8)
    alone, film = gif(noise), gif(noise, noise[::-1], comment=b"x" * 600)
    cut, pixels = first_frame(film)
    assert pixels == 40 * 60 and len(cut) < len(film) * 0.6 and cut.endswith(b"\0;")
    assert first_frame(alone)[0] == alone
    expected = np.array(PIL.Image.open(io.BytesIO(alone)).convert("RGB"))
    for contents in (alone, film, cut, film[: len(cut)], film[:-100]):
        np.testing.assert_array_equal(image_ops.from_bytes(contents, "gif"), expected)
    for length in (8, 13, 60, 400, 700, 900, len(cut) - 2):
        assert first_frame(film[:length])[0] == b""
        assert image_ops.decode_or_empty(film[:length]).shape == (0, 0, 3)


@pytest.mark.parametrize("corner", [(0, 0), (7, 5), (100, 50)], ids=["in the corner", "within", "beyond"])
def test_a_frame_lies_at_its_place_on_the_screen(corner):
    """The color behind it is black, the first of the palette too."""
    contents = bytearray(gif(picture()))
    contents[13:16] = bytes(3)
    struct.pack_into("<HH", contents, 6, 90, 60)
    struct.pack_into("<HH", contents, contents.index(b",", 13 + 3 * 16) + 1, *corner)
    contents = bytes(contents)
    expected = np.array(PIL.Image.open(io.BytesIO(contents)).convert("RGB"))
    assert headers.header(contents) == (*expected.shape[:2], 1)
    np.testing.assert_array_equal(image_ops.from_bytes(contents, "gif"), expected)


def test_palette_of_a_bmp():
    picture_ = PIL.Image.fromarray(picture()).quantize(200)
    file = io.BytesIO()
    picture_.save(file, "BMP")
    np.testing.assert_array_equal(
        image_ops.from_bytes(file.getvalue(), "bmp"), np.array(picture_.convert("RGB"))
    )


def test_a_header_made_to_keep_the_reader_busy():
    """Millions of pieces of one byte, millions of empty extensions or segments: minutes, if all were read."""
    film = gif(picture())
    frame = film.index(b",", 13)
    for begin, piece, end in ((b"!\xfe", b"\1x", b"\0"), (b"", b"!\xfe\0", b"")):
        many, few = (film[:frame] + begin + piece * count + end + film[frame:] for count in (10**6, 100))
        assert first_frame(many)[0] == b"" and first_frame(few) == (few, 24 * 40)
    for segment in (b"\xff", b"\xff\xe5\0\2"):
        assert in_graph(headers.orientation)(jpeg_with(segment * 10**6 + exif(6))) == 1
        assert in_graph(headers.orientation)(jpeg_with(segment * 900 + exif(6))) == 6


def claiming(suffix, width, height):
    """An image of 40 × 24 pixels whose header claims another size."""
    if suffix == ".gif":
        return gif(picture(), claims=(width, height))
    contents = bytearray(encode(picture(), suffix))
    if suffix == ".jpg":
        struct.pack_into(">HH", contents, contents.index(b"\xff\xc0") + 5, height, width)
    elif suffix == ".png":
        struct.pack_into(">II", contents, 16, width, height)
        struct.pack_into(">I", contents, 29, zlib.crc32(contents[12:29]))
    else:
        struct.pack_into("<ii", contents, 18, width, height)
    return bytes(contents)


def gif_pixels(contents):
    return tf.reduce_prod(tf.cast(headers.first_frame(contents)[2], tf.int64))


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".gif", ".bmp"])
def test_pixels_that_a_header_claims(suffix):
    count = {
        ".jpg": headers.jpeg_pixels,
        ".png": headers.png_pixels,
        ".gif": gif_pixels,
        ".bmp": headers.bmp_pixels,
    }[suffix]
    for width, height in ((40, 24), (10_000, 6_000), (65_000, 65_000)):
        assert int(in_graph(count)(claiming(suffix, width, height))) == width * height
    if suffix == ".bmp":
        assert int(in_graph(count)(claiming(suffix, 40, -24))) == 40 * 24


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".gif", ".bmp"])
def test_limits(suffix):
    contents = claiming(suffix, 40, 24)
    decode = in_graph(lambda contents: image_ops.decode_or_empty(contents, 100_000, 40 * 24))
    assert decode(contents).shape == (24, 40, 3)
    assert image_ops.decode_or_empty(contents, max_bytes=len(contents)).shape == (24, 40, 3)
    assert image_ops.decode_or_empty(contents, max_bytes=len(contents) - 1).shape == (0, 0, 3)
    assert image_ops.decode_or_empty(contents, max_pixels=40 * 24 - 1).shape == (0, 0, 3)
    assert decode(claiming(suffix, 10_000, 6_000)).shape == (0, 0, 3)


def test_a_format_without_limits_is_no_image_of_a_graph():
    """TensorFlow would open WebP, whose size nobody has read."""
    file = io.BytesIO()
    PIL.Image.fromarray(picture()).save(file, "WEBP")
    assert tf.io.decode_image(file.getvalue(), expand_animations=False).shape == (24, 40, 3)
    with pytest.raises(tf.errors.InvalidArgumentError):
        image_ops.decode(file.getvalue())
    assert image_ops.from_bytes(file.getvalue(), "picture.webp").shape == (24, 40, 3)


@pytest.mark.parametrize("size", [(600, 1000), [300, 300], (1, 1), np.int64([320, 640])])
def test_checked_image_size(size):
    sides = image_ops.checked_image_size(size)
    assert sides == tuple(size) and all(type(side) is int for side in sides)


@pytest.mark.parametrize(
    "size",
    [(300, 200), (1, 2, 3), (600,), 600, (0, 100), (-1, 5), (0, 0), (), "600", ("a", "b"), (60.5, 90), None],
)
def test_no_image_size(size):
    with pytest.raises(
        ValueError, match=r"^image_size is [^\n]*; give \(short side, .*, the short side first\.$"
    ):
        image_ops.checked_image_size(size)


def test_fractions_are_told():
    with pytest.warns(
        UserWarning, match="has no pixel above 1 and is seen as black; multiply fractions by 255"
    ):
        image_ops.as_image(np.full([4, 4, 3], 0.5))

"""Pictures that OpenCV decodes, and EXIF orientation outside JPEG."""

import concurrent.futures
import struct
import zlib

import cv2
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_frcnn import data
from keras_frcnn import images as image_ops
from keras_frcnn.images import headers, other_formats

RANDOM = np.random.default_rng(0).integers(0, 256, [20, 30, 3], np.uint8)


def exif(orientation, order=">"):
    tag = struct.pack(order + "HHIHxx", 0x0112, 3, 1, orientation)
    start = b"MM\0*" if order == ">" else b"II*\0"
    return start + struct.pack(order + "IH", 8, 1) + tag + b"\0" * 4


def png_with_exif(contents, orientation, order=">"):
    """The PNG with an eXIf chunk after its header."""
    chunk = b"eXIf" + exif(orientation, order)
    chunk = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return contents[:33] + chunk + contents[33:]


@pytest.fixture
def encoded(tmp_path):
    """A function that saves an image by Pillow and returns its bytes."""

    def encode(image, suffix, **options):
        path = tmp_path / f"saved{suffix}"
        Image.fromarray(image).save(path, **options)
        return path.read_bytes()

    return encode


@pytest.mark.parametrize(("suffix", "options"), [(".tif", {}), (".webp", {"lossless": True}), (".jp2", {})])
def test_the_pixels_are_those_that_pillow_reads(encoded, suffix, options):
    contents = encoded(RANDOM, suffix, **options)
    assert other_formats.is_other(contents)
    np.testing.assert_array_equal(image_ops.from_bytes(contents, "a"), RANDOM)


@pytest.mark.parametrize("mode", ["L", "P", "1", "RGBA", "CMYK"])
def test_modes(encoded, mode, tmp_path):
    image = Image.fromarray(RANDOM).convert(mode)
    suffix = ".tif" if mode == "CMYK" else ".png"
    image.save(tmp_path / f"a{suffix}")
    expected = np.asarray(image.convert("RGB"))
    found = image_ops.read(tmp_path / f"a{suffix}")
    assert np.abs(found.astype(int) - expected).max() <= (4 if mode == "CMYK" else 0)


def test_a_bmp_of_one_bit(tmp_path):
    Image.fromarray(RANDOM).convert("1").save(tmp_path / "a.bmp")
    expected = np.asarray(Image.open(tmp_path / "a.bmp").convert("RGB"))
    np.testing.assert_array_equal(image_ops.read(tmp_path / "a.bmp"), expected)


@pytest.mark.parametrize("bits", [8, 24])
def test_a_bmp_of_os2(tmp_path, bits):
    """Its header has 12 bytes, with sides of 16 bits, and its colors have three bytes."""
    image = Image.fromarray(RANDOM).convert("L" if bits == 8 else "RGB")
    colors = bytes(np.arange(256, dtype=np.uint8).repeat(3)) if bits == 8 else b""
    rows = np.asarray(image)[::-1].reshape(20, 30, -1)[..., ::-1].reshape(20, -1)
    pixels = np.pad(rows, [[0, 0], [0, 2]]).tobytes()
    start = 26 + len(colors)
    header = struct.pack("<IHHIIHHHH", start + len(pixels), 0, 0, start, 12, 30, 20, 1, bits)
    (tmp_path / "a.bmp").write_bytes(b"BM" + header + colors + pixels)
    np.testing.assert_array_equal(image_ops.read(tmp_path / "a.bmp"), np.asarray(image.convert("RGB")))
    dataset = data.from_arrays([tmp_path / "a.bmp"], [[[1, 2, 9, 9]]], [["cat"]])
    assert (dataset.records[0].height, dataset.records[0].width) == (20, 30)
    np.testing.assert_array_equal(next(iter(dataset.images())), dataset.image(0))


def test_a_tiff_of_lab_is_not_taken_for_rgb(tmp_path):
    Image.frombytes("LAB", (30, 20), RANDOM.tobytes()).save(tmp_path / "a.tif")
    with pytest.raises(ValueError, match=r"a\.tif has L\*a\*b\* colors, .*; save it as RGB\.$"):
        image_ops.read(tmp_path / "a.tif")
    with pytest.raises(ValueError, match=r"a\.tif has L\*a\*b\* colors, .*; save it as RGB\.$"):
        data.from_arrays([tmp_path / "a.tif"], [[[1, 2, 9, 9]]], [["cat"]])


@pytest.mark.parametrize(("highest", "divisor"), [(255, 1), (1023, 4), (4095, 16), (16383, 64), (65535, 256)])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bits(tmp_path, highest, divisor, suffix):
    image = np.linspace(0, highest, 600).reshape(20, 30).astype(np.uint16)
    cv2.imwrite(str(tmp_path / f"a{suffix}"), image)
    found = image_ops.read(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(found, np.repeat(image[..., None], 3, -1) // divisor)


@pytest.mark.parametrize("order", "><")
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_of_a_png(encoded, orientation, order):
    contents = png_with_exif(encoded(RANDOM, ".png"), orientation, order)
    expected = image_ops.turned(RANDOM, orientation)
    np.testing.assert_array_equal(image_ops.decode(contents), expected)
    assert headers.header(contents) == (20, 30, orientation)
    assert int(headers.orientation(tf.constant(contents))) == orientation


@pytest.mark.parametrize("cut", [8, 12, 30, 33, 40, 50, 60, 70])
def test_a_png_that_is_cut_off_is_upright(encoded, cut):
    contents = png_with_exif(encoded(RANDOM, ".png"), 6)[:cut]
    assert int(headers.orientation(tf.constant(contents))) in (1, 6)
    headers.header(contents)


@pytest.mark.parametrize(("suffix", "options"), [(".webp", {"lossless": True}), (".tif", {})])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_orientation_of_other_formats(encoded, suffix, options, orientation):
    tags = Image.Exif()
    tags[0x0112] = orientation
    if suffix == ".tif":
        options = {"tiffinfo": {0x0112: orientation}}
    else:
        options = {**options, "exif": tags.tobytes()}
    contents = encoded(RANDOM, suffix, **options)
    np.testing.assert_array_equal(image_ops.from_bytes(contents, "a"), image_ops.turned(RANDOM, orientation))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("suffix", [".webp", ".tif", ".bmp", ".jfif", ".jpe", ".gif", ".png"])
def test_a_data_set_of_them(voc_of, suffix):
    root, image = voc_of(suffix)
    dataset = data.load(f"voc:{root}@train")
    record = dataset.records[0]
    assert record.file.endswith(f"a{suffix}") and (record.height, record.width) == (20, 30)
    np.testing.assert_array_equal(dataset.image(0), image)
    np.testing.assert_array_equal(next(iter(dataset.images())), image)


@pytest.fixture
def voc_of(tmp_path, monkeypatch):
    """A function that makes a VOC folder with one picture; the cache is a folder of the test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def make(suffix):
        for folder in ("JPEGImages", "Annotations", "ImageSets/Main"):
            (tmp_path / "voc" / folder).mkdir(parents=True)
        file = tmp_path / "voc/JPEGImages" / f"a{suffix}"
        kind = {".jfif": "JPEG", ".jpe": "JPEG"}.get(suffix)
        Image.fromarray(RANDOM).save(file, format=kind)
        box = "<bndbox><xmin>3</xmin><ymin>4</ymin><xmax>12</xmax><ymax>15</ymax></bndbox>"
        text = f"<annotation><object><name>cat</name>{box}</object></annotation>"
        (tmp_path / "voc/Annotations/a.xml").write_text(text)
        (tmp_path / "voc/ImageSets/Main/train.txt").write_text("a\n")
        return tmp_path / "voc", image_ops.read(file)

    return make


def test_boxes_turn_with_a_picture_of_another_format(voc_of):
    root, _ = voc_of(".tif")
    Image.fromarray(RANDOM).save(root / "JPEGImages/a.tif", tiffinfo={0x0112: 6})
    size = "<annotation><size><width>30</width><height>20</height></size>"
    file = root / "Annotations/a.xml"
    file.write_text(file.read_text().replace("<annotation>", size))
    dataset = data.load(f"voc:{root}@train")
    x1, y1, x2, y2 = dataset.records[0].boxes[0].astype(int)
    assert dataset.image(0).shape == (30, 20, 3)
    stored = RANDOM[3:15, 2:12]
    np.testing.assert_array_equal(dataset.image(0)[y1:y2, x1:x2], np.rot90(stored, -1))


def test_what_no_decoder_takes(tmp_path):
    (tmp_path / "a.webp").write_bytes(b"RIFF\0\0\0\0WEBPVP8 " + bytes(40))
    with pytest.raises(ValueError, match="a.webp cannot be decoded as an image"):
        image_ops.read(tmp_path / "a.webp")


def test_orientation_behind_a_long_chunk(voc_of):
    root, _ = voc_of(".png")
    contents = (root / "JPEGImages/a.png").read_bytes()
    text = b"tEXt" + b"a" * 70_000
    chunk = struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))
    turned = png_with_exif(contents, 6)
    (root / "JPEGImages/a.png").write_bytes(turned[:33] + chunk + turned[33:])
    dataset = data.load(f"voc:{root}@train")
    assert dataset.image(0).shape == (dataset.records[0].height, dataset.records[0].width, 3) == (30, 20, 3)


def test_threads_write_one_picture_of_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    Image.fromarray(RANDOM).save(tmp_path / "a.tif")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        files = list(
            pool.map(lambda _: other_formats.as_png(tmp_path / "a.tif", image_ops.turned)[0], range(16))
        )
    assert len({*files}) == 1 and [*files[0].parent.iterdir()] == [files[0]]

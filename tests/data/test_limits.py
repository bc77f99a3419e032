"""What is too large is refused in one sentence, before it takes memory."""

import io
import struct
import zipfile

import cv2
import numpy as np
import pytest
from PIL import Image

import keras_frcnn as kf
from keras_frcnn import images as image_ops
from keras_frcnn.data import proposals
from keras_frcnn.data.readers.assembly import MOST_OBJECTS
from keras_frcnn.data.readers.upright import read_header
from keras_frcnn.files import parse_yaml
from keras_frcnn.images import headers, other_formats

SIDE = 60_000


def saved(suffix, **options):
    contents = io.BytesIO()
    Image.new("RGB", (8, 4), (9, 9, 9)).save(contents, suffix, **options)
    return bytearray(contents.getvalue())


def claiming(suffix, side):
    """A small file whose header claims a square of a side."""
    if suffix == "webp-lossless":
        contents = saved("webp", lossless=True)
        contents[21:25] = struct.pack("<I", (side - 1) << 14 | side - 1)
        return contents
    contents = saved("jpeg2000" if suffix == "jp2" else suffix)
    if suffix == "png":
        contents[16:24] = struct.pack(">II", side, side)
    elif suffix == "gif":
        contents[6:10] = struct.pack("<HH", side, side)
    elif suffix == "bmp":
        contents[18:26] = struct.pack("<ii", side, -side)
    elif suffix == "jpeg":
        start = contents.index(b"\xff\xc0") + 5
        contents[start : start + 4] = struct.pack(">HH", side, side)
    elif suffix == "webp":
        contents[26:30] = struct.pack("<HH", side, side)
    elif suffix == "jp2":
        start = contents.index(b"ihdr") + 4
        contents[start : start + 8] = struct.pack(">II", side, side)
    elif suffix == "tiff":
        (directory,) = struct.unpack_from("<I", contents, 4)
        for entry in range(directory + 2, directory + 2 + 24, 12):
            assert struct.unpack_from("<H", contents, entry)[0] in (256, 257)
            contents[entry + 2 : entry + 12] = struct.pack("<HII", 4, 1, side)
    return contents


@pytest.mark.parametrize(
    "suffix, side",
    [*((name, SIDE) for name in ("png", "gif", "bmp", "jpeg", "tiff", "jp2")), *(("webp", 16_383),)],
)
def test_a_header_that_claims_too_many_pixels(tmp_path, suffix, side):
    file = tmp_path / f"bomb.{suffix}"
    file.write_bytes(claiming(suffix, side))
    for read in (read_header, image_ops.read):
        with pytest.raises(
            ValueError, match=f"bomb.{suffix} claims {side} x {side} pixels, more than 200,000,000"
        ):
            read(file)


def test_a_lossless_webp_that_claims_too_many_pixels(tmp_path):
    with pytest.raises(ValueError, match="a claims 16383 x 16383 pixels"):
        image_ops.from_bytes(bytes(claiming("webp-lossless", 16_383)), "a")


def test_sizes_of_intact_files_are_read():
    for suffix in ("webp", "tiff", "jpeg2000", "avif"):
        try:
            contents = bytes(saved(suffix))
        except (KeyError, OSError):  # this Pillow lacks the format
            continue
        assert other_formats._size(contents) == (4, 8)
    assert headers.MOST_PIXELS > 10_000**2


def test_too_many_objects():
    image = np.zeros([200, 200, 3], np.uint8)
    boxes = np.tile([[1.0, 2, 30, 31]], [MOST_OBJECTS + 1, 1])
    with pytest.raises(ValueError, match="^image 0 has 5001 objects, more than 5000 .*tiles\\.$"):
        kf.data.from_arrays([image], [boxes], [["a"] * len(boxes)])
    assert len(kf.data.from_arrays([image], [boxes[1:]], [["a"] * MOST_OBJECTS]).records[0].boxes) == 5000


def test_a_shard_whose_header_claims_too_much(tmp_path):
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000, 4), }\n"
    parts = {"image_ids": np.array(["a"]), "splits": np.array([0, 0])}
    np.savez(tmp_path / "a.npz", **parts)
    with zipfile.ZipFile(tmp_path / "a.npz", "a") as archive:
        archive.writestr("boxes.npy", b"\x93NUMPY\x01\0" + struct.pack("<H", len(header)) + header)
    with pytest.raises(ValueError, match="a.npz is no shard of proposals .*; repair or remove it.$"):
        proposals.load(tmp_path)


def test_yaml_that_multiplies_and_yaml_too_deep(tmp_path):
    lines = ["a0: &a0 [x, x]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 40)), "names: *a39"]
    for text in ("\n".join(lines), "[" * 5000):
        with pytest.raises(ValueError):
            parse_yaml(text)
        (tmp_path / "data.yaml").write_text(text)
        with pytest.raises(ValueError, match="data.yaml is not readable as YAML"):
            kf.data.load(f"yolo:{tmp_path}/data.yaml@train")
    assert parse_yaml("train: &a images\nval: *a") == {"train": "images", "val": "images"}


def test_a_gif_of_many_frames_is_its_first(tmp_path):
    frames = [Image.new("P", (40, 30), number) for number in range(50)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert image_ops.read(tmp_path / "a.gif").shape == (30, 40, 3)
    cv2.imwrite(str(tmp_path / "b.png"), np.zeros([4, 8, 3], np.uint8))
    assert read_header(tmp_path / "b.png") == (4, 8, 1)

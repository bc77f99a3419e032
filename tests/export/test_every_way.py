"""Real images of mixed sizes and formats get the same detections whatever way they come in."""

import io

import cv2
import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from keras_frcnn import export, images


@pytest.fixture(scope="module")
def pictures(shared, tmp_path_factory):
    """Ten image files: JPEG as they came, turned by EXIF, progressive, gray; PNG, 16 bits, RGBA; GIF; BMP."""
    found = sorted((shared / "data" / "raccoon" / "JPEGImages").iterdir())[:5]
    found += sorted((shared / "data" / "bccd" / "JPEGImages").iterdir())[:2]
    found += sorted((shared / "data" / "voc2012_sample" / "JPEGImages").iterdir())[:3]
    color = [PIL.Image.open(path).convert("RGB") for path in found]
    turned = PIL.Image.Exif()
    turned[0x0112] = 6
    deep = np.asarray(color[5]).astype(np.uint16)[..., ::-1] * 257
    alpha = color[6].copy()
    alpha.putalpha(color[6].convert("L"))
    files = {
        "plain.jpg": found[0].read_bytes(),
        "plain.jpeg": found[7].read_bytes(),
        "turned.jpg": encoded(color[1], "JPEG", exif=turned),
        "progressive.jpg": encoded(color[2], "JPEG", progressive=True),
        "gray.jpg": encoded(color[3].convert("L"), "JPEG"),
        "color.png": encoded(color[4], "PNG"),
        "deep.png": cv2.imencode(".png", deep)[1].tobytes(),
        "alpha.png": encoded(alpha, "PNG"),
        "film.gif": encoded(color[8], "GIF", save_all=True, append_images=[color[9]]),
        "bitmap.bmp": encoded(color[9], "BMP"),
    }
    folder = tmp_path_factory.mktemp("pictures")
    for name, contents in files.items():
        (folder / name).write_bytes(contents)
    return [folder / name for name in files]


def encoded(picture, kind, **options):
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


@pytest.fixture(scope="module")
def expected(exported_cells, pictures):
    """What the model itself finds, and the shape of each image."""
    shapes = [images.read(path).shape[:2] for path in pictures]
    assert len(set(shapes)) > 5
    found = exported_cells.model.detect(pictures)
    assert min(len(one["scores"]) for one in found) > 0
    return found, shapes


def test_both_signatures(exported_cells, pictures, expected, assert_same, from_contract):
    signatures = tf.saved_model.load(str(exported_cells.path)).signatures
    contents = tf.constant([path.read_bytes() for path in pictures])
    together = signatures["serving_bytes"](image_bytes=contents)
    assert together["image_ok"].numpy().all()
    for row, (path, wanted, shape) in enumerate(zip(pictures, *expected)):
        assert_same(from_contract(together, row, shape), wanted)
        pixels = tf.constant(images.read(path)[None])
        assert_same(from_contract(signatures["serving_default"](input_tensor=pixels), 0, shape), wanted)


@pytest.mark.parametrize("way", ["rest", "grpc"])
def test_over_the_network(server, pictures, expected, assert_same, way):
    client = export.ServingClient(getattr(server, way))
    answers = client.detect([*(path.read_bytes() for path in pictures), b"no image"])
    assert answers.pop() is None
    for answer, wanted, (height, width) in zip(answers, *expected, strict=True):
        assert_same({**answer, "boxes": answer["boxes"] * [width, height, width, height]}, wanted)


def test_a_c_program_without_python(
    exported_cells, without_python, pictures, expected, assert_same, from_contract, tmp_path
):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(pictures[0].read_bytes()[:2000])
    answer = without_python(exported_cells.path, [*pictures, broken])
    np.testing.assert_array_equal(answer["image_ok"], [1] * len(pictures) + [0])
    for row, (wanted, shape) in enumerate(zip(*expected)):
        assert_same(from_contract(answer, row, shape), wanted)

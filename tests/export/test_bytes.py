"""What counts as an image for serving_bytes, and what becomes of the rest."""

import numpy as np
import pytest
import tensorflow as tf


@pytest.fixture(scope="module")
def limited(exported_cells, tmp_path_factory):
    """The signature of an export that takes at most 20,000 bytes and 130,000 pixels."""
    path = tmp_path_factory.mktemp("limited") / "1"
    exported_cells.model.export(path, max_bytes=20_000, max_pixels=130_000)
    loaded = tf.saved_model.load(str(path))
    yield loaded.signatures["serving_bytes"]


def serve(signature, contents):
    return {name: value.numpy() for name, value in signature(image_bytes=tf.constant(contents)).items()}


def test_extreme_shapes_are_good_images(exported_cells, limited, assert_same, from_contract):
    rng = np.random.default_rng(0)
    shapes = [(1, 1), (10, 12_000), (12_000, 10), (2, 1), (1, 400)]
    pictures = [rng.integers(0, 256, [*shape, 3], np.uint8) for shape in shapes]
    contents = [tf.io.encode_jpeg(picture, quality=5).numpy() for picture in pictures]
    answer = serve(limited, contents)
    assert answer["image_ok"].all()
    for row, (encoded, shape) in enumerate(zip(contents, shapes)):
        image = tf.io.decode_jpeg(encoded, dct_method="INTEGER_ACCURATE").numpy()
        assert_same(from_contract(answer, row, shape), exported_cells.model.detect(image))


def test_limits(limited, image_of):
    flat, noise = np.zeros([250, 520, 3], np.uint8), np.random.default_rng(0).integers(0, 256, [90, 90, 3])
    contents = [
        tf.io.encode_png(flat).numpy(),
        tf.io.encode_png(np.pad(flat, [[0, 1], [0, 0], [0, 0]])).numpy(),
        tf.io.encode_png(noise.astype(np.uint8)).numpy(),
        tf.io.encode_jpeg(noise.astype(np.uint8)).numpy(),
    ]
    assert len(contents[2]) > 20_000 > len(contents[3])
    answer = serve(limited, contents)
    np.testing.assert_array_equal(answer["image_ok"], [1, 0, 0, 1])
    assert not answer["num_detections"][1:3].any()


def test_dummy_rows_change_nothing(limited, image_of):
    """A server that fills a batch up repeats rows or sends empty ones."""
    picture = tf.io.encode_png(image_of(90, 130)).numpy()
    alone = serve(limited, [picture])
    for contents in ([picture, b""], [b"", b"", picture], [picture] * 4):
        answer = serve(limited, contents)
        for row, encoded in enumerate(contents):
            if encoded:
                for name in alone:
                    np.testing.assert_allclose(answer[name][row], alone[name][0], atol=1e-5)

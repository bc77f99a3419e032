"""What counts as an image for serving_bytes, and what becomes of the rest."""

import resource

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


@pytest.mark.slow
def test_memory_is_bounded_by_the_good_images(make_model, image_of, tmp_path):
    """Each of the rows on a canvas of its own would take 25 GB."""
    make_model(image_size=(64, 1024)).export(tmp_path / "1")
    loaded = tf.saved_model.load(str(tmp_path / "1"))
    signature, picture = loaded.signatures["serving_bytes"], tf.io.encode_png(image_of(64, 96)).numpy()
    alone = serve(signature, [picture])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    answer = serve(signature, [b""] * 1500 + [picture] + [b""] * 500)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000
    assert np.flatnonzero(answer["image_ok"]).tolist() == [1500]
    for name in alone:
        np.testing.assert_allclose(answer[name][1500], alone[name][0], atol=1e-5)


def test_rows_of_several_slices(limited, image_of):
    pictures = [tf.io.encode_png(image_of(30 + 7 * (row % 3), 60, row)).numpy() for row in range(19)]
    answer = serve(limited, pictures)
    for row, picture in enumerate(pictures):
        alone = serve(limited, [picture])
        for name in alone:
            np.testing.assert_allclose(answer[name][row], alone[name][0], atol=1e-4)

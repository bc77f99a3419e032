"""Truncated SVD of fully connected layers."""

import keras
import numpy as np
import pytest

import keras_frcnn as kf


@pytest.fixture(scope="module")
def model(make_model):
    return make_model()


def test_a_layer_of_low_rank_answers_the_same(make_model, image_of, assert_same):
    model = make_model()
    (layer,), random = model.head.dense[0], np.random.default_rng(0)
    rows, columns = layer.kernel.shape
    layer.kernel.assign(random.normal(0, 0.05, [rows, 3]) @ random.normal(0, 0.3, [3, columns]))
    small = kf.models.compress(model, ranks=(3, None))
    assert [len(layers) for layers in small.head.dense] == [2, 1]
    image = image_of(90, 130)
    assert_same(small.detect(image), model.detect(image))


def test_a_rank_that_saves_nothing_leaves_the_layer_whole(model):
    small = kf.models.compress(model, ranks=(32, 16))
    assert [len(layers) for layers in small.head.dense] == [1, 1]


def test_is_the_best_approximation(model):
    small = kf.models.compress(model, ranks=(8, None))
    (layer,), (v, u) = model.head.dense[0], small.head.dense[0]
    kernel, product = layer.kernel.numpy(), v.kernel.numpy() @ u.kernel.numpy()
    # Eckart and Young: what is lost is the rest of the singular values.
    values = np.linalg.svd(kernel, compute_uv=False)
    np.testing.assert_allclose(np.linalg.norm(kernel - product), np.linalg.norm(values[8:]), rtol=1e-4)
    assert v.kernel.shape == (kernel.shape[0], 8) and not v.use_bias
    np.testing.assert_array_equal(u.bias, layer.bias)
    assert len(small.head.dense[1]) == 1


def test_does_not_touch_the_first(model):
    before = model.get_weights()
    kf.models.compress(model, ranks=(8, 4))
    for weight, value in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, value)


@pytest.mark.slow
def test_saves_and_exports(model, image_of, tmp_path, assert_same):
    image = image_of(90, 130)
    small = kf.models.compress(model, ranks=(8, 4))
    expected = small.detect(image)
    small.save(tmp_path / "small.keras")
    assert_same(keras.saving.load_model(tmp_path / "small.keras").detect(image), expected)
    small.export(tmp_path / "1")
    assert_same(kf.export.load(tmp_path / "1").detect(image), expected)


def test_compresses_fast_rcnn(image_of):
    image, proposals = image_of(90, 130), np.float32([[5, 5, 60, 60], [30, 10, 120, 80]])
    model = kf.FastRCNN(["a", "b"], backbone="mobilenet_v2", image_size=(96, 128), head_units=(32,))
    model.head.normalize_boxes(np.full([2, 4], 0.1), np.full([2, 4], 0.5))
    small = kf.models.compress(model, ranks=(31,))
    for name, mine in small.head.box_dense.get_config().items():
        assert model.head.box_dense.get_config()[name] == mine
    np.testing.assert_array_equal(small.head.deviation, model.head.deviation)
    mine, theirs = (one.detect(image, proposals)["scores"] for one in (small, model))
    np.testing.assert_allclose(mine, theirs, atol=0.05)


def test_refusals(model):
    with pytest.raises(ValueError, match="2 layers"):
        kf.models.compress(model, ranks=(8,))
    with pytest.raises(ValueError, match="already"):
        kf.models.compress(kf.models.compress(model, ranks=(8, 4)), ranks=(4, 2))
    with pytest.raises(ValueError, match="nothing to compress"):
        kf.models.compress(kf.RPN(image_size=(96, 128)))

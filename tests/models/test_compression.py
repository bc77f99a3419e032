"""Truncated SVD of fully connected layers."""

import keras
import numpy as np
import pytest

import keras_frcnn as kf


@pytest.fixture(scope="module")
def model(make_model):
    return make_model()


def pooled(model):
    shape = model.head.dense[0][0].kernel.shape[0]
    random = np.random.default_rng(0).normal(size=[1, 5, shape])
    return random.astype("float32")


def test_full_rank_answers_the_same(make_model, image_of, assert_same):
    # 32 of a 32 × 32 layer would save nothing and stays whole; a rank above the smaller side is the whole matrix.
    model = make_model(head_units=(64, 32))
    small = kf.models.compress(model, ranks=(64, 20))
    assert [len(layers) for layers in small.head.dense] == [2, 2]
    logits, deltas = model.head(pooled(model))
    small_logits, small_deltas = small.head(pooled(model))
    assert np.abs(small_logits - logits).max() > 0  # the second layer did lose something
    image = image_of(90, 130)
    assert len(small.detect(image)["scores"]) > 0
    whole = kf.models.compress(model, ranks=(64, None))
    assert_same(whole.detect(image), model.detect(image))


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
    model.head.normalise_boxes(np.full([2, 4], 0.1), np.full([2, 4], 0.5))
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

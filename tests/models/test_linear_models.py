"""The linear models of R-CNN, against normal equations and separable data."""

import numpy as np
import pytest

from keras_frcnn.models.linear_models import mine_svm, ridge

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize("count, width", [(40, 6), (6, 40)])
def test_ridge_minimises_its_loss(count, width):
    x, y = RANDOM.normal(size=[count, width]), RANDOM.normal(size=[count, 2])
    weights, offset = ridge(x, y, penalty=3.0)
    # At the minimum the gradient of |x w + b − y|² + λ |w|² is zero.
    residual = x @ weights + offset - y
    np.testing.assert_allclose(x.T @ residual + 3.0 * weights, 0.0, atol=1e-4)
    np.testing.assert_allclose(residual.sum(0), 0.0, atol=1e-4)


def test_ridge_without_penalty_finds_the_line():
    x = RANDOM.normal(size=[50, 3])
    weights, offset = ridge(x, x @ [[1.0], [-2.0], [0.5]] + 4.0, penalty=1e-9)
    np.testing.assert_allclose(weights, [[1.0], [-2.0], [0.5]], atol=1e-4)
    np.testing.assert_allclose(offset, [4.0], atol=1e-4)


def images(count=30, negatives=200):
    """Positives around +3 and negatives around −1 along the first axis, a few of them hard."""
    random = np.random.default_rng(1)
    for _ in range(count):
        positive, negative = random.normal(size=[2, 8]), random.normal(size=[negatives, 8])
        positive[:, 0] += 3.0
        negative[:, 0] -= 1.0
        yield positive.astype("float32"), negative.astype("float32")


def test_svm_separates():
    pytest.importorskip("sklearn")
    weights, offset = mine_svm(images, 1.0, target_norm=20.0)
    positive, negative = (np.concatenate(part) for part in zip(*images()))
    assert np.mean(positive @ weights + offset > 0) > 0.8
    assert np.mean(negative @ weights + offset < 0) > 0.95


def test_mining_comes_close_to_all_negatives_at_once(monkeypatch):
    pytest.importorskip("sklearn")
    mined = mine_svm(images, 1.0, target_norm=20.0)
    monkeypatch.setattr("keras_frcnn.models.linear_models.NEW_NEGATIVES", 10**9)
    whole = mine_svm(images, 1.0, target_norm=20.0)
    assert np.dot(mined[0], whole[0]) / np.linalg.norm(mined[0]) / np.linalg.norm(whole[0]) > 0.95


def test_a_class_without_objects_is_never_found():
    weights, offset = mine_svm(lambda: ((p[:0], n) for p, n in images(3)), 1.0, 20.0)
    assert weights.shape == (8,) and not weights.any() and offset < -5

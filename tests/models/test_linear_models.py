"""The linear models of R-CNN, against normal equations and separable data."""

import numpy as np
import pytest

from keras_frcnn.models.linear_models import HardNegativeSVM, Ridge

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize("parts", [1, 4])
@pytest.mark.parametrize("count, width", [(40, 6), (3, 40), (40, 39)])
def test_ridge_minimises_its_loss(count, width, parts, monkeypatch):
    monkeypatch.setattr("keras_frcnn.models.linear_models.BLOCK", 5)
    x, y = RANDOM.normal(size=[count, width]) + 2.0, RANDOM.normal(size=[count, 2])
    weights, offset = fitted(x, y, 3.0, parts)
    # At the minimum the gradient of |x w + b − y|² + λ |w|² is zero.
    residual = x @ weights + offset - y
    np.testing.assert_allclose(x.T @ residual + 3.0 * weights, 0.0, atol=1e-4)
    np.testing.assert_allclose(residual.sum(0), 0.0, atol=1e-4)


def test_ridge_without_penalty_finds_the_line():
    x = RANDOM.normal(size=[50, 3])
    weights, offset = fitted(x, x @ [[1.0], [-2.0], [0.5]] + 4.0, 1e-9, 1)
    np.testing.assert_allclose(weights, [[1.0], [-2.0], [0.5]], atol=1e-4)
    np.testing.assert_allclose(offset, [4.0], atol=1e-4)


def fitted(x, y, penalty, parts):
    ridge = Ridge(penalty)
    for part in zip(np.array_split(x, parts), np.array_split(y, parts)):
        ridge.add(*part)
    return ridge.solve()


def images(count=30, negatives=200):
    """Positives around +3 and negatives around −1 along the first axis, a few of them hard."""
    random = np.random.default_rng(1)
    for _ in range(count):
        positive, negative = random.normal(size=[2, 8]), random.normal(size=[negatives, 8])
        positive[:, 0] += 3.0
        negative[:, 0] -= 1.0
        yield positive.astype("float32"), negative.astype("float32")


def mined_svm(images):
    positives, negatives = zip(*images)
    svm = HardNegativeSVM(np.concatenate(positives), 5.0, 1.0)
    for some in negatives:
        svm.add(some)
    return svm.solve()


def test_svm_separates():
    pytest.importorskip("sklearn")
    weights, offset = mined_svm(images())
    positive, negative = (np.concatenate(part) for part in zip(*images()))
    assert np.mean(positive @ weights + offset > 0) > 0.8
    assert np.mean(negative @ weights + offset < 0) > 0.95


def test_mining_comes_close_to_all_negatives_at_once(monkeypatch):
    pytest.importorskip("sklearn")
    mined = mined_svm(images())
    monkeypatch.setattr("keras_frcnn.models.linear_models.NEW_NEGATIVES", 10**9)
    whole = mined_svm(images())
    assert np.dot(mined[0], whole[0]) / np.linalg.norm(mined[0]) / np.linalg.norm(whole[0]) > 0.95


def test_a_class_without_objects_is_never_found():
    weights, offset = mined_svm((p[:0], n) for p, n in images(3))
    assert weights.shape == (8,) and not weights.any() and offset < -5

"""The linear models of R-CNN: SVMs with hard negatives, and ridge regression.

Letters: N examples, D features, T targets.
"""

from typing import Any

import numpy as np

# Negatives enter if their margin is above HARD and leave if it is below EASY (R-CNN's released code).
HARD, EASY = -1.0001, -1.2
# The SVM is trained again after this many new negatives.
NEW_NEGATIVES = 2000
POSITIVE_WEIGHT = 2.0
BIAS_SCALE = 10.0
# Ridge: it keeps raw examples while there are at most D / FEW.
FEW = 8
# Matrix rows handled at a time.
BLOCK = 2048


class HardNegativeSVM:
    """Linear SVM on more negatives than fit into memory, with one pass of hard-negative mining.

    Args:
        positives: float32 `[N, D]`.
        scale: factor on all features while training.
        c: cost parameter of the SVM.
        seed: random seed of the solver.
    """

    def __init__(self, positives, scale, c, seed=0):
        self.positives = positives * scale
        self.scale, self.c, self.seed = scale, c, seed
        self._kept, self._new, self._model = positives[:0], [], None

    def add(self, negatives):
        """Add the hard ones among the negatives `[N, D]` of an image."""
        if not len(self.positives):
            return
        negatives = negatives * self.scale
        if self._model is not None:
            negatives = negatives[_margins(self._model, negatives) > HARD]
        self._new.append(negatives)
        if sum(map(len, self._new)) >= NEW_NEGATIVES:
            self._train()

    def solve(self):
        """Return weights float32 `[D]` and offset: the margin of a feature x is x · weights + offset.

        Without positives the margin is −10 everywhere, so the class is never detected.

        Raises:
            ValueError: scikit-learn is not installed.
        """
        if not len(self.positives):
            return np.zeros(self.positives.shape[1], np.float32), -10.0
        weights, offset = self._train() if self._model is None or sum(map(len, self._new)) else self._model
        return (weights * self.scale).astype(np.float32), float(offset)

    def _train(self):
        negatives = np.concatenate([self._kept, *self._new])
        model = self._model = _fit(self.positives, negatives, self.c, self.seed)
        self._kept, self._new = negatives[_margins(model, negatives) >= EASY], []
        return model


class Ridge:
    """Least squares with an L2 penalty and a free offset, on examples that arrive in parts.

    Raw examples are kept while they are few compared with the features; after that only their products
    `[D, D]`, float64: 5 GB for the 7 × 7 × 512 features of VGG16, and as much again while the system is
    solved.

    Args:
        penalty: λ.
    """

    def __init__(self, penalty):
        self.penalty = penalty
        self._parts, self._waiting, self._count = [], 0, 0
        self._sums = None

    def add(self, features, targets):
        """Add examples: `[N, D]` and `[N, T]`."""
        self._parts.append((features.astype(np.float64), targets.astype(np.float64)))
        self._waiting += len(features)
        self._count += len(features)
        if self._waiting > features.shape[1] // FEW:
            self._sum_up()

    def solve(self):
        """Return weights float32 `[D, T]` and offset float32 `[T]`."""
        if self._sums is None:
            x, y = (np.concatenate(parts) for parts in zip(*self._parts))
            center, mean = x.mean(0), y.mean(0)
            x, y = x - center, y - mean
            # Solve the smaller of two equivalent systems.
            weights = x.T @ np.linalg.solve(x @ x.T + self.penalty * np.eye(len(x)), y)
        else:
            self._sum_up()
            of_x, of_y, squares, products = self._sums
            center, mean = of_x / self._count, of_y / self._count
            for rows in _blocks(len(center)):
                squares[rows] -= np.outer(center[rows], of_x)
            squares.flat[:: len(center) + 1] += self.penalty
            weights = np.linalg.solve(squares, products - np.outer(center, of_y))
        return weights.astype(np.float32), (mean - center @ weights).astype(np.float32)

    def _sum_up(self):
        if not self._parts:
            return
        x, y = (np.concatenate(parts) for parts in zip(*self._parts))
        self._parts, self._waiting = [], 0
        if self._sums is None:
            width, targets = x.shape[1], y.shape[1]
            shapes = width, targets, (width, width), (width, targets)
            self._sums = [np.zeros(shape) for shape in shapes]
        of_x, of_y, squares, products = self._sums
        of_x += x.sum(0)
        of_y += y.sum(0)
        products += x.T @ y
        # Add in place and by blocks; a plain sum would need a third matrix of this size.
        for rows in _blocks(x.shape[1]):
            squares[rows] += x[:, rows].T @ x


def _blocks(size):
    return [slice(start, start + BLOCK) for start in range(0, size, BLOCK)]


def svm_class():
    """Return the solver class.

    Raises:
        ValueError: scikit-learn is not installed.
    """
    try:
        from sklearn.svm import LinearSVC
    except ImportError:
        raise ValueError(
            "SVM classifiers need scikit-learn; pip install 'keras_frcnn[svm]', or take classifier='softmax'."
        ) from None
    return LinearSVC


def _fit(positives, negatives, c, seed):
    if not len(negatives):
        return np.zeros(positives.shape[1]), 1.0
    svm: Any = svm_class()(
        C=c,
        loss="hinge",
        class_weight={1: POSITIVE_WEIGHT, 0: 1.0},
        intercept_scaling=BIAS_SCALE,  # pyright: ignore[reportArgumentType]
        max_iter=5000,
        random_state=seed,
    )
    svm.fit(np.concatenate([positives, negatives]), np.repeat([1, 0], [len(positives), len(negatives)]))
    return svm.coef_[0], svm.intercept_[0]


def _margins(model, features):
    weights, offset = model
    return features @ weights + offset

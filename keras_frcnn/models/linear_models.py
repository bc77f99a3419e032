"""The linear models of R-CNN: SVMs with hard negatives, and ridge regression.

Letters: N examples, D features, T targets.
"""

import numpy as np

# Negatives enter at or above the margin and leave when well below it (R-CNN's released code).
HARD, EASY = -1.0001, -1.2
# The SVM is trained anew when so many negatives have come in.
NEW_NEGATIVES = 2000
POSITIVE_WEIGHT = 2.0
BIAS_SCALE = 10.0


def mine_svm(examples, c, target_norm, seed=0):
    """A linear SVM on more negatives than fit into memory, by one pass of hard-negative mining.

    Args:
        examples: function that gives an iterator over images, pairs of positives `[·, D]` and negatives
            `[·, D]`, float32.
        c: of the SVM.
        target_norm: features are scaled to this mean norm while training.
        seed: of the solver.

    Returns:
        weights float32 `[D]` and offset: the margin of a feature x is x · weights + offset. Without
        positives the margin is −10 everywhere, so that the class is never found.

    Raises:
        ValueError: scikit-learn is not installed.
    """
    positives, norms, width = [], [], 0
    for positive, negative in examples():
        positives.append(positive)
        width = negative.shape[1]
        norms += np.linalg.norm(np.concatenate([positive, negative[:50]]), axis=1).tolist()
    positives = np.concatenate(positives)
    if not len(positives):
        return np.zeros(width, np.float32), -10.0
    scale = target_norm / max(np.mean(norms), 1e-12)
    positives = positives * scale
    kept, new, model = np.zeros([0, width], np.float32), [], None
    for _, negative in examples():
        negative = negative * scale
        new.append(negative if model is None else negative[_margins(model, negative) > HARD])
        if sum(map(len, new)) >= NEW_NEGATIVES:
            kept, new, model = _retrain(positives, kept, new, c, seed)
    if model is None or sum(map(len, new)):
        *_, model = _retrain(positives, kept, new, c, seed)
    weights, offset = model
    return (weights * scale).astype(np.float32), float(offset)


def ridge(features, targets, penalty):
    """Least squares with an L2 penalty, the offset left free.

    Args:
        features: float32 `[N, D]`.
        targets: float32 `[N, T]`.
        penalty: λ.

    Returns:
        weights float32 `[D, T]`, offset float32 `[T]`.
    """
    features, targets = features.astype(np.float64), targets.astype(np.float64)
    centre, mean = features.mean(0), targets.mean(0)
    x, y = features - centre, targets - mean
    # Of the two equal forms the one with the smaller system.
    if len(x) <= x.shape[1]:
        weights = x.T @ np.linalg.solve(x @ x.T + penalty * np.eye(len(x)), y)
    else:
        weights = np.linalg.solve(x.T @ x + penalty * np.eye(x.shape[1]), x.T @ y)
    return weights.astype(np.float32), (mean - centre @ weights).astype(np.float32)


def _retrain(positives, kept, new, c, seed):
    negatives = np.concatenate([kept, *new])
    model = _fit(positives, negatives, c, seed)
    return negatives[_margins(model, negatives) >= EASY], [], model


def svm_class():
    """The solver.

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
    svm = svm_class()(
        C=c,
        loss="hinge",
        class_weight={1: POSITIVE_WEIGHT, 0: 1.0},
        intercept_scaling=BIAS_SCALE,
        max_iter=5000,
        random_state=seed,
    )
    svm.fit(np.concatenate([positives, negatives]), np.repeat([1, 0], [len(positives), len(negatives)]))
    return svm.coef_[0], svm.intercept_[0]


def _margins(model, features):
    weights, offset = model
    return features @ weights + offset

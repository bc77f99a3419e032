"""Confidence intervals of average precision from resampled images (Efron and Tibshirani, 1993, chapter 13).

Letters: D detections and G objects of the set, H hits among the detections, I images, R resamples, K classes,
C curves.
"""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from keras_frcnn.evaluation.coco import RECALLS
from keras_frcnn.evaluation.coco_matching import HIT, NEITHER
from keras_frcnn.evaluation.matches import Matches
from keras_frcnn.evaluation.voc_verdicts import voc_verdicts

RESAMPLES = 1000
CONFIDENCE = 0.95
SEED = 0
COUNTS = ("true_positives", "false_positives", "missed")
# Numbers that one array of a block of resamples may have.
BLOCK = 250_000
# Past the last recall there is none to reach.
REACHABLE = np.append(RECALLS, np.inf)


def resamples(images: int, count: int = RESAMPLES, seed: int = SEED) -> np.ndarray:
    """Draw samples of as many images as there are, with replacement.

    Args:
        images: I, their number.
        count: R, number of samples.
        seed: of the generator; the same seed gives the same samples.

    Returns:
        int32 `[R, I]`, how often each sample has each image.

    Example:
        >>> resamples(5, count=3).sum(axis=1).tolist()
        [5, 5, 5]
    """
    drawn = np.random.default_rng(seed).integers(0, images, [count, images])
    drawn += images * np.arange(count)[:, None]
    return np.bincount(drawn.reshape(-1), minlength=count * images).reshape(count, images).astype(np.int32)


def interval(values: np.ndarray, confidence: float = CONFIDENCE) -> list[float | None]:
    """The percentile interval of a number that was computed from each resample.

    Args:
        values: float `[R]`; NaN where a resample has no such number.
        confidence: share of the resamples inside, 0–1.

    Returns:
        lowest and highest value, None where no resample has the number.

    Example:
        >>> np.round(interval(np.arange(41.0)), 6).tolist()
        [1.0, 39.0]
    """
    values = values[~np.isnan(values)]
    if not len(values):
        return [None, None]
    return np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2]).tolist()


def is_biased(number: float, values: np.ndarray) -> bool:
    """Whether the values of the resamples lie so far from the number of the set that their interval misleads.

    Args:
        number: of the set.
        values: float `[R]`, of the resamples; NaN where one has no such number.

    Returns:
        Whether their mean is farther from the number than their standard deviation.

    Example:
        >>> is_biased(0.5, np.array([0.6, 0.7, 0.8]))
        True
    """
    values = values[~np.isnan(values)]
    return bool(len(values)) and bool(abs(values.mean() - number) > values.std() + 1e-9)


@dataclasses.dataclass(frozen=True)
class Summary:
    """How a curve becomes one number: a weighted sum of precisions, each the best at its recall or above.

    Args:
        weight: function from a recall to the sum of the weights up to it.
        total: sum of all weights.
    """

    weight: Callable[[np.ndarray], np.ndarray]
    total: float


class WeightedAP:
    """Average precision of a set whose images count several times or not at all.

    The verdicts are computed once. What is left for each resample is a sum along the sorted detections.

    Args:
        matches: `Matches` of the set.
        curves: sequence of C pairs of verdicts int8 `[D]` and a `Summary`; by default COCO's ten, of the IoU
            thresholds 0.50, 0.55 … 0.95.

    Example:
        >>> ap = WeightedAP(matches)(np.ones([1, len(matches.shapes)], np.int32))  # [R, K, C], here once
    """

    def __init__(self, matches: Matches, curves: Sequence[tuple[np.ndarray, Summary]] | None = None):
        curves = coco_curves(matches) if curves is None else curves
        self._images = matches.images
        classes = len(matches.class_names)
        self._bounds = np.searchsorted(matches.labels, np.arange(classes + 1))
        self._objects = np.zeros([len(matches.shapes), classes])
        counting = matches.counting
        np.add.at(self._objects, (matches.truth["images"][counting], matches.truth["labels"][counting]), 1.0)
        self._parts = [_Curve(matches, *curve, self._bounds) for curve in curves]

    def __call__(self, weights: np.ndarray) -> np.ndarray:
        """Compute the average precision of each resample.

        Args:
            weights: int32 `[R, I]`, how often each image counts.

        Returns:
            float64 `[R, K, C]` in 0–1, NaN for a class without objects in the resample.
        """
        step = max(1, BLOCK // max(1, len(self._images)))
        blocks = range(0, len(weights), step)
        return np.concatenate([self._block(weights[start : start + step]) for start in blocks])

    def _block(self, weights):
        totals = np.rint(weights @ self._objects).astype(np.int64)
        counted = _running(weights.take(self._images, axis=1))
        precision = [part.average_precision(weights, counted, totals) for part in self._parts]
        return np.where(totals[:, :, None] > 0, np.stack(precision, axis=-1), np.nan)


class _Curve:
    """What average precision by one rule needs of the detections.

    Args:
        matches: `Matches`.
        verdicts: int8 `[D]` by the rule.
        summary: `Summary` of the rule.
        bounds: int `[K + 1]`, where the detections of each class begin and end.
    """

    def __init__(self, matches, verdicts, summary, bounds):
        self._summary = summary
        self._places = np.flatnonzero(verdicts == HIT)
        self._images = matches.images[self._places]
        ignored = np.flatnonzero(verdicts == NEITHER)
        self._ignored_images = matches.images[ignored]
        labels = matches.labels[self._places]
        self._begins = bounds[labels]
        # Among the ignored: how many come before each hit, and before its class.
        self._ignored_before = np.searchsorted(ignored, self._places)
        self._ignored_begins = np.searchsorted(ignored, self._begins)
        self._bounds = np.asarray(np.searchsorted(self._places, bounds))
        self._labels, self._class_begins = labels, self._bounds[labels]
        # Reversed, each class lies above the one before, so that one running maximum serves all.
        self._lift = 2.0 * (len(bounds) - labels)

    def average_precision(self, weights, counted, totals):
        """float64 `[R, K]`, from weights `[R, I]`, running weights `[R, D + 1]` and objects `[R, K]`."""
        found = _running(weights.take(self._images, axis=1))
        all_of_class = counted.take(self._places + 1, axis=1) - counted.take(self._begins, axis=1)
        if len(self._ignored_images):
            ignored = _running(weights.take(self._ignored_images, axis=1))
            all_of_class -= ignored[:, self._ignored_before] - ignored[:, self._ignored_begins]
        right = found[:, 1:] - found.take(self._class_begins, axis=1)
        best = right / np.maximum(all_of_class, 1) + self._lift
        best = np.maximum.accumulate(best[:, ::-1], axis=1)[:, ::-1] - self._lift
        weight = self._summary.weight(right / np.maximum(totals, 1).take(self._labels, axis=1))
        reached = np.zeros(found.shape, weight.dtype)
        reached[:, 1:] = weight
        # Each hit counts for the recalls that it is the first to reach.
        steps = np.diff(reached, axis=1)
        firsts = self._bounds[:-1][np.diff(self._bounds) > 0]
        steps[:, firsts] = reached[:, firsts + 1]
        sums = np.zeros([len(best), best.shape[1] + 1])
        np.cumsum(best * steps, axis=1, out=sums[:, 1:])
        return np.diff(sums.take(self._bounds, axis=1), axis=1) / self._summary.total


def _running(values):
    """Sums of the values before each place and of all: int `[R, D + 1]`."""
    sums = np.zeros([len(values), values.shape[1] + 1], np.int32)
    np.cumsum(values, axis=1, out=sums[:, 1:])
    return sums


def _recalls_reached(recall):
    """How many of `RECALLS` are not above each recall, compared as in `coco`, to the last bit."""
    reached = (100 * recall).astype(np.int32)
    reached += REACHABLE.take(reached + 1) <= recall
    return reached + (REACHABLE.take(reached) <= recall)


def _tenths_reached(recall):
    """How many of 0, 0.1 … 1 are not above each recall, compared as in `voc`."""
    return np.searchsorted(np.arange(11) / 10, recall, side="right").astype(np.int32)


COCO = Summary(_recalls_reached, len(RECALLS))
VOC = Summary(lambda recall: recall, 1.0)
VOC07 = Summary(_tenths_reached, 11)


def coco_curves(matches: Matches, thresholds: Sequence[int] = range(10)) -> list[tuple[np.ndarray, Summary]]:
    """The curves of COCO at some of the IoU thresholds 0.50, 0.55 … 0.95, for `WeightedAP`."""
    return [(matches.verdicts[:, index], COCO) for index in thresholds]


def voc_curves(matches: Matches) -> list[tuple[np.ndarray, Summary]]:
    """The curves of PASCAL VOC since 2010 and of 2007, for `WeightedAP`."""
    verdicts = voc_verdicts(matches)
    return [(verdicts, VOC), (verdicts, VOC07)]


def class_mean(values: np.ndarray) -> np.ndarray:
    """Mean over the classes that have objects.

    Args:
        values: float `[R, K]`, NaN for classes without objects.

    Returns:
        float64 `[R]`, NaN where no class has any.

    Example:
        >>> class_mean(np.array([[0.5, np.nan, 1.0]])).tolist()
        [0.75]
    """
    present = ~np.isnan(values)
    sums, counts = np.where(present, values, 0.0).sum(1), present.sum(1)
    return np.divide(sums, counts, out=np.full(len(values), np.nan), where=counts > 0)


def by_image(matches: Matches, threshold: float) -> dict[str, np.ndarray]:
    """Count right and wrong detections and missed objects of each image, at IoU 0.5.

    Args:
        matches: `Matches`.
        threshold: detections with a lower score are left out, 0–1.

    Returns:
        dict of int `[I]`: "true_positives", "false_positives", "missed".
    """
    sure = matches.above(threshold)
    images = len(matches.shapes)
    hits = np.bincount(sure.images[sure.hits], minlength=images)
    objects = np.bincount(matches.truth["images"][matches.counting], minlength=images)
    wrong = np.bincount(sure.images[sure.wrong], minlength=images)
    return dict(zip(COUNTS, (hits, wrong, objects - hits)))


def resampled_numbers(matches: Matches, threshold: float, weights: np.ndarray) -> dict[str, np.ndarray]:
    """The headline numbers of each resample.

    Args:
        matches: `Matches`.
        threshold: score threshold of precision, recall and F1, 0–1.
        weights: int32 `[R, I]`, how often each image counts; a row of ones gives the numbers of the set.

    Returns:
        dict of float64 `[R]`, NaN where a number is not defined: "coco_ap", "coco_ap50", "coco_ap75",
        "voc_ap50", "voc07_ap50", "precision", "recall", "f1"; and "per_class" `[R, K]`, the average precision
        of each class at IoU 0.5.

    Example:
        >>> numbers = resampled_numbers(matches, 0.5, resamples(len(matches.shapes)))
        >>> interval(numbers["coco_ap50"])
    """
    precision = WeightedAP(matches, [*coco_curves(matches), *voc_curves(matches)])(weights)
    counts = by_image(matches, threshold)
    right, wrong, missed = (weights @ counts[name] for name in COUNTS)
    means = [class_mean(precision[:, :, index]) for index in range(precision.shape[-1])]
    return {
        "coco_ap": np.mean(means[:10], axis=0),
        "coco_ap50": means[0],
        "coco_ap75": means[5],
        "voc_ap50": means[10],
        "voc07_ap50": means[11],
        "precision": _ratio(right, right + wrong),
        "recall": _ratio(right, right + missed),
        # Without objects it is not defined, as in `score_curves`.
        "f1": _ratio(2 * right, np.where(right + missed > 0, 2 * right + wrong + missed, 0)),
        "per_class": precision[:, :, 0],
    }


def _ratio(parts, wholes):
    return np.divide(parts, wholes, out=np.full(len(parts), np.nan), where=wholes > 0)

"""Whether scores are probabilities.

Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, section 2, with the share of right
detections at IoU 0.5 for accuracy, as Küppers et al. 2020 take it for detectors.
"""

from typing import Any

import numpy as np

from keras_frcnn.evaluation.matches import Matches

BINS = 10


def calibration(matches: Matches) -> dict[str, Any]:
    """Compare scores with the share of detections that are right.

    Args:
        matches: `Matches`; all of its detections count, so those of low scores weigh most where a detector
            returns many.

    Returns:
        dict: "expected_calibration_error", the mean distance of score and precision, weighted by the numbers
        of detections, None without detections; "bins", a list of dicts for scores in 0–0.1, 0.1–0.2 …:
        "from", "to", "detections", "mean_score" and "precision", None for an empty bin.

    Example:
        >>> calibration(matches)["expected_calibration_error"]
    """
    counted = matches.hits | matches.wrong
    scores, hits = matches.scores[counted], matches.hits[counted]
    places = np.clip((scores * BINS).astype(int), 0, BINS - 1)
    numbers, sums, rights = (
        np.bincount(places, weights, BINS) for weights in (None, scores, hits.astype(float))
    )
    distance = np.abs(sums - rights).sum()
    bins = [
        {
            "from": place / BINS,
            "to": (place + 1) / BINS,
            "detections": int(numbers[place]),
            "mean_score": float(sums[place] / numbers[place]) if numbers[place] else None,
            "precision": float(rights[place] / numbers[place]) if numbers[place] else None,
        }
        for place in range(BINS)
    ]
    return {
        "expected_calibration_error": float(distance / len(scores)) if len(scores) else None,
        "bins": bins,
    }

"""Errors by their kinds, and the average precision that mending each would gain.

Bolya, Foley, Hays and Hoffman, "TIDE: A General Toolbox for Identifying Object Detection Errors", ECCV 2020,
sections 2.2 and 2.3. Where the paper leaves the order of its tests open, it is that of the authors' code.

Letters: D detections and G objects of the set, K classes, P pairs of a wrong detection and an object.
"""

import dataclasses
from typing import Any

import numpy as np

from keras_frcnn.evaluation.coco import interpolated_precision
from keras_frcnn.evaluation.matches import Matches, overlapping

KINDS = ("classification", "localization", "both", "duplicate", "background", "missed")
CLASSIFICATION, LOCALIZATION, BOTH, DUPLICATE, BACKGROUND, MISSED = range(6)
NONE = -1
# IoU from which a box finds an object (t_f of the paper), and up to which it lies on background (t_b).
FOREGROUND, BACKGROUND_IOU = 0.5, 0.1


@dataclasses.dataclass(frozen=True, eq=False)
class Errors:
    """The errors of a detector.

    Attributes:
        kinds: int8 `[D]`, index into `KINDS` of each wrong detection, `NONE` for the others.
        objects: int `[D]`, the object that a wrong detection should have found, −1 for none.
        overlaps: float64 `[D]`, IoU with that object, 0 for none.
        mendable: bool `[D]`, whether mending a classification or localization error makes it a hit: the best
            of those that should have found an object which nothing found.
        missed: bool `[G]`, objects that nothing found and no such error explains.
    """

    kinds: np.ndarray
    objects: np.ndarray
    overlaps: np.ndarray
    mendable: np.ndarray
    missed: np.ndarray

    def counts(self) -> dict[str, int]:
        """The number of errors of each kind, by the names of `KINDS`."""
        numbers = np.bincount(self.kinds[self.kinds != NONE], minlength=len(KINDS))
        numbers[MISSED] = self.missed.sum()
        return dict(zip(KINDS, numbers.tolist()))


def classify(matches: Matches) -> Errors:
    """Tell the kind of every error at IoU 0.5.

    A wrong detection is, by the first rule that holds: a localization error if its best IoU with an object of
    its class is between 0.1 and 0.5; a classification error if its IoU with an object of another class is at
    least 0.5; a duplicate if its IoU with an object of its class that another detection found is at least
    0.5; background if no IoU exceeds 0.1; otherwise both wrongly classified and badly localized.

    Args:
        matches: `Matches`.

    Returns:
        `Errors`.

    Example:
        >>> errors = classify(matches)
        >>> errors.counts()["missed"]
    """
    wrong = np.flatnonzero(matches.wrong)
    counting = np.flatnonzero(matches.counting)
    truth = matches.truth
    rows, places, overlaps = overlapping(
        matches.images[wrong],
        matches.boxes[wrong],
        truth["images"][counting],
        truth["boxes"][counting],
        BACKGROUND_IOU,
    )
    objects = counting[places]
    same = matches.labels[wrong[rows]] == truth["labels"][objects]
    found = matches.finders[objects] >= 0
    pairs = rows, objects, overlaps
    rules = {
        LOCALIZATION: _best(pairs, same, len(wrong)),
        CLASSIFICATION: _best(pairs, ~same, len(wrong)),
        DUPLICATE: _best(pairs, same & found, len(wrong)),
        BOTH: _best(pairs, np.ones(len(rows), bool), len(wrong)),
    }
    holds = {
        LOCALIZATION: rules[LOCALIZATION][1] <= FOREGROUND,
        CLASSIFICATION: rules[CLASSIFICATION][1] >= FOREGROUND,
        DUPLICATE: rules[DUPLICATE][1] >= FOREGROUND,
        BOTH: rules[BOTH][1] > BACKGROUND_IOU,
    }
    kinds = np.full(len(matches.labels), NONE, np.int8)
    about, with_iou = np.full(len(kinds), -1), np.zeros(len(kinds))
    kinds[wrong] = BACKGROUND
    # The last rule first, so that the first one that holds stays.
    for kind in reversed(rules):
        best, overlap = rules[kind]
        chosen = holds[kind] & (best >= 0)
        kinds[wrong[chosen]] = kind
        about[wrong[chosen]], with_iou[wrong[chosen]] = best[chosen], overlap[chosen]
    return Errors(kinds, about, with_iou, *_mendable(matches, kinds, about))


def _best(pairs, among, count):
    """The object of the highest IoU for each wrong detection, −1 for none, and that IoU."""
    rows, objects, overlaps = (part[among] for part in pairs)
    order = np.lexsort((objects, -overlaps, rows))
    rows, first = np.unique(rows[order], return_index=True)
    best, overlap = np.full(count, -1), np.zeros(count)
    best[rows], overlap[rows] = objects[order][first], overlaps[order][first]
    return best, overlap


def _mendable(matches, kinds, about):
    explaining = np.flatnonzero((kinds == CLASSIFICATION) | (kinds == LOCALIZATION))
    unfound = matches.counting & (matches.finders < 0)
    explaining = explaining[unfound[about[explaining]]]
    order = explaining[np.argsort(-matches.scores[explaining], kind="stable")]
    explained, first = np.unique(about[order], return_index=True)
    mendable = np.zeros(len(kinds), bool)
    mendable[order[first]] = True
    missed = unfound.copy()
    missed[explained] = False
    return mendable, missed


def gains(matches: Matches, errors: Errors) -> dict[str, Any]:
    """The average precision at IoU 0.5 that mending one kind of error would gain, each by itself.

    Mended classification and localization errors become hits, or vanish where the object has a better
    detection. Duplicates, background and errors of both vanish. Missed objects need not be found. Like the
    authors' code, the gain of a kind is at least 0.

    Args:
        matches: `Matches`.
        errors: `Errors` of them.

    Returns:
        dict of floats in 0–1, None if no object counts: "ap50"; "gains", dict from each of `KINDS`; and
        "special", dict of "false_positives", the gain if no detection were wrong, and "false_negatives", the
        gain if nothing had to be found that was not.

    Example:
        >>> gains(matches, classify(matches))["gains"]["localization"]
    """
    objects = matches.objects_per_class()
    present = objects > 0
    if not present.any():
        nothing = dict.fromkeys(KINDS)
        return {
            "ap50": None,
            "gains": nothing,
            "special": dict.fromkeys(("false_positives", "false_negatives")),
        }
    keep = matches.hits | matches.wrong
    missed, unfound = (
        np.bincount(matches.truth["labels"][which], minlength=len(objects))
        for which in (errors.missed, matches.counting & (matches.finders < 0))
    )
    labels, hits = matches.labels, matches.hits

    def ap(labels=labels, hits=hits, keep=keep, objects=objects):
        return _mean_ap(labels[keep], matches.scores[keep], hits[keep], objects, present)

    before = ap()
    after = {}
    for kind in (CLASSIFICATION, LOCALIZATION):
        chosen = errors.kinds == kind
        mended = chosen & errors.mendable
        moved = np.where(mended, matches.truth["labels"][errors.objects], labels)
        after[kind] = ap(labels=moved, hits=hits | mended, keep=keep & ~(chosen & ~mended))
    for kind in (BOTH, DUPLICATE, BACKGROUND):
        after[kind] = ap(keep=keep & (errors.kinds != kind))
    after[MISSED] = ap(objects=objects - missed)
    return {
        "ap50": before,
        "gains": {name: max(0.0, after[kind] - before) for kind, name in enumerate(KINDS)},
        "special": {
            "false_positives": ap(keep=hits) - before,
            "false_negatives": ap(objects=objects - unfound) - before,
        },
    }


def _mean_ap(labels, scores, hits, objects, present):
    """Mean of the average precision of the classes that have objects in the set."""
    order = np.lexsort((-scores, labels))
    bounds = np.searchsorted(labels[order], np.arange(len(objects) + 1))
    values = []
    for label in np.flatnonzero(present):
        mine = hits[order[bounds[label] : bounds[label + 1]]]
        if objects[label]:
            values.append(
                interpolated_precision(mine[None], np.ones([1, len(mine)], bool), objects[label]).mean()
            )
        else:
            # Nothing is left to find: perfect, unless something was found all the same.
            values.append(float(not len(mine)))
    return float(np.mean(values))

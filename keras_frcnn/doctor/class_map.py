"""Whether the labels of a set are those of the model, by what the model sees at the objects.

Letters: K classes of the set, L classes of the model.
"""

import numpy as np

from keras_frcnn.doctor.case import Case
from keras_frcnn.doctor.findings import Finding, Result, Skipped
from keras_frcnn.doctor.matching import best_scores

# Objects that a class needs to be judged.
FEWEST = 4
# A class is moved if the model takes so many of its objects for one other class, and at most this part of
# them for the right one.
MOST_SEEN, LEFT = 0.5, 0.25


def check_class_map(case: Case) -> Result:
    """Compare the class of each object with that of the surest detection at its place."""
    assert case.tried is not None and case.model is not None
    if getattr(case.model, "only_proposals", False):
        raise Skipped("an RPN knows no classes")
    names, model_names = case.tried.class_names, tuple(case.model.class_names)
    counts = confusion(case)
    seen = counts.sum(axis=1)
    judged = [label for label in range(len(names)) if seen[label] >= FEWEST]
    right = sum(
        counts[label, model_names.index(names[label])] for label in judged if names[label] in model_names
    )
    total = int(sum(seen[label] for label in judged))
    if not total:
        return Result("too few objects are found at all to compare classes")
    figure = f"{right / total:.0%} of {total} found objects have the right class"
    moved = {}
    for label in judged:
        other = int(counts[label].argmax())
        own = counts[label, model_names.index(names[label])] if names[label] in model_names else 0
        if names[label] != model_names[other] and counts[label, other] >= MOST_SEEN * seen[label]:
            if own <= LEFT * counts[label, other]:
                moved[label] = other
    one_to_one = len(set(moved.values())) == len(moved)
    unknown = [label for label in moved if names[label] not in model_names]
    if not one_to_one or len(moved) < (1 if unknown or len(judged) < 2 else 2):
        return Result(figure)
    explained = sum(counts[label, other] for label, other in moved.items())
    of = sum(seen[label] for label in moved)
    listed = ", ".join(f"{names[label]} is seen as {model_names[other]}" for label, other in moved.items())
    return Result(
        figure,
        [
            Finding(
                "labels",
                0.95,
                f"{_kind(moved, names, model_names)} in {case.tried.name}: {listed}.",
                f"{explained / of:.0%} of {int(of)} objects of these classes fit this map; {figure}",
                case.check_data(case.role_of_tried),
            )
        ],
    )


def confusion(case: Case) -> np.ndarray:
    """Numbers of objects by class and by the class that the model sees, int `[K, L]`, without missed ones."""
    assert case.tried is not None and case.model is not None
    counts = np.zeros([len(case.tried.class_names), len(case.model.class_names)], np.int64)
    for answer in case.answers:
        record = case.tried.records[answer["place"]]
        scores, seen = best_scores(answer, record)
        np.add.at(counts, (record.labels[~record.ignore][scores > 0], seen[scores > 0]), 1)
    return counts


def _kind(moved, names, model_names):
    """Say what the map is: a shift of the numbers, or another order."""
    numbers = {
        model_names.index(names[label]): other
        for label, other in moved.items()
        if names[label] in model_names
    }
    steps = {(other - label) % len(model_names) for label, other in numbers.items()}
    if len(numbers) == len(moved) and len(steps) == 1 and steps <= {1, len(model_names) - 1}:
        direction = "high" if steps == {len(model_names) - 1} else "low"
        return f"The labels are shifted by one (too {direction}; the classes are in another order)"
    return "The class names are in another order, or the labels are of other classes,"

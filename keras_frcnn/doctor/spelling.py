"""Whether one class goes by two names, so that the objects of each are wrong for the other."""

from keras_frcnn.checking.objects import objects_by_class, twins
from keras_frcnn.class_names import plain
from keras_frcnn.doctor.case import Case
from keras_frcnn.doctor.findings import Finding, Result

# Part of a set's objects whose name the training set never has, from which on it is decisive.
MOST_UNLEARNED = 0.2


def check_spelling(case: Case) -> Result:
    """Look for classes with objects whose names differ by a letter, by case, blanks or signs."""
    counts = {
        role: dict(zip(dataset.class_names, objects_by_class(dataset).tolist()))
        for role, dataset in case.sets.items()
    }
    there = [
        name
        for name in dict.fromkeys(name for of_set in counts.values() for name in of_set)
        if any(of_set.get(name) for of_set in counts.values())
    ]
    pairs = list(twins(there))
    if not pairs:
        return Result(f"{len(there)} classes with objects, none of nearly the name of another")
    figures = [
        " and ".join(f"{of_set.get(name, 0)} of {name}" for name in pair) + f" in the {role} set"
        for pair in pairs
        for role, of_set in counts.items()
    ]
    listed = ", ".join(f"{first!r} and {second!r}" for first, second in pairs[:5])
    figure = ", ".join(figures[:6])
    return Result(
        figure,
        [
            Finding(
                "spelling",
                0.9 if _unlearned(filter(is_one_word, pairs), counts) >= MOST_UNLEARNED else 0.5,
                f"{listed} seem to be one class under two names, so the objects of each count as wrong for "
                "the other; give them one name in the annotations.",
                figure,
                case.check_data(*case.sets),
            )
        ],
    )


def is_one_word(pair: tuple[str, str]) -> bool:
    """Whether two names differ only in case, blanks, signs or a plural: then they surely are one class."""
    first, second = (plain(name).removesuffix("s") for name in pair)
    return first == second


def _unlearned(pairs, counts):
    """The largest part of a set's objects whose name training does not have, but its twin."""
    learned = counts.get("training", {})
    if not learned:
        return 0.0
    lost = {name for pair in pairs for name in pair if not learned.get(name)}
    return max(
        sum(of_set.get(name, 0) for name in lost) / max(sum(of_set.values()), 1) for of_set in counts.values()
    )

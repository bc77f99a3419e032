"""Whether training and validation set are what they are taken for."""

import hashlib
import re
from pathlib import Path

import numpy as np

from keras_frcnn.checking.objects import objects_by_class, twins
from keras_frcnn.data import DetectionDataset
from keras_frcnn.doctor.case import Case
from keras_frcnn.doctor.findings import Finding, Result
from keras_frcnn.doctor.spelling import is_one_word

# The training sets of BCCD, raccoon, VOC 2007, COCO and the shapes are 1 to 20 times as large as the
# validation sets (VOC 2007 train: 0.996 times).
SMALLER = 0.7
# Share of the validation pictures that training has too; 0 in healthy sets, and a few copies do no harm.
MOST_SHARED = 0.2
# Share of the validation objects whose class training never shows, from which on it is decisive.
MOST_UNSEEN = 0.2
# Fewer pictures are hardly a training set.
FEWEST = 10
# Pictures of each set that are compared by their contents.
COMPARED = 4000


def check_splits(case: Case) -> Result:
    """Look for sets that are swapped, that share pictures, or that have nothing to do with each other."""
    train, val = case.train, case.val
    assert train is not None
    if val is None:
        return Result(f"{len(train)} training images, no validation set", _few(case, train))
    digests = set(_digests(train))
    shared = float(np.mean([digest in digests for digest in _digests(val)]))
    wanted, unseen, classes = _unseen(train, val)
    figure = (
        f"{len(train)} training and {len(val)} validation images; training has {shared:.0%} of the "
        f"validation images; {len(classes)} of {wanted} validation classes are without training objects"
    )
    findings = _few(case, train)
    if classes:
        listed = ", ".join(classes[:5]) + (" …" if len(classes) > 5 else "")
        findings.append(
            Finding(
                "wrong split",
                0.8 + 0.15 * unseen if unseen >= MOST_UNSEEN else 0.35,
                f"The training set {train.name} has no object of classes that the validation set "
                f"{val.name} asks for ({listed}), so these are never learned; train on a split with all "
                "classes.",
                f"{len(classes)} of {wanted} validation classes are without training objects, and with them "
                f"{unseen:.1%} of the validation objects",
                case.retrain_on(train=["SPEC"]),
            )
        )
    if _are_parts(train.name, val.name):
        return Result(figure, findings)
    swap = case.retrain_on(train=case.specs_of("validation"), val=case.specs_of("training"))
    names = _is_for_validation(train.name), _is_for_training(val.name)
    smaller = len(train) < SMALLER * len(val)
    if shared >= MOST_SHARED:
        findings.append(
            Finding(
                "wrong split",
                0.6,
                f"The validation set {val.name} has the same pictures as the training set {train.name}, so "
                "its scores say nothing about new pictures; validate on others.",
                f"{shared:.0%} of the {len(val)} validation images are training images too",
                case.retrain_on(val=["SPEC"]),
            )
        )
    elif all(names) or (smaller and any(names)) or smaller:
        sure = 0.92 if all(names) else 0.85 if any(names) else 0.65
        findings.append(
            Finding(
                "wrong split",
                sure,
                f"Training and validation set seem swapped: {train.name} is trained on, and {val.name}, "
                f"which is {'larger' if len(val) > len(train) else 'meant for training'}, only validates.",
                f"{len(train)} training images, {len(val)} validation images",
                swap,
            )
        )
    elif any(names):
        findings.append(
            Finding(
                "wrong split",
                0.5,
                f"By their names, {train.name} is trained on and {val.name} validates; check the splits.",
                f"{len(train)} training images, {len(val)} validation images",
                swap,
            )
        )
    return Result(figure, findings)


def _unseen(train, val):
    """The classes with validation objects: their number, and the part and the names without training ones.

    Names that training spells in another way are left out; `spelling` has them.
    """
    learned, asked = objects_by_class(train), objects_by_class(val)
    unseen = (asked > 0) & (learned == 0)
    there = [name for name, count in zip(val.class_names, asked + learned) if count]
    misspelt = {name for pair in twins(there) if is_one_word(pair) for name in pair}
    unseen &= [name not in misspelt for name in val.class_names]
    names = [name for name, missing in zip(val.class_names, unseen) if missing]
    return int((asked > 0).sum()), float(asked[unseen].sum() / max(asked.sum(), 1)), names


def _few(case, train):
    if len(train) >= FEWEST:
        return []
    return [
        Finding(
            "wrong split",
            0.6,
            f"The training set {train.name} has hardly any image; check its split.",
            f"{len(train)} training images",
            case.retrain_on(train=["SPEC"]),
        )
    ]


def _are_parts(train, val):
    """Whether `split_off` has made the two sets from one, whose sides are no mistake."""
    whole = train.removesuffix(" (without the validation split)")
    return whole != train and val == f"{whole} (only the validation split)"


def _split(name):
    """The part of a spec that names its split: what follows the @, and the JSON file of a COCO set.

    A spec without @ names none.
    """
    first, _, split = re.sub(r" \([^()]*\)$", "", name).rpartition("@")
    if not first:
        return ""
    return f"{Path(first).stem} {split}".lower() if first.startswith("coco:") else split.lower()


def _is_for_validation(name):
    return all(_has(spec, r"val|valid|validation|test|eval") for spec in name.split(" + "))


def _is_for_training(name):
    return all(_has(spec, r"train|training|trainval") for spec in name.split(" + "))


def _has(spec, words):
    """Whether the split has one of the words, perhaps with a number such as a year behind it."""
    return any(re.fullmatch(rf"({words})\d*", word) for word in re.split(r"[^a-z0-9]+", _split(spec)))


def _digests(dataset: DetectionDataset):
    """A digest of the contents of each picture, or its name if its pixels are drawn."""
    for record in dataset.records[:COMPARED]:
        file = Path(record.file)
        if file.is_file():
            yield hashlib.sha256(file.read_bytes()).hexdigest()
        else:
            yield f"{dataset.name} {record.image_id}"

"""Split a validation set off a training set."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from keras_frcnn.data.dataset import DetectionDataset
from keras_frcnn.data.sources import Files, Subset


def split_off(dataset: DetectionDataset, share: float) -> tuple[DetectionDataset, DetectionDataset]:
    """Split a set in two, the same way each time, with copies of one picture on one side.

    Pictures are grouped and ordered by a digest of their contents, so the split depends on nothing else: not
    on names, on the order, or on a seed.

    Args:
        dataset: the whole set.
        share: share of the pictures for the second set, between 0 and 1.

    Returns:
        The two sets, with the records in the order of `dataset`.

    Raises:
        ValueError: the share is out of range, or a side would be empty.

    Example:
        >>> train, val = split_off(keras_frcnn.data.load("shapes@val"), 0.2)
        >>> len(train), len(val)
        (160, 40)
    """
    if not 0 < share < 1:
        raise ValueError(f"The share of the validation set is {share}; give a number between 0 and 1.")
    groups = {}
    for index in range(len(dataset)):
        groups.setdefault(_digest(dataset, index), []).append(index)
    wanted, val = round(share * len(dataset)), set()
    for digest in sorted(groups):
        if len(val) >= wanted:
            break
        val |= {*groups[digest]}
    sides = [[index for index in range(len(dataset)) if (index in val) == second] for second in (False, True)]
    if not all(sides):
        raise ValueError(
            f"{dataset.name} has {len(dataset)} images, too few to split off a share of {share}; give "
            "another share, or a validation set of its own."
        )
    names = [f"{dataset.name} ({which} the validation split)" for which in ("without", "only")]
    return part(dataset, sides[0], names[0]), part(dataset, sides[1], names[1])


def _digest(dataset, index):
    """A digest of the contents of a picture: of its file, or of its pixels."""
    file = Path(dataset.records[index].file)
    if isinstance(dataset.source, Files) and file.is_file():
        return hashlib.sha256(file.read_bytes()).hexdigest()
    return hashlib.sha256(dataset.image(index).tobytes()).hexdigest()


def part(dataset: DetectionDataset, indices: Sequence[int], name: str) -> DetectionDataset:
    """Make a set of some records, with their pixels and proposals.

    Args:
        dataset: the whole set.
        indices: places of the records.
        name: name of the new set.
    """
    proposals = dataset.proposals and [dataset.proposals[index] for index in indices]
    if isinstance(dataset.source, Files):
        source = Files([dataset.source.paths[index] for index in indices])
    else:
        source = Subset(dataset.source, indices)
    return DetectionDataset(
        name,
        dataset.class_names,
        [dataset.records[index] for index in indices],
        source,
        dataset.category_ids,
        proposals,
    )

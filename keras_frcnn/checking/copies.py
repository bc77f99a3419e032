"""Copies of a picture within a set and in several sets.

Letters: A and B pictures of two sets, D numbers of a thumbnail.
"""

import functools
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from keras_frcnn.checking.findings import Finding
from keras_frcnn.checking.pictures import THUMBNAIL, Picture
from keras_frcnn.data import DetectionDataset, Record
from keras_frcnn.data.sources import Files

# Least correlation of the thumbnails of copies. Smaller, stretched, recompressed and brightened copies have
# 0.989 or more, copies that lost 3 % at each border 0.94 on average. Different pictures of blood cells have
# at most 0.75, of raccoons 0.80.
ALIKE = 0.95
BLOCK = 256
TWICE = "What is learned from a picture is no measure on it; keep it on one side"


def copies_within(dataset: DetectionDataset, pictures: Mapping[str, Picture]) -> list[Finding]:
    """Copies of a file within a set.

    Args:
        dataset: the set.
        pictures: dict from the file of a record to its `Picture`.

    Returns:
        list of `Finding`: copies with the same objects, and copies with others.
    """
    first, same, other = {}, [], []
    for record in dataset.records:
        picture = pictures[record.file]
        before = first.setdefault(picture.digest, record)
        if before is not record:
            (same if same_objects(before, record) else other).append(f"{record.file} ({before.file})")
    return [
        *Finding.count("warning", "picture", "equal to another of the set", same, "Remove them"),
        *Finding.count(
            "warning", "picture", "equal to another with different objects", other, "Keep the right one", True
        ),
    ]


def same_objects(first: Record, second: Record) -> bool:
    """Whether two records have equal objects."""
    return all(
        np.array_equal(getattr(first, name), getattr(second, name)) for name in ("boxes", "labels", "ignore")
    )


def copies_across(
    first: DetectionDataset, second: DetectionDataset, pictures: Mapping[str, Picture]
) -> list[Finding]:
    """Pictures of one set that are in another too, as the same file or a changed one.

    Args:
        first, second: the sets.
        pictures: dict from the file of a record to its `Picture`.

    Returns:
        list of `Finding`.
    """
    ours = [pictures[record.file] for record in first.records]
    theirs = [pictures[record.file] for record in second.records]
    by_digest = {picture.digest: picture for picture in ours}
    same = [
        f"{picture.path} ({by_digest[picture.digest].path})"
        for picture in theirs
        if picture.digest in by_digest
    ]
    near = [
        f"{theirs[there].path} ({ours[here].path})"
        for here, there in _alike(ours, theirs)
        if theirs[there].digest not in by_digest
    ]
    also = f"of {second.name} also in {first.name}"
    like = f"of {second.name} nearly like one of {first.name}"
    return [
        *Finding.count("warning", "picture", also, same, TWICE, True),
        *Finding.count("warning", "picture", like, near, TWICE, True),
    ]


def files_of(dataset: DetectionDataset) -> list[str]:
    """The picture files of a set, one for each record; none if its pixels are in no files."""
    if not isinstance(dataset.source, Files):
        return []
    # The source may have a copy in another format, and the record of a reader of one's own another name.
    pairs = zip(dataset.records, dataset.source.paths)
    return [record.file if Path(record.file).is_file() else str(path) for record, path in pairs]


def same_files(first: DetectionDataset, second: DetectionDataset) -> list[str]:
    """Files of the second set with the contents of one of the first, without reading most of them.

    Args:
        first, second: the sets.

    Returns:
        list of paths; empty if a set has no files.
    """
    ours, by_size = files_of(first), {}
    for file in ours:
        by_size.setdefault(Path(file).stat().st_size, []).append(file)

    @functools.cache
    def digests(size):
        return {digest(file) for file in by_size.get(size, [])}

    def digest(file):
        return hashlib.blake2b(Path(file).read_bytes()).digest()

    own = {*ours}
    return [
        file
        for file in files_of(second)
        if file in own or ((same := digests(Path(file).stat().st_size)) and digest(file) in same)
    ]


def _alike(ours: Sequence[Picture], theirs: Sequence[Picture]) -> Iterator[tuple[int, int]]:
    """For each of their pictures that looks like one of ours, also mirrored: the places of both."""
    if not ours or not theirs:
        return
    here = np.stack([picture.thumbnail for picture in ours])
    mirrored = here.reshape(-1, THUMBNAIL, THUMBNAIL)[:, :, ::-1].reshape(len(ours), -1)
    for start in range(0, len(theirs), BLOCK):
        there = np.stack([picture.thumbnail for picture in theirs[start : start + BLOCK]])
        likeness = np.maximum(there @ here.T, there @ mirrored.T)
        for place in np.flatnonzero(likeness.max(1) >= ALIKE):
            yield int(likeness[place].argmax()), start + int(place)

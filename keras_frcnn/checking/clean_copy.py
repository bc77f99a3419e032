"""Write a clean copy of checked sets, and a list of what is different in it."""

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from keras_frcnn.checking.check import Checked
from keras_frcnn.checking.copies import same_objects
from keras_frcnn.checking.findings import Finding
from keras_frcnn.checking.objects import repeated_objects
from keras_frcnn.class_names import visible
from keras_frcnn.data import DetectionDataset
from keras_frcnn.data.splitting import part
from keras_frcnn.data.writers import WRITERS
from keras_frcnn.files import write_text

CHANGES = "changes.txt"


def check_folder(folder: Path) -> None:
    """Refuse a folder that holds something already, such as the data itself.

    Raises:
        ValueError: the folder is not empty.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"--fix {folder} holds something already; name a new folder.")


def write(sets: Sequence[Checked], folder: Path, together: Sequence[Finding] = ()) -> str:
    """Write what is right in some sets.

    Pictures that cannot be decoded, repeated ones with the same objects and repeated objects are left out
    besides what reading leaves out; pictures are upright and have the right ending.

    Args:
        sets: results of `check.check`.
        folder: new folder; the originals stay as they are.
        together: what was found by comparing the sets.

    Returns:
        str, the names of the new sets and of the list of changes.
    """
    lines, specs = [], []
    splits = [_split(checked.spec) for checked in sets]
    readable = [checked.dataset for checked in sets if checked.dataset]
    class_names = tuple(dict.fromkeys(name for dataset in readable for name in dataset.class_names))
    for number, (checked, split) in enumerate(zip(sets, splits), start=1):
        lines.append(f"{checked.spec}:")
        kept, further = _clean(checked)
        changes = [*checked.changes, *further]
        if kept is not None:
            kind = checked.spec.partition(":")[0]
            # Equal names of splits would overwrite each other.
            place = folder if splits.count(split) == 1 else folder / str(number)
            writer = WRITERS[kind if kind in WRITERS else "coco"]
            specs.append(writer(kept.with_class_names(class_names), place, split))
            changes.append(f"written as {specs[-1]}")
        lines += _indented([*changes, *_undecided(checked.findings)])
    if between := _undecided(together):
        lines += ["All sets together:", *_indented(between)]
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / CHANGES, "\n".join(lines) + "\n")
    written = f"The clean copy is {' and '.join(specs)}" if specs else "Nothing could be read"
    return f"{written}; {folder / CHANGES} lists what is different."


def _undecided(findings):
    """What the copy leaves as it is, each finding followed by its places."""
    lines = []
    for finding in findings:
        if finding.undecided:
            remedy = f". {finding.remedy}" if finding.remedy else ""
            lines += [
                f"left for you to decide: {finding.text}{remedy}",
                *(f"  {at}" for at in finding.places),
            ]
    return lines


def _indented(lines):
    return [f"  {visible(line)}" for line in lines]


def _split(spec):
    """A name for the split of a set: what follows the @, or the name of its file if that is a folder."""
    kind, _, text = spec.partition(":")
    before, _, after = text.rpartition("@")
    name = Path(before).stem if kind in ("coco", "csv") else after or before
    return re.sub(r"[^\w-]+", "-", Path(name).name).strip("-") or "data"


def _clean(checked):
    """The set without what is wrong in it, None if nothing is left; and what was changed, a list of str."""
    changes, kept, first = [], [], {}
    if checked.dataset is None:
        return None, changes
    records = list(checked.dataset.records)
    for index, record in enumerate(records):
        picture = checked.pictures.get(record.file)
        if picture is not None and picture.broken:
            changes.append(f"picture that cannot be decoded left out: {record.file}")
            continue
        records[index] = _each_once(record, changes)
        before = first.setdefault(picture.digest if picture else index, records[index])
        if before is not records[index] and same_objects(before, records[index]):
            changes.append(f"picture equal to {before.file} left out: {record.file}")
            continue
        if picture is not None and picture.misnamed:
            changes.append(f"picture given the ending of its format: {record.file}")
        if picture is not None and picture.orientation != 1:
            changes.append(f"picture turned upright: {record.file}")
        kept.append(index)
    dataset = checked.dataset
    whole = DetectionDataset(dataset.name, dataset.class_names, records, dataset.source, dataset.category_ids)
    return part(whole, kept, dataset.name) if kept else None, changes


def _each_once(record, changes):
    """The record without objects that are annotated twice."""
    twice = repeated_objects(record)
    changes += [f"object annotated twice left out: object {index} of {record.file}" for index in twice]
    rest = np.setdiff1d(np.arange(len(record.labels)), twice)
    fields = ("boxes", "labels", "ignore", "area")
    return dataclasses.replace(record, **{name: getattr(record, name)[rest] for name in fields})

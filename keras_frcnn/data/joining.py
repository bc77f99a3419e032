"""Join several data sets into one."""

import functools
import os
from typing import Any

from keras_frcnn.data.dataset import DetectionDataset
from keras_frcnn.data.records import counted
from keras_frcnn.data.sources import Files, Joined


def join(datasets: list[DetectionDataset]) -> DetectionDataset:
    """Join several sets by class name: the names of the first, then those that the others add.

    Args:
        datasets: non-empty list of DetectionDataset.

    Returns:
        DetectionDataset.

    Raises:
        ValueError: a picture file is in two of the sets, or some have proposals and others have none.
    """
    if len(datasets) == 1:
        return datasets[0]
    _refuse_shared(datasets)
    without = [dataset for dataset in datasets if dataset.proposals is None]
    if 0 < len(without) < len(datasets):
        raise ValueError(
            f"{without[0].name} has no proposals, but another set that it is joined with has; use "
            "`with_proposals` on all of them or on none."
        )
    proposals = None if without else [boxes for dataset in datasets for boxes in dataset.proposals or []]
    names = tuple(dict.fromkeys(name for dataset in datasets for name in dataset.class_names))
    records = [record for dataset in datasets for record in dataset.with_class_names(names).records]
    sources = [dataset.source for dataset in datasets]
    if all(isinstance(source, Files) for source in sources):
        source: Any = Files([path for source in sources for path in source.paths])
    else:
        source = Joined(sources)
    name = " + ".join(dataset.name for dataset in datasets)
    return DetectionDataset(name, names, records, source, proposals=proposals)


def _refuse_shared(datasets):
    """Refuse a picture that is in two sets: it would count twice, and perhaps with other objects."""
    folder_of = functools.cache(os.path.realpath)
    owners = {}
    for dataset in datasets:
        shared = {}
        # Not the source's own paths: files that are decoded into a cache can be one file there.
        for record in dataset.records if isinstance(dataset.source, Files) else []:
            folder, name = os.path.split(record.file)
            other = owners.setdefault((folder_of(folder), name), dataset)
            if other is not dataset:
                shared.setdefault(other.name, []).append(record.file)
        for other, files in shared.items():
            raise ValueError(
                f"{len(files)} of {counted(len(dataset), 'picture')} of {dataset.name} are in {other} too "
                f"(first: {files[0]}); name sets without a picture in common, or write all objects of a "
                "picture into one set."
            )

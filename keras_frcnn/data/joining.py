"""Join several data sets into one."""

from typing import Any

from keras_frcnn.data.dataset import DetectionDataset
from keras_frcnn.data.sources import Files, Joined


def join(datasets: list[DetectionDataset]) -> DetectionDataset:
    """Join several sets by class name: the names of the first, then those that the others add.

    Args:
        datasets: non-empty list of DetectionDataset.

    Returns:
        DetectionDataset.

    Raises:
        ValueError: some of the sets have proposals and others have none.
    """
    if len(datasets) == 1:
        return datasets[0]
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

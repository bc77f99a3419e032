"""The data sets of `train.py`."""

from keras_frcnn.commands.detectors import check_ids, load_proposals
from keras_frcnn.data.splitting import split_off


def train_sets(run):
    """Load the training set and the validation set.

    Args:
        run: `Run` of `train.py`.

    Returns:
        Two `DetectionDataset`; the second may be None.
    """
    train = run.load(run.train, default_split="train")
    val = run.load(run.val, class_names=train.class_names) if run.val else None
    if run.val_split:
        train, val = split_off(train, run.val_split)
    if run.proposals:
        if val and not run.val_proposals:
            check_ids(train, val)
        train = train.with_proposals(load_proposals(run.proposals))
        val = val and val.with_proposals(load_proposals(run.val_proposals or run.proposals))
    print(f"Training on {train!r}" + (f", validating on {val!r}" if val else ""))
    return train, val

"""The rows of one split of a CSV file, by its column of splits."""

from keras_frcnn.names import remedy

# Titles of a column of splits; under another than the first, other things may stand.
TITLES = ("split", "set", "usage")
# What only splits are called.
WORDS = {"train", "training", "trainval", "val", "valid", "validation", "dev", "minival", "test", "testing"}


def rows_of(split, rows, title, name_column, split_column, file):
    """Choose the rows of a split.

    Args:
        split: str, its name in any case; None for all rows.
        rows: list of pairs of the number of a line and its columns.
        title: title of the column of splits, in small letters; None if there is none.
        name_column, split_column: places of the columns of pictures and splits.
        file: path, for messages.

    Returns:
        list of the rows of the pictures in the split. A row without a name of a split goes with the others of
        its picture.

    Raises:
        FileNotFoundError: there is no such split.
        ValueError: there are splits but none is named, no column of splits, or a picture is in two of them.
    """
    if title is None:
        if split is not None:
            raise ValueError(f"{file} has no column of splits; name it without @{split}.")
        return rows
    pictures = {}
    for number, row in rows:
        own = _cell(row, split_column)
        if own:
            pictures.setdefault(_cell(row, name_column), {}).setdefault(own, number)
    splits = sorted({own for found in pictures.values() for own in found})
    listed = ", ".join(splits)[:80]
    if split is None:
        if len(splits) > 1 and (title == TITLES[0] or WORDS.issuperset(map(str.casefold, splits))):
            raise ValueError(
                f"{file} has the splits {listed}; name one, as in csv:{file}@IMAGES@{splits[-1]}, or rename "
                f"the column {title}."
            )
        return rows
    chosen = {own for own in splits if own.casefold() == split.casefold()}
    chosen = chosen & {split} or chosen
    if not chosen:
        raise FileNotFoundError(f"{file} has no split {split}; {remedy(split, splits, f'it has {listed}.')}")
    for name, found in pictures.items():
        if chosen & found.keys() and found.keys() - chosen:
            (other, number), *_ = [pair for pair in found.items() if pair[0] not in chosen]
            raise ValueError(
                f"Line {number} of {file} has {name[:80]} in the split {other[:40]!r}, another line in "
                f"{split[:40]!r}; leave each picture in one, or rename the column {title}."
            )
    return [
        (number, row) for number, row in rows if chosen & pictures.get(_cell(row, name_column), {}).keys()
    ]


def _cell(row, place):
    return row[place].strip() if len(row) > place else ""

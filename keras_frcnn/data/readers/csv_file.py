"""One CSV file with a row for each object, as keras-retinanet, TensorFlow and Kaggle have it."""

import csv
import io
import json

from keras_frcnn.data.readers import csv_splits, scalars
from keras_frcnn.data.readers.assembly import STRICT, Annotated, assemble
from keras_frcnn.data.readers.pictures import Pictures, expanded, is_dir, is_file, leaves, normal, stem
from keras_frcnn.data.readers.yolo import LARGEST
from keras_frcnn.data.records import BoxCheck
from keras_frcnn.files import read_text

# Names of columns by what they hold.
COLUMNS = {
    "file": ("filename", "file_name", "path", "image_path", "file", "image", "img", "image_id", "imageid"),
    "left": ("xmin", "x1", "x_min", "left"),
    "top": ("ymin", "y1", "y_min", "top"),
    "right": ("xmax", "x2", "x_max", "right"),
    "bottom": ("ymax", "y2", "y_max", "bottom"),
    "class": ("class", "label", "class_name", "classname", "labelname", "category", "name"),
    "box": ("bbox",),
    "width": ("width",),
    "height": ("height",),
    "group": ("isgroupof",),
    "difficult": ("difficult",),
    "crowd": ("iscrowd",),
    "ignore": ("ignore",),
    "split": csv_splits.TITLES,
    "rest": ("source", "depth", "id"),
}
# The columns of a file without a header.
PLAIN = ("file", "left", "top", "right", "bottom", "class")
CORNERS = PLAIN[1:5]
# What a row without an object leaves empty.
OBJECT = (*CORNERS, "box", "class")
# Words for a value that is missing, the first two of pandas; the others may be names of classes.
MISSING = ("nan", "<na>", "none", "null", "n/a", "na", "")
# Columns that mark an object as `ignore`.
FLAGS = ("group", "difficult", "crowd", "ignore")


def parse(text, spec, reading):
    """Read the set that TEXT of "csv:TEXT" names, or return None if it has another form."""
    # Names of files and folders may have an @, too.
    signs = [place for place, sign in enumerate(text) if sign == "@"]
    files = [place for place in signs if is_file(expanded(text[:place]))]
    named = [place for place in signs if "." in text[:place].rpartition("/")[2]]
    if not signs:
        return None
    end = (files or named or signs)[0]
    file, folder, split = text[:end], text[end + 1 :], None
    if "@" in folder and not is_dir(expanded(folder)):
        folder, _, split = folder.rpartition("@")
    return load(file, folder, spec, reading, split) if file and folder and split != "" else None


def load(file, folder, name=None, reading=STRICT, split=None):
    """Read a CSV file.

    Args:
        file: rows `path,x1,y1,x2,y2,class` without a header (keras-retinanet; with empty corners and class
            for a picture without objects), or columns with the names of `COLUMNS`; `bbox` is
            `[x, y, width, height]`, as Kaggle has it. Corners are pixels, half-open; with a column
            `IsGroupOf`, as Open Images has it, they are fractions, and groups are marked `ignore`. A file
            `classes.csv` of `name,number` beside it gives the classes and their order.
        folder: folder of the pictures.
        name: str, name of the set in messages.
        reading: `Reading`.
        split: str, value of a column `split`, `set` or `usage`; None for a file without one.

    Returns:
        DetectionDataset. Without `classes.csv` its classes are those of all splits, in alphabetical order.

    Raises:
        FileNotFoundError: the file, the folder, the split or a picture is missing.
        ValueError: a row cannot be read, or a file with splits is named without one, see `csv_splits`.
    """
    file, folder = expanded(file), expanded(folder)
    check = BoxCheck(name or f"csv:{file}@{folder}", reading.collected)
    rows = _rows(file)
    if not is_dir(folder):
        raise FileNotFoundError(f"There is no image folder {folder}; give the one that {file} describes.")
    columns, first = _columns(rows[0][1], file)
    listed = file.with_name("classes.csv")
    class_names = _class_names(listed)
    rows, header = rows[first:], rows[0][1]
    if split is not None:
        class_names = class_names or _all_classes(rows, columns)
    title = header[columns["split"]].strip().lower() if "split" in columns else None
    rows = csv_splits.rows_of(split, rows, title, columns["file"], columns.get("split"), file)
    files, pictures, by_path = Pictures(folder), {}, {}
    for number, row in rows:
        place = f"Line {number} of {file}"
        with check.part():
            if len(row) < len(header):
                raise ValueError(f"{place} has {len(row)} columns, not {len(header)}; repair it.")
            if any(cell.strip() for cell in row[len(header) :]):
                raise ValueError(
                    f"{place} has {len(row)} columns, not {len(header)}; quote what has a comma."
                )
            values = _values(row, columns)
            picture = _picture(values, files, pictures, by_path, file, place, reading, check)
            if any(values.get(what) for what in OBJECT):
                _add(picture, values, place, class_names or ())
    found = [pictures[name] for name in by_path.values()]
    bare = [stem(picture.image_id) for picture in found]
    if len({*bare}) == len(bare):
        for picture, name in zip(found, bare):
            picture.image_id = name
    return assemble(found, class_names, check, reading, listed=listed)


def _rows(file):
    """Pairs of the number of a line and its columns, without empty lines."""
    try:
        text = read_text(file)
    except OSError as error:
        raise FileNotFoundError(f"There is no file {file} ({error.strerror}); check the path.") from None
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, skipinitialspace=True)
    try:
        rows = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise ValueError(
            f"Line {reader.line_num} of {file} is not readable as CSV ({error}); repair it."
        ) from None
    if not rows:
        raise ValueError(f"{file} has no row; write one for each object.")
    return rows


def _columns(header, file) -> tuple[dict[str, int], int]:
    """The column of each value, and the number of rows above the first object."""
    plain = [title.strip().lower().replace(" ", "_") for title in header]
    named = {}
    for what, titles in COLUMNS.items():
        # The first title of the table decides, not the first column.
        found = [plain.index(title) for title in titles if title in plain]
        named |= {what: found[0]} if found else {}
    if "file" in named and ("box" in named or all(corner in named for corner in CORNERS)):
        unknown = [title for title in plain if not any(title in titles for titles in COLUMNS.values())]
        if "class" not in named and unknown:
            raise ValueError(
                f"{file} has no column of classes; rename that of {unknown[0][:40]!r} to class, or remove it."
            )
        return named, 1
    if len(header) == len(PLAIN) and len(named) < 3:
        return dict(zip(PLAIN, range(len(PLAIN)))), 0
    titles = " ".join(", ".join(header).split())[:100]
    raise ValueError(
        f"{file} has the columns {titles}; write path,x1,y1,x2,y2,class without a header, or the columns "
        "filename, class, xmin, ymin, xmax and ymax with one."
    )


def _all_classes(rows, columns):
    """The sorted names of the classes in all rows."""
    if "class" not in columns:
        return ("object",)
    whole = [row for _, row in rows if len(row) > max(columns.values())]
    names = {scalars.class_name(_values(row, columns)["class"]) for row in whole}
    return tuple(sorted(names.difference([""])))


def _values(row, columns):
    """The values of a row, with nothing for words that stand for it.

    A corner that is missing beside others that are there stays, and its box is dropped later.
    """
    values = {what: row[column].strip() for what, column in columns.items()}
    missing = {what for what, value in values.items() if value.casefold() in MISSING and what != "file"}
    has_object = any(what in values and what not in missing for what in (*CORNERS, "box"))
    missing = missing.difference(OBJECT) if has_object else missing
    return {what: "" if what in missing else value for what, value in values.items()}


def _class_names(file):
    """The names of a `classes.csv`, or None without it."""
    if not is_file(file):
        return None
    names = {}
    for number, row in _rows(file):
        try:
            own = int(row[1])
        except (IndexError, ValueError):
            raise ValueError(f"Line {number} of {file} is not name,number; repair it.") from None
        if own in names:
            raise ValueError(f"Line {number} of {file} has {own} again, which is {names[own]}; repair it.")
        names[own] = scalars.class_name(row[0])
    if sorted(names) != list(range(len(names))) or len(set(names.values())) < len(names):
        raise ValueError(f"{file} does not number its names from 0, each once; repair it.")
    return tuple(names[number] for number in range(len(names)))


def _picture(values, files, pictures, by_path, file, place, reading, check):
    """The `Annotated` of a row, made at its first row."""
    name = values["file"]
    if not name:
        raise ValueError(f"{place} names no picture; add its name.")
    try:
        size = scalars.side(values.get("height")), scalars.side(values.get("width"))
    except ValueError as error:
        raise ValueError(f"{place} has a width or height that is wrong: {error}.") from None
    if name in pictures:
        first = pictures[name].size
        if all(size) and first and size != first:
            raise ValueError(
                f"{place} says that {name[:80]} is {size[1]} x {size[0]}, another line {first[1]} x "
                f"{first[0]}; repair one."
            )
        return pictures[name]
    if leaves(name) and not reading.allow_outside:
        raise ValueError(
            f"{place} names the picture {name[:80]}, which leads out of {files.folder}; write it relative to "
            "that folder, or allow it with --allow-outside."
        )
    outside = files.folder / name
    path = outside if leaves(name) and is_file(outside) else files.find(name, place)[0]
    if path is None or not is_file(path):
        raise FileNotFoundError(
            f"There is no image {files.folder / name[:200]}, which {place} names; add it."
        )
    if path in by_path:
        first = by_path[path]
        if _folder(first) != _folder(name):
            raise ValueError(
                f"{place} names {name[:80]}, and another line {first[:80]}, but both are {path}; add the "
                "missing picture."
            )
        check.note("row", "naming its picture in another form joined with the others", place)
        pictures[name] = pictures[first]
        return pictures[name]
    by_path[path] = name
    identity = path.relative_to(files.folder).as_posix() if path.is_relative_to(files.folder) else str(path)
    pictures[name] = Annotated(path, identity, f"{identity} in {file}", size=size if all(size) else None)
    return pictures[name]


def _folder(name):
    return normal(name).rpartition("/")[0]


def _add(picture, values, place, class_names):
    """Add the object of a row to its picture."""
    try:
        if values.get("box"):
            x, y, width, height = scalars.numbers(json.loads(values["box"]), 4)
            box = [x, y, x + width, y + height]
            picture.written = "xywh"
        else:
            box = [scalars.number(values.get(corner)) for corner in CORNERS]
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{place} has a box that is not four numbers ({error}); repair or remove it."
        ) from None
    try:
        # Open Images writes -1 where it does not know.
        words = [values[flag] for flag in FLAGS if flag in values]
        ignored = any([scalars.flag("0" if word == "-1" else word) for word in words])
    except ValueError as error:
        raise ValueError(f"{place} has a flag that is wrong: {error}; write 0 or 1.") from None
    name = scalars.class_name(values.get("class", "object"))
    if not name:
        raise ValueError(f"{place} has an empty class name; name its class.")
    if name.casefold() in MISSING[:2] and name not in class_names:
        raise ValueError(
            f"{place} has the class {name}, which stands for no value; name its class, or list it in "
            "classes.csv."
        )
    if "group" in values:
        picture.relative = True
        if max(box) > LARGEST:
            raise ValueError(
                f"{place} has {max(box):g}, but with a column IsGroupOf corners are fractions; divide x by "
                "the width and y by the height, or remove the column."
            )
    picture.names.append(name)
    picture.boxes.append(box)
    picture.ignore.append(ignored)

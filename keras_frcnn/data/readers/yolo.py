"""Ultralytics' layout for YOLO: a YAML file, pictures in `images`, and a text file for each in `labels`."""

import collections
import math
import os
import pathlib
import unicodedata

from keras_frcnn.data.readers import scalars
from keras_frcnn.data.readers.assembly import STRICT, Annotated, assemble
from keras_frcnn.data.readers.pictures import SUFFIXES, Pictures, expanded, is_dir, is_file, leaves
from keras_frcnn.data.readers.voc import refuse_without_split
from keras_frcnn.data.records import BoxCheck
from keras_frcnn.files import parse_yaml, read_text
from keras_frcnn.names import remedy

# A coordinate beyond is in pixels, not a fraction of the picture.
LARGEST = 2.0


def parse(text, spec, reading):
    """Read the set that TEXT of "yolo:TEXT" names, or return None if it has another form."""
    file, _, split = text.rpartition("@")
    if not (file and split and is_file(expanded(file))) and is_file(expanded(text)):
        refuse_without_split(spec, _splits(read_yaml(expanded(text))))
    return load(file, split, spec, reading) if file and split else None


def load(file, split, name=None, reading=STRICT):
    """Read a set in the layout of YOLO.

    Args:
        file: YAML file with `names` and, for each split, a folder of pictures, a list of folders, or a text
            file of paths; relative ones count from its `path`, or from the file itself. If it has no split,
            the pictures are in `SPLIT/images` or `images/SPLIT` beside it.
        split: str, such as "train" or "val".
        name: str, name of the set in messages.
        reading: `Reading`.

    Returns:
        DetectionDataset; polygons are taken by the box around them. A picture without a text file, or with an
        empty one, has no objects.

    Raises:
        FileNotFoundError: a file or folder is missing.
        ValueError: the YAML or a line cannot be read.
    """
    file = expanded(file)
    check = BoxCheck(name or f"yolo:{file}@{split}", reading.collected)
    content = read_yaml(file)
    class_names = class_names_of(content, file)
    places = content.get(split)
    splits = _splits(content)
    if not splits:  # supervision leaves them out
        usual = (f"{split}/images", f"images/{split}")
        places = [place for place in usual if is_dir(file.parent / place)][:1]
    if not places:
        listed = remedy(split, splits, f"it has {', '.join(splits) or 'none'}.")
        raise FileNotFoundError(f"{file} has no split {split}; {listed}")
    if "kpt_shape" in content:
        raise ValueError(f"{file} has key points, not boxes (`kpt_shape`); give a set of detection.")
    root = file.parent / expanded(str(content.get("path") or ".").replace("\\", "/"))
    root = root if is_dir(root) else file.parent
    paths = []
    for place in places if isinstance(places, list) else [places]:
        paths += _paths(root, str(expanded(str(place).replace("\\", "/"))), file, reading, check)
    times = collections.Counter(paths)
    for path in (path for path, count in times.items() if count > 1):
        check.note("picture", "named again counted once", str(path))
    pictures = pictures_of(list(times), class_names, check)
    return assemble(pictures, class_names, check, reading)


def labels_of(path):
    """The text file of a picture: in `labels` beside the last folder `images`, or else beside the picture."""
    beside, parts = path.with_suffix(".txt"), path.parts
    for index in range(len(parts) - 2, -1, -1):
        if parts[index] == "images":
            file = pathlib.Path(*parts[:index], "labels", *parts[index + 1 :]).with_suffix(".txt")
            return file if is_file(file) or not is_file(beside) else beside
    return beside


def pictures_of(paths, class_names, check):
    """Read the text files of pictures; a list of `Annotated`.

    Raises:
        ValueError: a line is wrong, or one file would be that of two pictures.
    """
    by_file, found, listings = {}, [], {}
    for path in paths:
        file = _in_another_form(labels_of(path), listings)
        other = by_file.setdefault(file, path)
        with check.part():
            if other != path:
                raise ValueError(
                    f"{file} would be the text file of {other} and of {path}; rename one of the pictures."
                )
            found.append(picture(path, file, class_names, check))
    times = collections.Counter(one.image_id for one in found)
    doubled = [one for one in found if times[one.image_id] > 1]
    if doubled:
        places = [pathlib.Path(os.path.abspath(one.path)) for one in doubled]
        root = os.path.commonpath([place.parent for place in places])
        for one, place in zip(doubled, places):
            one.image_id = place.relative_to(root).with_suffix("").as_posix()
    return found


def _in_another_form(file, listings):
    """The text file as it is named on disk: letters composed or not, its ending in capitals or not."""
    if is_file(file):
        return file
    if file.parent not in listings:
        there = sorted(file.parent.iterdir()) if is_dir(file.parent) else []
        listings[file.parent] = {_plain(other): other for other in there if other.suffix.lower() == ".txt"}
    return listings[file.parent].get(_plain(file), file)


def _plain(file):
    return unicodedata.normalize("NFC", file.stem)


def picture(path, file, class_names, check):
    """Read the text file of one picture.

    Args:
        path: the picture.
        file: the text file, which may be missing.
        class_names: names by number.
        check: see `assemble`.

    Returns:
        `Annotated`.
    """
    found = Annotated(path, path.stem, str(file))
    if not is_file(file):
        check.note("picture", "without a text file taken as one without objects", str(path))
        return found
    found.relative = True
    seen = set()
    for number, line in enumerate(read_text(file).splitlines(), start=1):
        words = line.split()
        if not words:
            continue
        place = f"Line {number} of {file}"
        if tuple(words) in seen:
            check.note("line", "repeating another of its file left out", place)
            continue
        seen.add(tuple(words))
        with check.part():
            label, box = _object(words, class_names, place)
            found.written = "cxcywh" if len(words) == 5 else "xyxy"
            if len(words) > 5:
                check.note("polygon", "replaced with the box around it", place)
            found.names.append(class_names[label])
            found.boxes.append(box)
            found.ignore.append(False)
    return found


def _object(words, class_names, place):
    """The label and the box, xyxy in fractions, of a line."""
    try:
        values = [scalars.number(word) for word in words]
    except ValueError as error:
        raise ValueError(
            f"{place} is wrong: {error}; write a class number and fractions of the picture."
        ) from None
    label, *numbers = values
    if not math.isfinite(label) or label != int(label) or not 0 <= label < len(class_names):
        raise ValueError(
            f"{place} has the class {words[0]}, but there are the numbers 0 to {len(class_names) - 1}."
        )
    if len(numbers) != 4 and (len(numbers) < 6 or len(numbers) % 2):
        raise ValueError(
            f"{place} has {len(numbers)} coordinates; write the center, width and height of a box, or the "
            "points of a polygon."
        )
    largest = max(numbers, key=abs)
    if abs(largest) > LARGEST:
        raise ValueError(
            f"{place} has {largest:g}, which is no fraction; divide x by the width and y by the height."
        )
    if len(numbers) == 4:
        x, y, width, height = numbers
        return int(label), [x - width / 2, y - height / 2, x + width / 2, y + height / 2]
    x, y = numbers[::2], numbers[1::2]
    return int(label), scalars.hull(x, y)


def _splits(content):
    return [key for key in ("train", "val", "test", "minival") if content.get(key)]


def read_yaml(file):
    """Read the YAML file of a set: a dict.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not such a file.
    """
    try:
        text = read_text(file)
    except OSError as error:
        raise FileNotFoundError(
            f"There is no file {file} ({error.strerror}); name a YAML file of YOLO."
        ) from None
    try:
        content = parse_yaml(text, numbers_as_written=True)
    except ValueError as error:
        raise ValueError(f"{file} is not readable as YAML ({error}); repair it.") from None
    if not isinstance(content, dict):
        raise ValueError(f"{file} is no YAML file of YOLO: it has no `names`; add them.")
    return content


def class_names_of(content, file):
    """The class names in a YAML file, by their numbers.

    Args:
        content: dict from `read_yaml`.
        file: its path, for messages.

    Raises:
        ValueError: they are no names, or not as many as `nc` says.
    """
    names = content.get("names")
    if isinstance(names, dict):
        try:
            keys = [int(key) if str(key).isdecimal() else scalars.identifier(key) for key in names]
        except ValueError:
            keys = []
        if not keys or not all(isinstance(key, int) for key in keys):
            raise ValueError(f"{file} has `names` whose keys are no numbers; number them from 0.")
        if len({*keys}) < len(keys):
            raise ValueError(f"{file} has two `names` of one number; number them from 0, each once.")
        numbers = dict(zip(keys, names.values()))
        if sorted(numbers) != list(range(len(numbers))):
            raise ValueError(f"{file} has `names` with gaps in their numbers; number them from 0.")
        names = [numbers[number] for number in range(len(numbers))]
    if not isinstance(names, list) or not names:
        raise ValueError(f"{file} has no list of `names`; add the names of the classes.")
    for name in names:
        # Without quotes, YAML reads no as false.
        if isinstance(name, bool) or not isinstance(name, (str, int, float)):
            raise ValueError(f"{file} has {str(name)[:40]} in `names`, which is no name; put it into quotes.")
    names = [scalars.class_name(name) for name in names]
    if len(set(names)) < len(names) or "" in names:
        raise ValueError(
            f"{file} has an empty name or one twice in `names`; give each class a name of its own."
        )
    count = str(content.get("nc") or "").strip()
    if count and not scalars.is_number(count, len(names)):
        raise ValueError(f"{file} has {len(names)} `names`, but `nc: {count[:40]}`; make the two agree.")
    return tuple(names)


def _paths(root, place, file, reading, check):
    """The pictures of a split: those in a folder, or those that a text file lists."""
    # Roboflow writes ../train/images for the folder train beside the file.
    candidates = [root / place, root / place.removeprefix("../")]
    for candidate in candidates:
        if is_dir(candidate):
            return Pictures(candidate).files
        if is_file(candidate) and candidate.suffix == ".txt":
            lines = [line.strip().strip("\"'") for line in read_text(candidate).splitlines()]
            lines = [line for line in lines if line]
            outside = [line for line in lines if leaves(line)]
            if outside and not reading.allow_outside:
                raise ValueError(
                    f"{candidate} names {outside[0][:80]}, which leads out of its folder; write paths "
                    "relative to it, or allow such with --allow-outside."
                )
            files, paths = Pictures(candidate.parent), []
            for line in lines:
                with check.part():
                    ends = line.lower().endswith(SUFFIXES)
                    if not ends and not files.find(line, str(candidate))[0]:
                        check.note("line", "naming no picture left out", f"{line[:80]} in {candidate}")
                    else:
                        paths.append(_listed(line, candidate, files, check))
            if lines and not paths:
                raise ValueError(f"{candidate} names no picture; write one path a line.")
            return paths
    raise FileNotFoundError(f"There is no folder {candidates[0]}, which {file} names; check its `path`.")


def _listed(line, candidate, files, check):
    """The picture that a line of a list names."""
    path = candidate.parent / line
    if is_file(path):
        return path
    path = None if leaves(line) else files.find(line, str(candidate))[0]
    if path is None:
        raise FileNotFoundError(
            f"There is no picture {str(candidate.parent / line)[:200]}, which {candidate} lists; add it."
        )
    check.note("picture", "found by another form of its name", f"{line[:80]} in {candidate}")
    return path

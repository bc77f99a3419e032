"""Write a data set in the layout of COCO, VOC or YOLO.

Pictures are copied as they are; those that are turned by EXIF, or that are in no file, are written as PNG.
"""

import collections
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
import yaml

from keras_frcnn.data.dataset import DetectionDataset
from keras_frcnn.data.readers import pictures
from keras_frcnn.data.readers.upright import read_header
from keras_frcnn.data.readers.voc import read_labels
from keras_frcnn.data.readers.yolo import class_names_of, read_yaml
from keras_frcnn.data.sources import Files
from keras_frcnn.files import replacing, write_json, write_text
from keras_frcnn.images import headers
from keras_frcnn.opencv import cv2


def write_coco(dataset: DetectionDataset, folder: Path, split: str) -> str:
    """Write `SPLIT.json` and the folder `images/SPLIT`; ignored objects become crowds. Returns the spec."""
    _check(dataset, folder / f"{split}.json")
    names = _copy_pictures(dataset, folder / "images" / split)
    ids = dict(dataset.category_ids or {})
    if not {*dataset.class_names} <= ids.keys():
        ids = {name: number for number, name in enumerate(dataset.class_names, start=1)}
    content = {"images": [], "annotations": [], "categories": []}
    content["categories"] = [{"id": ids[name], "name": name} for name in dataset.class_names]
    for number, (record, name) in enumerate(zip(dataset.records, names), start=1):
        size = {"width": record.width, "height": record.height}
        content["images"].append({"id": number, "file_name": name, **size})
        for box, label, ignore, area in zip(record.boxes.tolist(), record.labels, record.ignore, record.area):
            x1, y1, x2, y2 = box
            content["annotations"].append(
                {
                    "id": len(content["annotations"]) + 1,
                    "image_id": number,
                    "category_id": ids[dataset.class_names[label]],
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "area": float(area),
                    "iscrowd": int(ignore),
                }
            )
    write_json(folder / f"{split}.json", content)
    return f"coco:{folder}/{split}.json@{folder}/images/{split}"


def write_voc(dataset: DetectionDataset, folder: Path, split: str) -> str:
    """Write the folders of VOCdevkit; ignored objects become difficult. Returns the set's spec."""
    _check(dataset, folder / "ImageSets" / "Main" / f"{split}.txt")
    listed = folder / "labels.txt"
    dataset = _after(read_labels(listed) if listed.is_file() else (), dataset)
    names = _copy_pictures(dataset, folder / "JPEGImages")
    (folder / "Annotations").mkdir(exist_ok=True)
    (folder / "ImageSets" / "Main").mkdir(parents=True, exist_ok=True)
    for record, name in zip(dataset.records, names):
        classes = [dataset.class_names[label] for label in record.labels]
        objects = [*zip(classes, record.boxes.tolist(), record.ignore)]
        text = voc_text(name, record.width, record.height, objects)
        write_text(folder / "Annotations" / f"{Path(name).stem}.xml", text)
    write_text(listed, "".join(f"{name}\n" for name in dataset.class_names))
    stems = "".join(f"{Path(name).stem}\n" for name in names)
    write_text(folder / "ImageSets" / "Main" / f"{split}.txt", stems)
    return f"voc:{folder}@{split}"


def write_yolo(dataset: DetectionDataset, folder: Path, split: str) -> str:
    """Write `data.yaml`, `images` and `labels`; ignored objects are left out. Returns the set's spec."""
    _check(dataset, folder / "labels" / split)
    file = folder / "data.yaml"
    earlier = read_yaml(file) if file.is_file() else {}
    dataset = _after(class_names_of(earlier, file) if earlier else (), dataset)
    names = _copy_pictures(dataset, folder / "images" / split)
    (folder / "labels" / split).mkdir(parents=True, exist_ok=True)
    for record, name in zip(dataset.records, names):
        lines = [
            yolo_line(label, box, record.width, record.height)
            for box, label, ignore in zip(record.boxes.tolist(), record.labels, record.ignore)
            if not ignore
        ]
        write_text(folder / "labels" / split / f"{Path(name).stem}.txt", "".join(lines))
    # Without `path`, which Ultralytics counts from the current folder, splits count from the file.
    content = {**earlier, "names": dict(enumerate(dataset.class_names)), split: f"images/{split}"}
    content.pop("nc", None)
    write_text(file, yaml.safe_dump(content, allow_unicode=True, sort_keys=False))
    return f"yolo:{file}@{split}"


def voc_text(filename: str, width: int, height: int, objects: Sequence[tuple]) -> str:
    """The XML of one picture.

    Args:
        filename: name of the picture.
        width, height: its size, pixels.
        objects: tuples of class name, box xyxy in pixels, and whether it is difficult.
    """
    lines = [
        "<annotation>",
        f"  <filename>{escape(filename)}</filename>",
        f"  <size><width>{width}</width><height>{height}</height><depth>3</depth></size>",
    ]
    for name, (x1, y1, x2, y2), difficult in objects:
        # 1-based inclusive corners, between which no box is thinner than a pixel.
        x2, y2 = max(x2, x1 + 1.01), max(y2, y1 + 1.01)
        corners = zip(("xmin", "ymin", "xmax", "ymax"), (x1 + 1, y1 + 1, x2, y2))
        box = "".join(f"<{corner}>{_text(value)}</{corner}>" for corner, value in corners)
        lines.append(
            f"  <object><name>{escape(name)}</name><difficult>{int(difficult)}</difficult>"
            f"<bndbox>{box}</bndbox></object>"
        )
    return "\n".join([*lines, "</annotation>"]) + "\n"


def yolo_line(label: int, box: Sequence[float], width: int, height: int) -> str:
    """The line of one object: its label, and center and size as fractions of the picture.

    Args:
        label: number of the class.
        box: xyxy, pixels.
        width, height: size of the picture, pixels.
    """
    x1, x2 = box[0] / width, box[2] / width
    y1, y2 = box[1] / height, box[3] / height
    numbers = (x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1
    return " ".join([str(label), *map(_text, numbers)]) + "\n"


WRITERS: dict[str, Callable[[DetectionDataset, Path, str], str]] = {
    "coco": write_coco,
    "voc": write_voc,
    "yolo": write_yolo,
}


def _check(dataset, path):
    """Refuse to write a split over another one, or what no reader would take."""
    if not len(dataset) or not dataset.class_names:
        raise ValueError(
            f"{dataset.name} has no {'class' if len(dataset) else 'picture'}, so there is nothing to write."
        )
    if path.exists():
        raise FileExistsError(f"{path} is there already; name another folder, or another split.")


def _after(names, dataset):
    """The set with the classes of the splits in the folder first, whose numbers stay as they are."""
    return dataset.with_class_names(tuple(dict.fromkeys([*names, *dataset.class_names])))


def _copy_pictures(dataset, folder):
    """Copy the pictures; return their names, which no picture of another split in the folder has."""
    folder.mkdir(parents=True, exist_ok=True)
    names, taken = [], {path.stem.casefold() for path in folder.iterdir()}
    numbers = collections.Counter()
    for index, record in enumerate(dataset.records):
        source = Path(dataset.source.paths[index]) if isinstance(dataset.source, Files) else None
        source, suffix = upright(source)
        plain = pictures.stem(str(record.image_id))
        stem = re.sub(r"[^\w.-]+", "_", plain).strip(".") or "picture"
        name = f"{stem}{suffix}"
        while Path(name).stem.casefold() in taken:
            numbers[stem.casefold()] += 1
            name = f"{stem}-{numbers[stem.casefold()] + 1}{suffix}"
        taken.add(Path(name).stem.casefold())
        copy_picture(source, folder / name, lambda index=index: dataset.image(index))
        names.append(name)
    return names


def upright(source: Path | None) -> tuple[Path | None, str]:
    """The file to copy for a picture, and the ending of the copy: None and .png if its pixels are turned."""
    if source is None or read_header(source)[2] != 1:
        return None, ".png"
    return source, _ending(source)


def copy_picture(source: Path | None, target: Path, image: Callable[[], np.ndarray]) -> None:
    """Copy a picture; without a file that can be copied, write its pixels.

    Args:
        source: from `upright`.
        target: file to write.
        image: function that returns the picture, uint8 `[H, W, 3]` RGB.
    """
    with replacing(target) as partial:
        if source is not None:
            shutil.copyfile(source, partial)
        else:
            _, encoded = cv2.imencode(target.suffix, np.ascontiguousarray(image()[..., ::-1]))
            partial.write_bytes(encoded.tobytes())


def _ending(file):
    """The ending of a file's name if it fits the contents, or else the right one."""
    with open(file, "rb") as opened:
        fitting = headers.endings(opened.read(8))
    return file.suffix if not fitting or file.suffix.lower() in fitting else fitting[0]


def _text(value):
    """A number with as many digits as a float32 has."""
    return f"{value:.9g}"

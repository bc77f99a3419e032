"""A small data set on disk, and one run of the train command that all tests look at."""

import contextlib
import fcntl
import io
import types

import cv2
import pytest

from keras_frcnn.commands import train
from keras_frcnn.data.readers import shapes


@pytest.fixture(scope="session")
def voc(tmp_path_factory):
    """Folder with six shapes scenes in train and four in val; the sides are 80 and 64 pixels."""
    return _write_voc(tmp_path_factory.mktemp("voc"))


def _write_voc(root):
    for folder in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (root / folder).mkdir(parents=True)
    for split, count in (("train", 6), ("val", 4)):
        dataset = shapes.load(split, count)
        names = [f"{split}{index}" for index in range(count)]
        for index, (name, record) in enumerate(zip(names, dataset.records)):
            image = cv2.resize(dataset.image(index), None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
            cv2.imwrite(str(root / f"JPEGImages/{name}.jpg"), image[..., ::-1])
            (root / f"Annotations/{name}.xml").write_text(_annotation(record, dataset.class_names))
        (root / f"ImageSets/Main/{split}.txt").write_text("\n".join(names))
    (root / "labels.txt").write_text("\n".join(shapes.CLASS_NAMES))
    return root


def _annotation(record, class_names):
    text = "<annotation><size><width>80</width><height>64</height></size>"
    for box, label in zip(record.boxes / 4, record.labels):
        corners = zip(("xmin", "ymin", "xmax", "ymax"), box + [1, 1, 0, 0])
        sides = "".join(f"<{side}>{value:.0f}</{side}>" for side, value in corners)
        text += f"<object><name>{class_names[label]}</name><bndbox>{sides}</bndbox></object>"
    return text + "</annotation>"


@pytest.fixture(scope="session")
def tiny():
    """Words of a training run that takes seconds."""
    return "--backbone tiny_fpn --backbone-weights none --image-size 64 80 --epochs 1 --batch-size 3".split()


@pytest.fixture(scope="session")
def trained(tiny, tmp_path_factory, request):
    """What one run left: `.folder`, `.export`; `.voc`, its data; and `.output`, what it printed.

    The processes of `-n` share one run: the first to come makes it, the others wait.
    """
    base = tmp_path_factory.getbasetemp()
    base = base.parent if hasattr(request.config, "workerinput") else base
    folder, exported, voc, printed = (base / name for name in ("run", "served", "run_voc", "run.txt"))
    with open(base / "run.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not printed.exists():
            _write_voc(voc)
            words = ["--train", f"voc:{voc}@train", "--val", f"voc:{voc}@val", *tiny]
            with contextlib.redirect_stdout(io.StringIO()) as output:
                train.main([*words, "--output", str(folder), "--export", str(exported)])
            printed.write_text(output.getvalue())
    return types.SimpleNamespace(folder=folder, export=exported / "1", voc=voc, output=printed.read_text())

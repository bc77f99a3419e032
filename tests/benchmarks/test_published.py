"""The published detectors' benchmark, from the download to the figures, on a file of the same form."""

import dataclasses
import hashlib
import importlib.util
import json

import cv2
import numpy as np
import pytest

import keras_frcnn as kf
from keras_frcnn.weights import preset as table

MODEL = "fasterrcnn_mobilenet_v3_large_320_fpn"


@pytest.fixture
def state(shared):
    """Stand-in weights under torchvision's names."""
    spec = importlib.util.spec_from_file_location("pseudo_weights", shared / "parity/pseudo_weights.py")
    pseudo = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(pseudo)
    return pseudo.pseudo_state_dict(MODEL)


def test_from_the_download_to_the_figures(
    benchmark_module, state, server, cache, torch_file, image_of, tmp_path, monkeypatch, capsys
):
    """The objects are what the detector finds with these weights, so its AP is known: 100."""
    torch_file(tmp_path / "a.pth", state)
    contents = (tmp_path / "a.pth").read_bytes()
    name = f"made_up-{hashlib.sha256(contents).hexdigest()[:8]}.pth"
    server.files[name] = contents
    preset = dataclasses.replace(table.PRESETS[f"{MODEL}_coco"], file=name)
    monkeypatch.setitem(table.PRESETS, preset.name, preset)
    detector = kf.weights.load_torchvision(MODEL, state, score_threshold=0.05)
    data = write_coco(tmp_path, detector, [image_of(96, 128, seed) for seed in range(2)])
    words = ["--data", data, "--presets", preset.name, "--weights-url", server.url]
    benchmark_module("published").main([*words, "--json", str(tmp_path / "figures.json")])
    figures = json.loads((tmp_path / "figures.json").read_text("utf-8"))
    (row,) = figures["detectors"]
    assert (figures["images"], row["name"], row["file"], row["published"]) == (2, preset.name, name, 22.8)
    assert row["ap"] == pytest.approx(100.0, abs=1e-6)
    assert f"{preset.name:44} 100.0  published 22.8  difference +77.2" in capsys.readouterr().out
    assert len(server.requests) == 1


def write_coco(folder, detector, images):
    """COCO's files with the detections as objects; ids and names of classes are COCO's own."""
    (folder / "val2017").mkdir()
    pictures, annotations = [], []
    for number, image in enumerate(images, start=1):
        file = f"{number:012d}.png"
        cv2.imwrite(str(folder / "val2017" / file), image[..., ::-1])
        pictures.append({"id": number, "file_name": file, "height": image.shape[0], "width": image.shape[1]})
        found = detector.detect(image)
        for box, label in zip(found["boxes"].astype(float), found["labels"]):
            if detector.class_names[label] != "N/A":
                x1, y1, x2, y2 = box
                sides = [x1, y1, x2 - x1, y2 - y1]
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": number,
                        "category_id": int(label) + 1,
                        "bbox": sides,
                        "area": float(np.prod(sides[2:])),
                        "iscrowd": 0,
                    }
                )
    assert len(annotations) > 10
    categories = [
        {"id": number, "name": name}
        for number, name in enumerate(detector.class_names, start=1)
        if name != "N/A"
    ]
    whole = {"images": pictures, "annotations": annotations, "categories": categories}
    (folder / "instances_val2017.json").write_text(json.dumps(whole))
    return f"coco:{folder / 'instances_val2017.json'}@{folder / 'val2017'}"

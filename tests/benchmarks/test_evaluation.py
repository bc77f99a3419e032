"""COCO's evaluation beside pycocotools."""

import json

import pytest


def test_classes_without_objects(benchmark_module, tmp_path):
    """One image has no object of some sizes, where pycocotools says −1."""
    pytest.importorskip("pycocotools")
    file = tmp_path / "figures.json"
    benchmark_module("evaluation").main(["--images", "1", "--rounds", "1", "--json", str(file)])
    figures = json.loads(file.read_text(encoding="utf-8"))
    assert [row["side"] for row in figures["seconds"]] == ["keras_frcnn", "pycocotools"]

"""The common report of the input pipeline."""

import json

from keras_frcnn.data.readers import shapes


def test_every_stage_is_in_the_report(benchmark_module, monkeypatch, tmp_path):
    module, file = benchmark_module("input_pipeline"), tmp_path / "figures.json"
    monkeypatch.setattr(module, "LEAST_IMAGES", 1)
    monkeypatch.setattr(module, "PASSES", 1)
    monkeypatch.setattr(module.kf.data, "load", lambda spec: shapes.load("val", 4))
    module.main(["--image-size", "64", "80", "--json", str(file)])
    figures = json.loads(file.read_text(encoding="utf-8"))
    assert [row["stage"] for row in figures["stages"]][:2] == ["decode", "resize, batch"]
    assert len(figures["stages"]) == 6 and all(row["images/s"] > 0 for row in figures["stages"])
    assert figures["machine"]["cores"] >= 1

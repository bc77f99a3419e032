"""An inference benchmark from end to end, without peers."""

import json
import types

import numpy as np
import pytest


@pytest.mark.slow
def test_a_tiny_model(benchmark_module, make_model, tmp_path, capsys):
    make_model().save(tmp_path / "tiny.keras")
    arguments = ["--model", str(tmp_path / "tiny.keras"), "--rounds", "1", "--json", str(tmp_path / "f.json")]
    benchmark_module("inference").main(arguments)
    figures = json.loads((tmp_path / "f.json").read_text(encoding="utf-8"))
    ours, detect, *_ = figures["sides"]
    assert (ours["side"], detect["side"]) == ("keras_frcnn float32", "keras_frcnn detect float32")
    assert ours["ms"] > 0 and ours["MB"] > 0 and 0 < ours["of peak"] < 1.5
    assert (
        figures["agreement of keras_frcnn float32"] == figures["agreement of keras_frcnn detect float32"] > 0
    )
    assert 0 < figures["outside arithmetic"] < 1
    assert "GFLOP" in capsys.readouterr().out


def test_a_peer_that_is_not_there_is_named_with_the_reason(benchmark_module, tmp_path):
    sides = benchmark_module("sides.turns").Sides(str(tmp_path / "python"))
    with sides:
        assert sides.peer("torchvision", "peers", "eager") is None
    assert "cannot be run" in sides.skipped["torchvision"]


def detections(rows):
    boxes = 100.0 * np.arange(rows)[:, None] + [0, 0, 10, 10]
    return {"boxes": boxes, "scores": np.full(rows, 0.5), "labels": np.zeros(rows, int)}


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("rows, timed", [(100, True), (98, True), (102, True), (10, False), (500, False)])
def test_a_peer_that_detects_less_or_more_is_not_timed(benchmark_module, tmp_path, precision, rows, timed):
    inference, dropped = benchmark_module("inference"), {}
    sides = made_up_sides({"torchvision float32": detections(100), f"OpenVINO {precision}": detections(rows)})
    sides.drop = dropped.__setitem__
    names = list(sides.workers)
    inference.check(sides, names, tmp_path, benchmark_module("measures.report").Report("", {}))
    assert (f"OpenVINO {precision}" in names) == timed == (not dropped)


def test_what_torchvision_finds_of_itself_in_float64_is_the_measure(benchmark_module, tmp_path):
    inference, dropped = benchmark_module("inference"), {}
    answers = {"torchvision float32": 92, "ONNX Runtime float32": 88, "OpenVINO float32": 86}
    moved = {name: {**detections(100), "boxes": detections(100)["boxes"].copy()} for name in answers}
    for name, same in answers.items():
        moved[name]["boxes"][same:] += 50
    sides = made_up_sides({**moved, "torchvision float64": detections(100)})
    sides.drop = lambda name, reason=None: dropped.__setitem__(name, reason)
    names = list(answers)
    inference.check(sides, names, tmp_path, benchmark_module("measures.report").Report("", {}))
    assert names == ["torchvision float32", "ONNX Runtime float32"]
    assert set(dropped) == {"torchvision float64", "OpenVINO float32"}


def test_nothing_is_timed_where_nothing_is_detected(benchmark_module, tmp_path):
    sides = made_up_sides({"torchvision float32": detections(0), "keras_frcnn float32": detections(0)})
    report = benchmark_module("measures.report").Report("", {})
    with pytest.raises(SystemExit, match="torchvision float32 detects nothing in this image"):
        benchmark_module("inference").check(sides, list(sides.workers), tmp_path, report)


def made_up_sides(answers):
    """Sides that give these answers."""

    def worker(answer):
        return types.SimpleNamespace(call=lambda name, file: np.savez(file, **answer))

    return types.SimpleNamespace(workers={name: worker(answer) for name, answer in answers.items()})


def test_detections_agree_only_where_box_score_and_class_do(benchmark_module):
    agreement = benchmark_module("measures.agreement")
    one = {"boxes": [[0, 0, 10, 10]], "scores": [0.5], "labels": [3]}
    for change, same, again in (
        ({}, 1, 1),
        ({"boxes": [[0.04, 0, 10, 10]]}, 1, 1),
        ({"boxes": [[0.06, 0, 10, 10]]}, 0, 1),
        ({"boxes": [[5, 0, 10, 10]]}, 0, 0),
        ({"scores": [0.5002]}, 0, 1),
        ({"labels": [4]}, 0, 0),
    ):
        other, reference = ({k: np.array(v) for k, v in d.items()} for d in ({**one, **change}, one))
        assert agreement.agreeing(other, reference) == same
        assert agreement.found_again(other, reference) == again

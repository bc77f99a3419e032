"""What takes part in the benchmark of training, and in which precision."""

import argparse
import types

import pytest


@pytest.mark.parametrize(
    "mixed, peers, sides",
    [
        ("none", None, ["keras_frcnn float32", "torchvision float32", "torchvision keeping memory float32"]),
        (
            "bfloat16",
            None,
            ["keras_frcnn bfloat16", "torchvision bfloat16", "torchvision keeping memory bfloat16"],
        ),
        (
            "float16",
            None,
            ["keras_frcnn float16", "torchvision float32", "torchvision keeping memory float32"],
        ),
        ("none", ["OpenVINO"], ["keras_frcnn float32"]),
    ],
)
def test_the_peer_is_named_after_what_it_computes_in(benchmark_module, tmp_path, mixed, peers, sides):
    precisions = {}

    def peer(name, *_, precision, **__):
        precisions[name] = precision
        return name

    options = argparse.Namespace(model="resnet50_fpn", mixed_precision=mixed, jit=False, peers=peers)
    watched = types.SimpleNamespace(ours=lambda *_, **__: None, peer=peer)
    assert benchmark_module("training").start(options, watched, tmp_path, "state.npz") == sides
    assert all(name.endswith(precision) for name, precision in precisions.items())


def test_float16_has_no_share_of_a_peak(benchmark_module):
    names = [f"keras_frcnn {precision}" for precision in ("float32", "float16", "XLA bfloat16")]
    rows = benchmark_module("inference").rows(
        {name: {"median": 2.0, "lowest": 2.0, "highest": 2.0} for name in names},
        {name: {"peak": 2e6, "empty": 1e6} for name in names},
        operations=4e9,
        peak={"float32": 4e9, "bfloat16": 8e9},
    )
    assert [row["of peak"] for row in rows] == [0.5, None, 0.25]


def test_a_misspelt_peer_is_refused(benchmark_module, capsys):
    with pytest.raises(SystemExit):
        benchmark_module("training").main(["--peers", "torchvison"])
    assert "invalid choice: 'torchvison'" in capsys.readouterr().err


@pytest.mark.parametrize("precision, policy", [("none", "float32"), ("bfloat16", "mixed_bfloat16")])
def test_precision_of_a_keras_file(benchmark_module, make_model, monkeypatch, tmp_path, precision, policy):
    ours, made = benchmark_module("sides.ours"), []
    load = ours.detector
    monkeypatch.setattr(ours, "detector", lambda *args, **kw: made.append(load(*args, **kw)) or made[-1])
    make_model(backbone="tiny_fpn", anchor_sizes=None, dtype="mixed_float16").save(tmp_path / "tiny.keras")
    ours.pictures(str(tmp_path / "images.npz"), 1, (96, 128))
    ours.training(str(tmp_path / "tiny.keras"), None, str(tmp_path / "images.npz"), precision)
    assert made[0].dtype_policy.name == made[0].head.dtype_policy.name == policy

"""The training step as a StableHLO module."""

import re

import pytest


@pytest.mark.parametrize(
    "precision, dtype, absent", [("float32", "f32", "xf16>"), ("mixed_float16", "f16", None)]
)
def test_lowers_a_whole_step(make_model, make_batches, benchmark_module, tmp_path, precision, dtype, absent):
    model = make_model(dtype=precision)
    model.compile()
    path = tmp_path / "step.mlir"
    (batch,) = make_batches(1)
    assert benchmark_module("stablehlo").write(model, batch, path) == path.stat().st_size
    module = path.read_text()
    assert re.search(r"func\.func (public )?@main\(", module)
    convolutions = [line for line in module.splitlines() if "stablehlo.convolution" in line]
    assert len(convolutions) > 20
    assert all(f"x{dtype}>" in line for line in convolutions)
    assert absent is None or absent not in module
    # Weights come in and go out in float32 whatever the precision.
    for variable in model.trainable_variables:
        shape = "x".join(str(side) for side in variable.shape)
        assert f"tensor<{shape}xf32>" in module

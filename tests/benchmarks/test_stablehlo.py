"""The training step as a StableHLO module."""

import re

import pytest
import tensorflow as tf


@pytest.mark.slow
@pytest.mark.parametrize(
    "precision, dtype, absent",
    [pytest.param("float32", "f32", "xf16>", marks=pytest.mark.slow), ("mixed_float16", "f16", None)],
)
def test_lowers_a_whole_step(make_model, benchmark_module, tmp_path, precision, dtype, absent):
    x = {"images": tf.zeros([2, 96, 96, 3]), "image_shapes": tf.fill([2, 2], 96)}
    y = {
        "boxes": tf.constant([[[8.0, 8, 60, 50]]] * 2),
        "labels": tf.zeros([2, 1], tf.int32),
        "ignore": tf.zeros([2, 1], tf.bool),
    }
    model = make_model(backbone="tiny_fpn", anchor_sizes=None, dtype=precision)
    model.compile()
    path = tmp_path / "step.mlir"
    assert benchmark_module("measures.stablehlo").write(model, (x, y), path) == path.stat().st_size
    module = path.read_text()
    assert re.search(r"func\.func (public )?@main\(", module)
    assert absent is None or absent not in module
    convolutions = [line for line in module.splitlines() if "stablehlo.convolution" in line]
    assert all(f"x{dtype}>" in line for line in convolutions)
    # Forward, and backward to the kernel and, but for the first, to what is convolved.
    kernels = [weight for weight in model.trainable_variables if len(weight.shape) == 4]
    assert len(convolutions) >= 3 * len(kernels) - 1
    for weight in model.trainable_variables:  # in float32 whatever the precision
        shape = "x".join(str(side) for side in weight.shape)
        assert f"tensor<{shape}xf32>" in module

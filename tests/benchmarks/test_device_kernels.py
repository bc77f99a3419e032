"""Every operation of a traced step has a GPU kernel, or is known to run on the host.

Asks TensorFlow's own registry, so that no GPU is needed.
"""

import keras
import pytest
import tensorflow as tf
from tensorflow.python.framework import config, kernels

import keras_frcnn as kf

# What runs on the host by choice.
HOST_OPS = {
    "CombinedNonMaxSuppression",  # a few hundred kB cross the bus to the fastest kernel of a CPU
}

# What has no kernel for a GPU that gives the same bits in every run, or only one that leaves the GPU
# (docs/reproducibility.md).
NOT_DETERMINISTIC = {
    "CropAndResizeGradBoxes",
    "CropAndResizeGradImage",
    "FusedBatchNormGradV3",
    "ResizeNearestNeighborGrad",
    "SoftmaxCrossEntropyWithLogits",
    "SparseMatrixMatMul",
    "SparseSoftmaxCrossEntropyWithLogits",
    "TensorScatterAdd",
}

SPEC = (
    {
        "images": tf.TensorSpec([None, None, None, 3], tf.float32),
        "image_shapes": tf.TensorSpec([None, 2], tf.int32),
    },
    {
        "boxes": tf.TensorSpec([None, None, 4], tf.float32),
        "labels": tf.TensorSpec([None, None], tf.int32),
        "ignore": tf.TensorSpec([None, None], tf.bool),
    },
)


@pytest.fixture(scope="module", autouse=True)
def gpu_registry():
    devices = {kernel.device_type for kernel in kernels.get_registered_kernels_for_op("Conv2D").kernel}
    if "GPU" not in devices:
        pytest.skip("this build of TensorFlow registers no GPU kernels")


def single_map():
    """A network of one convolution with one map."""
    images = keras.Input((None, None, 3))
    return keras.Model(images, {"C4": keras.layers.Conv2D(8, 3, strides=16, padding="same")(images)})


@pytest.fixture(scope="module", params=["pyramid", "single_map"])
def model(request):
    """A pyramid with RoIAlign in mixed float16; a single map with RoI pooling and dropout in float32."""
    if request.param == "pyramid":
        arguments = {"backbone": "tiny_fpn", "dtype": "mixed_float16"}
    else:
        arguments = {"backbone": single_map(), "head_dropout": 0.5}
    model = kf.FasterRCNN(["cell"], image_size=(128, 128), head_units=(8,), **arguments)
    model.compile()
    model.optimizer.build(model.trainable_variables)
    return model


# Training and detection have between them every operation of the other two.
@pytest.mark.slow
@pytest.mark.parametrize(
    "step", ["train", "detect", *(pytest.param(step, marks=pytest.mark.slow) for step in ("test", "predict"))]
)
def test_every_operation_runs_on_a_gpu(model, step, benchmark_module, monkeypatch):
    registry = benchmark_module("measures.device_kernels")
    monkeypatch.setattr(kf.kernels, "for_gathers", lambda: True)  # as where there is a GPU
    traced = {
        "train": lambda: tf.function(model.train_step).get_concrete_function(SPEC),
        "test": lambda: tf.function(model.test_step).get_concrete_function(SPEC),
        "predict": lambda: tf.function(model.predict_step).get_concrete_function(SPEC[:1]),
        "detect": lambda: tf.function(model.detect_batch).get_concrete_function(SPEC[0]["images"]),
    }
    nodes = list(registry.operations(traced[step]()))
    ops = {node.op for node in nodes}
    assert "GatherV2" in ops and "SparseMatrixMatMul" not in ops
    on_the_host = {node.op for node in nodes if not registry.runs_on_gpu(node)}
    assert on_the_host == HOST_OPS & ops


@pytest.fixture
def deterministic():
    tf.config.experimental.enable_op_determinism()
    yield
    config.disable_op_determinism()


def test_every_operation_of_a_deterministic_step_has_such_a_kernel(
    model, deterministic, benchmark_module, monkeypatch
):
    registry = benchmark_module("measures.device_kernels")
    monkeypatch.setattr(kf.kernels, "for_gathers", lambda: True)
    traced = tf.function(model.train_step).get_concrete_function(SPEC)
    ops = {node.op for node in registry.operations(traced)}
    assert "UnsortedSegmentSum" in ops and not ops & NOT_DETERMINISTIC

"""What every RoI layer shares."""

from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_frcnn.layers import ExactRoIPooling, RoIAlign, RoIPooling, SpatialPyramidPooling
from keras_frcnn.ops import kernels

LAYERS = pytest.mark.parametrize(
    "kind",
    [
        pytest.param(partial(RoIAlign, 2), id="align"),
        pytest.param(partial(RoIPooling, 2), id="pooling"),
        pytest.param(partial(ExactRoIPooling, 2), id="exact"),
        pytest.param(partial(SpatialPyramidPooling, (1, 2)), id="pyramid"),
    ],
)
BOXES = tf.constant([[[0.0, 0, 20, 30], [500, 500, 560, 590], [10, 5, 400, 590]]])


@pytest.fixture(autouse=True, params=["stock", "xla"])
def kernels_in_use(request):
    with kernels.use(request.param):
        yield


def features(dtype="float32"):
    rng = np.random.default_rng(0)
    return [tf.cast(rng.normal(size=(1, side, side, 4)), dtype) for side in (75, 38)]


@LAYERS
def test_no_gradient_reaches_the_boxes(kind):
    layer, maps = kind((8, 16)), features()
    with tf.GradientTape() as tape:
        tape.watch([BOXES, *maps])
        loss = tf.reduce_sum(layer(maps, BOXES))
    to_boxes, *to_maps = tape.gradient(loss, [BOXES, *maps])
    assert to_boxes is None
    assert all(np.any(gradient != 0) for gradient in to_maps)


@LAYERS
@pytest.mark.parametrize("policy, dtype", [("mixed_float16", "float16"), ("mixed_bfloat16", "bfloat16")])
def test_mixed_precision_keeps_the_coordinates(kind, policy, dtype):
    """Only the features are rounded: at 590 px a float16 box would be ½ px off, a bfloat16 one 4."""
    maps = features(dtype)
    answer = kind((8, 16), dtype=policy)(maps, BOXES)
    exact = kind((8, 16))([tf.cast(level, tf.float32) for level in maps], BOXES)
    assert answer.dtype == dtype
    np.testing.assert_array_equal(answer, tf.cast(exact, dtype))


@LAYERS
def test_levels_without_rois(kind):
    maps = features()
    layer = kind((8, 16))
    small = BOXES[:, :1]
    single = kind((8,))(maps[0], small)
    np.testing.assert_array_equal(layer(maps, small), single)
    assert layer(maps, BOXES[:, :0]).shape == (1, 0, *layer.roi_shape(4))


@LAYERS
def test_each_roi_comes_from_its_level_of_an_image_pyramid(kind):
    """Two scales of the same two images, both at stride 16: the level decides, not the size of the box."""
    rng = np.random.default_rng(1)
    maps = [tf.constant(rng.normal(size=(2, side, side, 4)), "float32") for side in (12, 24)]
    corners = rng.uniform(0, 90, (6, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(10, 90, (6, 2))], axis=1).astype("float32")
    image, level = np.array([0, 1, 1, 0, 1, 0], "int32"), np.array([1, 0, 1, 1, 0, 0], "int32")
    layer = kind((16,))
    pooled = layer.pool(maps, [boxes, 2 * boxes], image, level, strides=[16, 16])
    for row in range(6):
        scaled = boxes[row] * (1 + level[row])
        alone = layer(maps[level[row]][image[row]][None], scaled[None, None])
        np.testing.assert_allclose(pooled[row], alone[0, 0], rtol=0, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(partial(RoIAlign, 2), id="align"),
        pytest.param(partial(RoIPooling, 2), id="pooling"),
        pytest.param(partial(ExactRoIPooling, 2), id="exact"),
        pytest.param(partial(SpatialPyramidPooling, (1, 2)), id="pyramid", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("kernels_in_use", ["stock"], indirect=True)
def test_xla_compiles_the_same(kind):
    """Values and gradient, traced for maps and RoIs of any size."""
    layer = kind((8, 16))

    def pool(fine, coarse, boxes):
        with tf.GradientTape() as tape:
            tape.watch([fine, coarse])
            pooled = layer([fine, coarse], boxes)
            loss = tf.reduce_sum(tf.square(pooled))
        return pooled, tape.gradient(loss, [fine, coarse])

    signature = [tf.TensorSpec([1, None, None, 4])] * 2 + [tf.TensorSpec([1, None, 4])]
    with kernels.use("auto"):
        compiled = tf.function(pool, input_signature=signature, jit_compile=True)
        answers = tf.nest.flatten(compiled(*features(), BOXES))
        nothing, gradients = compiled(*features(), BOXES[:, :0])
    for answer, expected in zip(answers, tf.nest.flatten(pool(*features(), BOXES))):
        np.testing.assert_allclose(answer, expected, rtol=1e-4, atol=1e-4)
    assert nothing.shape == (1, 0, *layer.roi_shape(4))
    assert not any(np.any(gradient) for gradient in gradients)


@LAYERS
def test_part_of_a_functional_model_that_is_saved(kind, tmp_path):
    inputs = [keras.Input((None, None, 4)), keras.Input((None, None, 4)), keras.Input((None, 4))]
    layer = kind((8, 16))
    model = keras.Model(inputs, layer(inputs[:2], inputs[2]))
    model.save(tmp_path / "roi.keras")
    loaded = keras.saving.load_model(tmp_path / "roi.keras")
    assert model.output.shape == (None, None, *layer.roi_shape(4))
    np.testing.assert_array_equal(model([*features(), BOXES]), loaded([*features(), BOXES]))


@LAYERS
def test_strides_and_maps_must_agree(kind):
    with pytest.raises(ValueError, match="has 2 strides and got 1 feature maps"):
        kind((8, 16))(features()[:1], BOXES)

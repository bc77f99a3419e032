"""What RoIPooling and RoIAlign share."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_frcnn.layers import RoIAlign, RoIPooling

LAYERS = pytest.mark.parametrize("kind", [RoIAlign, RoIPooling])
BOXES = tf.constant([[[0.0, 0, 20, 30], [500, 500, 560, 590], [10, 5, 400, 590]]])


def features(dtype="float32"):
    rng = np.random.default_rng(0)
    return [tf.cast(rng.normal(size=(1, side, side, 4)), dtype) for side in (75, 38)]


@LAYERS
def test_no_gradient_reaches_the_boxes(kind):
    layer, maps = kind(2, (8, 16)), features()
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
    answer = kind(2, (8, 16), dtype=policy)(maps, BOXES)
    exact = kind(2, (8, 16))([tf.cast(level, tf.float32) for level in maps], BOXES)
    assert answer.dtype == dtype
    np.testing.assert_array_equal(answer, tf.cast(exact, dtype))


@LAYERS
def test_levels_without_rois(kind):
    maps = features()
    small = BOXES[:, :1]
    single = kind(2, (8,))(maps[0], small)
    np.testing.assert_array_equal(kind(2, (8, 16))(maps, small), single)
    assert kind(2, (8, 16))(maps, BOXES[:, :0]).shape == (1, 0, 2, 2, 4)


@LAYERS
def test_part_of_a_functional_model_that_is_saved(kind, tmp_path):
    inputs = [keras.Input((None, None, 4)), keras.Input((None, None, 4)), keras.Input((None, 4))]
    model = keras.Model(inputs, kind(3, (8, 16), aligned=False)(inputs[:2], inputs[2]))
    model.save(tmp_path / "roi.keras")
    loaded = keras.saving.load_model(tmp_path / "roi.keras")
    assert model.output.shape == (None, None, 3, 3, 4)
    np.testing.assert_array_equal(model([*features(), BOXES]), loaded([*features(), BOXES]))


@LAYERS
def test_strides_and_maps_must_agree(kind):
    with pytest.raises(ValueError, match="has 2 strides and got 1 feature maps"):
        kind(2, (8, 16))(features()[:1], BOXES)

"""A network of one's own is copied, whatever it is made of, and never changed."""

import keras
import numpy as np
import pytest

import keras_frcnn as kf
from keras_frcnn.backbones import copied_network
from keras_frcnn.layers import FeaturePyramid
from keras_frcnn.trainable_flags import trainable_flags

SHIFT = 1.0


class Scaled(keras.layers.Layer):
    """Registered nowhere."""

    def build(self, shape):
        self.factor = self.add_weight(name="factor", shape=(), initializer="ones")

    def call(self, x):
        return self.factor * x


class Closed(keras.layers.Layer):
    """Its config lacks its argument."""

    def __init__(self, secret, **kwargs):
        super().__init__(**kwargs)

    def call(self, x):
        return x


def network():
    """A Lambda that reads a global, an own layer, one called twice, a nested network, a pyramid."""
    image = keras.Input((None, None, 3))
    x = Scaled()(keras.layers.Lambda(lambda x: x + SHIFT)(image))
    x = keras.layers.Conv2D(8, 3, 4, "same", name="stem")(x)
    twice = keras.layers.Conv2D(8, 3, 1, "same", name="twice")
    x = keras.layers.Dropout(0.5)(keras.layers.BatchNormalization(name="norm")(twice(twice(x))))
    inner = keras.Sequential(
        [keras.Input((None, None, 8)), keras.layers.Conv2D(8, 3, 2, "same")], name="inner"
    )
    fine = inner(x)
    coarse = keras.layers.MaxPooling2D(2)(fine)
    pyramid = FeaturePyramid(8, extra_levels=0, name="pyramid")([fine, coarse])
    model = keras.Model(image, dict(zip(("P3", "P4"), pyramid)), name="own")
    model.get_layer("pyramid").lateral[0].trainable = False
    model.get_layer("stem").trainable = False
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(0.1, 0.3, weight.shape) for weight in model.get_weights()])
    return model


def test_a_copy_answers_the_same_and_shares_nothing():
    model = network()
    copy = copied_network(model)
    image = np.random.default_rng(1).normal(size=(1, 64, 64, 3)).astype("float32")
    answers = copy(image), model(image)
    for name in ("P3", "P4"):
        np.testing.assert_array_equal(answers[0][name], answers[1][name])
    assert [weight.path for weight in copy.weights] == [weight.path for weight in model.weights]
    assert not {id(weight) for weight in copy.variables} & {id(weight) for weight in model.variables}
    assert trainable_flags(copy) == trainable_flags(model)
    assert not copy.get_layer("pyramid").lateral[0].trainable
    for mine, theirs in zip(copy.variables, model.variables, strict=True):  # the generator of the dropout too
        np.testing.assert_array_equal(mine, theirs)


def test_a_detector_leaves_the_network_alone():
    model = network()
    weights, flags = model.get_weights(), trainable_flags(model)
    detector = kf.FasterRCNN(["cell"], backbone=model, frozen_batch_norm=True, batch_norm_epsilon=0.5)
    assert detector.backbone_info.norms()[0].epsilon == 0.5
    detector.backbone.set_weights([weight + 1.0 for weight in detector.backbone.get_weights()])
    assert model.get_layer("norm").epsilon == 1e-3 and trainable_flags(model) == flags
    for now, before in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(now, before)


def test_what_cannot_be_copied_is_refused():
    image = keras.Input((None, None, 3))
    x = Closed(object(), name="closed")(keras.layers.Conv2D(8, 16, 16)(image))
    with pytest.raises(ValueError, match="^Layer 'closed' of the backbone cannot be copied .*given\\.$"):
        kf.FasterRCNN(["cell"], backbone=keras.Model(image, {"C4": x}))


def test_a_network_that_is_not_functional_is_refused():
    class Subclassed(keras.Model):
        pass

    with pytest.raises(ValueError, match="^Backbone 'mine' is no functional model.*\\.$"):
        copied_network(Subclassed(name="mine"))

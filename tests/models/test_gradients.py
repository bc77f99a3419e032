"""Gradients of a whole training step, in float32 and in mixed float16."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_frcnn as kf

SIDE = 128


@pytest.fixture(scope="module")
def batch():
    images = np.random.default_rng(0).uniform(0, 255, (1, SIDE, SIDE, 3)).astype("float32")
    x = {"images": tf.constant(images), "image_shapes": tf.constant([[SIDE, SIDE]])}
    y = {
        "boxes": tf.constant([[[10.0, 20, 60, 90], [70, 5, 120, 50]]]),
        "labels": tf.constant([[0, 1]]),
        "ignore": tf.zeros([1, 2], tf.bool),
    }
    return x, y


def make_model(policy, **arguments):
    """A compiled model that samples every proposal, so that no rounding changes which RoIs are drawn."""
    keras.utils.set_random_seed(0)
    model = kf.FasterRCNN(
        ["round", "square"],
        backbone="tiny_fpn",
        image_size=(SIDE, SIDE),
        rpn_post_nms=(64, 32),
        head_batch_size=128,
        dtype=policy,
        **arguments,
    )
    model.compile()
    model.optimizer.build(model.trainable_variables)
    return model


def gradients_of(model, batch, names=None):
    """Gradients of the named losses (all of them by default) by path, loss scaling undone."""
    with tf.GradientTape() as tape:
        losses, _ = model.training_losses(*batch, training=True)
        loss = tf.add_n([losses[name] for name in names or losses])
        scaled = model.optimizer.scale_loss(loss)
    scale = scaled / loss
    gradients = tape.gradient(scaled, model.trainable_variables)
    return {
        variable.path: None if gradient is None else tf.convert_to_tensor(gradient) / scale
        for variable, gradient in zip(model.trainable_variables, gradients)
    }


@pytest.fixture(scope="module")
def single():
    return make_model("float32")


@pytest.fixture(scope="module")
def half():
    return make_model("mixed_float16")


@pytest.mark.slow
@pytest.mark.parametrize("policy", [pytest.param("float32", marks=pytest.mark.slow), "mixed_float16"])
def test_roi_pooling_teaches_every_convolution_before_it(batch, policy):
    # The head's losses alone, for the RPN's would reach the backbone without any pooling.
    model = make_model(policy, pooling="roi_pooling")
    model.train_on_batch(*batch)
    gradients = gradients_of(model, batch, ["class_loss", "box_loss"])
    kernels = [
        variable.path for variable in model.backbone.trainable_variables if variable.path.endswith("kernel")
    ]
    # Small objects are all pooled from the finest level; what only makes coarser ones gets nothing from them.
    kernels = [path for path in kernels if "output_1" not in path and "output_2" not in path]
    assert len(kernels) > 10
    for path in kernels:
        assert np.all(np.isfinite(gradients[path])), path
        assert np.any(gradients[path] != 0), path


@pytest.mark.slow
@pytest.mark.parametrize("name", ["single", "half"])
def test_every_convolution_before_the_rois_learns(batch, name, request):
    model = request.getfixturevalue(name)
    model.train_on_batch(*batch)
    gradients = gradients_of(model, batch)
    parts = [*model.backbone.trainable_variables, *model.rpn.trainable_variables]
    kernels = [variable.path for variable in parts if variable.path.endswith("kernel")]
    assert len(kernels) > 15
    for path in kernels:
        assert np.all(np.isfinite(gradients[path])), path
        assert np.any(gradients[path] != 0), path


def test_no_gradient_flows_through_the_coordinates_of_proposals(batch, single):
    gradients = gradients_of(single, batch, ("class_loss", "box_loss"))
    assert all(gradients[variable.path] is None for variable in single.rpn.trainable_variables)
    assert all(gradients[variable.path] is not None for variable in single.head.trainable_variables)
    assert np.any(gradients["stage1_1_conv/kernel"] != 0)


@pytest.mark.slow
def test_twenty_steps_of_mixed_float16_keep_the_gradient_of_float32(batch, half, single):
    losses = [half.train_on_batch(*batch, return_dict=True)["loss"] for _ in range(20)]
    assert np.all(np.isfinite(losses))
    single.set_weights(half.get_weights())
    single.sampling_seeds.state.assign(half.sampling_seeds.state)
    norms = []
    for model in (half, single):
        gradients = list(gradients_of(model, batch).values())
        assert all(np.all(np.isfinite(gradient)) for gradient in gradients)
        norms.append(float(tf.linalg.global_norm(gradients)))
    assert norms[0] == pytest.approx(norms[1], rel=0.02)


def test_an_overflow_halves_the_loss_scale_and_skips_the_step(batch, half):
    before = [variable.numpy() for variable in half.trainable_variables]
    half.optimizer.dynamic_scale.assign(2.0**60)  # no float16 gradient survives this
    half.train_on_batch(*batch)
    assert half.optimizer.dynamic_scale == 2.0**59
    for variable, value in zip(half.trainable_variables, before):
        np.testing.assert_array_equal(variable, value)
    half.optimizer.dynamic_scale.assign(2.0**10)
    half.train_on_batch(*batch)
    assert half.optimizer.dynamic_scale == 2.0**10
    assert any(np.any(variable.numpy() != value) for variable, value in zip(half.trainable_variables, before))

"""Cascade R-CNN: each stage works on the boxes of the one before."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_frcnn as kf
from keras_frcnn import boxes as box_ops
from keras_frcnn.models import transfer


@pytest.fixture(scope="module")
def cascade(make_cascade):
    return make_cascade()


@pytest.fixture(scope="module")
def make_cascade(small_network, recipe):
    """A function that makes a small cascade whose untrained heads move boxes."""

    def make(**arguments):
        keras.utils.set_random_seed(3)
        model = kf.CascadeRCNN(["red cell", "plate"], **{"backbone": small_network(), **recipe, **arguments})
        for head in model.detection_heads():
            head.class_dense.kernel.assign(head.class_dense.kernel * 100.0)
            head.box_dense.kernel.assign(head.box_dense.kernel * 300.0)
        return model

    return make


def test_inference_by_hand(cascade, image_of):
    x, _ = cascade.resizing.prepare_batch(tf.constant(image_of(90, 130)[None], tf.float32))
    shapes = x["image_shapes"]
    features = cascade.features(x["images"], shapes, False)
    rpn = cascade.rpn(features, shapes)
    rois, scores = rpn["proposals"], 0.0
    for head, weights in zip(cascade.detection_heads(), ((10, 10, 5, 5), (20, 20, 10, 10), (30, 30, 15, 15))):
        logits, deltas = head(cascade.roi_pooling(features, rois))
        assert deltas.shape[2] == 1  # alike for all classes
        scores += tf.nn.softmax(logits).numpy() / 3
        rois = box_ops.clip(box_ops.BoxCoder(weights).decode(deltas[:, :, 0], rois), shapes)
    answer = cascade.infer(x)
    count = int(answer["num_detections"][0])
    assert count > 3
    for box, score, label in zip(*(answer[name][0, :count] for name in ("boxes", "scores", "labels"))):
        distance = np.abs(rois[0] - box).max(axis=1)
        assert distance.min() < 1e-3
        np.testing.assert_allclose(scores[0, distance.argmin(), label + 1], score, atol=1e-5)


def test_each_stage_trains_on_the_boxes_of_the_one_before(cascade, make_batches, monkeypatch):
    """Foreground is from 0.5, 0.6 and 0.7 on, and no stage gets the boxes of the first."""
    x, y = next(iter(make_batches(1)))
    seen = []
    for stage in cascade.region_stages:
        watched = lambda *words, sample=stage.sample: seen.append(sample(*words)) or seen[-1]  # noqa: E731
        monkeypatch.setattr(stage, "sample", watched)
    losses, figures = cascade.training_losses(x, y, training=False)
    assert sorted(losses) == ["box_loss", "class_loss", "rpn_box_loss", "rpn_class_loss"]
    assert [stage.targets.match.positive_iou for stage in cascade.region_stages] == [0.5, 0.6, 0.7]
    for sample, least in zip(seen, (0.5, 0.6, 0.7)):
        overlap = box_ops.iou(sample.rois, y["boxes"]).numpy().max(axis=2)
        assert overlap[sample.positive.numpy()].min() >= least
        assert overlap[(sample.valid & ~sample.positive).numpy()].max() < least
    first, second = (set(map(tuple, sample.rois.numpy()[0].round(3))) for sample in seen[:2])
    objects = set(map(tuple, y["boxes"].numpy()[0]))
    assert not (first & second) - objects - {(0.0, 0.0, 0.0, 0.0)}


@pytest.mark.slow
def test_trains_saves_and_exports(make_cascade, make_batches, image_of, assert_same, tmp_path):
    model = make_cascade(class_loss="focal", box_loss=kf.losses.GIoU())
    model.compile()
    before = [weight.numpy() for head in model.detection_heads() for weight in head.trainable_weights]
    losses = model.fit(make_batches(2), epochs=2, verbose=0).history["loss"]
    assert np.all(np.isfinite(losses))
    after = [weight.numpy() for head in model.detection_heads() for weight in head.trainable_weights]
    assert all(np.any(old != new) for old, new in zip(before, after))
    model.save(tmp_path / "cascade.keras")
    loaded = keras.saving.load_model(tmp_path / "cascade.keras")
    assert loaded.get_config()["box_loss"]["class_name"] == "GIoU"
    assert isinstance(loaded.region_stages[2].box_loss, kf.losses.GIoU)
    image = image_of(90, 130)
    assert_same(loaded.detect(image), model.detect(image))
    model.export(tmp_path / "1")
    assert_same(kf.export.load(tmp_path / "1").detect(image), model.detect(image))


@pytest.mark.slow
def test_the_exported_heads_have_no_batch_norm(make_cascade, image_of, assert_same, tmp_path):
    model = make_cascade(head_convs=(8,))
    for head in model.detection_heads():
        for norm in head.norms:
            norm.moving_mean.assign(tf.random.stateless_normal(norm.moving_mean.shape, (1, 2)))
    model.export(tmp_path / "1")
    names = {variable.name for variable in tf.saved_model.load(str(tmp_path / "1")).weights}
    assert not [name for name in names if "gamma" in name or "moving" in name]
    assert_same(kf.export.load(tmp_path / "1").detect(image_of(90, 130)), model.detect(image_of(90, 130)))


@pytest.mark.parametrize(
    "arguments",
    [
        {"cascade_ious": (0.5, 0.6)},
        {"cascade_ious": (), "cascade_coder_weights": (), "cascade_loss_weights": ()},
    ],
)
def test_refuses_stages_of_different_numbers(small_network, arguments):
    with pytest.raises(ValueError, match="are empty or have different lengths; give one of each for each"):
        kf.CascadeRCNN(["a"], small_network(), **arguments)


def test_each_head_has_a_conv5_of_its_own():
    model = kf.CascadeRCNN(["a"], "resnet50", image_size=(64, 64))
    networks = [head.network for head in model.detection_heads()]
    assert len({id(layer) for network in networks for layer in network.layers}) == sum(
        len(network.layers) for network in networks
    )
    for mine, theirs in zip(networks[0].get_weights(), networks[2].get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert [layer.trainable for layer in networks[0].layers] == [
        layer.trainable for layer in networks[2].layers
    ]
    report = model.loading_report()
    for head in model.head_names:
        assert f"\n{head} " in report
    for head, network in enumerate(networks):
        network.weights[0].assign(np.full(network.weights[0].shape, head))
    again = kf.CascadeRCNN(["a"], "resnet50", image_size=(64, 64))
    assert transfer(model, again, "a.keras") == []
    for head, other in enumerate(again.detection_heads()):
        np.testing.assert_array_equal(other.network.weights[0], float(head))


def test_a_new_head_is_used(make_cascade, make_batches):
    model = make_cascade()
    x, _ = next(iter(make_batches(1)))
    model.infer(x)
    head = type(model.head2).from_config(model.head2.get_config())
    head.build((None, None, *model.roi_pooling.roi_shape(16)))
    model.head2 = head
    assert model.region_stages[1].head is head


def test_each_head_takes_the_conv5_of_another_method():
    source = kf.FasterRCNN(["a"], "resnet50", image_size=(64, 64))
    target = kf.CascadeRCNN(["a"], "resnet50", image_size=(64, 64))
    new = transfer(source, target, "a.keras")
    assert {path.split("/")[0] for path in new} == {"head1", "head2", "head3"}  # the predictors alone
    for head in target.detection_heads():
        for mine, theirs in zip(head.network.weights, source.head.network.weights, strict=True):
            np.testing.assert_array_equal(mine, theirs)

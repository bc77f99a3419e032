"""What a detector takes of another."""

import numpy as np
import pytest

import keras_frcnn as kf
from keras_frcnn.models import transfer


def rows(weight, size):
    """A weight of a predictor as `[rows, ...]`."""
    value = np.moveaxis(weight.numpy(), -1, 0)
    return value.reshape(-1, size, *value.shape[1:])


@pytest.mark.parametrize("background", [0, 1])
def test_rows_of_classes_with_equal_names(make_model, background):
    source = make_model(["a", "N/A", "b", "N/A", "c"], head_background_box=bool(background))
    target = make_model(["c", "N/A", "new", "b"], head_background_box=True)
    fresh = {weight.path: weight.numpy() for weight in target.weights}
    for weight in source.weights:
        weight.assign(np.random.default_rng(1).random(weight.shape))
    assert transfer(source, target, "a.keras") == []
    for layer, size, offset in (("class_dense", 1, 1), ("box_dense", 4, background)):
        own, theirs = (getattr(model.head, layer) for model in (target, source))
        for mine, given in zip(own.weights, theirs.weights, strict=True):
            before = np.moveaxis(fresh[mine.path], -1, 0).reshape(rows(mine, size).shape)
            after, given = rows(mine, size), rows(given, size)
            np.testing.assert_array_equal(after[1], given[offset + 4])  # c
            np.testing.assert_array_equal(after[4], given[offset + 2])  # b
            np.testing.assert_array_equal(after[2:4], before[2:4])  # N/A and new
            np.testing.assert_array_equal(after[0], given[0] if offset else before[0])


def test_no_class_in_common_is_a_new_predictor(make_model):
    new = transfer(make_model(["a", "N/A"]), make_model(["N/A", "b", "c"]), "a.keras")
    layers = [f"head/{layer}_predictor/{kind}" for layer in ("class", "box") for kind in ("kernel", "bias")]
    assert [path.split("/", 1)[-1] if not path.startswith("head") else path for path in new] == layers


def test_statistics_of_boxes_come_with_their_class():
    def model(names):
        return kf.FastRCNN(names, backbone="tiny_fpn", image_size=(64, 80), head_units=(8, 8))

    source, target = model(["a", "b"]), model(["new", "b", "c"])
    source.head.normalize_boxes(np.arange(8.0).reshape(2, 4), np.arange(1.0, 9.0).reshape(2, 4))
    transfer(source, target, "a.keras")
    mean, deviation = target.head.box_dense.mean.numpy(), target.head.box_dense.deviation.numpy()
    np.testing.assert_array_equal(mean, [0, 0, 0, 0, 4, 5, 6, 7, 0, 0, 0, 0])
    np.testing.assert_allclose(deviation, [0.1, 0.1, 0.2, 0.2, 5, 6, 7, 8, 0.1, 0.1, 0.2, 0.2])


def test_refuses_what_would_freeze_new_weights(make_model):
    source = make_model()
    target = kf.FasterRCNN(["red cell"], "mobilenet_v3_large_fpn", weights_source="a.keras")
    before = [weight.numpy() for weight in target.weights]
    with pytest.raises(ValueError, match="^a.keras has no weights for .* of this model, which is frozen"):
        transfer(source, target, "a.keras")
    for weight, value in zip(target.weights, before, strict=True):
        np.testing.assert_array_equal(weight, value)

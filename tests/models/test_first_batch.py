"""A pipeline of the user's own is checked once, in words, however it comes."""

import types
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_frcnn as kf
from keras_frcnn.data.readers import shapes
from keras_frcnn.models import first_batch

H, W = 64, 96


@pytest.fixture(scope="module")
def model(make_model):
    model = make_model()
    model.compile("sgd")
    return model


def batch():
    """Two images in our format: (x, y) of arrays, with a row of padding in the second."""
    x = {
        "images": np.full([2, H, W, 3], 90, np.float32),
        "image_shapes": np.array([[H, W], [60, 90]], np.int32),
    }
    boxes = [[[10, 5, 80, 60], [70, 20, 95, 40]], [[1, 2, 30, 40], [-1, -1, -1, -1]]]
    labels, ignore = [[0, 1], [1, -1]], [[False, True], [False, False]]
    y = {
        "boxes": np.array(boxes, np.float32),
        "labels": np.array(labels, np.int32),
        "ignore": np.array(ignore),
    }
    return x, y


def normalized(x, y):
    y["boxes"][y["labels"] >= 0] /= [W, H, W, H]


def yxyx(x, y):
    y["boxes"] = y["boxes"][..., [1, 0, 3, 2]]


def xywh(x, y):
    y["boxes"][..., 2:] -= np.where(y["labels"] >= 0, 1, 0)[..., None] * y["boxes"][..., :2]


def beyond(x, y):
    y["boxes"][1, 0, 3] = 66


def infinite(x, y):
    y["boxes"][0, 0, 0] = np.nan


def too_large_label(x, y):
    y["labels"][0, 0] = 2


def other_padding(x, y):
    y["boxes"][1, 1], y["labels"][1, 1] = 0, 0


def odd_label(x, y):
    y["labels"][1, 1] = -2


def fractions(x, y):
    x["images"] = x["images"] / 255


def normalized_pixels(x, y):
    x["images"] = x["images"] - 127.5


def turned_shapes(x, y):
    x["image_shapes"] = x["image_shapes"][:, ::-1].copy()


FAULTS = {
    normalized: "look normalized; multiply x by the width and y by the height",
    yxyx: r"'boxes' has \[5.0, 10.0, 60.0, 80.0\] in an image of 96 x 64, and y seems to come before x",
    xywh: r"'boxes' has \[70.0, 20.0, 25.0, 20.0\], which ends before it begins, as width and height would",
    beyond: r"'boxes' has \[1.0, 2.0, 30.0, 66.0\] in an image of 90 x 60; boxes are xyxy",
    infinite: "a coordinate that is not finite; leave such objects out",
    too_large_label: "'labels' has 2; the classes of this model are 0 to 1, and -1 is padding",
    other_padding: "a row of padding has a label from 0; pad 'labels' and 'boxes' with -1",
    odd_label: "'labels' has -2; the classes",
    fractions: "pixels from 0 to 0.35.*; give RGB 0-255, the model normalizes them itself",
    normalized_pixels: "pixels from -37.5 to 0; give RGB 0-255",
    turned_shapes: r"'image_shapes' has \[96, 64\] for an image of \[64, 96\]; give \(height, width\)",
}


def labels_without_boxes(x, y):
    y["labels"] = np.zeros([2, 3], np.int32)


def one_image_less(x, y):
    x["images"], x["image_shapes"] = x["images"][:1], x["image_shapes"][:1]


def three_sides(x, y):
    x["image_shapes"] = np.full([2, 3], 60, np.int32)


def words(x, y):
    y["labels"] = np.array([["red cell", "plate"], ["plate", ""]])


def words_for_boxes(x, y):
    y["boxes"] = y["boxes"].astype(str)


def points(x, y):
    y["boxes"] = y["boxes"][..., :3]


def flat_boxes(x, y):
    y["boxes"] = y["boxes"][:, 0]


def flat_flags(x, y):
    y["ignore"] = y["ignore"][:, 0]


def float_labels(x, y):
    y["labels"] = y["labels"].astype(np.float32)


def listed(x, y):
    y["labels"] = y["labels"].tolist()


FORM_FAULTS = {
    labels_without_boxes: r"'boxes' is \[2, 2, 4\] and 'labels' \[2, 3\]; give \[B, M, 4\] and \[B, M\] for",
    one_image_less: r"'images' is \[1, 64, 96, 3\] and 'boxes' \[2, 2, 4\]; give \[B, H, W, 3\] and",
    three_sides: r"'image_shapes' is \[2, 3\]; give \[B, 2\] for B images",
    words: "'labels' has no numbers; give whole numbers from 0 in the order of the classes, padded with -1",
    words_for_boxes: "'boxes' has no numbers; give an array of numbers",
    points: r"'boxes' is \[2, 2, 3\]; give \[B, M, 4\] for B images with M objects each",
    flat_boxes: r"'boxes' is \[2, 4\]; give \[B, M, 4\] for",
    flat_flags: r"'ignore' is \[2\]; give \[B, M\] for",
    float_labels: "'labels' has the type float32; give whole numbers from 0",
    listed: "'labels' is a list; give an array or a tensor",
}


@pytest.mark.parametrize("spoil", FORM_FAULTS)
def test_the_format_of_a_batch_that_tensorflow_would_stumble_over(model, spoil):
    x, y = batch()
    spoil(x, y)
    sources = [(((x, y) for _ in range(2)),), (x, y)]
    if x["image_shapes"].shape == (2, 2) and spoil is not listed:
        sources.append((((x["images"], y) for _ in range(2)),))  # images alone are a batch too
    for source in sources:
        with pytest.raises(ValueError, match=f"^In the first batch {FORM_FAULTS[spoil]}.*\\.$") as error:
            model.fit(*source, verbose=0)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["boxes", "labels", "ignore"])
def test_ragged_targets(model, name):
    x, y = batch()
    padding = False if name == "ignore" else -1
    y[name] = tf.RaggedTensor.from_tensor(y[name])
    with pytest.raises(ValueError, match=rf"^The target '{name}' is ragged; pad it with .*\({padding}\)\.$"):
        model.evaluate(tf.data.Dataset.from_tensors((x, y)), verbose=0)


@pytest.mark.parametrize("spoil", FAULTS)
def test_each_fault_has_its_sentence(model, spoil):
    x, y = batch()
    spoil(x, y)
    with pytest.raises(ValueError, match=f"^In the first batch .*{FAULTS[spoil]}.*\\.$") as error:
        model.evaluate(x, y, verbose=0)
    assert "\n" not in str(error.value)


class Sequence(keras.utils.PyDataset):
    def __len__(self):
        return 2

    def __getitem__(self, index):
        return SPOILT

    def on_epoch_end(self):
        pass


SPOILT = batch()
normalized(*SPOILT)
SOURCES = {
    "tf.data": lambda: tf.data.Dataset.from_tensors(SPOILT).repeat(2),
    "generator": lambda: (SPOILT for _ in range(2)),
    "PyDataset": Sequence,
}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("run", ["fit", "evaluate"])
def test_wherever_it_comes_from(model, source, run):
    with pytest.raises(ValueError, match="^In the first batch 'boxes' end before pixel 1.*\\.$"):
        getattr(model, run)(SOURCES[source](), verbose=0)


@pytest.mark.slow
def test_validation_data_too(model):
    with pytest.raises(ValueError, match="^In the first batch 'boxes' end before pixel 1.*\\.$"):
        model.fit(*batch(), validation_data=tf.data.Dataset.from_tensors(SPOILT), verbose=0)


def test_what_is_right_is_used_once_as_it_is(model, set_back):
    right = batch()
    set_back(model)
    losses = [
        model.evaluate(source, steps=2, verbose=0, return_dict=True)
        for source in (tf.data.Dataset.from_tensors(right).repeat(2), (right for _ in range(2)))
    ]
    assert losses[0] == losses[1]
    seen = []
    data = tf.data.Dataset.range(3).map(
        lambda n: tf.numpy_function(lambda n: seen.append(n) or n, [n], tf.int64)
    )
    data = data.map(lambda n: right)
    model.evaluate(data, verbose=0)
    assert sorted(seen) == [0, 1, 2]


def test_sets_of_this_package_go_as_they_are(make_model):
    batches = shapes.load("val", 2).batches(2, image_size=(64, 96))
    with first_batch.checked(make_model(shapes.CLASS_NAMES), batches, (), {}) as (given, _):
        assert given is batches


@pytest.mark.parametrize("run", ["fit", "evaluate"])
def test_a_set_is_no_batches(model, run):
    with pytest.raises(ValueError, match=r"take batches, not <shapes.*; give dataset.batches\(batch_size"):
        getattr(model, run)(shapes.load("val", 2))


def test_their_classes_are_those_of_the_model(make_model):
    scenes = shapes.load("val", 20)
    batches = scenes.batches(2, image_size=(64, 96))
    turned = scenes.class_names[::-1]
    with pytest.raises(
        ValueError, match=f"^Label 0 is 'circle' in the data, but '{turned[0]}' in the model; give both"
    ):
        make_model(turned).evaluate(batches)
    with pytest.raises(
        ValueError, match="^Label 2 is .* in the data, but the model has only 2 classes; give both"
    ):
        make_model().evaluate(batches)
    with pytest.raises(ValueError, match="the model has only 1 class; give"):
        make_model(scenes.class_names[:1]).evaluate(batches)
    # Other words for the same classes are the caller's right.
    names = [f"{name} in another language" for name in scenes.class_names]
    with first_batch.checked(make_model(names), batches, (), {}) as (given, _):
        assert given is batches


@pytest.mark.parametrize(
    "name, change",
    [
        ("labels", lambda value: value.astype(np.float32)),
        ("ignore", lambda value: value.astype(np.int32)),
        ("boxes", lambda value: value.astype(np.int32)),
        ("boxes", lambda value: value[0]),
        ("labels", lambda value: value[..., None]),
    ],
)
def test_types_and_ranks_are_refused_at_the_trace(model, name, change):
    x, y = batch()
    y[name] = change(y[name])
    data = tf.data.Dataset.from_tensors((x, y))
    with pytest.raises(ValueError, match=f"(?s)^The targets of a batch are a dict .*got .*'{name}' "):
        model.evaluate(data, verbose=0)


def test_a_missing_batch_dimension(model):
    x, y = batch()
    data = tf.data.Dataset.from_tensor_slices((x, y))
    with pytest.raises(ValueError, match="wants a batch of RGB images"):
        model.evaluate(data, verbose=0)


def test_an_rpn_has_no_classes_to_exceed():
    x, y = batch()
    y["labels"][0, 0] = 7
    model = kf.RPN(backbone="tiny_fpn", image_size=(64, 96), rpn_post_nms=(30, 20))
    with first_batch.checked(model, x, (y,), {}):
        pass


def warned(model, *given):
    """The sentences of the warnings about the size of what `fit` gets."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        first_batch.warn_of_other_size(model, *given)
    return [str(warning.message) for warning in found]


def test_batches_of_another_size_than_the_models(model):
    scenes = shapes.load("val", 4)
    sentence = (
        "The batches have images of the size (600, 1000), but the model works at (96, 128); give "
        "batches(..., image_size=model.image_size)."
    )
    other, own = scenes.batches(2), scenes.batches(2, image_size=[96, 128])
    assert warned(model, other, other) == warned(model, other.repeat().prefetch(1), own) == [sentence]
    assert warned(model, own, other) == [sentence]
    assert not warned(model, own, None) and not warned(model, own, own)
    # Whoever maps them may resize them, and other data say no size.
    assert not warned(model, other.map(lambda x, y: (x, y)), batch())
    training = {"image_size": (240, 320), "training": True}
    assert warned(model, scenes.batches(2, **training))
    for several in ({"short_sides": [64, 96]}, {"scale_jitter": (0.5, 2.0)}):
        assert not warned(model, scenes.batches(2, **training, **several))
        assert warned(model, scenes.batches(2, image_size=(240, 320), **several))


def test_no_size_of_batches_is_asked_of_models_that_have_several(make_model):
    batches = shapes.load("val", 4).batches(2)
    assert not warned(make_model(canvas=True), batches)
    pyramid = types.SimpleNamespace(
        canvas=False, arguments={"pyramid_sides": (96, 128)}, image_size=(96, 128)
    )
    assert not warned(pyramid, batches)


def test_fit_warns_once(make_model):
    scenes = shapes.load("val", 2)
    model = make_model(scenes.class_names)
    model.compile("sgd")
    batches = scenes.batches(2, image_size=(64, 80))
    with pytest.warns(
        UserWarning, match="the size .64, 80., but the model works at .96, 128.; give"
    ) as found:
        model.fit(batches, validation_data=batches, verbose=0)
    (warning,) = [one for one in found if "works at" in str(one.message)]
    assert warning.filename == __file__

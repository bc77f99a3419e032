"""What every detector shares: its inputs, its answers, and training by `fit`."""

import keras
import numpy as np
import pytest
import tensorflow as tf

LOSSES = {"loss", "rpn_class_loss", "rpn_box_loss", "class_loss", "box_loss"}
LOGS = LOSSES | {"proposal_recall"}


@pytest.fixture(scope="module")
def model(make_model):
    return make_model()


def padded(images, height, width):
    """A batch of images of different shapes, with noise where it is padded."""
    batch = np.random.default_rng(9).integers(0, 256, (len(images), height, width, 3)).astype("float32")
    for row, image in zip(batch, images):
        row[: image.shape[0], : image.shape[1]] = image
    return {"images": batch, "image_shapes": np.int32([image.shape[:2] for image in images])}


def row_of(answer, row):
    count = answer["num_detections"][row]
    return {name: answer[name][row, :count] for name in ("boxes", "scores", "labels")}


# Answers.


@pytest.fixture(scope="module", params=[False, True])
def less_sure(request, make_model):
    """A model whose scores differ, and whether it has a canvas. Scores that are nearly 1 change places."""
    model = make_model(canvas=request.param)
    model.head.class_dense.kernel.assign(0.1 * model.head.class_dense.kernel)
    return model, request.param


@pytest.mark.parametrize(
    "shapes", [[(96, 128), (128, 96), (70, 50)], [(96, 128), (96, 128)], [(96, 128), (65, 127)]]
)
def test_answer_does_not_depend_on_the_batch(less_sure, image_of, assert_same, shapes):
    model, canvas = less_sure
    images = [image_of(*shape, seed) for seed, shape in enumerate(shapes)]
    together = model.predict(padded(images, 128, 128), verbose=0)
    for row, image in enumerate(images):
        alone = padded([image], 128, 128) if canvas else padded([image], *image.shape[:2])
        expected = row_of(model.predict(alone, verbose=0), 0)
        assert len(expected["scores"]) > 3
        assert_same(row_of(together, row), expected)
        assert expected["boxes"].max() <= max(image.shape)


@pytest.mark.parametrize(
    ("shapes", "passes"),
    [
        ([(96, 128), (96, 128), (96, 128)], [3]),
        ([(96, 128), (65, 127)], [2]),  # both are padded to 96 × 128
        ([(96, 128), (96, 128), (128, 96)], [1, 1, 1]),
    ],
)
def test_images_share_a_pass_where_their_padded_shapes_are_equal(
    model, image_of, monkeypatch, shapes, passes
):
    infer, seen = model.infer, []

    def counted(x, training):
        seen.append(len(x["images"]))
        return infer(x, training)

    monkeypatch.setattr(model, "infer", counted)
    model(padded([image_of(*shape) for shape in shapes], 128, 128))
    assert seen == passes


def test_answers_of_predict(model, image_of):
    answer = model.predict(np.stack([image_of(96, 128, seed) for seed in range(2)]), verbose=0)
    assert {name: (value.shape, value.dtype.name) for name, value in answer.items()} == {
        "boxes": ((2, 12, 4), "float32"),
        "scores": ((2, 12), "float32"),
        "labels": ((2, 12), "int32"),
        "num_detections": ((2,), "int32"),
    }
    empty = np.arange(12) >= answer["num_detections"][:, None]
    for name in ("boxes", "scores", "labels"):
        assert np.all(answer[name][empty] == -1) and np.all(answer[name][~empty] >= 0)


def test_plain_images_and_dict_are_the_same(model, image_of):
    images = np.stack([image_of(90, 130, seed) for seed in range(2)])
    wanted = model(images)
    for x in (
        {"images": images},
        {"images": images.astype("float32"), "image_shapes": np.int64([[90, 130]] * 2)},
        tf.constant(images),
    ):
        for name, value in model(x).items():
            np.testing.assert_allclose(value, wanted[name], atol=1e-3)


def test_predict_many_batches(model, image_of):
    images = np.stack([image_of(64, 64, seed) for seed in range(3)])
    whole, parts = (model.predict(images, batch_size=size, verbose=0) for size in (3, 2))
    for name in whole:
        np.testing.assert_allclose(parts[name], whole[name], atol=1e-3)


def test_detect_answers_in_pixels_of_the_image(model, image_of, assert_same):
    """An image of exactly the size that it would be resized to is what `predict` sees."""
    image = image_of(96, 128)
    expected = row_of(model.predict(image[None], verbose=0), 0)
    assert_same(model.detect(image), expected)
    # Twice as large by repetition, half-pixel bilinear subsampling gives the same pixels back.
    twice = model.detect(image.repeat(2, axis=0).repeat(2, axis=1))
    assert_same({**twice, "boxes": twice["boxes"] / 2}, expected)


def test_detect_a_list_an_array_or_a_path(model, image_of, assert_same, tmp_path):
    image = image_of(60, 90)
    path = tmp_path / "image.png"
    path.write_bytes(tf.io.encode_png(image).numpy())
    expected = model.detect(image)
    assert {name: value.dtype.name for name, value in expected.items()} == {
        "boxes": "float32",
        "scores": "float32",
        "labels": "int32",
    }
    answers = model.detect([path, str(path), image.astype("float64"), image_of(40, 30)])
    assert isinstance(answers, list) and len(answers) == 4
    for answer in answers[:3]:
        assert_same(answer, expected)
    assert model.detect([]) == []


def test_detect_sees_new_weights(make_model, image_of):
    """The traced function must not keep the weights of its first call."""
    model, image = make_model(), image_of(64, 64)
    assert len(model.detect(image)["scores"]) > 0
    bias = np.zeros(3)
    bias[0] = 1e4
    model.head.class_dense.bias.assign(bias)
    assert len(model.detect(image)["scores"]) == 0


# Bad input.


@pytest.mark.parametrize("class_names", ["cell", 3, [], ["cell", "cell"], ["red\ncell"]])
def test_bad_class_names(make_model, class_names):
    with pytest.raises(ValueError, match="^class_names (must be|has) .*\\.$"):
        make_model(class_names)


@pytest.mark.parametrize("image_size", [600, (600,), (0, 100), (200, 100), (1, 2, 3)])
def test_bad_image_size(make_model, image_size):
    with pytest.raises(
        ValueError, match=r"^image_size is [\d(].*; give (two whole numbers|.*the short side first).*\.$"
    ):
        make_model(image_size=image_size)


@pytest.mark.parametrize("shape", [(20, 30), (20, 30, 1), (20, 30, 4), (1, 20, 30, 3), (0, 30, 3)])
def test_bad_arrays(model, shape):
    with pytest.raises(ValueError, match=r"^detect wants an RGB image \[H, W, 3\] and got shape .*\.$"):
        model.detect(np.zeros(shape))


def test_bad_files(model, tmp_path):
    (tmp_path / "text.jpg").write_text("no image")
    with pytest.raises(FileNotFoundError, match="nowhere.jpg"):
        model.detect(tmp_path / "nowhere.jpg")
    with pytest.raises(ValueError, match="text.jpg cannot be decoded"):
        model.detect(str(tmp_path / "text.jpg"))


# Training.


def test_fit_and_evaluate_log_every_loss(make_model, make_batches):
    model = make_model()
    model.compile()
    history = model.fit(make_batches(2), validation_data=make_batches(1), epochs=2, verbose=0).history
    assert set(history) == LOGS | {f"val_{name}" for name in LOGS}
    results = model.evaluate(make_batches(1), return_dict=True, verbose=0)
    assert set(results) == LOGS
    for name, value in results.items():
        np.testing.assert_allclose(value, history[f"val_{name}"][-1], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(results["loss"], sum(results[name] for name in LOSSES - {"loss"}), rtol=1e-5)
    assert 0.0 <= results["proposal_recall"] <= 1.0
    ((x, y),) = make_batches(1)
    in_order = [results[name] for name in model.metrics_names]
    np.testing.assert_allclose(model.evaluate(make_batches(1), verbose=0), in_order, rtol=1e-4)
    assert len(model.train_on_batch(x, y)) == len(LOGS)


def test_loss_falls(make_model, make_batches):
    model = make_model()
    model.compile(keras.optimizers.Adam(2e-3))
    losses = model.fit(make_batches(8), epochs=3, verbose=0).history["loss"]
    assert losses[-1] < 0.7 * losses[0]


def test_extra_losses_of_layers_count(make_model, make_batches):
    regularizer = keras.regularizers.L2(1.0)
    logs = []
    for strength in (None, regularizer):
        model = make_model()
        model.rpn.conv.kernel.regularizer = strength
        model.compile(keras.optimizers.SGD(0.0))
        logs.append(model.fit(make_batches(1), verbose=0).history["loss"][0])
    np.testing.assert_allclose(logs[1] - logs[0], regularizer(model.rpn.conv.kernel), rtol=1e-3)


def test_steps_per_execution(make_model, make_batches):
    model = make_model()
    model.compile("sgd", steps_per_execution=2)
    history = model.fit(make_batches(4), verbose=0).history
    assert set(history) == LOGS and int(model.optimizer.iterations) == 4


def test_averaged_weights(make_model, make_batches):
    model = make_model()
    model.compile(keras.optimizers.SGD(1e-3, use_ema=True, ema_momentum=0.5, global_clipnorm=1.0))
    before = model.head.class_dense.kernel.numpy()
    model.fit(make_batches(2), verbose=0)
    kernel = model.head.class_dense.kernel
    average = model.optimizer._model_variables_moving_average[model.optimizer._get_variable_index(kernel)]
    np.testing.assert_array_equal(kernel.numpy(), average.numpy())
    assert not np.array_equal(kernel.numpy(), before)


def test_accumulated_gradients(make_model, make_batches):
    model = make_model()
    model.compile(keras.optimizers.SGD(1e-2, gradient_accumulation_steps=2))
    kernel = model.head.class_dense.kernel
    before = kernel.numpy()
    model.fit(make_batches(1), verbose=0)
    np.testing.assert_array_equal(kernel.numpy(), before)
    model.fit(make_batches(1), verbose=0)
    assert not np.array_equal(kernel.numpy(), before)


NO_OBJECTS = dict(boxes=[(-1, -1, -1, -1)], labels=[-1], ignore=[False])
NO_ROWS = dict(boxes=[], labels=[], ignore=[])
ALL_IGNORED = dict(boxes=[(0, 0, 96, 96), (8, 8, 40, 40)], labels=[0, 1], ignore=[True, True])
ALL_COVERED = dict(boxes=[(-400, -400, 500, 500)], labels=[0], ignore=[True])


@pytest.fixture(scope="module")
def learner(make_model, set_back):
    """A function from a dtype policy to a compiled model, as new."""
    models = {}

    def learn(dtype):
        if dtype not in models:
            model = make_model(dtype=dtype)
            model.compile(keras.optimizers.SGD(1e-3, global_clipnorm=1.0))
            models[dtype] = set_back(model)
        return models[dtype]()

    return learn


@pytest.mark.parametrize(
    ("y", "dtype"),
    [
        pytest.param(NO_OBJECTS, "float32", id="padding"),
        pytest.param(NO_OBJECTS, "mixed_float16", id="padding-float16"),
        pytest.param(NO_ROWS, "float32", id="no rows"),
        pytest.param(ALL_IGNORED, "float32", id="ignored"),
        pytest.param(ALL_COVERED, "float32", id="covered"),
    ],
)
def test_batches_without_objects_train(learner, make_batches, y, dtype):
    model = learner(dtype)
    history = model.fit(make_batches(2, **y), validation_data=make_batches(1, **y), verbose=0).history
    for name, values in history.items():
        assert np.all(np.isfinite(values)), name
    assert history["rpn_box_loss"] == history["box_loss"] == [0.0]
    assert history["proposal_recall"] == [0.0]
    if y is NO_OBJECTS:
        assert history["class_loss"][0] > 0.0 and history["rpn_class_loss"][0] > 0.0
    if y is ALL_COVERED:
        assert history["class_loss"] == history["rpn_class_loss"] == [0.0]
    assert all(np.all(np.isfinite(weight)) for weight in model.get_weights())


def test_a_new_head_is_used_by_what_was_traced(make_model, image_of):
    model = make_model()
    before = model.detect(image_of(90, 130))
    head = type(model.head).from_config(model.head.get_config())
    head.build((None, None, *model.head.roi_shape))
    head.class_dense.kernel.assign(tf.ones(head.class_dense.kernel.shape))
    model.head = head
    after = model.detect(image_of(90, 130))
    assert not np.array_equal(before["scores"], after["scores"])
    assert model.regions.head is head


@pytest.mark.slow
@pytest.mark.parametrize("name", ["rpn", "roi_pooling", "backbone"])
def test_a_new_part_is_used_by_what_was_traced(make_model, image_of, name):
    model, image = make_model(), image_of(90, 130)
    before = model.detect(image)["boxes"], model.propose(image)["boxes"]
    part = make_model().backbone if name == "backbone" else getattr(model, name)
    if name == "roi_pooling":
        part = type(part).from_config({**part.get_config(), "samples": 1})
    else:
        part = (
            keras.models.clone_model(part)
            if name == "backbone"
            else type(part).from_config(part.get_config())
        )
    if name == "rpn":
        part.build([level.shape for level in model.backbone.outputs])
    setattr(model, name, part)
    after = model.detect(image)["boxes"], model.propose(image)["boxes"]
    assert not np.array_equal(before[0], after[0])
    assert np.array_equal(before[1], after[1]) == (name == "roi_pooling")

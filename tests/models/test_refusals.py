"""What does not fit a detector is refused in one sentence, which says what to do."""

import inspect

import keras
import numpy as np
import pytest

import keras_frcnn as kf
from keras_frcnn.detects import Detects

BATCH = "^FasterRCNN wants a batch of RGB images \\[B, H, W, 3\\] and got shape .*\\.$"


@pytest.fixture(scope="module")
def model(make_model):
    model = make_model()
    model.compile("sgd")
    return model


@pytest.fixture(scope="module")
def batch(make_batches):
    ((x, y),) = make_batches(1)
    return ({name: value.numpy() for name, value in part.items()} for part in (x, y))


@pytest.fixture(scope="module")
def x_and_y(batch):
    return tuple(batch)


@pytest.mark.parametrize("shape", [(96, 96, 3), (2, 96, 96), (2, 96, 96, 1)])
def test_no_batch_of_images(model, shape):
    images = np.zeros(shape, "float32")
    for ask in (
        model,
        lambda images: model.predict(images, verbose=0),
        lambda images: model({"images": images}),
    ):
        with pytest.raises(ValueError, match=BATCH):
            ask(images)
    with pytest.raises(ValueError, match="wants a dict with 'images' and .*; got one of 'pixels'"):
        model({"pixels": images})


@pytest.mark.parametrize("run", ["fit", "evaluate"])
def test_weights_of_samples(model, x_and_y, run):
    x, y = x_and_y
    with pytest.raises(ValueError, match="^The losses of a detector count anchors and RoIs.*leave these out"):
        getattr(model, run)(x, y, sample_weight=np.ones(2), verbose=0)


@pytest.mark.parametrize("run", ["fit", "evaluate"])
def test_targets_of_another_format(model, x_and_y, run):
    x, y = x_and_y
    ask = getattr(model, run)
    without = {name: value for name, value in y.items() if name != "ignore"}
    of_keras_cv = {"boxes": y["boxes"], "classes": y["labels"]}
    for wrong, said in ((without, "'labels'"), (of_keras_cv, "'classes'"), (y["boxes"], "")):
        with pytest.raises(
            ValueError, match=f"(?s)^The targets of a batch are .*'ignore'.*; got .*{said}.*\\.$"
        ):
            ask(x, wrong, verbose=0)


def test_losses_and_metrics(model):
    for arguments in ({"loss": "mse"}, {"loss_weights": [1.0]}):
        with pytest.raises(ValueError, match="^The losses are part of a detector; leave loss"):
            model.compile("sgd", **arguments)
    for arguments in ({"metrics": ["accuracy"]}, {"weighted_metrics": []}):
        with pytest.raises(ValueError, match=r"give fit the callback keras_frcnn.callbacks.DetectionMetrics"):
            model.compile("sgd", **arguments)


def test_files_that_could_not_be_loaded(model, make_batches, tmp_path):
    checkpoint = keras.callbacks.ModelCheckpoint(tmp_path / "x.h5")
    with pytest.raises(ValueError, match="^A detector cannot be loaded from the older format of .*; name it"):
        model.fit(make_batches(1), callbacks=[checkpoint], verbose=0)


@pytest.mark.parametrize(
    ("name", "value"), [("max_detections", 7), ("image_size", (64, 96)), ("canvas", True)]
)
def test_arguments_are_read_only(model, name, value):
    before = getattr(model, name)
    with pytest.raises(AttributeError, match=rf"^{name} cannot be set.*with_settings\(model, {name}=…\)\.$"):
        setattr(model, name, value)
    other = kf.export.with_settings(model, **{name: value})
    assert getattr(model, name) == before and getattr(other, name) == other.arguments[name] == value


def test_settings_are_those_of_the_constructor(model):
    for settings, sentence in (
        (
            {"score_treshold": 0.5},
            r"FasterRCNN has no score_treshold; did you mean score_threshold\? Leave it out",
        ),
        ({"score_threshold": "0.5"}, r"score_threshold is '0\.5'; give a number, 0 to 1\.$"),
        ({"rpn_post_nms": 300}, r"rpn_post_nms is 300; give two whole numbers, at least 1\.$"),
    ):
        with pytest.raises(ValueError, match=f"^{sentence}"):
            kf.export.with_settings(model, **settings)


def test_the_rows_of_an_rpn_follow_from_its_argument():
    model = kf.RPN(backbone="tiny_fpn", image_size=(64, 96), rpn_post_nms=(30, 20))
    assert model.max_detections == 20
    with pytest.raises(AttributeError, match=r"with_settings\(model, rpn_post_nms=…\)"):
        model.max_detections = 7
    assert "max_detections" not in model.get_config()


def test_one_signature_of_detect(model):
    assert isinstance(model, Detects)
    wanted = inspect.signature(Detects.detect)
    for kind in (kf.FasterRCNN, kf.FastRCNN, kf.export.ServedDetector, kf.evaluation.TestTimeAugmentation):
        assert inspect.signature(kind.detect) == wanted
    with pytest.raises(ValueError, match="^FasterRCNN makes its own proposals; leave them out"):
        model.detect(np.zeros([64, 96, 3], np.uint8), [[0, 0, 9, 9]])


def test_summary_shows_shapes(model, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")  # else what does not fit into 80 is cut off
    lines = []
    model.summary(line_length=200, print_fn=lambda text: lines.append(text))
    text = "\n".join(lines)
    assert "?" not in text and "(None, None, None, 3)" in text and "(None, None, 7, 7, 16)" in text

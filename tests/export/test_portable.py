"""Files for ONNX Runtime, OpenVINO and LiteRT find what the model finds, without TensorFlow."""

import json
import pathlib
import re
import subprocess
import sys

import cv2
import keras
import numpy as np
import pytest

import keras_frcnn as kf
from keras_frcnn import export
from keras_frcnn.commands import evaluate
from keras_frcnn.commands import export as command
from keras_frcnn.data.readers import shapes
from keras_frcnn.export import onnx as onnx_export
from keras_frcnn.export import parity

DOCUMENT = pathlib.Path(__file__).parents[2] / "docs" / "deployment.md"
FILES = {"onnx": "model.onnx", "openvino": "model.xml", "litert": "model.tflite"}
SIZES = [(96, 128), (131, 77), (240, 320), (333, 500), (60, 60)]
ALONE = "import sys\nfor name in ('tensorflow', 'keras', 'keras_frcnn'):\n    sys.modules[name] = None\n"
KEEP = "np.savez('found.npz', boxes=boxes[:count], scores=scores[:count], labels=labels[:count])\n"
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def exported(trained, tmp_path_factory):
    """A function from a format to the folder of the trained detector's export."""
    made = {}

    def make(kind, precision="float32"):
        if (kind, precision) not in made:
            path = made[kind, precision] = tmp_path_factory.mktemp("exports") / "1"
            trained.export(path, format=kind, precision=precision, score_threshold=0.02)
        return made[kind, precision]

    return make


@pytest.fixture(scope="module")
def reference(trained):
    return export.with_settings(trained, score_threshold=0.02)


@pytest.fixture
def pictures(scenes):
    images = [cv2.resize(scenes.image(index), size[::-1]) for index, size in enumerate(SIZES)]
    return [np.ascontiguousarray(image) for image in images]


def client(kind, folder, image, tmp_path):
    """What the client of the documentation finds, in a process of its own."""
    pages = re.findall(r"^```python\n(.*?)^```", DOCUMENT.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    (code,) = (page for page in pages if FILES[kind] in page)
    code = code.replace("exports/cells/1", folder.as_posix()).replace("photo.jpg", "photo.png")
    cv2.imwrite(str(tmp_path / "photo.png"), image[..., ::-1])
    words = [sys.executable, "-c", ALONE + code + KEEP]
    subprocess.run(words, cwd=tmp_path, check=True, capture_output=True, timeout=120)
    with np.load(tmp_path / "found.npz") as arrays:
        return dict(arrays)


ONNX_QUICKLY = ["onnx", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("openvino", "litert"))]


@pytest.mark.parametrize("kind", ONNX_QUICKLY)
def test_a_client_without_tensorflow(kind, exported, reference, pictures, assert_same, tmp_path):
    expected = reference.detect(pictures[3])
    assert len(expected["scores"]) > 2
    assert_same(client(kind, exported(kind), pictures[3], tmp_path), expected)


@pytest.mark.parametrize("kind", ONNX_QUICKLY)
def test_every_size_of_image(kind, exported, reference, pictures, assert_same):
    detector = export.PortableDetector(exported(kind) / FILES[kind])
    assert isinstance(detector, kf.detects.Detects) and detector.class_names == reference.class_names
    for found, expected in zip(detector.detect(pictures), reference.detect(pictures), strict=True):
        assert_same(found, expected)
    # All anchors of a single pixel are alike, so other ones may be kept.
    dot = [len(one.detect(np.zeros([1, 1, 3], np.uint8))["scores"]) for one in (detector, reference)]
    assert dot[0] == pytest.approx(dot[1], abs=2)


@pytest.mark.slow
@pytest.mark.parametrize("kind", FILES)
def test_ten_real_pictures(kind, exported, reference, shared, assert_same):
    counts = {"raccoon": 5, "bccd": 2, "voc2012_sample": 3}
    folders = {shared / "data" / name / "JPEGImages": count for name, count in counts.items()}
    files = [file for folder, count in folders.items() for file in sorted(folder.iterdir())[:count]]
    detector = export.PortableDetector(exported(kind) / FILES[kind])
    expected = reference.detect(files)
    assert sum(len(one["scores"]) for one in expected) > 20
    for found, one in zip(detector.detect(files), expected, strict=True):
        assert_same(found, one)


def test_several_images_at_once(exported, reference, pictures, assert_same):
    import onnxruntime

    session = onnxruntime.InferenceSession(exported("onnx") / "model.onnx")
    names = [output.name for output in session.get_outputs()]
    images = np.stack([pictures[3], pictures[3][:, ::-1], pictures[3][::-1]])
    answer = dict(zip(names, session.run(names, {"images": images})))
    for row, image in enumerate(images):
        count = answer["num_detections"][row]
        found = {name: answer[name][row, :count] for name in ("boxes", "scores", "labels")}
        assert_same(found, reference.detect(image))
        assert (answer["boxes"][row, count:] == -1).all() and (answer["labels"][row, count:] == -1).all()


def test_the_folder_tells_what_it_is(exported, trained):
    folder = exported("onnx")
    assert sorted(path.name for path in folder.iterdir()) == [
        "labels.txt",
        "model.json",
        "model.onnx",
        "model_card.md",
    ]
    description = json.loads((folder / "model.json").read_text("utf-8"))
    assert description["format"] == "onnx" and description["score_threshold"] == 0.02
    assert (folder / "labels.txt").read_text("utf-8").splitlines() == list(trained.class_names)
    card = (folder / "model_card.md").read_text("utf-8")
    assert re.search(r"Parity, measured when it was written: (\d+) of \1 detections equal", card)


@pytest.mark.slow
def test_half_precision(exported, trained, pictures):
    whole, half = (exported("onnx", precision) / "model.onnx" for precision in ("float32", "float16"))
    assert half.stat().st_size < 0.6 * whole.stat().st_size
    answers = (export.PortableDetector(file).detect(pictures) for file in (half, whole))
    found = parity.compare(*answers, half=True)
    assert found.same == found.found > 10 and 0 < found.box < 2


def test_a_file_that_disagrees_is_not_handed_out(trained, tmp_path, monkeypatch):
    honest = onnx_export.__globals__["write_detector"]

    def wrong(model, half, metadata):
        model.head.class_dense.bias.assign(-model.head.class_dense.bias)
        return honest(model, half, metadata)

    monkeypatch.setitem(onnx_export.__globals__, "write_detector", wrong)
    with pytest.raises(ValueError, match="does not give the detections of the model: "):
        trained.export(tmp_path / "1", format="onnx")
    assert not list(tmp_path.iterdir())


def test_refusals(trained, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="Unknown format 'onx'; did you mean onnx"):
        trained.export(tmp_path / "1", format="onx")
    with pytest.raises(ValueError, match="onnx stores float32 or float16, not bfloat16"):
        trained.export(tmp_path / "1", format="onnx", precision="bfloat16")
    with pytest.raises(FileExistsError, match="exists already"):
        trained.export(tmp_path, format="onnx")
    (tmp_path / "model.onnx").write_bytes(b"")
    with pytest.raises(ValueError, match="names the classes of model.onnx, is missing"):
        export.PortableDetector(tmp_path / "model.onnx")
    with pytest.raises(FileNotFoundError, match="give a file that export wrote"):
        export.PortableDetector(tmp_path / "other.onnx")
    (tmp_path / "model.json").write_text('{"keras_frcnn_version": "0", "class_names": ["a"], "model": "RPN"}')
    with pytest.raises(ValueError, match="is damaged"):
        export.PortableDetector(tmp_path / "model.onnx")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ValueError, match=r"install it with pip install 'keras_frcnn\[onnx\]'"):
        export.PortableDetector(tmp_path / "model.onnx")


def test_methods_without_a_form(tmp_path, small_network):
    rpn = kf.RPN(small_network(), image_size=(96, 128))
    with pytest.raises(ValueError, match="RPN cannot be written as ONNX, only FasterRCNN and CascadeRCNN"):
        rpn.export(tmp_path / "1", format="onnx")
    assert not list(tmp_path.iterdir())


def test_a_network_of_ones_own_in_half_precision(tmp_path, small_network):
    before = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy("mixed_float16")
    try:
        model = kf.FasterRCNN(["cell"], small_network(), image_size=(96, 128))
    finally:
        keras.mixed_precision.set_dtype_policy(before)
    with pytest.raises(ValueError, match="in float16 has a form in float32 only; build the backbone"):
        model.export(tmp_path / "1", format="onnx")


@pytest.mark.slow
def test_proposals_in_litert(tmp_path, small_network, image_of, assert_same):
    rpn = kf.RPN(small_network(), image_size=(96, 128), rpn_post_nms=(50, 20))
    rpn.export(tmp_path / "1", format="litert")
    detector = export.PortableDetector(tmp_path / "1" / "model.tflite")
    assert detector.only_proposals
    assert_same(detector.detect(image_of(90, 130)), rpn.detect(image_of(90, 130)))
    with pytest.raises(ValueError, match="takes one image at a time; leave the batch size out"):
        detector.detect_together(np.zeros([2, 9, 9, 3], np.uint8))


def test_commands(trained, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(shapes, "SPLITS", {"val": (1_000_000, 6)})
    trained.save(tmp_path / "model.keras")
    words = ["--model", tmp_path / "model.keras", "--output", tmp_path / "out", "--format", "onnx"]
    path = command.main([str(word) for word in words])
    assert path == tmp_path / "out" / "1"
    assert f"ONNX file for ONNX Runtime: {path / 'model.onnx'}" in capsys.readouterr().out
    scores = [
        evaluate.main(["--model", str(model), "--data", "shapes@val"])["voc_ap50"]
        for model in (path, tmp_path / "model.keras")
    ]
    assert scores[0] == pytest.approx(scores[1], abs=1e-6)
    with pytest.raises(SystemExit):
        command.main([*map(str, words), "--max-bytes", "1000"])
    assert "limit what a SavedModel decodes" in capsys.readouterr().err

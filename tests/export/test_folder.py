"""What TF-Serving and its operator find in the folder of an export."""

import hashlib
import re

import keras
import pytest
import tensorflow as tf
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.framework import op_def_registry

import keras_frcnn as kf
from keras_frcnn import export
from keras_frcnn.export import companions, saved_model
from keras_frcnn.weights.coco import TORCHVISION_CLASS_NAMES

CLASS_NAMES = ["red cell", "weiß", "plate"]


@pytest.fixture(scope="module")
def graph(exported_cells):
    saved = saved_model_pb2.SavedModel()
    saved.ParseFromString((exported_cells.path / "saved_model.pb").read_bytes())
    (graph,) = saved.meta_graphs
    return graph


def test_the_version_folder_is_well_formed(exported_cells):
    path = exported_cells.path
    assert path.name.isdecimal()
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    files = {str(file.relative_to(path)) for file in path.rglob("*") if file.is_file()}
    assert files == {
        "saved_model.pb",
        "fingerprint.pb",
        "variables/variables.index",
        "variables/variables.data-00000-of-00001",
        "assets/labels.txt",
        "assets/label_map.pbtxt",
        "assets/model.json",
        "assets.extra/tf_serving_warmup_requests",
        "assets.extra/models.config",
        "assets.extra/batching.config",
        "model_card.md",
    }


def test_only_stock_operations(graph):
    nodes = [*graph.graph_def.node]
    nodes += [node for function in graph.graph_def.library.function for node in function.node_def]
    functions = {function.signature.name for function in graph.graph_def.library.function}
    names = {node.op for node in nodes} - functions
    assert {"DecodeJpeg", "IgnoreErrorsDataset", "CombinedNonMaxSuppression"} <= names
    assert all(op_def_registry.get(name) for name in names)
    # An operation of another package has its name before a ">"; Python and XLA are no part of a server.
    assert not {name for name in names if ">" in name or "PyFunc" in name or name.startswith("Xla")}


def test_leading_dimensions_are_free(graph):
    for name in ("serving_default", "serving_bytes"):
        signature = graph.signature_def[name]
        assert signature.method_name == "tensorflow/serving/predict"
        shapes = {
            key: [dimension.size for dimension in info.tensor_shape.dim]
            for key, info in [*signature.inputs.items(), *signature.outputs.items()]
        }
        assert all(shape[0] == -1 for shape in shapes.values())
        assert shapes["detection_boxes"] == [-1, 12, 4]
        assert shapes["detection_scores"] == shapes["detection_classes"] == [-1, 12]
    assert [dimension.size for dimension in signature.inputs["image_bytes"].tensor_shape.dim] == [-1]


def test_warm_up_can_be_replayed(exported_cells):
    logs = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2")
    file = exported_cells.path / "assets.extra" / "tf_serving_warmup_requests"
    loaded = tf.saved_model.load(str(exported_cells.path))
    replayed = []
    for record in tf.data.TFRecordDataset(str(file)).as_numpy_iterator():
        log = logs.PredictionLog.FromString(record)
        assert log.WhichOneof("log_type") == "predict_log"
        assert log.SerializeToString() == record
        request = log.predict_log.request
        assert request.model_spec.name == "cells"
        inputs = {name: tf.constant(tf.make_ndarray(value)) for name, value in request.inputs.items()}
        answer = loaded.signatures[request.model_spec.signature_name](**inputs)
        rows = [len(value) for value in (*inputs.values(), *answer.values())]
        assert len(set(rows)) == 1
        replayed.append((request.model_spec.signature_name, rows[0]))
        if rows[0] == 3:
            assert answer["image_ok"].numpy().tolist() == [1, 1, 0]
    assert len(replayed) <= 1000
    assert {("serving_default", 1), ("serving_bytes", 1), ("serving_bytes", 3)} <= set(replayed)


def test_label_map(exported_cells):
    """Parsed as the TF Object Detection API does, by its message StringIntLabelMap."""
    file = descriptor_pb2.FileDescriptorProto(name="label_map.proto", package="test")
    item = file.message_type.add(name="Item")
    item.field.add(name="name", number=1, type=9, label=1)
    item.field.add(name="id", number=2, type=5, label=1)
    file.message_type.add(name="Map").field.add(
        name="item", number=1, type=11, label=3, type_name=".test.Item"
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    message = message_factory.GetMessageClass(pool.FindMessageTypeByName("test.Map"))()
    text_format.Parse((exported_cells.path / "assets" / "label_map.pbtxt").read_text("utf-8"), message)
    assert [(item.id, item.name) for item in message.item] == list(enumerate(CLASS_NAMES, 1))


def test_labels_of_a_model_with_the_gaps_of_coco():
    names = TORCHVISION_CLASS_NAMES
    lines = companions.labels(names).splitlines()
    assert len(lines) == 90 and tuple(lines) == names and lines.count("N/A") == 10
    text = companions.label_map(names)
    assert text.count("item {") == 90 and text.count('"N/A"') == 10
    assert text.endswith('item {\n  id: 90\n  name: "toothbrush"\n}\n')


def test_configuration_examples(exported_cells):
    config = pytest.importorskip("tensorflow_serving.config.model_server_config_pb2")
    folder = exported_cells.path / "assets.extra"
    message = text_format.Parse((folder / "models.config").read_text("utf-8"), config.ModelServerConfig())
    (model,) = message.model_config_list.config
    assert (model.name, model.base_path, model.model_platform) == ("cells", "/models/cells", "tensorflow")
    assert list(model.model_version_policy.specific.versions) == [1] == [model.version_labels["stable"]]
    batching = (folder / "batching.config").read_text("utf-8")
    assert "--allow_version_labels_for_unavailable_models=true" in (folder / "models.config").read_text()
    assert re.findall(r"^(\w+) \{ value: \d+ \}$", batching, re.MULTILINE) == [
        "max_batch_size",
        "batch_timeout_micros",
        "num_batch_threads",
        "max_enqueued_batches",
    ]


def test_model_card(exported_cells):
    card = (exported_cells.path / "model_card.md").read_text("utf-8")
    weights = exported_cells.path / "variables" / "variables.data-00000-of-00001"
    checksum = hashlib.sha256(weights.read_bytes()).hexdigest()
    assert f"{checksum}  variables/{weights.name}" in card
    for part in ("# cells, version 1", "ten cells", "nobody's protocol", "red cell, weiß, plate"):
        assert part in card
    assert "| detections score above | 0.05 |" in card and "short side becomes 96 pixels" in card
    assert tf.__version__ in card and "{" not in card


def test_an_export_that_disagrees_is_not_handed_out(tmp_path, make_model, monkeypatch):
    honest = saved_model.__globals__["fold_batch_norm"]

    def wrong(folded, model):
        honest(folded, model)
        bias = folded.head.box_dense.bias
        bias.assign(bias + 3.0)

    monkeypatch.setitem(saved_model.__globals__, "fold_batch_norm", wrong)
    with pytest.raises(ValueError, match="The SavedModel does not give the detections of the model: 0 of"):
        make_model().export(tmp_path / "1")
    assert not list(tmp_path.iterdir())


def test_a_model_on_proposals(tmp_path, make_model):
    logs = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2")
    model = kf.FastRCNN(["cell"], backbone="tiny_fpn", image_size=(64, 64), head_units=(8,))
    model.export(tmp_path / "cells" / "1")
    signatures = tf.saved_model.load(str(tmp_path / "cells" / "1")).signatures
    assert set(signatures) == {"serving_default"}
    file = str(tmp_path / "cells" / "1" / "assets.extra" / "tf_serving_warmup_requests")
    for record in tf.data.TFRecordDataset(file).as_numpy_iterator():
        request = logs.PredictionLog.FromString(record).predict_log.request
        inputs = {name: tf.constant(tf.make_ndarray(value)) for name, value in request.inputs.items()}
        assert len(signatures["serving_default"](**inputs)["num_detections"]) == len(inputs["proposals"])
    assert "`proposals`, float32" in (tmp_path / "cells" / "1" / "model_card.md").read_text("utf-8")


def test_settings(exported_cells, image_of):
    model = exported_cells.model
    image = image_of(90, 130)
    whole = model.detect(image, image_size=(64, 80))
    settings = {"score_threshold": float(whole["scores"][4]), "nms_iou": 0.2, "max_detections": 3}
    other = export.with_settings(model, image_size=(64, 80), **settings)
    assert {key: other.get_config()[key] for key in settings} == settings
    assert other.image_size == (64, 80) and model.image_size == (96, 128)
    found = other.detect(image)
    assert 0 < len(found["scores"]) <= 3 and found["scores"].min() > whole["scores"][4]
    assert found["scores"][0] == pytest.approx(whole["scores"][0], abs=1e-6)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"score_threshold": 2.0}, "^score_threshold is 2.0; give a number, 0 to 1.$"),
        ({"max_detections": 0}, "^max_detections is 0; give a whole number, at least 1.$"),
        ({"nms_iou": "0.5"}, "^nms_iou is '0.5'; give a number, 0 to 1.$"),
        ({"image_size": (100, 50)}, "image_size is"),
        ({"precision": "int8"}, "precision is 'int8'; use one of float32, bfloat16, float16"),
        ({"max_pixels": 0}, "both are at least 1"),
    ],
)
def test_refuses_settings(exported_cells, tmp_path, settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        exported_cells.model.export(tmp_path / "1", **settings)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("precision", ["bfloat16", pytest.param("float16", marks=pytest.mark.slow)])
def test_precision(exported_cells, tmp_path, image_of, precision):
    model = export.with_settings(exported_cells.model, precision)
    assert {new.dtype for new in model.weights if "float" in str(new.dtype)} == {precision}
    path = tmp_path / "1"
    exported_cells.model.export(path, precision=precision)
    saved = saved_model_pb2.SavedModel()
    saved.ParseFromString((path / "saved_model.pb").read_bytes())
    library = saved.meta_graphs[0].graph_def.library
    nodes = [node for function in library.function for node in function.node_def]
    assert {tf.DType(node.attr["T"].type).name for node in nodes if node.op == "Conv2D"} == {precision}
    # Anchors, deltas and softmax are float32.
    assert {tf.DType(node.attr["T"].type).name for node in nodes if node.op in ("Softmax", "Exp")} == {
        "float32"
    }
    image = image_of(90, 130)
    found, whole = export.load(path).detect(image), exported_cells.model.detect(image)
    assert found["scores"][0] == pytest.approx(whole["scores"][0], abs=0.1)
    assert export.load(path).description["precision"] == precision


def test_a_backbone_that_its_config_cannot_make(tmp_path, image_of, assert_same):
    class Twice(keras.layers.Layer):
        def call(self, x):
            return 2 * x

    image = keras.Input([None, None, 3])
    x = keras.layers.Conv2D(8, 16, strides=16, padding="same")(Twice()(image))
    backbone = keras.Model(image, {"C4": keras.layers.Lambda(lambda x: x + 1)(x)})
    model = kf.FasterRCNN(["cell"], backbone=backbone, image_size=(64, 96), score_threshold=0.0)
    model.export(tmp_path / "1", max_detections=3)
    found = export.load(tmp_path / "1").detect(image_of(64, 96))
    wanted = model.detect(image_of(64, 96))
    assert_same(found, {name: value[:3] for name, value in wanted.items()})


def test_an_image_pyramid(tmp_path):
    model = kf.FastRCNN(["cell"], backbone="zf", pyramid_sides=(48, 64), pyramid_limit=96, head_units=(8,))
    with pytest.raises(ValueError, match="pyramid_sides has sizes of its own; leave image_size out"):
        model.export(tmp_path / "1", image_size=(64, 96))
    model.export(tmp_path / "1")
    description = export.load(tmp_path / "1").description
    assert description["pyramid_sides"] == [48, 64] and description["pyramid_limit"] == 96
    card = (tmp_path / "1" / "model_card.md").read_text("utf-8")
    assert "short side becomes 48, 64 pixels, or the long side 96 " in card and "nearest to 224²" in card


def test_the_card_says_what_was_changed(exported_cells, tmp_path):
    exported_cells.model.export(tmp_path / "1", metrics="AP 1.0", image_size=(64, 96), max_detections=12)
    assert "Measured before a change of image_size." in (tmp_path / "1" / "model_card.md").read_text("utf-8")
    assert "Measured before" not in (exported_cells.path / "model_card.md").read_text("utf-8")

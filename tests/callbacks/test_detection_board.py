"""What TensorBoard shows of detections, read back with its own reader."""

import sys

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2

import keras_frcnn as kf
from keras_frcnn.callbacks.detection_board import DetectionBoard


def test_pictures_scores_and_settings(make_model, tmp_path):
    dataset = kf.data.load("shapes@val")
    model = make_model(class_names=dataset.class_names)
    board = DetectionBoard(tmp_path, dataset, {"rate": 0.5, "sides": (1, 2)}, images=3)
    board.set_model(model)
    board.on_train_begin()
    for epoch in range(2):
        board.on_epoch_end(epoch, {"val_voc_ap50": 0.25 * epoch})
    board.on_train_end()
    events = EventAccumulator(str(tmp_path), {"tensors": 0})
    events.Reload()
    tags = events.Tags()["tensors"]
    assert len([tag for tag in tags if tag.startswith("detections and ground truth/")]) == 3
    assert {"scores", "val_voc_ap50"} <= {*tags}
    pictures = events.Tensors("detections and ground truth/0")
    assert [event.step for event in pictures] == [0, 1]
    width, height, png = pictures[0].tensor_proto.string_val
    assert (int(width), int(height)) == (640, 256) and png.startswith(b"\x89PNG")
    content = events.summary_metadata["_hparams_/session_start_info"].plugin_data.content
    numbers = plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info.hparams
    assert numbers["rate"].number_value == 0.5 and numbers["sides"].string_value == "(1, 2)"


def test_large_images_are_shrunk_and_a_detector_may_find_nothing(make_model, tmp_path):
    dataset = kf.data.from_arrays([np.zeros([1000, 2000, 3], np.uint8)], [[]], [[]], ["cat"])
    board = DetectionBoard(tmp_path, dataset, {})
    board.set_model(make_model(class_names=["cat"]))
    board.on_train_begin()
    board.on_epoch_end(0, {})
    board.on_train_end()
    events = EventAccumulator(str(tmp_path), {"tensors": 0})
    events.Reload()
    width, height, _ = events.Tensors("detections and ground truth/0")[0].tensor_proto.string_val
    assert (int(width), int(height)) == (1280, 320)


def test_without_the_package_one_sentence(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "tensorboard.plugins.hparams.api", None)
    with pytest.raises(
        ValueError, match=r"needs the package tensorboard .*; install keras_frcnn\[tensorboard\]"
    ):
        DetectionBoard(tmp_path, kf.data.load("shapes@val"), {})

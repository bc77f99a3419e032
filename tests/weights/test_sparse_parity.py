"""torchvision number for number where suppression leaves fewer proposals than there are rows.

Most logits lie below −1 here, as those of a trained RPN do.
"""

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

import keras_frcnn as kf

NAME = "fasterrcnn_resnet50_fpn"
FRESH = """
import sys, keras, numpy as np, keras_frcnn
np.savez(sys.argv[3], **keras.saving.load_model(sys.argv[1]).detect(np.load(sys.argv[2])))
"""


@pytest.fixture(scope="module")
def sparse(golden, pseudo, converted):
    """The model, the image, and what torchvision answers."""
    stored = golden(f"{NAME}.sparse")
    config = converted(NAME).get_config()
    model = kf.FasterRCNN.from_config({**config, "rpn_nms_iou": float(stored["rpn_nms_iou"])})
    model.set_weights(converted(NAME).get_weights())
    bias = model.rpn.class_conv.bias
    bias.assign(bias + stored["cls_logits_bias_shift"])
    return model, pseudo.pseudo_image(*(int(side) for side in stored["image_height_width"])), stored


def assert_the_same_detections(answer, stored):
    assert len(answer["scores"]) == len(stored["det_scores"]) == 100
    np.testing.assert_array_equal(answer["labels"] + 1, stored["det_labels"])
    np.testing.assert_allclose(answer["scores"], stored["det_scores"], atol=1e-4)
    np.testing.assert_allclose(answer["boxes"], stored["det_boxes"], atol=0.05)


def test_proposals(sparse):
    model, image, stored = sparse
    x, _ = model.resizing.prepare_batch(tf.constant(image[None], tf.float32))
    rpn = model.rpn(model.features(x["images"], x["image_shapes"], False), x["image_shapes"])
    count = int(rpn["count"][0])
    found, expected = rpn["proposals"].numpy()[0, :count], stored["proposals"]
    assert count < model.rpn.post_nms[1]
    assert np.all(found[:, 2:] > found[:, :2])
    distance = np.abs(found[:, None] - expected).max(axis=-1)
    # In one level the 1000th and 1001st logits differ by 8e-6 (computed in float64), less than float32
    # convolutions agree to: torchvision's cut keeps one, an exact one the other, which is then suppressed.
    assert np.sum(distance.min(axis=1) < 0.05) >= count - 1
    assert np.sum(distance.min(axis=0) < 0.05) >= len(expected) - 1


def test_detections(sparse):
    model, image, stored = sparse
    assert_the_same_detections(model.detect(image), stored)


@pytest.mark.slow
def test_both_signatures(sparse, tmp_path, from_contract):
    model, image, stored = sparse
    model.export(tmp_path / "1")
    signatures = tf.saved_model.load(str(tmp_path / "1")).signatures
    plain = signatures["serving_default"](input_tensor=tf.constant(image[None]))
    encoded = signatures["serving_bytes"](image_bytes=tf.io.encode_png(image)[None])
    for answer in (plain, encoded):
        assert_the_same_detections(from_contract(answer, 0, image.shape[:2]), stored)


@pytest.mark.slow
def test_its_file_in_a_fresh_process(sparse, tmp_path):
    model, image, stored = sparse
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "image.npy", image)
    words = [sys.executable, "-c", FRESH, tmp_path / "model.keras", tmp_path / "image.npy"]
    subprocess.run([*words, tmp_path / "answer.npz"], check=True, capture_output=True)
    assert_the_same_detections(np.load(tmp_path / "answer.npz"), stored)

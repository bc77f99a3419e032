"""Every argument that changes how a detector infers has its form in ONNX."""

import keras
import numpy as np
import pytest

import keras_frcnn as kf
from keras_frcnn.export import parity
from keras_frcnn.onnx_writer import write_detector

pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
CASES = {
    "caffe": dict(
        canvas=True,
        preprocessing="caffe",
        objectness="softmax",
        rpn_min_size_first=True,
        rpn_min_size=12.0,
        class_agnostic=True,
        pooling="roi_pooling",
    ),
    "torchvision": dict(
        preprocessing="torch",
        resize_rounding="float64",
        anchor_steps="quotient",
        anchor_offset=0.0,
        anchor_rounding="torchvision",
        rpn_depth=2,
        rpn_score_threshold=0.02,
        pool_aligned=False,
        head_background_box=True,
        head_convs=(8,),
        head_ranks=(8, 0),
        min_box_size=0.01,
    ),
}


class Written:
    """A detector in ONNX Runtime, with batch normalization as it is."""

    def __init__(self, model):
        graph = write_detector(model, False, {})
        self.session = onnxruntime.InferenceSession(graph.SerializeToString())
        self.names = [output.name for output in self.session.get_outputs()]

    def detect(self, image):
        answer = dict(zip(self.names, self.session.run(self.names, {"images": image[None]})))
        count = answer["num_detections"][0]
        return {name: answer[name][0, :count] for name in ("boxes", "scores", "labels")}


def agreement(model):
    written, images = Written(model), parity.pictures(model.image_size)
    return parity.compare([written.detect(image) for image in images], model.detect(images))


@pytest.mark.parametrize("case", CASES)
def test_arguments(case, make_model):
    model = make_model(**CASES[case])
    found = agreement(model)
    assert found.same == found.found > 10


def test_cascade(small_network, recipe):
    keras.utils.set_random_seed(3)
    model = kf.CascadeRCNN(["cell", "plate"], small_network(), **recipe)
    for head in model.detection_heads():
        head.class_dense.kernel.assign(head.class_dense.kernel * 100)
        head.box_dense.kernel.assign(head.box_dense.kernel * 300)
    found = agreement(model)
    assert found.same == found.found > 10


def test_no_proposal_at_all(make_model):
    model = make_model(rpn_score_threshold=1.0)
    image = np.zeros([50, 70, 3], np.uint8)
    assert len(Written(model).detect(image)["scores"]) == len(model.detect(image)["scores"]) == 0

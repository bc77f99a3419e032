import numpy as np

import keras_frcnn as kf
from keras_frcnn.doctor.channel_order import check_channel_order


class Swapped:
    """Pictures with their channels in the other order."""

    def __init__(self, source):
        self.source = source

    def image(self, index):
        return np.ascontiguousarray(self.source.image(index)[..., ::-1])


def test_bgr_pictures(case, seer):
    val = case().val
    reds = {val.image(index).sum(): val.image(index)[..., 0].sum() for index in range(len(val))}
    model = seer(val, score=lambda image: 0.9 if image[..., 0].sum() == reds[image.sum()] else 0.5)
    assert not check_channel_order(case(model=model, tried=val)).findings
    bgr = kf.data.DetectionDataset("bgr", val.class_names, val.records, Swapped(val.source))
    (finding,) = check_channel_order(case(model=model, tried=bgr)).findings
    assert "bgr seem to be BGR" in finding.sentence and "0.900 with channels swapped" in finding.figure


def test_a_model_that_does_not_care(case, seer):
    val = case().val
    assert not check_channel_order(case(model=seer(val), tried=val)).findings

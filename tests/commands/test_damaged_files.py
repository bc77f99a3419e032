"""Files of weights that are damaged where no checksum tells, and a run folder that somebody has edited."""

import keras
import numpy as np
import pytest

import keras_frcnn as kf
from keras_frcnn.commands import train
from keras_frcnn.commands.detectors import load_detector


def test_a_model_whose_weights_are_not_finite(tmp_path, make_model):
    model = make_model()
    variable = model.trainable_variables[3]
    value = variable.numpy()
    value.flat[0] = np.nan
    variable.assign(value)
    model.save(tmp_path / "model.keras")
    with pytest.raises(
        ValueError, match="in .*model.keras is not finite: the file is damaged, or of a training"
    ):
        load_detector(tmp_path / "model.keras")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_backbone_file_whose_weights_are_not_finite(tmp_path, value):
    network = keras.applications.MobileNetV2(include_top=False, weights=None, input_shape=(None, None, 3))
    weight = network.weights[5]
    weight.assign(np.full(weight.shape, value))
    network.save_weights(tmp_path / "backbone.weights.h5")
    with pytest.raises(ValueError, match="in .*backbone.weights.h5 is not finite"):
        kf.backbones.get("mobilenet_v2", str(tmp_path / "backbone.weights.h5"))


def test_a_run_whose_command_is_damaged(tmp_path, capsys):
    (tmp_path / "config.yaml").write_text("# train.py --train 'voc:a@b\nepochs: 1\n")
    with pytest.raises(SystemExit):
        train.main(["--resume", str(tmp_path)])
    error = capsys.readouterr().err
    assert "begins with a damaged command" in error and error.count("\n") == 1

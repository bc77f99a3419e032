import keras
import pytest

import keras_frcnn
from keras_frcnn import backbones


def rows(model):
    """The table as dict from (part, source) to its numbers; and the line about pixels."""
    head, *lines, pixels = model.loading_report().splitlines()
    left, right = head.index("  tensors"), head.index("weights from")
    end = head.index("layers")
    table = {}
    for line in lines:
        numbers = tuple(int(text.replace(",", "")) for text in line[left:right].split())
        table[line[:left].strip(), line[right:end].strip()] = numbers
    return table, pixels


def test_all_new():
    model = keras_frcnn.FasterRCNN(["a"], "tiny_fpn")
    table, pixels = rows(model)
    stages = [f"backbone stage {number}" for number in range(1, 6)]
    assert list(table) == [*((name, "new") for name in [*stages, "fpn", "rpn", "head"]), ("all", "")]
    *parts, total = table.values()
    assert total == tuple(map(sum, zip(*parts)))
    assert total[:2] == (len(model.weights), model.count_params())
    assert total[2] == sum(int(keras.ops.size(weight)) for weight in model.trainable_weights)
    assert "'tf'" in pixels


def test_a_file_and_frozen_stages(tmp_path):
    file = tmp_path / "mine.weights.h5"
    keras.applications.MobileNetV2(include_top=False, weights=None, input_shape=(None, None, 3)).save_weights(
        file
    )
    model = keras_frcnn.FasterRCNN(["a"], "mobilenet_v2_fpn", str(file), frozen_stages=2)
    table, _ = rows(model)
    for number in range(1, 6):
        assert (table[f"backbone stage {number}", file.name][2] > 0) == (number > 2)
    assert ("fpn", "new") in table and ("rpn", "new") in table and ("head", "new") in table


def test_a_file_of_the_whole_small_network_has_the_pyramid_too(tmp_path):
    file = tmp_path / "tiny.weights.h5"
    backbones.get("tiny_fpn").network.save_weights(file)
    table, _ = rows(keras_frcnn.FasterRCNN(["a"], "tiny_fpn", str(file)))
    assert ("fpn", file.name) in table and ("rpn", "new") in table


def test_a_network_of_ones_own():
    image = keras.Input((None, None, 3))
    fine = keras.layers.Conv2D(4, 3, 8, padding="same")(image)
    coarse = keras.layers.Conv2D(4, 3, 2, padding="same")(fine)
    network = keras.Model(image, {"P3": fine, "P4": coarse}, name="mine")
    table, _ = rows(keras_frcnn.FasterRCNN(["a"], network))
    assert list(table) == [("mine", "as given"), ("rpn", "new"), ("head", "new"), ("all", "")]


def test_a_saved_model(tmp_path):
    keras_frcnn.FasterRCNN(["a"], "tiny_fpn").save(tmp_path / "a.keras")
    table, _ = rows(keras.saving.load_model(tmp_path / "a.keras"))
    assert {source for _, source in table} == {"saved model", ""}


@pytest.mark.slow
def test_the_last_stage_of_a_resnet_is_part_of_the_head(tmp_path):
    file = tmp_path / "resnet.weights.h5"
    keras.applications.ResNet50(include_top=False, weights=None, input_shape=(None, None, 3)).save_weights(
        file
    )
    table, pixels = rows(keras_frcnn.FasterRCNN(["a"], "resnet50", str(file)))
    assert table["head", "new"][0] == 4
    assert table["head", file.name][0] > 50
    assert "'caffe'" in pixels

"""Every argument is written once, and shown and checked wherever a constructor takes it."""

import inspect
import typing

import pytest

import keras_frcnn as kf
from keras_frcnn.models import arguments
from keras_frcnn.models.defaults import BackboneOr, entries

MODELS = (kf.FasterRCNN, kf.CascadeRCNN, kf.FastRCNN, kf.SPPNet, kf.RCNN, kf.RPN)


@pytest.mark.parametrize("kind", MODELS)
def test_signature_and_help_show_every_argument(kind):
    names = [*entries(kind.argument_group)]
    parameters = inspect.signature(kind).parameters
    assert [name for name in parameters if name in names] == names
    assert parameters["backbone"].kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    for name, entry in entries(kind.argument_group).items():
        assert parameters[name].kind is inspect.Parameter.KEYWORD_ONLY
        expected = None if isinstance(entry.default, BackboneOr) else entry.default
        assert parameters[name].default == expected
        (line,) = [line for line in kind.__doc__.splitlines() if line.startswith(f"    {name} (")]
        assert entry.description.split()[0].strip("`\"'") in line
    assert "**arguments" not in kind.__doc__ and max(map(len, kind.__doc__.splitlines())) <= 110


def test_every_description_has_a_default_and_a_sentence():
    groups = [group for group in vars(arguments).values() if typing.is_typeddict(group)]
    assert len(groups) > 5
    for group in groups:
        for name, entry in entries(group).items():
            assert entry.description.endswith("."), name


def test_the_order_of_defaults():
    """The caller's, else the backbone's own, else that of the table by the kind of features."""
    tiny = kf.FasterRCNN(["a"], "tiny_fpn")
    assert tiny.arguments["rpn_channels"] == 64  # its own
    assert tiny.arguments["objectness"] == "sigmoid"  # of a pyramid
    assert tiny.arguments["rpn_nms_iou"] == 0.7  # of all
    assert (
        kf.FasterRCNN(["a"], "tiny_fpn", rpn_channels=8, objectness="softmax").arguments["rpn_channels"] == 8
    )
    with pytest.raises(TypeError):
        tiny.arguments["rpn_channels"] = 1


def test_an_unknown_argument_is_refused():
    with pytest.raises((TypeError, ValueError), match="rpn_chanels"):
        kf.FasterRCNN(["a"], "tiny_fpn", rpn_chanels=8)

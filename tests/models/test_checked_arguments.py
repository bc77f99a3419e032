"""What `help` says of an argument, its type and its range, is what a constructor checks."""

import inspect
import re
import types
import typing

import numpy as np
import pytest
import tensorflow as tf

import keras_frcnn as kf
from keras_frcnn.models.checked_arguments import RANGES, checked_arguments, checked_value, stated_range
from keras_frcnn.models.defaults import UNKNOWN, BackboneOr, entries

MODELS = (kf.FasterRCNN, kf.CascadeRCNN, kf.FastRCNN, kf.SPPNet, kf.RCNN, kf.RPN)
# Numbers that may be of either sign.
WITHOUT_RANGE = {"pool_offset"}
# Of each range numbers at its ends, and just outside.
ENDS = {
    "0 to 1": ([0, 1, 0.0, 1.0], [-1, 2, -1e-6, 1 + 1e-6]),
    "at least 0": ([0, 0.0, 10**6], [-1, -1e-6]),
    "at least 1": ([1, 10**6], [0, -1]),
    "above 0": ([1, 1e-9], [0, 0.0, -1]),
}


def leaves(kind):
    """The types of the values inside a type."""
    parts = [part for part in typing.get_args(kind) if part is not ...]
    return {leaf for part in parts for leaf in leaves(part)} if parts else {kind}


def filled(kind, number):
    """A value of a type in which every number is this one; of a union, its last part that has numbers."""
    if typing.get_origin(kind) in (types.UnionType, typing.Union):
        (kind,) = [one for one in typing.get_args(kind) if leaves(one) & {int, float}][-1:]
    parts = typing.get_args(kind)
    if not parts:
        return number
    return [filled(part, number) for part in (parts if parts[-1] is not ... else parts[:1] * 3)]


# The arguments of all methods; those of one name may differ.
ALL = [
    (kind.__name__, name, entry)
    for kind in reversed(MODELS)
    for name, entry in entries(kind.argument_group).items()
]
ARGUMENTS = {
    f"{kind}-{name}": (name, entry)
    for kind, name, entry in {
        (name, entry.description): (kind, name, entry) for kind, name, entry in ALL
    }.values()
}
NUMBERS = {key: pair for key, pair in ARGUMENTS.items() if leaves(pair[1].type) & {int, float}}


def refusal(name, value, entry):
    """The sentence that an argument is refused with."""
    with pytest.raises(ValueError) as error:
        checked_value(name, value, entry)
    sentence = str(error.value)
    assert re.fullmatch(rf"{name} is [^\n]*; give [^\n;]*\.", sentence) and len(sentence) < 200
    return sentence


@pytest.mark.parametrize("key", ARGUMENTS)
def test_a_description_states_one_range_if_there_are_numbers(key):
    name, entry = ARGUMENTS[key]
    stated = [phrase for phrase in RANGES if phrase in entry.description]
    assert len(stated) == (key in NUMBERS and name not in WITHOUT_RANGE), entry.description
    assert stated == [stated_range(entry.description)] * len(stated)


@pytest.mark.parametrize("key", [key for key in NUMBERS if NUMBERS[key][0] not in WITHOUT_RANGE])
def test_the_ends_are_accepted_and_what_is_just_outside_is_not(key):
    name, entry = NUMBERS[key]
    phrase = stated_range(entry.description)
    for numbers, check in zip(ENDS[phrase], (checked_value, refusal)):
        for number in numbers:
            if isinstance(number, int) or float in leaves(entry.type):
                check(name, filled(entry.type, number), entry)
                check(name, np.array(filled(entry.type, number)), entry)
    assert phrase in refusal(name, filled(entry.type, -1), entry)
    for number in (float("nan"), float("inf"), True, "1", 1j):
        refusal(name, filled(entry.type, number), entry)


@pytest.mark.parametrize("key", ARGUMENTS)
def test_defaults_are_what_the_table_says(key):
    name, entry = ARGUMENTS[key]
    default = entry.default
    values = [default.one_map, default.pyramid] if isinstance(default, BackboneOr) else [default]
    for value in values:
        if value != UNKNOWN and name != "warp_size":  # whose default is said in words
            checked_value(name, value, entry)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"score_threshold": 50}, "score_threshold is 50; give a number, 0 to 1."),
        ({"score_threshold": np.float32(-1)}, "score_threshold is -1.0; give a number, 0 to 1."),
        ({"nms_iou": 7}, "nms_iou is 7; give a number, 0 to 1."),
        ({"nms_iou": "0.5"}, "nms_iou is '0.5'; give a number, 0 to 1."),
        ({"nms_iou": [0.5]}, "nms_iou is [0.5]; give a number, 0 to 1."),
        ({"max_detections": -5}, "max_detections is -5; give a whole number, at least 1."),
        ({"max_detections": 300.5}, "max_detections is 300.5; give a whole number, at least 1."),
        ({"rpn_post_nms": 300}, "rpn_post_nms is 300; give two whole numbers, at least 1."),
        ({"rpn_post_nms": (1, 2, 3)}, "rpn_post_nms is (1, 2, 3); give two whole numbers, at least 1."),
        ({"rpn_pre_nms": "many"}, "rpn_pre_nms is 'many'; give two whole numbers, at least 1."),
        ({"anchor_ratios": "1"}, "anchor_ratios is '1'; give a tuple of numbers, above 0."),
        ({"anchor_ratios": {1.0}}, "anchor_ratios is {1.0}; give a tuple of numbers, above 0."),
        (
            {"anchor_sizes": ((8,), (0, 16))},
            "anchor_sizes is ((8,), (0, 16)); give a tuple of numbers or tuples of numbers, above 0.",
        ),
        ({"image_size": ("a", "b")}, "image_size is ('a', 'b'); give two whole numbers, at least 1."),
        ({"head_units": 8}, "head_units is 8; give a tuple of whole numbers, at least 1."),
        (
            {"head_ranks": (-1, 0)},
            "head_ranks is (-1, 0); give a tuple of whole numbers or None, at least 0.",
        ),
        ({"head_coder_weights": (1, 1)}, "head_coder_weights is (1, 1); give four numbers, above 0."),
        ({"canvas": "no"}, "canvas is 'no'; give True or False."),
        ({"canvas": 2}, "canvas is 2; give True or False."),
        ({"pooling": 3}, "pooling is 3; give a string."),
        (
            {"image_sise": (240, 320)},
            "FasterRCNN has no argument 'image_sise'; did you mean image_size? See "
            "help(keras_frcnn.FasterRCNN).",
        ),
    ],
)
def test_the_sentence(given, sentence):
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        checked_arguments("FasterRCNN", given, entries(kf.FasterRCNN.argument_group))


def test_the_sentence_about_many_stages_is_short():
    known = entries(kf.CascadeRCNN.argument_group)
    sentence = refusal("cascade_coder_weights", np.zeros([50, 4]), known["cascade_coder_weights"])
    assert sentence.endswith("…; give a tuple of tuples of four numbers, above 0.")


def test_what_is_as_good_as_a_tuple_or_a_number():
    known = entries(kf.FasterRCNN.argument_group) | entries(kf.SPPNet.argument_group)
    for name, value in {
        "image_size": tf.TensorShape([240, 320]),
        "rpn_post_nms": tf.constant([3, 4]),
        "anchor_sizes": [16, np.float32(32), (64, 64.5)],
        "pyramid_sides": range(100, 300, 100),
        "head_ranks": [None, 0, np.int64(3)],
        "canvas": np.bool_(True),
        "pooling": np.str_("exact"),
        "score_threshold": tf.constant(0.5),
        "class_loss": object(),
        "nms_iou": None,
        "pool_offset": -0.25,
    }.items():
        checked_value(name, value, known[name])


@pytest.mark.parametrize("kind", MODELS)
def test_every_constructor_checks(kind):
    names = (["a"],) if "class_names" in inspect.signature(kind).parameters else ()
    with pytest.raises(ValueError, match=r"^image_size is \(0, 9\); give two whole numbers, at least 1\.$"):
        kind(*names, "a backbone that is not even looked for", image_size=(0, 9))


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (["a", 3.5], "class_names has 3.5, which is no name; give texts such as 'cell'."),
        ([b"a"], "class_names has b'a', which is no name; give texts such as 'cell'."),
        (["a", "b", "a"], "class_names has 'a' more than once; give each name once."),
    ],
)
def test_names_of_classes(names, sentence):
    for given in (names, iter(names)):
        with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
            kf.FasterRCNN(given, "tiny_fpn")


def test_empty_tuples_that_have_no_meaning():
    with pytest.raises(
        ValueError, match=r"^The anchors have no ratio of height and width; give one or more\.$"
    ):
        kf.FasterRCNN(["a"], "tiny_fpn", anchor_ratios=())
    with pytest.raises(ValueError, match=r"^The pooling pyramid has no level; give one or more\.$"):
        kf.layers.SpatialPyramidPooling(levels=())


def test_whole_floats_and_ones_are_what_they_stand_for():
    known = entries(kf.FasterRCNN.argument_group)
    given = {"max_detections": 100.0, "image_size": np.array([64.0, 96.0]), "canvas": 1, "nms_iou": 1}
    values = checked_arguments("FasterRCNN", given, known)
    assert values == {"max_detections": 100, "image_size": [64, 96], "canvas": 1, "nms_iou": 1}
    assert isinstance(values["max_detections"], int)


def test_a_saved_model_out_of_range_still_loads():
    model = kf.FasterRCNN(["a"], "tiny_fpn", image_size=(64, 96))
    with pytest.warns(UserWarning, match="rpn_min_size is -1.0; give a number, at least 0"):
        kf.FasterRCNN.from_config({**model.get_config(), "rpn_min_size": -1.0})
    with pytest.raises(ValueError, match="rpn_min_size is -1.0"):
        kf.FasterRCNN(["a"], "tiny_fpn", image_size=(64, 96), rpn_min_size=-1.0)

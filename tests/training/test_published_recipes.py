"""Each recipe against the numbers of the repository that it repeats."""

import dataclasses

import numpy as np
import pytest

from keras_frcnn.training import CaffeSGD, recipe_files

# The columns: py-faster-rcnn end2end, chainercv, py-faster-rcnn end2end, fast-rcnn, py-faster-rcnn end2end.
NAMES = ("vgg16_voc07", "vgg16_voc0712", "vgg16_coco", "fast_rcnn_vgg16_voc07", "zf_voc07")
N_A = object()  # Fast R-CNN has no proposal network, and measures what normalizes its boxes

TRAINING = {
    "model": ["faster_rcnn", "faster_rcnn", "faster_rcnn", "fast_rcnn", "faster_rcnn"],
    "backbone": ["vgg16", "vgg16", "vgg16", "vgg16", "zf"],
    "backbone_weights": ["imagenet"] * 5,
    "image_size": [(600, 1000)] * 5,
    "short_sides": [()] * 5,
    "flip": [0.5] * 5,
    "photometric": [0.0] * 5,
    "crop": [0.0] * 5,
    "scale_jitter": [()] * 5,
    "batch_size": [1, 1, 1, 2, 1],
    "accumulate": [2, 1, 2, 1, 2],
    "steps": [70000, 110000, 490000, 40000, 70000],
    "learning_rate": [0.001] * 5,
    "rate_schedule": ["steps"] * 5,
    "rate_steps": [(50000,), (80000,), (350000,), (30000,), (50000,)],
    "rate_factor": [0.1] * 5,
    # tools/train_faster_rcnn_alt_opt.py: max_iters and the names of its solvers.
    "alternating_steps": [(80000, 40000, 80000, 40000), (), (), (), (80000, 40000, 80000, 40000)],
    "alternating_rate_steps": [(60000, 30000, 60000, 30000), (), (), (), (60000, 30000, 60000, 30000)],
    "alternating_rpn": ["new"] * 5,
    "warmup_steps": [0] * 5,
    "warmup_factor": [0.01] * 5,  # the default, which no warm-up asks for
    "optimizer": ["caffe"] * 5,
    "momentum": [0.9] * 5,
    "weight_decay": [0.0005] * 5,
    "bias_rate": [2.0, 1.0, 2.0, 2.0, 2.0],
    "bias_decay": [True, True, True, False, True],
    "clip_norm": [0.0] * 5,
    "mixed_precision": ["none"] * 5,
    "canvas": [False] * 5,
}
MODEL = {
    "frozen_stages": [2, 0, 2, 2, 0],
    "anchor_sizes": [[[128, 256, 512]], [[128, 256, 512]], [[64, 128, 256, 512]], N_A, [[128, 256, 512]]],
    "anchor_ratios": [[0.5, 1, 2], [0.5, 1, 2], [0.5, 1, 2], N_A, [0.5, 1, 2]],
    "anchor_rounding": ["caffe", "none", "caffe", N_A, "caffe"],
    "anchor_offset": [0.5, 0.5, 0.5, N_A, 0.5],
    "objectness": ["softmax", "softmax", "softmax", N_A, "softmax"],
    "rpn_channels": [512, 512, 512, N_A, 256],
    "rpn_positive_iou": [0.7, 0.7, 0.7, N_A, 0.7],
    "rpn_negative_iou": [0.3, 0.3, 0.3, N_A, 0.3],
    "rpn_batch_size": [256, 256, 256, N_A, 256],
    "rpn_positive_fraction": [0.5, 0.5, 0.5, N_A, 0.5],
    "rpn_cross_border": [False, False, False, N_A, False],
    "rpn_beta": [1 / 9, 1 / 9, 1 / 9, N_A, 1 / 9],
    "rpn_box_loss_weight": [1.0, 1.0, 1.0, N_A, 1.0],
    "rpn_box_normalizer": ["sampled", "sampled", "sampled", N_A, "sampled"],
    "rpn_nms_iou": [0.7, 0.7, 0.7, N_A, 0.7],
    "rpn_pre_nms": [[12000, 6000], [12000, 6000], [12000, 6000], N_A, [12000, 6000]],
    "rpn_post_nms": [[2000, 300], [2000, 300], [2000, 300], N_A, [2000, 300]],
    "rpn_min_size": [16, 16, 16, N_A, 16],
    "rpn_min_size_first": [True, True, True, N_A, True],
    "pooling": ["exact"] * 5,
    "pool_size": [7, 7, 7, 7, 6],
    "pool_corners": ["inclusive"] * 5,
    "head_units": [[4096, 4096]] * 5,
    "head_dropout": [0.5, 0.0, 0.5, 0.5, 0.5],
    "head_batch_size": [128, 128, 128, 64, 128],
    "head_positive_fraction": [0.25] * 5,
    "head_positive_iou": [0.5] * 5,
    "head_negative_iou": [[0, 0.5], [0, 0.5], [0, 0.5], [0.1, 0.5], [0, 0.5]],
    "head_coder_weights": [[10, 10, 5, 5], [10, 10, 5, 5], [10, 10, 5, 5], N_A, [10, 10, 5, 5]],
    "head_beta": [1.0] * 5,
    "class_agnostic": [False] * 5,
    "box_loss_weight": [1.0] * 5,
    "score_threshold": [0.05] * 5,
    "nms_iou": [0.3] * 5,
    "max_detections": [100] * 5,
}
# The columns: torchvision's reference, detectron2's 1x.
PYRAMIDS = ("resnet50_fpn_coco", "resnet50_fpn_1x")
PYRAMID_TRAINING = {
    **{row: values[:2] for row, values in TRAINING.items()},
    "backbone": ["resnet50_fpn"] * 2,
    "image_size": [(800, 1333)] * 2,
    "short_sides": [(), (640, 672, 704, 736, 768, 800)],
    "batch_size": [2] * 2,
    "accumulate": [8] * 2,
    "steps": [26 * 7330, 90000],  # 117,266 images in batches of 16
    "learning_rate": [0.02] * 2,
    "rate_steps": [(16 * 7330, 22 * 7330), (60000, 80000)],
    "alternating_steps": [()] * 2,
    "alternating_rate_steps": [()] * 2,
    "warmup_steps": [1000] * 2,
    "warmup_factor": [0.001] * 2,
    "weight_decay": [0.0001] * 2,
    "bias_rate": [1.0] * 2,
    "bias_decay": [True] * 2,
}
PYRAMID_MODEL = {
    "frozen_stages": [2] * 2,
    "frozen_batch_norm": [True] * 2,
    "resize_rounding": ["float64", "exact"],
    "anchor_sizes": [[[32], [64], [128], [256], [512]]] * 2,
    "anchor_ratios": [[0.5, 1, 2]] * 2,
    "anchor_offset": [0.0] * 2,
    "anchor_rounding": ["torchvision", "none"],
    "anchor_steps": ["quotient", "stride"],
    "objectness": ["sigmoid"] * 2,
    "rpn_channels": [256] * 2,
    "rpn_depth": [1] * 2,
    "rpn_positive_iou": [0.7] * 2,
    "rpn_negative_iou": [0.3] * 2,
    "rpn_batch_size": [256] * 2,
    "rpn_positive_fraction": [0.5] * 2,
    "rpn_cross_border": [True] * 2,
    "rpn_beta": [1 / 9, 0.0],
    "rpn_box_loss_weight": [1.0] * 2,
    "rpn_box_normalizer": ["sampled"] * 2,
    "rpn_nms_iou": [0.7] * 2,
    "rpn_pre_nms": [[2000, 1000]] * 2,
    "rpn_post_nms": [[2000, 1000], [1000, 1000]],
    "rpn_min_size": [0.001, 0.0],
    "rpn_min_size_first": [False] * 2,
    "rpn_score_threshold": [0.0] * 2,
    "pooling": ["roi_align"] * 2,
    "pool_size": [7] * 2,
    "pool_samples": [2] * 2,
    "pool_aligned": [False, True],
    "head_convs": [[]] * 2,
    "head_units": [[1024, 1024]] * 2,
    "head_dropout": [0.0] * 2,
    "head_background_box": [True, False],
    "head_batch_size": [512] * 2,
    "head_positive_fraction": [0.25] * 2,
    "head_positive_iou": [0.5] * 2,
    "head_negative_iou": [[0, 0.5]] * 2,
    "head_coder_weights": [[10, 10, 5, 5]] * 2,
    "head_beta": [1 / 9, 0.0],
    "class_agnostic": [False] * 2,
    "box_loss_weight": [1.0] * 2,
    "score_threshold": [0.05] * 2,
    "nms_iou": [0.5] * 2,
    "max_detections": [100] * 2,
    "min_box_size": [0.01, 0.0],
}
# platform_facts.md: what lib/rpn/generate_anchors.py prints, inclusive corners.
NINE_ANCHORS = [
    (-84, -40, 99, 55),
    (-176, -88, 191, 103),
    (-360, -184, 375, 199),
    (-56, -56, 71, 71),
    (-120, -120, 135, 135),
    (-248, -248, 263, 263),
    (-36, -80, 51, 95),
    (-80, -168, 95, 183),
    (-168, -344, 183, 359),
]


def training(name):
    return column(TRAINING, NAMES, name) if name in NAMES else column(PYRAMID_TRAINING, PYRAMIDS, name)


def detector(name):
    table = column(MODEL, NAMES, name) if name in NAMES else column(PYRAMID_MODEL, PYRAMIDS, name)
    return {row: value for row, value in table.items() if value is not N_A}


def column(table, names, name):
    return {row: values[names.index(name)] for row, values in table.items()}


@pytest.fixture(scope="module")
def stand_in():
    """A recipe's model with a small network of the same stride, and a narrow head; made once."""
    made = {}

    def make(name):
        if name not in made:
            recipe = recipe_files.load(name)
            backbone = "mobilenet_v2" if name in NAMES else "mobilenet_v2_fpn"
            small = {"backbone": backbone, "backbone_weights": "none"}
            arguments = {**recipe.detector, "head_units": [8, 8]}
            made[name] = dataclasses.replace(recipe, detector=arguments, **small).build(["a", "b"], "a file")
        return made[name]

    return make


@pytest.mark.parametrize("name", NAMES + PYRAMIDS)
def test_the_training_is_as_published(name):
    recipe = recipe_files.load(name)
    published = training(name)
    assert {row: getattr(recipe, row) for row in published} == published
    # What is in no row is decided here: nothing escapes the table.
    fields = {field.name for field in dataclasses.fields(recipe)}
    run = {"epochs", "seed", "cache", "checkpoint_minutes", "deterministic", "on_nonfinite", "tensorboard"}
    assert fields - set(published) == {"detector", "balance", "early_stopping", *run}


@pytest.mark.parametrize("name", NAMES + PYRAMIDS)
def test_the_detector_is_as_published(name):
    published = detector(name)
    ours = recipe_files.load(name).detector
    assert set(ours) <= set(published)
    betas = ("rpn_beta", "head_beta")
    assert {row: pytest.approx(ours[row]) if row in betas else ours[row] for row in ours} == {
        row: published[row] for row in ours
    }


@pytest.mark.parametrize("name", NAMES + PYRAMIDS)
def test_the_model_takes_it(name, stand_in):
    model = stand_in(name)
    published = detector(name)
    del published["head_units"]
    for row, value in published.items():
        np.testing.assert_equal(np.array(model.arguments[row]), np.array(value), err_msg=row)


@pytest.mark.parametrize("name", ["vgg16_voc07", "zf_voc07"])
def test_the_anchors_are_those_that_py_faster_rcnn_prints(name, stand_in):
    half_open = np.array(NINE_ANCHORS) + [0, 0, 1, 1]
    np.testing.assert_array_equal(stand_in(name).rpn.anchors.cell_anchors(0), half_open)


@pytest.mark.parametrize("name", NAMES)
def test_new_layers_start_as_published(name, stand_in):
    model = stand_in(name)
    deviations = {"class_dense": 0.01, "box_dense": 0.001}
    found = {layer: getattr(model.head, layer).kernel_initializer.stddev for layer in deviations}
    assert found == deviations
    if hasattr(model, "rpn"):
        layers = (model.rpn.conv, model.rpn.class_conv, model.rpn.box_conv)
        assert [layer.kernel_initializer.stddev for layer in layers] == [0.01] * 3


@pytest.mark.parametrize("name", NAMES + PYRAMIDS)
def test_the_optimizer_is_that_of_the_reference(name):
    recipe = recipe_files.load(name)
    published = training(name)
    accumulate, drop = published["accumulate"], published["rate_steps"][0]
    optimizer = recipe.make_optimizer(published["steps"] * accumulate)
    assert isinstance(optimizer, CaffeSGD) and not optimizer.nesterov
    assert optimizer.momentum == 0.9
    assert optimizer.l2 == published["weight_decay"] and optimizer.weight_decay is None
    assert optimizer.bias_rate == published["bias_rate"]
    assert optimizer.l2_on_bias == published["bias_decay"]
    assert (optimizer.gradient_accumulation_steps or 1) == accumulate
    assert (optimizer.clipnorm, optimizer.clipvalue, optimizer.global_clipnorm) == (None, None, None)
    # The last batch of an update is the one that applies it.
    warmup, peak = published["warmup_steps"], published["learning_rate"]
    last = peak * 0.1 ** len(published["rate_steps"])
    for update, rate in [(warmup, peak), (drop - 1, peak), (drop, peak / 10), (published["steps"] - 1, last)]:
        optimizer._iterations.assign((update + 1) * accumulate - 1)
        np.testing.assert_allclose(optimizer.learning_rate, rate, rtol=1e-5)
    optimizer._iterations.assign(0)
    start = peak * published["warmup_factor"] if warmup else peak
    np.testing.assert_allclose(optimizer.learning_rate, start, rtol=1e-5)


@pytest.mark.parametrize(
    "name, images",
    [
        ("vgg16_voc07", 5011),
        ("vgg16_voc0712", 16551),
        ("vgg16_coco", 82783),
        ("fast_rcnn_vgg16_voc07", 5011),
        ("zf_voc07", 5011),
        ("resnet50_fpn_coco", 117266),
        ("resnet50_fpn_1x", 117266),
    ],
)
def test_it_lasts_as_long_as_published(name, images):
    recipe = recipe_files.load(name)
    batches = -(-images // recipe.batch_size)
    epochs, length = recipe.epochs_for(batches), recipe.batches_an_epoch(batches)
    assert length <= batches
    updates = epochs * length / recipe.accumulate
    assert 0 <= updates - training(name)["steps"] < epochs


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_network_of_the_paper_itself(name):
    recipe = dataclasses.replace(recipe_files.load(name), backbone_weights="none")
    model = recipe.build([f"class {index}" for index in range(20)])
    assert model.arguments["preprocessing"] == "caffe"
    convolutions = {"vgg16": 14_714_688, "zf": 3_726_464}[recipe.backbone]
    assert model.backbone.count_params() == convolutions
    width = {"vgg16": 7 * 7 * 512, "zf": 6 * 6 * 256}[recipe.backbone]
    trained = sum(np.prod(weight.shape) for weight in model.head.trainable_weights)
    assert trained == sum(
        (features + 1) * units for features, units in [(width, 4096), (4096, 4096), (4096, 21), (4096, 80)]
    )

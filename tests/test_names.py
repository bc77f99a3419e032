"""A name that is nearly right is answered with the right one, wherever a name is chosen."""

import pytest

import keras_frcnn as kf
from keras_frcnn import __main__ as program
from keras_frcnn import names
from keras_frcnn.data.readers import shapes
from keras_frcnn.training import recipe_files
from keras_frcnn.training.recipe import Recipe


def test_the_nearest_name():
    known = ["vgg16", "mobilenet_v2", "mobilenet_v2_fpn", "RBC"]
    assert names.nearest("mobilnet_v2_fpn", known) == "mobilenet_v2_fpn"
    assert names.nearest("rbc", known) == "RBC"
    assert names.nearest("vgg16", known) is None
    assert names.nearest("something else", known) is None
    assert names.nearest("vgg", []) is None


def test_the_remedy_is_kept():
    assert names.remedy("abc", ["vgg16"], "use one of vgg16.") == "use one of vgg16."
    assert names.remedy("vgg1", ["vgg16"], "use one of vgg16.") == "did you mean vgg16? Use one of vgg16."


def model(**arguments):
    return kf.FasterRCNN(["cell"], **{"backbone": "tiny_fpn", **arguments})


@pytest.mark.parametrize(
    "choose, meant",
    [
        (lambda: model(backbone="mobilnet_v2_fpn"), "mobilenet_v2_fpn"),
        (lambda: model(pooling="roialign"), "roi_align"),
        (lambda: model(class_loss="cross-entropy"), "cross_entropy"),
        (lambda: model(box_loss="smoothl1"), "smooth_l1"),
        (lambda: model(anchor_size=(32, 64)), "anchor_sizes"),
        (lambda: Recipe(model="faster-rcnn"), "faster_rcnn"),
        (lambda: recipe_files.load("small_object"), "small_objects"),
        (lambda: recipe_files.from_yaml("epoch: 3", "own.yaml"), "epochs"),
        (lambda: recipe_files.from_yaml("optimizer: adam", "own.yaml"), "adamw"),
        (lambda: kf.data.load("coc:file.json@images"), "coco"),
        (lambda: kf.data.load("shape@val"), "shapes"),
        (lambda: kf.data.load("shapes@vall"), "val"),
        (lambda: kf.data.load("shapes@val", class_names=["Circle", *shapes.CLASS_NAMES[1:]]), "Circle"),
        (lambda: kf.weights.load_torchvision("fasterrcnn_resnet_50_fpn", {}), "fasterrcnn_resnet50_fpn"),
    ],
)
def test_suggests_the_name_that_was_meant(choose, meant):
    with pytest.raises(ValueError, match=rf"; did you mean {meant}\? "):
        choose()


def test_a_split_of_files(tmp_path):
    for name in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (tmp_path / name).mkdir(parents=True)
    for split in ("trainval", "test"):
        (tmp_path / f"ImageSets/Main/{split}.txt").write_text("")
    with pytest.raises(
        FileNotFoundError, match=r"no split tranval; did you mean trainval\? It has test, train"
    ):
        kf.data.load(f"voc:{tmp_path}@tranval")


def test_a_command(capsys):
    assert program.main(["evalute"]) == 2
    assert "no command 'evalute'; did you mean evaluate? Use train, " in capsys.readouterr().err

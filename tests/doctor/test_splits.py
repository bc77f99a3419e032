import dataclasses

import numpy as np

import keras_frcnn as kf
from keras_frcnn.data.splitting import split_off
from keras_frcnn.doctor.splits import check_splits


def named(dataset, name, records=None):
    return kf.data.DetectionDataset(name, dataset.class_names, records or dataset.records, dataset.source)


def only(case):
    (finding,) = check_splits(case).findings
    assert finding.cause == "wrong split"
    return finding


def test_healthy_splits(case):
    assert not check_splits(case()).findings
    assert not check_splits(case(val=None)).findings


def test_swapped_sets_by_size_and_by_name(case):
    train, val = case().train, case().val
    by_size = only(case(train=named(val, "csv:a@x"), val=named(train, "csv:b@x")))
    assert "seem swapped" in by_size.sentence and "--train csv:b@x --val csv:a@x" in by_size.command
    both = only(case(train=named(val, "voc:a@test"), val=named(train, "voc:a@trainval")))
    assert both.likelihood > by_size.likelihood
    coco = only(
        case(train=named(val, "coco:x/instances_val2017.json@i"), val=named(train, "coco:x/train.json@i"))
    )
    assert coco.likelihood == both.likelihood


def test_the_same_pictures_on_both_sides(case):
    train = case().train
    finding = only(case(train=train, val=train))
    assert "same pictures" in finding.sentence and "100%" in finding.figure


def test_classes_that_training_never_shows(case, changed):
    train = changed(case().train, lambda record: {"labels": np.zeros(len(record.labels), np.int32)})
    assert "classes that the validation set" in only(case(train=train)).sentence


def test_a_single_rare_class_that_training_never_shows(case, changed):
    def without_stars(record):
        keep = record.labels != case().train.class_names.index("star")
        return {name: getattr(record, name)[keep] for name in ("boxes", "labels", "ignore", "area")}

    finding = only(case(train=changed(case().train, without_stars)))
    assert "asks for (star)" in finding.sentence and "1 of 6 validation classes" in finding.figure


def test_hardly_any_image(case):
    train = case().train
    few = named(train, "few", [dataclasses.replace(record) for record in train.records[:3]])
    assert "hardly any image" in check_splits(case(train=few)).findings[0].sentence


def test_parts_of_one_set_are_not_taken_for_swapped(case):
    whole = named(case().train, "shapes@test")
    train, val = split_off(whole, 0.6)
    assert not check_splits(case(train=train, val=val)).findings


def test_words_in_a_path_are_no_names_of_splits(case):
    train = named(case().train, "labelme:/projects/test/photos")
    val = named(case().val, "labelme:/projects/train/photos (copy)")
    assert not check_splits(case(train=train, val=val)).findings


def test_the_command_of_swapped_sets_keeps_all_else(case):
    train, val = case().train, case().val
    swapped = case(
        train=named(val, "voc:a b@x + voc:c@x"),
        val=named(train, "voc:d@x"),
        specs={"training": ["voc:a b@x", "voc:c@x"], "validation": ["voc:d@x"]},
        training_command="python train.py --output train --train 'voc:a b@x' --train=voc:c@x --val voc:d@x",
    )
    assert only(swapped).command == (
        "python train.py --output train --train voc:d@x --val 'voc:a b@x' --val voc:c@x"
    )

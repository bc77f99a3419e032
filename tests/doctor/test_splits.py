import dataclasses

import numpy as np

import keras_frcnn as kf
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


def test_hardly_any_image(case):
    train = case().train
    few = named(train, "few", [dataclasses.replace(record) for record in train.records[:3]])
    assert "hardly any image" in check_splits(case(train=few)).findings[0].sentence

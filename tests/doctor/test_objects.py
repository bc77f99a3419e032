import numpy as np

import keras_frcnn as kf
from keras_frcnn.doctor import examine
from keras_frcnn.doctor.findings import DECISIVE
from keras_frcnn.doctor.objects import check_class_names, check_objects


def test_a_healthy_set_has_objects_that_count(case):
    result = check_objects(case())
    assert not result.findings and "training set: " in result.figure


def test_all_objects_ignored(case, changed):
    healthy = case()
    train = changed(healthy.train, lambda record: {"ignore": np.ones(len(record.labels), bool)})
    (finding,) = check_objects(case(train=train)).findings
    assert finding.likelihood == 1.0 and finding.sentence.startswith("All objects of the training set")


NOTHING = {
    "boxes": np.zeros([0, 4], np.float32),
    "labels": np.zeros(0, np.int32),
    "ignore": np.zeros(0, bool),
    "area": np.zeros(0, np.float32),
}


def test_no_objects(case, changed):
    val = changed(case().val, lambda record: NOTHING)
    (finding,) = check_objects(case(val=val)).findings
    assert "have no object" in finding.sentence and "validation" in finding.sentence


def test_many_empty_pictures_are_hardly_a_cause(case, changed):
    train = changed(case().train, lambda record: NOTHING if record.image_id % 8 else {})
    (finding,) = check_objects(case(train=train)).findings
    assert finding.sentence.startswith("Most images") and finding.likelihood < DECISIVE


def test_a_set_without_images(case):
    train = case().train
    empty = kf.data.DetectionDataset("voc:a b@train", train.class_names, [], train.source)
    made = case(train=empty, val=None)
    (finding,) = check_objects(made).findings
    assert "no images" in finding.sentence and finding.likelihood == 1.0
    assert finding.command.endswith("check-data 'voc:a b@train'")
    for outcome in examine(made, lambda error: None):
        assert outcome.name != "learning by heart" or outcome.skipped


def test_joined_sets_are_named_by_their_specs(case, changed):
    train = changed(case().train, lambda record: NOTHING, name="voc:a@x + voc:b c@x")
    (finding,) = check_objects(case(train=train, specs={"training": ["voc:a@x", "voc:b c@x"]})).findings
    assert finding.command == "python -m keras_frcnn check-data voc:a@x 'voc:b c@x'"


def test_unknown_class_names(case, changed, seer):
    val = case().val
    other = changed(val, lambda record: {}, class_names=tuple(f"{name}s" for name in val.class_names))
    assert not check_class_names(case(model=seer(val), tried=val)).findings
    (finding,) = check_class_names(case(model=seer(val), tried=other)).findings
    assert "circles" in finding.sentence and "circle," in finding.sentence

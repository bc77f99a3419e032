import numpy as np

from keras_frcnn.doctor.objects import check_class_names, check_objects


def test_a_healthy_set_has_objects_that_count(case):
    result = check_objects(case())
    assert not result.findings and "training set: " in result.figure


def test_all_objects_ignored(case, changed):
    healthy = case()
    train = changed(healthy.train, lambda record: {"ignore": np.ones(len(record.labels), bool)})
    (finding,) = check_objects(case(train=train)).findings
    assert finding.likelihood == 1.0 and finding.sentence.startswith("All objects of the training set")


def test_no_objects(case, changed):
    nothing = {
        "boxes": np.zeros([0, 4], np.float32),
        "labels": np.zeros(0, np.int32),
        "ignore": np.zeros(0, bool),
        "area": np.zeros(0, np.float32),
    }
    val = changed(case().val, lambda record: nothing)
    (finding,) = check_objects(case(val=val)).findings
    assert "no object" in finding.sentence and "validation" in finding.sentence


def test_unknown_class_names(case, changed, seer):
    val = case().val
    other = changed(val, lambda record: {}, class_names=tuple(f"{name}s" for name in val.class_names))
    assert not check_class_names(case(model=seer(val), tried=val)).findings
    (finding,) = check_class_names(case(model=seer(val), tried=other)).findings
    assert "circles" in finding.sentence and "circle," in finding.sentence

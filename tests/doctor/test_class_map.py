import numpy as np
import pytest

from keras_frcnn.doctor.class_map import check_class_map


def seen(case, seer, labels):
    val = case().val
    return check_class_map(case(model=seer(val, labels=labels), tried=val))


def test_labels_that_agree(case, seer):
    result = seen(case, seer, lambda labels: labels)
    assert not result.findings and result.figure.startswith("100%")


@pytest.mark.parametrize("step, word", [(1, "low"), (-1, "high")])
def test_labels_shifted_by_one(case, seer, step, word):
    (finding,) = seen(case, seer, lambda labels: (labels + step) % 6).findings
    assert f"shifted by one (too {word}" in finding.sentence
    assert "circle is seen as" in finding.sentence


def test_two_classes_exchanged(case, seer):
    order = np.array([0, 1, 3, 2, 4, 5])
    (finding,) = seen(case, seer, lambda labels: order[labels]).findings
    assert "another order" in finding.sentence
    assert "ring is seen as square, square is seen as ring" in finding.sentence


def test_a_poor_head_is_no_map(case, seer):
    assert not seen(case, seer, lambda labels: np.zeros_like(labels)).findings


def test_a_trained_model_sees_its_own_labels(trained, scenes, case):
    assert not check_class_map(case(model=trained, tried=scenes)).findings


def test_names_that_the_model_lacks_are_mapped(case, changed, seer):
    val = case().val
    other = changed(val, lambda record: {}, class_names=tuple("abcdef"))
    (finding,) = check_class_map(case(model=seer(val), tried=other)).findings
    assert "a is seen as circle" in finding.sentence

import pytest

from keras_frcnn.checking.objects import twins
from keras_frcnn.doctor.findings import DECISIVE
from keras_frcnn.doctor.spelling import check_spelling
from keras_frcnn.doctor.splits import check_splits


def spelt(dataset, changed, other, places):
    """The set with another name for the circles of the images at some places."""
    names = (*dataset.class_names, other)
    labels = {dataset.records[place].image_id for place in places}

    def change(record):
        if record.image_id not in labels:
            return {}
        circle = record.labels == names.index("circle")
        return {"labels": record.labels * ~circle + circle * names.index(other)}

    return changed(dataset, change, class_names=names)


def test_names_that_differ(case):
    result = check_spelling(case())
    assert not result.findings and result.figure.startswith("6 classes with objects")


@pytest.mark.parametrize("other", ["Circle", "circles"])
def test_a_class_with_two_names_in_training(case, changed, other):
    train = spelt(case().train, changed, other, range(15))
    (finding,) = check_spelling(case(train=train)).findings
    assert f"'circle' and '{other}' seem to be one class" in finding.sentence
    assert f"of {other} in the training set" in finding.figure and finding.likelihood < DECISIVE


def test_validation_spells_it_in_another_way(case, changed):
    train, val = spelt(case().train, changed, "Circle", []), case().val
    every = spelt(val, changed, "Circle", range(len(val)))
    spelt_twice = case(train=train, val=every)
    (finding,) = check_spelling(spelt_twice).findings
    assert "0 of circle and" in finding.figure
    assert finding.command.endswith("check-data shapes@train shapes@val")
    assert not check_splits(spelt_twice).findings  # which would ask for another split


def test_a_name_without_objects_is_no_cause(case, changed):
    assert not check_spelling(case(train=spelt(case().train, changed, "Circle", []))).findings


@pytest.mark.parametrize(
    "one, other",
    [
        ("Safety Vest", "NO-Safety Vest"),
        ("ripe_tomato", "unripe_tomato"),
        ("male person", "female person"),
        ("b_fully_ripened", "l_fully_ripened"),
        ("C", "C++"),
    ],
)
def test_names_that_are_two_on_purpose(one, other):
    assert not list(twins([one, other]))


def test_a_likely_twin_is_not_decisive(case, changed):
    train, val = spelt(case().train, changed, "circlet", []), case().val
    every = spelt(val, changed, "circlet", range(len(val)))
    (finding,) = check_spelling(case(train=train, val=every)).findings
    assert finding.likelihood < DECISIVE
    assert any(
        "circlet" in finding.sentence for finding in check_splits(case(train=train, val=every)).findings
    )

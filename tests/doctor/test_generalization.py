import pytest

from keras_frcnn.doctor.findings import Skipped
from keras_frcnn.doctor.generalization import check_generalization


def score(good):
    """A function from an image to a score: high for the images whose sums are given."""
    return lambda image: 0.9 if int(image.sum()) in good else 0.01


def sums(dataset):
    return {int(dataset.image(index).sum()) for index in range(len(dataset))}


def test_what_is_found_in_training_alone(case, seer):
    made = case()
    both = sums(made.train) | sums(made.val)
    for good, count in ((both, 0), (sums(made.train), 1)):
        model = seer(made.val, score=score(good))
        model.known |= seer(made.train).known
        tried = case(model=model, tried=made.val, train=made.train, val=made.val)
        findings = check_generalization(tried).findings
        assert [finding.cause for finding in findings] == ["wrong split"] * count


def test_a_model_that_finds_nothing_is_not_compared(case, seer):
    made = case()
    model = seer(made.val, score=score(set()))
    model.known |= seer(made.train).known
    with pytest.raises(Skipped, match="too little anywhere to compare: 0% of the validation objects"):
        check_generalization(case(model=model, tried=made.val, train=made.train, val=made.val))


def test_an_rpn_is_not_judged_by_classes(case, seer):
    made = case()
    model = seer(made.val)
    model.only_proposals = True
    with pytest.raises(Skipped, match="RPN"):
        check_generalization(case(model=model, tried=made.val))

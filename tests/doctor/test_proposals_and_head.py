from keras_frcnn.doctor.head_confusion import check_head
from keras_frcnn.doctor.proposals import check_proposals


def test_a_trained_model_proposes_and_names(trained, scenes, case):
    trained_case = case(model=trained, tried=scenes, recipe=None)
    assert not check_proposals(trained_case).findings
    assert not check_head(trained_case).findings


def test_a_head_that_sees_background(case, seer):
    val = case().val
    (finding,) = check_head(case(model=seer(val, score=lambda image: 0.02), tried=val)).findings
    assert "background" in finding.sentence and "100% end as background" in finding.figure


def test_a_head_that_sees_one_class(case, seer):
    val = case().val
    (finding,) = check_head(case(model=seer(val, labels=lambda labels: labels * 0), tried=val)).findings
    assert "another class" in finding.sentence

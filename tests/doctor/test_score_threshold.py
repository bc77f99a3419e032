import dataclasses

import pytest

from keras_frcnn.doctor import Case
from keras_frcnn.doctor.score_threshold import check_score_threshold
from keras_frcnn.export.settings import with_settings


@pytest.mark.parametrize("threshold", [0.05, 0.99])
def test_a_trained_model(trained, scenes, tmp_path, threshold):
    case = Case(output=tmp_path, model=with_settings(trained, score_threshold=threshold), tried=scenes)
    findings = check_score_threshold(case).findings
    assert len(findings) == (threshold == 0.99)
    assert all("below 0.99" in finding.sentence and "loses" in finding.figure for finding in findings)


def test_a_recipe(case):
    recipe = dataclasses.replace(case().recipe, detector={"score_threshold": 0.99})
    (finding,) = check_score_threshold(case(recipe=recipe)).findings
    assert "score_threshold: 0.05" in finding.command

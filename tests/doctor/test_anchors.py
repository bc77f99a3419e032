import dataclasses

import pytest

from keras_frcnn.doctor.anchors import check_anchors


def test_anchors_that_fit(case):
    assert not check_anchors(case()).findings


@pytest.mark.parametrize("factor, word", [(16, "large"), (60, "large"), (1 / 16, "small")])
def test_anchors_that_do_not(case, factor, word):
    sizes = [
        [side * factor for side in pair] for pair in ((16, 24), (32, 48), (64, 96), (128, 192), (256, 384))
    ]
    recipe = dataclasses.replace(case().recipe, detector={"anchor_sizes": sizes})
    (finding,) = check_anchors(case(recipe=recipe)).findings
    assert f"too {word}" in finding.sentence and "anchor_sizes" in finding.command

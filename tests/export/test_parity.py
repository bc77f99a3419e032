"""What lets an export be handed out."""

import numpy as np
import pytest

from keras_frcnn.export import parity


def found(count, seed=0, **changes):
    """An answer of `detect` with boxes far apart."""
    corner = np.random.default_rng(seed).uniform(0, 10_000, (count, 2))
    answer = {
        "boxes": np.concatenate([corner, corner + 20], axis=1),
        "scores": np.linspace(0.9, 0.1, count),
        "labels": np.zeros(count, int),
    }
    return {**answer, **{name: answer[name] + change for name, change in changes.items()}}


@pytest.mark.parametrize("change", [{"boxes": 0.1}, {"scores": 0.001}, {"labels": 1}])
def test_a_file_that_is_wrong_for_one_shape_of_image(change):
    references = [found(100, seed) for seed in range(4)] + [found(12, 9)]
    assert parity.compare(references, references).agrees
    answers = [*references[:4], found(12, 9, **change)]
    result = parity.compare(answers, references)
    assert result.same >= result.fewest * result.found and result.worst == 0 and not result.agrees


def test_a_picture_with_little_in_it_is_not_judged_by_itself():
    references = [found(100), found(2)]
    result = parity.compare([found(100), found(1)], references)
    assert result.agrees and not result.is_telling and result.worst == 1
    assert parity.compare([found(100)], [found(100)]).is_telling


def test_rounded_weights_may_move_more():
    answers, references = [found(50, boxes=2.0, scores=0.01)], [found(50)]
    assert parity.compare(answers, references, half=True).agrees
    assert not parity.compare(answers, references).agrees


def test_nothing_in_both_agrees():
    nothing = {"boxes": np.zeros([0, 4]), "scores": np.zeros(0), "labels": np.zeros(0, int)}
    assert parity.compare([nothing], [nothing]).agrees
    assert not parity.compare([found(3)], [nothing]).agrees

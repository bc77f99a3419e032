import math

import numpy as np
import pytest

from keras_frcnn.doctor import by_heart, rate_range
from keras_frcnn.doctor.by_heart import check_by_heart
from keras_frcnn.doctor.fed_batch import draw_fed_batch
from keras_frcnn.doctor.input_time import check_input_time


@pytest.mark.slow
def test_experiments_on_eight_images(case, monkeypatch):
    monkeypatch.setattr(by_heart, "MOST_STEPS", 12)
    monkeypatch.setattr(rate_range, "FEWEST_STEPS", 9)
    monkeypatch.setattr(rate_range, "MOST_STEPS", 9)
    made = case()
    before = [weight.numpy() for weight in made.fresh.weights]
    assert len(made.probe.dataset) == 8
    assert "in 12 steps" in check_by_heart(made).figure
    rates, losses = rate_range.sweep(made.probe)
    assert len(rates) == len(losses) <= 9 and math.isfinite(losses[0])
    assert "ms of a training step" in check_input_time(made).figure
    after = [weight.numpy() for weight in made.fresh.weights]
    assert all(np.array_equal(*pair) for pair in zip(before, after))


@pytest.mark.slow
def test_a_rate_that_is_far_too_high_is_noticed(case):
    probe = case().probe
    losses = [probe.step(number, 1e30) for number in range(3)]
    assert not all(math.isfinite(loss) and loss < 100 * losses[0] for loss in losses)


def test_the_batch_as_the_model_gets_it(case):
    made = case()
    made.output = made.output / "not there yet"
    assert "2 training images" in draw_fed_batch(made).figure
    assert (made.output / "fed.png").exists()

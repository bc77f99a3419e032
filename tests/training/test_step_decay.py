import keras
import numpy as np
import pytest

from keras_frcnn.training import StepDecay


@pytest.mark.parametrize("drops", [[], [30], [30, 31, 80]])
@pytest.mark.parametrize("warmup_steps", [0, 10])
def test_against_a_loop(drops, warmup_steps):
    schedule = StepDecay(0.5, drops, factor=0.2, warmup_steps=warmup_steps)
    rate = 0.5
    for step in range(100):
        if step in drops:
            rate *= 0.2
        warm = min(0.01 + 0.99 * step / warmup_steps, 1.0) if warmup_steps else 1.0
        np.testing.assert_allclose(schedule(step), rate * warm, rtol=1e-5)


def test_where_the_warm_up_begins():
    schedule = StepDecay(0.5, [30], warmup_steps=10, warmup_factor=0.2)
    np.testing.assert_allclose([schedule(step) for step in (0, 5, 10, 29)], [0.1, 0.3, 0.5, 0.5], rtol=1e-6)


def test_round_trip():
    schedule = StepDecay(0.5, [3, 7], 0.2, 2, 0.001)
    config = keras.optimizers.schedules.serialize(schedule)
    again = keras.optimizers.schedules.deserialize(config)
    assert isinstance(again, StepDecay)
    assert again.get_config() == schedule.get_config()

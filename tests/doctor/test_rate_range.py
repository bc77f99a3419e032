import dataclasses

import numpy as np
import pytest

from keras_frcnn.doctor import rate_range
from keras_frcnn.doctor.rate_range import bounds, check_rate


def curve(rates, fall, limit):
    """A loss of 3 that falls to 1 from one rate on and explodes at another."""
    return np.where(rates < fall, 3.0, np.where(rates < limit, 1.0, 500.0))


def test_bounds():
    rates = np.geomspace(1e-7, 100, 91)
    fall, limit = bounds(rates, curve(rates, 1e-5, 1e-2))
    assert fall == pytest.approx(1e-5, rel=0.5) and limit == pytest.approx(1e-2, rel=0.5)


def test_a_loss_that_never_explodes():
    rates = np.geomspace(1e-7, 100, 91)
    assert bounds(rates, curve(rates, 1e-5, 1e9))[1] == pytest.approx(100)


def test_a_loss_that_is_not_finite():
    rates = np.geomspace(1e-7, 100, 10)
    assert bounds(rates[:4], np.array([3, 3, 1, np.nan]))[1] == rates[3]


def test_a_loss_that_is_not_finite_from_the_first_step(case, monkeypatch):
    monkeypatch.setattr(rate_range, "sweep", lambda probe: (np.array([1e-7]), np.array([np.nan])))
    made = case()
    made.__dict__["probe"] = None
    (finding,) = check_rate(made).findings
    assert "from the first step" in finding.sentence and "nan" in finding.figure


@pytest.mark.parametrize("factor, word", [(1, None), (1000, "high"), (1 / 1000, "low")])
def test_rates(case, monkeypatch, factor, word):
    rates = np.geomspace(1e-7, 100, 91)
    monkeypatch.setattr(rate_range, "sweep", lambda probe: (rates, curve(rates, 2e-5, 6e-3)))
    made = case()
    made.__dict__["probe"] = dataclasses.make_dataclass("Probe", ["rate"])(5e-4 * factor)
    findings = check_rate(made).findings
    assert [word for finding in findings if f"too {word}" in finding.sentence] == [word] * (word is not None)

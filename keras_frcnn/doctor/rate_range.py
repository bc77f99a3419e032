"""Which learning rates suit: a short range test (Smith 2017, section 3.3).

The rate grows by the same factor in every step. At first the loss stays, then it falls, then it explodes.
"""

import math

import numpy as np

from keras_frcnn.doctor.case import Case
from keras_frcnn.doctor.findings import Finding, Result
from keras_frcnn.doctor.probe import Probe

LOWEST, HIGHEST = 1e-7, 1e2
FEWEST_STEPS, MOST_STEPS, SECONDS = 54, 90, 60.0
# Weight of the past in the running mean of the loss.
SMOOTHING = 0.6
# The loss explodes where its running mean exceeds the start by this factor.
EXPLODED = 2.0
# It falls where it has made this part of the way to its lowest value.
FALLEN = 0.2
# The rate may be above the one or below the other by these factors. On BCCD with mobilenet_v2_fpn and AdamW
# the loss falls from 2e-5 on and explodes at 6e-3: the healthy rate 5e-4 is 12 times below and 25 times
# above, and 1000 times more or less is 80 times above or 40 times below.
TOO_HIGH, TOO_LOW = 3.0, 4.0


def check_rate(case: Case) -> Result:
    """Compare the recipe's learning rate with those at which the loss falls and explodes."""
    probe = case.probe
    rates, losses = sweep(probe)
    if not math.isfinite(losses[0]):
        figure = f"the loss of the first step is {losses[0]:g}, at a rate of {rates[0]:g}"
        what = (
            "The loss is not finite from the first step on, at the lowest rate; look at the weights that "
            "training begins with, at the boxes, and at the recipe's mixed_precision."
        )
        return Result(figure, [Finding("divergence", 0.78, what, figure, case.check_data("training"))])
    fall, limit = bounds(rates, losses)
    figure = (
        f"the loss falls from a rate of {fall:.1g} on and explodes at {limit:.1g}; the recipe has "
        f"{probe.rate:g}"
    )
    middle = _rounded(math.sqrt(fall * limit)) if limit > fall else _rounded(limit / 10)
    if probe.rate > TOO_HIGH * limit:
        what = "high: the first updates destroy the weights"
    elif probe.rate * TOO_LOW < fall:
        what = "low: the weights hardly move"
    else:
        return Result(figure)
    return Result(
        figure,
        [
            Finding(
                "learning rate",
                0.78,
                f"The learning rate {probe.rate:g} is too {what}; use about {middle:g}.",
                figure,
                case.retrain(f"--learning-rate {middle:g}"),
            )
        ],
    )


def sweep(probe: Probe) -> tuple[np.ndarray, np.ndarray]:
    """Train while the rate grows.

    Args:
        probe: `Probe`.

    Returns:
        Rates and losses, one for each step; the losses end where one is not finite.
    """
    probe.begin_again()
    count = int(np.clip(SECONDS / max(probe.seconds, 1e-3), FEWEST_STEPS, MOST_STEPS))
    rates, losses = np.geomspace(LOWEST, HIGHEST, count), []
    for number, rate in enumerate(rates):
        losses.append(probe.step(number, float(rate)))
        if not losses[-1] < 100 * losses[0]:
            break
    probe.begin_again()
    return rates[: len(losses)], np.array(losses)


def bounds(rates: np.ndarray, losses: np.ndarray) -> tuple[float, float]:
    """The rates at which the loss begins to fall and to explode.

    Args:
        rates, losses: see `sweep`; the first loss is finite.

    Returns:
        Two floats; the second is the last rate if the loss never explodes.

    Example:
        >>> bounds(np.geomspace(1e-6, 1, 7), np.array([3.0, 3, 3, 1, 1, 90, 900]))
        (0.001, 0.1)
    """
    mean, running = losses[0], []
    for loss in losses:
        mean = SMOOTHING * mean + (1 - SMOOTHING) * loss if math.isfinite(loss) else math.inf
        running.append(mean)
    running = np.array(running)
    exploded = np.flatnonzero(~(running < EXPLODED * running[0]))
    end = int(exploded[0]) if len(exploded) else len(running) - 1
    calm = running[: end + (not len(exploded))]
    lowest = calm.min()
    fallen = np.flatnonzero(calm <= running[0] - FALLEN * (running[0] - lowest))
    return float(rates[fallen[0]]), float(rates[end])


def _rounded(value):
    return float(f"{value:.1g}")

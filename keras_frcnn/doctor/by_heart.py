"""Whether a new model can learn eight images by heart with the settings of the recipe."""

import time

import numpy as np

from keras_frcnn.doctor.case import Case
from keras_frcnn.doctor.findings import Finding, Result

MOST_STEPS, FEWEST_STEPS, MOST_SECONDS = 120, 24, 80.0
# Steps over which the rate rises, so that a sound rate does not fail for want of a warm-up.
WARM_UP = 10
# Steps whose losses are averaged.
AVERAGED = 6
# What may be left of the loss. BCCD with mobilenet_v2_fpn has 0.52 after only 22 steps; without learning it
# is 1.
LEARNED = 0.75


def check_by_heart(case: Case) -> Result:
    """Train on eight images, 120 steps or 80 seconds at most, at the recipe's rate; compare the losses."""
    probe = case.probe
    probe.begin_again()
    begin, losses = time.monotonic(), []
    for number in range(MOST_STEPS):
        losses.append(probe.step(number, probe.rate * min(1.0, (number + 1) / WARM_UP)))
        if time.monotonic() - begin > MOST_SECONDS and number + 1 >= FEWEST_STEPS:
            break
    probe.begin_again()
    first, last = float(np.mean(losses[:2])), float(np.mean(losses[-AVERAGED:]))
    figure = (
        f"the loss on {len(probe.dataset)} images went from {first:.3g} to {last:.3g} in {len(losses)} steps"
    )
    if last <= LEARNED * first:
        return Result(figure)
    return Result(
        figure,
        [
            Finding(
                "learning by heart",
                0.5,
                f"A new model cannot even learn {len(probe.dataset)} images by heart; look at the pictures "
                f"that it is fed in {case.output}, and try other settings on these images first.",
                figure,
                case.retrain("--recipe small_objects"),
            )
        ],
    )

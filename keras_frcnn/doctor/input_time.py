"""Whether steps wait for their input."""

import time

import numpy as np

from keras_frcnn.doctor.case import Case
from keras_frcnn.doctor.findings import Result

BATCHES = 6


def check_input_time(case: Case) -> Result:
    """Compare the time of a batch with that of a step; slow input makes training slow, never wrong."""
    assert case.recipe and case.train
    iterator = iter(case.recipe.batches(case.train, case.probe.model, training=True).repeat())
    next(iterator)
    begin = time.monotonic()
    sizes = [len(next(iterator)[0]["images"]) for _ in range(BATCHES)]
    each = (time.monotonic() - begin) / float(np.sum(sizes))
    step = case.probe.seconds / len(case.probe.batches[0][0]["images"])
    figure = (
        f"an image takes {1000 * each:.0f} ms to read and prepare and {1000 * step:.0f} ms of a training step"
    )
    if each > step:
        figure += "; steps will wait for images, which makes training slow (try --cache always)"
    return Result(figure)

"""Measure where the time of a step goes."""

from keras_frcnn.profiling.steps import profile, report

__all__ = ["profile", "report"]

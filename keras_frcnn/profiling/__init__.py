"""Measure where the time of a step goes."""

from keras_frcnn.profiling.steps import check_kind, profile, report

__all__ = ["check_kind", "profile", "report"]

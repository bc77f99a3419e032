"""The page about a detector: how good it is, where it fails, what to do next."""

from keras_frcnn.report.folder import write_report, write_report_json

__all__ = ["write_report", "write_report_json"]

"""Why a detector finds nothing: one check a file, from its inputs to plain sentences."""

from keras_frcnn.doctor.case import Case
from keras_frcnn.doctor.examination import examine
from keras_frcnn.doctor.findings import Finding
from keras_frcnn.doctor.report import as_json, as_line, as_text, by_likelihood

__all__ = ["Case", "Finding", "as_json", "as_line", "as_text", "by_likelihood", "examine"]

"""Scores of a detector by the rules of PASCAL VOC and COCO."""

from keras_frcnn.evaluation import coco, voc
from keras_frcnn.evaluation.scores import evaluate, report, score

__all__ = ["coco", "evaluate", "report", "score", "voc"]

"""Score a detector by the rules of PASCAL VOC and COCO."""

from keras_frcnn.evaluation import coco, proposal_recall, voc
from keras_frcnn.evaluation.scores import evaluate, report, score
from keras_frcnn.evaluation.test_time_augmentation import TestTimeAugmentation
from keras_frcnn.evaluation.tiled_detection import TiledDetection

__all__ = [
    "TestTimeAugmentation",
    "TiledDetection",
    "coco",
    "evaluate",
    "proposal_recall",
    "report",
    "score",
    "voc",
]

"""Score a detector by the rules of PASCAL VOC and COCO."""

from keras_frcnn.evaluation import coco, proposal_recall, voc
from keras_frcnn.evaluation.detecting import detect_set
from keras_frcnn.evaluation.passes import check_batch_size, detect_in_passes
from keras_frcnn.evaluation.scores import evaluate, report, score, score_found
from keras_frcnn.evaluation.shared_evaluation import evaluate_together
from keras_frcnn.evaluation.test_time_augmentation import TestTimeAugmentation
from keras_frcnn.evaluation.tiled_detection import TiledDetection

__all__ = [
    "TestTimeAugmentation",
    "TiledDetection",
    "check_batch_size",
    "coco",
    "detect_in_passes",
    "detect_set",
    "evaluate",
    "evaluate_together",
    "proposal_recall",
    "report",
    "score",
    "score_found",
    "voc",
]

"""The twelve numbers of COCO, computed by faster-coco-eval, whose results are those of pycocotools.

Letters: N detections and M objects of an image, K classes, T IoU thresholds, R recall thresholds.
"""

import numpy as np
from faster_coco_eval import COCO, COCOeval_faster

from keras_frcnn.evaluation.voc import check_paired

NAMES = (
    *("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large"),
    *("ar1", "ar10", "ar100", "ar_small", "ar_medium", "ar_large"),
)


def evaluate(detections, records, class_names):
    """Average precision and recall as COCO defines them (cocodataset.org, "Detection evaluation").

    `ignore` objects are crowd regions: any number of detections inside one count neither way, and the
    overlap is measured as a share of the detection. Of each class the best 100 detections of an image
    count.

    Args:
        detections: list of dicts "boxes" `[N, 4]` xyxy pixels, "scores" `[N]`, "labels" `[N]`, one an image.
        records: list of `keras_frcnn.data.Record`, the images in the same order.
        class_names: K names that the labels count in.

    Returns:
        dict of floats in 0–1, NaN where no object counts: "ap" (mean over the IoU thresholds 0.50, 0.55 …
        0.95), "ap50", "ap75", "ap_small", "ap_medium", "ap_large" (objects below 32², up to 96², above, in
        square pixels), "ar1", "ar10", "ar100" (recall with so many detections of a class in an image),
        "ar_small", "ar_medium", "ar_large"; and "per_class", dict from name to a dict of "ap", "ap50" and
        "ap75".

    Raises:
        ValueError: not one dict of detections for each record.
    """
    check_paired(detections, records)
    truth = COCO(_annotations(records, class_names))
    found = truth.loadRes(_results(detections))
    evaluator = COCOeval_faster(truth, found, iouType="bbox")
    evaluator.run()
    numbers = np.where(evaluator.stats < 0, np.nan, evaluator.stats)
    # [T, R, K, area ranges, detection limits]: all areas, 100 detections.
    precision = evaluator.eval["precision"][:, :, :, 0, -1]
    per_class = {
        name: {"ap": _mean(curves), "ap50": _mean(curves[0]), "ap75": _mean(curves[5])}
        for name, curves in zip(class_names, np.moveaxis(precision, 2, 0))
    }
    return {**{name: float(number) for name, number in zip(NAMES, numbers)}, "per_class": per_class}


def _annotations(records, class_names):
    # Numbered from 1: the evaluator takes an annotation 0 for "no match". A record's own id may be a string.
    images, annotations = [], []
    for number, record in enumerate(records, 1):
        images.append({"id": number, "height": record.height, "width": record.width})
        objects = zip(_xywh(record.boxes), record.labels, record.area, record.ignore)
        for bbox, label, area, ignore in objects:
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": int(label) + 1,
                    "bbox": bbox,
                    "area": float(area),
                    "iscrowd": int(ignore),
                }
            )
    categories = [{"id": label, "name": name} for label, name in enumerate(class_names, 1)]
    return {"images": images, "annotations": annotations, "categories": categories}


def _results(detections):
    return [
        {"image_id": number, "category_id": int(label) + 1, "bbox": bbox, "score": float(score)}
        for number, found in enumerate(detections, 1)
        for bbox, label, score in zip(_xywh(found["boxes"]), found["labels"], found["scores"])
    ]


def _xywh(boxes):
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=-1).tolist()


def _mean(precision):
    present = precision[precision > -1]
    return float(present.mean()) if present.size else float("nan")

"""Draw a training batch as the model gets it."""

import numpy as np

from keras_frcnn import drawing
from keras_frcnn.doctor.case import Case
from keras_frcnn.doctor.findings import Result, Skipped

COLUMNS = 2
FILE = "fed.png"


def draw_fed_batch(case: Case) -> Result:
    """Write the first training batch, with its boxes and class names, to `fed.png` in the output folder."""
    assert case.recipe is not None and case.train is not None
    if not any((~record.ignore).any() for record in case.train.records):
        raise Skipped("no object of the training set counts")
    x, y = next(iter(case.recipe.batches(case.train, case.fresh, training=True)))
    images = np.clip(x["images"].numpy(), 0, 255).astype(np.uint8)
    pictures = []
    for image, boxes, labels, ignore in zip(
        images, *(y[key].numpy() for key in ("boxes", "labels", "ignore"))
    ):
        real = (labels >= 0) & ~ignore
        objects = {"boxes": boxes[real], "labels": labels[real]}
        pictures.append(drawing.draw(image, objects, case.train.class_names))
    case.output.mkdir(parents=True, exist_ok=True)
    drawing.write(case.output / FILE, drawing.side_by_side(pictures, COLUMNS))
    return Result(f"{len(pictures)} training images as the model gets them are in {case.output / FILE}")

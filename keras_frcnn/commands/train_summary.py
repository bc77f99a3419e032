"""The last lines of `train.py`."""

import json

from keras_frcnn.doctor.average_precision import POOR
from keras_frcnn.training.fit import BOARD


def summary(run, folder, minutes, exported):
    """Print what a run left, and the next command.

    Args:
        run: `Run` of `train.py`.
        folder: the run folder.
        minutes: str, how long training took.
        exported: folder of the SavedModel, or None.
    """
    model = folder / "last.keras"
    print(f"\nTrained for {minutes}. Everything is in {folder}:")
    best = (folder / "best.keras").exists()
    print("  last.keras, best.keras (by validation): models" if best else "  last.keras: the model")
    if run.schedule == "alternating":
        print("  1-rpn to 4-fast-rcnn-shared: the steps, each with its model, log.csv and curves.png")
    else:
        print("  log.csv, curves.png: losses and scores of every epoch")
    print("  config.yaml: the recipe; detections.png: what it finds")
    if run.tensorboard:
        place = folder if run.schedule == "alternating" else folder / BOARD
        print(f"  tensorboard --logdir {place}: losses, scores and pictures of all epochs")
    poor = False
    if (folder / "metrics.json").exists():
        print("  metrics.json: the scores of last.keras")
        score = json.loads((folder / "metrics.json").read_text("utf-8")).get("voc_ap50")
        poor = score is not None and score < POOR
    if exported:
        print(f"SavedModel for TF-Serving: {exported}")
    if run.model == "rpn":
        print(f"Next: python -m keras_frcnn proposals --model {model} --data SPEC --output FOLDER")
    elif poor:
        print(f"It finds little. Next: python -m keras_frcnn doctor --run {folder}")
    else:
        print(f"Next: python -m keras_frcnn predict --model {model} IMAGE_OR_FOLDER")

"""Which options of `train.py` go together."""

from keras_frcnn import models
from keras_frcnn.callbacks.detection_board import check_installed
from keras_frcnn.commands.outputs import check_model_folder
from keras_frcnn.training import recipe as recipes


def check(run, initial=None):
    """Refuse options of `train.py` that do not go together, before anything is read.

    Args:
        run: `Run` of `train.py`.
        initial: `Detector` of --init, or None.

    Raises:
        ValueError: two options contradict each other, or one lacks what it needs.
    """
    if initial and type(initial).__name__ != recipes.MODELS[run.model]:
        raise ValueError(
            f"--init {run.init} is a {type(initial).__name__}, with which no {run.model} can begin; leave "
            "--model out, or a recipe that asks for it."
        )
    if initial and run.backbone != initial.arguments["backbone"]:
        raise ValueError(
            f"--init {run.init} has the backbone {initial.arguments['backbone']}, "
            f"with which no {run.backbone} can begin; leave --backbone and recipes of another out."
        )
    if initial and run.backbone_weights != "none":
        raise ValueError(f"--init {run.init} brings all weights; leave --backbone-weights out.")
    needed = getattr(models, recipes.MODELS[run.model]).needs_proposals
    if needed and not run.proposals:
        raise ValueError(
            f"--model {run.model} works on external proposals; make them with `python -m keras_frcnn "
            "proposals` and name their folder with --proposals."
        )
    if run.proposals and not needed:
        raise ValueError(f"--model {run.model} makes its own proposals; leave --proposals out.")
    if run.val_proposals and not (run.proposals and run.val):
        raise ValueError("--val-proposals goes with --proposals and --val; give these too, or leave it out.")
    if run.export:
        check_model_folder(run.export, "--export")
    if run.val_split and run.val:
        raise ValueError("--val-split takes the place of --val; leave one of them out.")
    if run.early_stopping and not (run.val or run.val_split):
        raise ValueError("--early-stopping needs a validation set; give --val or --val-split.")
    staged = getattr(models, recipes.MODELS[run.model]).trains_in_stages
    if run.early_stopping and (staged or run.schedule == "alternating"):
        raise ValueError(
            f"--early-stopping needs a score after each epoch, which --model {run.model} with --schedule "
            f"{run.schedule} has not; leave it out."
        )
    if run.strategy != "none" and (staged or run.schedule == "alternating"):
        raise ValueError(
            f"--strategy {run.strategy} spreads one `fit`, and --model {run.model} with --schedule "
            f"{run.schedule} has several stages; leave it out."
        )
    if run.strategy == "multi_worker" and not (run.output or run.resume):
        raise ValueError(
            "--strategy multi_worker needs one run folder for all workers; name it with --output."
        )
    if run.tensorboard:
        check_installed()
    if run.schedule == "alternating" and run.init:
        raise ValueError("--schedule alternating begins with the backbone alone; leave --init out.")
    if run.schedule == "alternating" and run.model != "faster_rcnn":
        raise ValueError(f"--schedule alternating is of faster_rcnn, not of {run.model}; use joint.")

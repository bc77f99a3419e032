"""One training run: from a recipe and data sets to a trained model in a run folder."""

import contextlib
import dataclasses

import keras

from keras_frcnn import callbacks, evaluation, replicas
from keras_frcnn.callbacks import checkpoint_files
from keras_frcnn.callbacks.curves import Curves
from keras_frcnn.callbacks.detection_board import DetectionBoard
from keras_frcnn.callbacks.epoch_log import EpochLog
from keras_frcnn.callbacks.progress import EpochLines, ImageLines
from keras_frcnn.callbacks.run_folder import RunFolder, save
from keras_frcnn.data import memory
from keras_frcnn.files import write_json
from keras_frcnn.training.recipe import CACHE

# Marker file: fine-tuning is done; a restarted run skips it.
FITTED = "fitted"
# Folder of the checkpoints in a run folder, from which a restarted run goes on.
CHECKPOINTS = "checkpoints"
# Folder of the log for TensorBoard.
BOARD = "tensorboard"
# Folder of the images of batches whose loss or gradient was not finite.
NONFINITE = "nonfinite"


def fit(recipe, model, train, val, folder):
    """Train a model with a recipe, through every stage of its method; go on from a checkpoint in the folder.

    Args:
        recipe: `Recipe`.
        model: `Detector`, not compiled.
        train, val: `DetectionDataset`, with proposals if the model needs them; `val` may be None.
        folder: `pathlib.Path` of the run; gets log.csv, last.keras, best.keras and, with `val`, metrics.json.
            A method with stages also writes the features of regions to `features`, but no best.keras.

    Returns:
        dict of scores of the model after the last stage, as from `evaluation.evaluate`; None without `val`.

    Raises:
        Diverged: the loss or a gradient is not finite.
    """
    folder.mkdir(parents=True, exist_ok=True)
    model.prepare_training(train, recipe.flip)
    if not model.trains_in_stages:
        metrics = callbacks.DetectionMetrics(val) if val else None
        results = _fit(recipe, model, train, val, folder, metrics)
    else:
        if (folder / FITTED).exists():
            model.load_weights(folder / "last.keras")
        else:
            # No scores yet: the classifiers and box regressors are trained later.
            _fit(recipe, model, train, val, folder, None)
            (folder / FITTED).touch()
        model.finish_training(train, folder / "features", ImageLines("features"))
        save(model, folder / "last.keras")
        (folder / FITTED).unlink()
        results = evaluation.evaluate(model, val, ImageLines("evaluation")) if val else None
    if _writes(model):
        write_scores(results, folder)
    return results


def _writes(model):
    """Whether this process writes the files of the run: the first of all workers does."""
    return replicas.worker(model.distribute_strategy)[0] == 0


def _fit(recipe, model, train, val, folder, metrics):
    print(memory.decide(train, CACHE[recipe.cache])[1], flush=True)
    batches = recipe.batches(train, model, training=True)
    epochs = recipe.epochs_for(len(batches))
    batches_an_epoch = recipe.batches_an_epoch(len(batches))
    with model.distribute_strategy.scope():
        model.compile(recipe.make_optimizer(batches_an_epoch * epochs))
    checkpoint = callbacks.Checkpoint(folder / CHECKPOINTS, every_minutes=recipe.checkpoint_minutes)
    lines, log = EpochLines(), EpochLog(folder / "log.csv")
    run_folder = RunFolder(folder, monitor=model.score_name)
    if metrics and _writes(model):
        metrics.progress = lines.scored
    curves = Curves(log, folder / "curves.png")
    files, bad_images = [], None
    if _writes(model):
        files = [lines, log, run_folder, curves, *_boards(recipe, model, val or train, folder)]
        bad_images = folder / NONFINITE
    early = _early_stopping(recipe, model)
    if early and _has_stopped(recipe, folder):
        print("This run has stopped early; its last model is scored again.", flush=True)
        model.load_weights(folder / "last.keras")
        return evaluation.evaluate(model, val, ImageLines("evaluation"))
    with contextlib.closing(lines):
        model.fit(
            batches.repeat() if recipe.steps else batches,
            validation_data=recipe.batches(val, model, training=False) if val else None,
            epochs=epochs,
            steps_per_epoch=batches_an_epoch if recipe.steps else None,
            shuffle=False,
            verbose=0,
            callbacks=[
                *([metrics] if metrics else []),
                *files,
                *early,
                callbacks.OnNonFinite(recipe.on_nonfinite, bad_images),
                checkpoint,
            ],
        )
    for stopping in early:
        if stopping.stopped_epoch:
            number = stopping.patience
            print(f"Stopped after epoch {stopping.stopped_epoch + 1}: no better score for {number} epochs.")
    if run_folder.best_epoch is not None:
        best = f"{run_folder.best:.3f} ({model.score_name})"
        print(f"The best epoch was {run_folder.best_epoch + 1}, with {best}.")
    print(checkpoint.cost(), flush=True)
    return metrics.results if metrics else None


def _early_stopping(recipe, model):
    """A list of the callback that stops training when the score gets no better, if it is asked for."""
    if not recipe.early_stopping:
        return []
    return [keras.callbacks.EarlyStopping(model.score_name, mode="max", patience=recipe.early_stopping)]


def _has_stopped(recipe, folder):
    """Whether the newest checkpoint of a run is of one that had stopped early, with the same patience."""
    found = checkpoint_files.newest(folder / CHECKPOINTS)
    states = [state for kind, state in found[2]["callbacks"] if kind == "EarlyStopping"] if found else []
    return any(
        state.get("stopped_epoch") and state.get("wait", 0) >= recipe.early_stopping for state in states
    )


def _boards(recipe, model, dataset, folder):
    """The callbacks that write the log for TensorBoard, if it is asked for."""
    if not recipe.tensorboard:
        return []
    numbers = keras.callbacks.TensorBoard(str(folder / BOARD), write_graph=False)
    if model.trains_in_stages:
        return [numbers]  # the detections mean nothing before the last stage
    settings = {name: value for name, value in dataclasses.asdict(recipe).items() if name != "detector"}
    board = DetectionBoard(folder / BOARD / "detections", dataset, {**settings, **recipe.detector})
    return [numbers, board]


def write_scores(results, folder):
    """Write the scores of a run, if any, to its metrics.json."""
    if results:
        write_json(folder / "metrics.json", results)

"""`python train.py`: train, evaluate and export a detector on a named data set."""

import contextlib
import dataclasses
import os
import shlex
import sys
import time
from pathlib import Path
from typing import Literal

import keras
import tensorflow as tf
import tyro

from keras_frcnn import downloads, evaluation, export, models, replicas
from keras_frcnn.callbacks.checkpoint import Interrupted
from keras_frcnn.callbacks.on_nonfinite import Diverged
from keras_frcnn.callbacks.progress import ImageLines, clock
from keras_frcnn.callbacks.run_folder import save
from keras_frcnn.callbacks.training_state import OtherModel
from keras_frcnn.checking.quick import quick_report
from keras_frcnn.commands import resume
from keras_frcnn.commands.detectors import load_detector
from keras_frcnn.commands.failures import in_one_sentence
from keras_frcnn.commands.provenance import provenance
from keras_frcnn.commands.reading import ReadingOptions
from keras_frcnn.commands.train_checks import check
from keras_frcnn.commands.train_sets import train_sets
from keras_frcnn.commands.train_summary import summary
from keras_frcnn.drawing import draw_grid
from keras_frcnn.files import write_text
from keras_frcnn.training import recipe as recipes
from keras_frcnn.training import recipe_files, strategies
from keras_frcnn.training.alternating import alternate
from keras_frcnn.training.fit import FITTED, fit, write_scores


@dataclasses.dataclass(frozen=True)
class _Base:
    """The arguments that decide the defaults of the others."""

    train: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    val: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    recipe: str | None = None
    config: Path | None = None
    epochs: int | None = None
    steps: int | None = None
    init: Path | None = None
    weights_url: str | None = None
    resume: Path | None = None
    val_split: float = 0.0
    strategy: Literal[*strategies.STRATEGIES] = "none"  # pyright: ignore[reportInvalidTypeForm]


@dataclasses.dataclass(frozen=True)
class Run(ReadingOptions, recipes.Recipe):
    """Train a detector; without arguments, on the built-in shapes, which takes minutes on two CPU cores.

    The defaults below are those for the data sets named beside --help; without --train, for the shapes.
    """

    train: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """Training set: voc:ROOT@SPLIT, coco:FILE.json@IMAGES, folder:ROOT@SPLIT, yolo:DATA.yaml@SPLIT,
    csv:FILE@IMAGES[@SPLIT], labelme:FOLDER, tfds:NAME@SPLIT or shapes@train; several are joined."""
    val: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """Validation set, likewise."""
    proposals: tyro.conf.UseAppendAction[tuple[Path, ...]] = ()
    """Folder of proposals for both sets, for models with external proposals."""
    val_proposals: tyro.conf.UseAppendAction[tuple[Path, ...]] = ()
    """Folder of proposals for --val only; needed if both sets number their images from 1."""
    val_split: float = 0.0
    """Share of the training set to validate on instead of --val, such as 0.2: the same pictures each time,
    with all copies of a picture on one side."""
    strategy: Literal[*strategies.STRATEGIES] = "none"  # pyright: ignore[reportInvalidTypeForm]
    """Spread each batch over the GPUs of this machine (mirrored), or over several processes that TF_CONFIG or
    Slurm names (multi_worker)."""
    schedule: Literal["joint", "alternating"] = "joint"
    """For faster_rcnn: approximate joint training, or the paper's four alternating steps."""
    init: Path | None = None
    """A .keras file or a preset, such as fasterrcnn_resnet50_fpn_coco, to start from: its architecture, and
    its weights except the rows of new classes."""
    weights_url: str | None = None
    """Address, or folder, that has torchvision's published files instead of torchvision's own."""
    output: Path | None = None
    """Run folder; by default a new one under runs/."""
    export: Path | None = None
    """Folder for the SavedModel, which becomes its next numbered version."""
    recipe: str | None = None
    """Built-in recipe to start from: shapes, small_objects, vgg16_voc07, vgg16_voc0712, vgg16_coco,
    fast_rcnn_vgg16_voc07, zf_voc07, resnet50_fpn_coco or resnet50_fpn_1x."""
    config: Path | None = None
    """YAML file of recipe fields, which override the recipe."""
    resume: Path | None = None
    """Run folder of an interrupted run, which goes on from its last checkpoint with its own arguments; others
    given beside it, such as more --epochs, override them. All other relative paths count from the folder
    where the run was started."""


@in_one_sentence
def main(arguments=None):
    """Run the command.

    Args:
        arguments: list of command-line arguments; by default those of the process.

    Returns:
        The run folder.
    """
    words = sys.argv[1:] if arguments is None else list(arguments)
    resumed = _first(words).resume
    if not resumed:
        return _train(words, words)
    given = resume.beside_resume(words)
    before = _read(resumed / "config.yaml", "--resume")
    original = resume.original_words(resumed, before)
    folder = resume.working_folder(before)
    if folder != Path.cwd():
        print(f"Relative paths count from {folder}, where the run was started.")
        resumed = resumed.absolute()
    with contextlib.chdir(folder):
        words = resume.merged(original, given, resume.settings(resumed))
        return _train(words, resume.merged(original, given), resumed, before)


def _train(words, recorded, resumed=None, before=""):
    """Train as the words say; `recorded` are those for config.yaml, `before` is its text before a resume."""
    strategy = strategies.open_strategy(_first(words).strategy)
    place, workers = replicas.worker(strategy)
    with contextlib.ExitStack() as stack:
        stack.enter_context(downloads.from_mirror(_first(words).weights_url))
        if place:  # the first worker speaks for all
            stack.enter_context(contextlib.redirect_stdout(stack.enter_context(open(os.devnull, "w"))))
        try:
            return _train_and_export(words, recorded, resumed, before, strategy)
        except (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.DeadlineExceededError) as error:
            if workers == 1:
                raise
            raise ValueError(
                "Another worker was lost; start all of them again, with --resume and the run folder."
            ) from error


def _train_and_export(words, recorded, resumed, before, strategy):
    initial = _initial(words)
    run = parse(words, initial)
    recipe = recipe_of(run)
    check(run, initial)
    strategies.check_batch_size(strategy, run.batch_size)
    writes = replicas.worker(strategy)[0] == 0
    sets = f"{[*run.train]} {[*run.val] or run.val_split or []} {run.schedule}"
    config = f"# sets: {sets}\n{recipe_files.to_yaml(recipe)}"
    folder = resumed or _folder(run, config)
    keras.utils.set_random_seed(run.seed)
    if run.deterministic:
        tf.config.experimental.enable_op_determinism()
    train, val = train_sets(run)
    with strategy.scope():
        model = recipe.build(train.class_names, run.init and run.init.name)
    if initial:
        new = models.transfer(initial, model, run.init.name)
        classes = [name for name in model.class_names if name not in initial.class_names]
        print(f"Kept {len(model.weights) - len(new)} tensors of {run.init}; new: {', '.join(new) or 'none'}")
        print(f"New classes: {', '.join(classes) or 'none'}")
        del initial  # otherwise its weights stay in memory for the whole run
    print("\n".join([model.loading_report(), *quick_report(train, val, model)]))
    if strategy.num_replicas_in_sync > 1:
        print(strategies.sentence(strategy, run.batch_size, run.learning_rate))
    folder.mkdir(parents=True, exist_ok=True)
    if writes:
        write_text(folder / "config.yaml", resume.first_lines(recorded, Path.cwd()) + config)
    started = time.monotonic()
    try:
        if run.schedule == "alternating":
            model = alternate(recipe, train, val, folder)
            save(model, folder / "last.keras")
            results = evaluation.evaluate(model, val, ImageLines("evaluation")) if val else None
            write_scores(results, folder)
        else:
            results = fit(recipe, model, train, val, folder)
    except (Interrupted, Diverged) as error:
        command = f"python -m keras_frcnn train --resume {shlex.quote(str(folder.absolute()))}"
        if isinstance(error, Interrupted):
            raise Interrupted(f"{error} Go on with: {command}", error.number) from None
        skip = ", or with --on-nonfinite skip" if recipe.on_nonfinite == "stop" else ""
        raise Diverged(f"{error} Go on with `{command} --learning-rate RATE`{skip}.") from None
    except OtherModel:
        if before and writes:  # otherwise the run could not go on with its own words either
            write_text(folder / "config.yaml", before)
        raise
    minutes = clock(time.monotonic() - started)
    if not writes:
        return folder

    if results:
        print(evaluation.report(results))
    exported = export.next_version(run.export) if run.export else None
    if exported:
        print(f"Exporting to {exported}, which takes half a minute", flush=True)
        export.saved_model(model, exported, **provenance(folder / "last.keras"))
    draw_grid(model, val or train, folder / "detections.png")
    summary(run, folder, minutes, exported)
    return folder


def _first(words):
    return tyro.cli(_Base, args=words, return_unknown_args=True, add_help=False)[0]


def _initial(words):
    """Load the detector that --init names, or return None."""
    first = _first(words)
    if first.init is None:
        return None
    initial = load_detector(first.init)
    if not isinstance(initial, models.Detector):
        raise ValueError(f"--init {first.init} is an export, which cannot be trained; give a .keras file.")
    return initial


def parse(words, initial=None):
    """Merge the defaults, --init, --recipe, --config and the command line; each overrides the ones before.

    Args:
        words: list of str, the command line.
        initial: `Detector` of --init, or None.
    """
    first = _first(words)
    shapes = all(spec.partition("@")[0] == "shapes" for spec in first.train)  # also if no set is named
    base = known = recipes.of_detector(initial, first.init.name) if initial else recipes.Recipe()
    if first.recipe or (shapes and not initial):
        base = recipe_files.load(first.recipe or "shapes", base)
    if first.config:
        base = recipe_files.from_yaml(_read(first.config, "--config"), str(first.config), base)
    base = dataclasses.replace(base, detector={**known.detector, **base.detector})
    if initial:
        base = dataclasses.replace(base, backbone_weights="none")  # avoid a useless download
    defaults = {field.name: getattr(base, field.name) for field in dataclasses.fields(base)}
    if first.epochs is not None:
        defaults["steps"] = 0  # otherwise the recipe's steps would override epochs
    if first.epochs is not None or first.steps is not None:
        defaults |= dict.fromkeys(recipes.ALTERNATING, ())
    if shapes and not first.val and not first.val_split:
        defaults["val"] = ("shapes@val",)
    if not first.train:
        defaults["train"] = ("shapes@train",)
        defaults["export"] = Path("saved_models/shapes")
    return tyro.cli(Run, args=words, default=Run(**defaults))


def _read(file, option):
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8"
        wanted = {"--config": "give a YAML file", "--resume": "name the folder of a run"}[option]
        raise ValueError(f"{file} cannot be read ({reason}); {wanted} with {option}.") from error


def recipe_of(run):
    """The `Recipe` of a `Run`."""
    return recipes.Recipe(
        **{field.name: getattr(run, field.name) for field in dataclasses.fields(recipes.Recipe)}
    )


def _folder(run, config):
    """Return a new run folder, or that of an interrupted run with several stages or steps."""
    folder = run.output or Path("runs") / time.strftime("%Y%m%d-%H%M%S")
    before = folder / "config.yaml"
    # A run that stopped before saving a model may start over.
    if not before.exists() or not any([*folder.glob("*.keras"), *folder.glob("*/*.keras")]):
        return folder
    remedy = "name another with --output, or remove it."
    staged = getattr(models, recipes.MODELS[run.model]).trains_in_stages
    if run.schedule != "alternating" and not (staged and (folder / FITTED).exists()):
        begin = "" if staged else f"go on with it with --resume {folder}, "
        raise ValueError(f"Run folder {folder} holds an earlier run; {begin}{remedy}")
    if not _same(resume.after_first_lines(before.read_text(encoding="utf-8")), config):
        raise ValueError(f"Run folder {folder} holds a run of another recipe or other data; {remedy}")
    return folder


def _same(before, config):
    """Whether two texts of config.yaml are of one recipe and the same sets; older ones have fewer fields."""
    if before.partition("\n")[0] != config.partition("\n")[0]:
        return False
    one, other = (recipe_files.from_yaml(text, "config.yaml") for text in (before, config))
    return one == other

"""`python train.py`: from a named data set to a trained, measured and exported detector."""

import dataclasses
import shlex
import sys
import time
from pathlib import Path
from typing import Literal

import keras
import tyro

from keras_frcnn import data, evaluation, export, models
from keras_frcnn.commands.detectors import load_proposals
from keras_frcnn.commands.failures import in_one_sentence
from keras_frcnn.commands.provenance import provenance
from keras_frcnn.drawing import draw_grid
from keras_frcnn.training import recipe as recipes
from keras_frcnn.training.alternating import alternate
from keras_frcnn.training.fit import fit, write_scores
from keras_frcnn.training.progress import clock


@dataclasses.dataclass(frozen=True)
class _Base:
    """The words that decide which defaults the others have."""

    train: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    val: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    recipe: str | None = None
    config: Path | None = None
    epochs: int | None = None


@dataclasses.dataclass(frozen=True)
class Run(recipes.Recipe):
    """Train a detector. Without arguments: the built-in shapes, minutes on two CPU cores.

    The defaults below are those of the shapes; with --train SPEC --help they are those for sets of your own.
    """

    train: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """Training set: voc:ROOT@SPLIT, coco:INSTANCES.json@IMAGES, tfds:NAME@SPLIT or shapes@train; several
    are joined."""
    val: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """Validation set, likewise."""
    proposals: tyro.conf.UseAppendAction[tuple[Path, ...]] = ()
    """Folder of proposals for both sets, for the models that work on external ones."""
    val_proposals: tyro.conf.UseAppendAction[tuple[Path, ...]] = ()
    """Folder of proposals for --val alone; needed where both sets count their images from 1."""
    schedule: Literal["joint", "alternating"] = "joint"
    """Of faster_rcnn: approximate joint training, or the paper's four steps."""
    output: Path | None = None
    """Run folder; by default a new one under runs/."""
    export: Path | None = None
    """Folder that gets the SavedModel, as its next numbered version."""
    recipe: str | None = None
    """Recipe of the package to start from: shapes, small_objects, vgg16_voc07, vgg16_voc0712, vgg16_coco,
    fast_rcnn_vgg16_voc07 or zf_voc07."""
    config: Path | None = None
    """YAML file of recipe fields, over the recipe."""


@in_one_sentence
def main(arguments=None):
    """Run the command.

    Args:
        arguments: list of words; by default those of the process.

    Returns:
        The run folder.
    """
    words = sys.argv[1:] if arguments is None else list(arguments)
    run = _parse(words)
    recipe = _recipe_of(run)
    _check(run)
    config = f"# train.py {shlex.join(words)}\n{recipes.to_yaml(recipe)}"
    folder = _new_folder(run, config)
    keras.utils.set_random_seed(run.seed)
    train = data.load(list(run.train), default_split="train")
    val = data.load(list(run.val), class_names=train.class_names) if run.val else None
    if run.proposals:
        train = train.with_proposals(load_proposals(run.proposals))
        val = val and val.with_proposals(load_proposals(run.val_proposals or run.proposals))
    print(f"Training on {train!r}" + (f", validating on {val!r}" if val else ""))

    model = recipe.build(train.class_names)
    print(model.loading_report())
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(config, encoding="utf-8")
    started = time.monotonic()
    if run.schedule == "alternating":
        model = alternate(recipe, train, val, folder)
        model.save(folder / "last.keras")
        results = evaluation.evaluate(model, val) if val else None
        write_scores(results, folder)
    else:
        results = fit(recipe, model, train, val, folder)
    minutes = clock(time.monotonic() - started)

    if results:
        print(evaluation.report(results))
    exported = export.next_version(run.export) if run.export else None
    if exported:
        export.saved_model(model, exported, **provenance(folder / "last.keras"))
    draw_grid(model, val or train, folder / "detections.png")
    _summary(run, folder, minutes, exported)
    return folder


def _parse(words):
    """Defaults, then the recipe, then the file, then the command line; each over the one before."""
    first, _ = tyro.cli(_Base, args=words, return_unknown_args=True, add_help=False)
    shapes = all(spec.partition("@")[0] == "shapes" for spec in first.train)  # also where nothing is named
    base = recipes.load(first.recipe or "shapes") if shapes or first.recipe else recipes.Recipe()
    if first.config:
        base = recipes.from_yaml(_read(first.config), str(first.config), base)
    defaults = {field.name: getattr(base, field.name) for field in dataclasses.fields(base)}
    if first.epochs is not None:
        defaults["steps"] = 0  # or the recipe's number of steps would win
    if shapes and not first.val:
        defaults["val"] = ("shapes@val",)
    if not first.train:
        defaults["train"] = ("shapes@train",)
        defaults["export"] = Path("saved_models/shapes")
    return tyro.cli(Run, args=words, default=Run(**defaults))


def _read(config):
    try:
        return config.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8"
        raise ValueError(f"{config} cannot be read ({reason}); give a YAML file with --config.") from error


def _recipe_of(run):
    return recipes.Recipe(
        **{field.name: getattr(run, field.name) for field in dataclasses.fields(recipes.Recipe)}
    )


def _check(run):
    needed = getattr(models, recipes.MODELS[run.model]).needs_proposals
    if needed and not run.proposals:
        raise ValueError(
            f"--model {run.model} works on external proposals; make them with `python -m keras_frcnn "
            "proposals` and name their folder with --proposals."
        )
    if run.proposals and not needed:
        raise ValueError(f"--model {run.model} makes its own proposals; leave --proposals out.")
    if run.export and run.export.exists() and not run.export.is_dir():
        raise ValueError(f"--export {run.export} is a file; name a folder.")
    if run.schedule == "alternating" and run.model != "faster_rcnn":
        raise ValueError(f"--schedule alternating is of faster_rcnn, not of {run.model}; use joint.")


def _new_folder(run, config):
    """The run folder; one that is there already only where an alternating run of the same words goes on."""
    folder = run.output or Path("runs") / time.strftime("%Y%m%d-%H%M%S")
    before = folder / "config.yaml"
    # One that stopped before it kept a model may begin anew.
    kept = before.exists() and any([*folder.glob("*.keras"), *folder.glob("*/*.keras")])
    if kept and run.schedule != "alternating":
        raise ValueError(
            f"Run folder {folder} holds an earlier run; name another with --output, or remove it."
        )
    if kept and before.read_text(encoding="utf-8") != config:
        raise ValueError(
            f"Run folder {folder} holds a run of another recipe or other data; name another with --output, "
            "or remove it."
        )
    return folder


def _summary(run, folder, minutes, exported):
    model = folder / "last.keras"
    print(f"\nTrained for {minutes}. Everything is in {folder}:")
    best = (folder / "best.keras").exists()
    print("  last.keras, best.keras (by validation): models" if best else "  last.keras: the model")
    print("  log.csv: every epoch; config.yaml: the recipe; detections.png: what it finds")
    if run.val:
        print("  metrics.json: the scores of last.keras")
    if exported:
        print(f"SavedModel for TF-Serving: {exported}")
    print(f"Next: python -m keras_frcnn predict --model {model} IMAGE_OR_FOLDER")

"""`python -m keras_frcnn doctor`: find out why a detector finds nothing."""

import contextlib
import dataclasses
import shlex
import sys
import warnings
from pathlib import Path

import tyro

from keras_frcnn import doctor, models
from keras_frcnn.commands import resume, train
from keras_frcnn.commands.detectors import load_detector
from keras_frcnn.commands.failures import in_one_sentence, sentence_of
from keras_frcnn.commands.outputs import check_json
from keras_frcnn.commands.reading import ReadingOptions
from keras_frcnn.commands.train_sets import train_sets
from keras_frcnn.data.records import Mended
from keras_frcnn.files import read_text, write_json

# Options of a run that a run beside it does not take over.
OWN = ("--output", "--export", "--resume")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Examination(ReadingOptions):
    """Find out why a detector finds nothing; the likeliest cause comes first, with the command that mends it.

    Give the folder of a run, or a recipe with its sets, or a trained model with a set to try it on. The
    status is 1 if a cause was found.
    """

    run: Path | None = None
    """Folder of a training run."""
    config: Path | None = None
    """YAML file of recipe fields, for --train and --val; the config.yaml of a run names its own sets."""
    train: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """Training set, such as voc:ROOT@SPLIT; several are joined."""
    val: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """Validation set, likewise."""
    model: Path | None = None
    """A .keras file, or the folder of a SavedModel, for --data."""
    data: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """Set to try --model on; several are joined."""
    output: Path = Path("doctor")
    """Folder for the picture of a batch as the model gets it."""
    json: Path | None = None
    """File to write the findings to."""


@in_one_sentence
def main(arguments=None):
    """Run the command; it ends with status 1 if a cause was found.

    Args:
        arguments: list of command-line arguments; by default those of the process.

    Returns:
        The dict from `doctor.as_json`, if nothing was found.
    """
    run = tyro.cli(Examination, args=sys.argv[1:] if arguments is None else list(arguments))
    _check(run)
    check_json(run.json)
    output, json = run.output.absolute(), run.json and run.json.absolute()
    if output.is_file():
        raise ValueError(f"--output {run.output} is a file; name a folder.")
    case = doctor.Case(output=output)
    with contextlib.ExitStack() as stack:
        if run.model:
            _add_model(case, run)
        else:
            _add_training(case, run, stack)
        outcomes = []
        for outcome in doctor.examine(case, sentence_of):
            print(doctor.as_line(outcome), flush=True)
            outcomes.append(outcome)
    findings = doctor.by_likelihood(case.refusals, outcomes)
    results = doctor.as_json(findings, outcomes)
    if json:
        write_json(json, results)
    print(f"\n{doctor.as_text(findings, outcomes)}")
    if findings:
        sys.exit(1)
    return results


def _check(run):
    training = bool(run.config or run.train)
    if [bool(run.run), training, bool(run.model)].count(True) != 1:
        raise ValueError(
            "Name what to examine: --run DIR, --config FILE --train SPEC, or --model M --data SPEC."
        )
    if bool(run.model) != bool(run.data):
        raise ValueError("--model and --data go together; give both, or neither.")
    if run.val and not run.train:
        raise ValueError("--val goes with --train; give both, or neither.")


def _add_model(case, run):
    """Fill a case from --model and --data."""
    case.model_name = str(run.model)
    case.training_command = f"python -m keras_frcnn train --init {shlex.quote(str(run.model))}"
    with _refusals(case, "model", "python -m keras_frcnn train"):
        case.model = load_detector(run.model)
    case.specs = {"given": run.data}
    with _refusals(case, "data", _check_data(run.data)), _mended(case):
        case.tried = run.load(run.data)


def _add_training(case, run, stack):
    """Fill a case from --run, or from --config, --train and --val."""
    file = run.config or (run.run / "config.yaml" if run.run else None)
    words, recorded = [], None
    if file:
        text = _text(file, run)
        recorded = resume.recorded_words(text)
        if recorded is not None:
            folder = resume.working_folder(text)
            file = file.absolute()
            if folder != Path.cwd():
                print(f"Relative paths count from {folder}, where the run was started.")
            stack.enter_context(contextlib.chdir(folder))
        elif not run.train:
            raise ValueError(
                f"{file} begins with no command of a run, so it names no data set; give it as --config, with "
                "--train."
            )
        words = ["--config", str(file)]
    given = [word for name in ("train", "val") for spec in getattr(run, name) for word in (f"--{name}", spec)]
    before = resume.without(
        recorded or [], ["--resume", *(["--train", "--val", "--val-split"] if given else [])]
    )
    training = train.parse([*before, *words, *given, *_reading(run)])
    case.recipe = train.recipe_of(training)
    kept = [*resume.without(before, OWN), *given] if recorded is not None else [*words, *given]
    case.training_command = shlex.join(["python", "-m", "keras_frcnn", "train", *kept])
    # A part that --val-split has split off has no spec but that of the whole.
    case.specs = {"training": training.train, "validation": training.val or training.train}
    if run.run:
        case.run = file.parent
        _add_trained(case)
    if training.init:
        with _refusals(case, "model", "python -m keras_frcnn train"):
            initial = load_detector(training.init)
            case.initial = (initial, training.init.name) if isinstance(initial, models.Detector) else None
    with _refusals(case, "data", _check_data([*training.train, *training.val])), _mended(case):
        case.train, case.val = train_sets(training)
        case.tried = case.train if case.val is None else case.val


def _add_trained(case):
    """Add the model of a run, if it saved one."""
    files = [case.run / name for name in ("last.keras", "best.keras") if (case.run / name).exists()]
    if files:
        case.model_name = str(files[0])
        with _refusals(case, "model", case.retrain("")):
            case.model = load_detector(files[0])


def _text(file, run):
    if not file.is_file():
        option = "--config" if run.config else "--run"
        raise FileNotFoundError(
            f"There is no {file}; name {'a YAML file' if run.config else 'a run'} with {option}."
        )
    return read_text(file)


def _reading(run):
    """The words of the reading options, where they are not the defaults."""
    usual = ReadingOptions()
    words = []
    for field in dataclasses.fields(ReadingOptions):
        value, option = getattr(run, field.name), f"--{field.name.replace('_', '-')}"
        if value != getattr(usual, field.name):
            words += [option] if value is True else [option, str(value)]
    return words


def _check_data(specs):
    return f"python -m keras_frcnn check-data {shlex.join(specs)}"


@contextlib.contextmanager
def _refusals(case, cause, command):
    """Take a refusal by the package for a cause, and go on."""
    try:
        yield
    except Exception as error:  # what is no refusal of this package is raised again
        sentence = sentence_of(error)
        if sentence is None:
            raise
        figure = f"the {cause} cannot be read"
        case.refusals.append(doctor.Finding(cause, 1.0, sentence, figure, command))


@contextlib.contextmanager
def _mended(case):
    """Show what reading mends, as always, and note it in the case."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for warning in caught:
        warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
        if isinstance(warning.message, Mended):
            case.mended.append(warning.message)

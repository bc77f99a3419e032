"""What the files of a run tell: whether it diverged, and how long it trained."""

from keras_frcnn.callbacks.epoch_log import read_rows
from keras_frcnn.doctor.case import Case
from keras_frcnn.doctor.findings import Finding, Result, Skipped
from keras_frcnn.training.fit import NONFINITE

# Updates of a training run; the shapes, which are easy, need some hundreds.
FEWEST_UPDATES = 40


def check_run(case: Case) -> Result:
    """Look for steps that were not finite, and for a training of few updates."""
    figures, findings = [], []
    if case.run is not None:
        rows = _rows(case)
        if rows:
            figures.append(
                f"loss {rows[0].get('loss', '?')[:5]} in the first epoch and "
                f"{rows[-1].get('loss', '?')[:5]} in the last"
            )
        if (case.run / NONFINITE).exists():
            findings.append(
                Finding(
                    "divergence",
                    0.65,
                    "Training met a loss or gradient that was not finite; the learning rate is too high, "
                    f"or an image of {case.run / NONFINITE} is broken.",
                    f"{case.run / NONFINITE} holds such batches",
                    case.retrain("--learning-rate RATE"),
                )
            )
        if case.model is None and not case.refusals:
            findings.append(
                Finding(
                    "no model",
                    0.3,
                    f"The run {case.run} has saved no model: it stopped before the end of the first epoch.",
                    "there is no last.keras",
                    case.retrain(""),
                )
            )
    if case.recipe is not None and case.train is not None:
        updates = case.updates
        figures.append(f"the recipe makes {updates} updates")
        if updates < FEWEST_UPDATES:
            findings.append(
                Finding(
                    "length of training",
                    0.3,
                    "Training is short; make some hundreds of updates at least.",
                    f"{updates} updates",
                    case.retrain_longer(),
                )
            )
    if not figures and not findings:
        raise Skipped("there is neither a run nor a recipe")
    return Result("; ".join(figures), findings)


def losses(case: Case) -> list[float]:
    """The training loss of each epoch of the run, as far as the log has it."""
    return [float(row["loss"]) for row in _rows(case) if "loss" in row]


def _rows(case):
    """The rows of the run's log, as dicts of text; none if there is no log."""
    file = case.run / "log.csv" if case.run is not None else None
    return read_rows(file) if file is not None and file.is_file() else []

"""The command of an interrupted run, which its config.yaml begins with."""

import shlex
from pathlib import Path

from keras_frcnn.callbacks import checkpoint_files
from keras_frcnn.training.fit import CHECKPOINTS

# Start of the first line of config.yaml, before the words of the command.
PREFIX = "# train.py "
# Start of the second line, before the folder from which the command's relative paths count.
FOLDER = "# in "
# Options that may be given several times, so that a later one does not replace the ones before.
SETS = ("--train", "--val", "--proposals", "--val-proposals")


def first_lines(words, folder):
    """Write the words of a command, and the folder that it runs in, as the first lines of config.yaml."""
    return f"{PREFIX}{shlex.join(words)}\n{FOLDER}{folder}\n"


def after_first_lines(config):
    """The text of a config.yaml without the lines that `first_lines` writes; older files have only one."""
    rest = config.partition("\n")[2]
    return rest.partition("\n")[2] if rest.startswith(FOLDER) else rest


def working_folder(config):
    """The folder that a run was started in, or the current one if that is gone or not recorded.

    Args:
        config: str, the text of the run's config.yaml.

    Returns:
        `pathlib.Path`.
    """
    line = config.partition("\n")[2].partition("\n")[0]
    folder = Path(line.removeprefix(FOLDER))
    return folder if line.startswith(FOLDER) and folder.is_dir() else Path.cwd()


def original_words(folder, config):
    """Read the words that a run was started with.

    Args:
        folder: path of the run.
        config: str, the text of its config.yaml.

    Returns:
        list of str.

    Raises:
        ValueError: the text does not begin with the command of a run, or that is damaged.
    """
    words = recorded_words(config)
    if words is None:
        raise ValueError(
            f"{folder / 'config.yaml'} does not begin with the command of a run; name a run folder with "
            "--resume."
        )
    if not any(folder.glob(f"**/{CHECKPOINTS}/{checkpoint_files.PREFIX}*")):
        print(f"{folder} has no checkpoint yet; the run begins anew.")
    return words


def recorded_words(config):
    """The words of the command that a config.yaml begins with, a list of str; None if it does not.

    Raises:
        ValueError: the command is damaged.
    """
    first = config.partition("\n")[0]
    if not first.startswith(PREFIX):
        return None
    try:
        return shlex.split(first.removeprefix(PREFIX))
    except ValueError as error:
        raise ValueError(
            f"The config.yaml of the run begins with a damaged command ({error}); repair its first line."
        ) from None


def settings(folder):
    """The words that give a run the settings and the folder it had, also if a --config has changed since."""
    return ["--config", str(folder / "config.yaml"), "--output", str(folder)]


def beside_resume(words):
    """The words given beside --resume, which override those of the run."""
    return without(words, ["--resume"])


def merged(original, given, between=()):
    """Join the words of a run and those given now.

    Args:
        original: list of the words that the run was started with; those that the given ones replace are left
            out.
        given: list of the words given now, which come last.
        between: list of words to put between both.
    """
    options = {word.partition("=")[0] for word in given}
    replaced = [name for name in SETS if name in options]
    if "--epochs" in options:
        replaced.append("--steps")  # which would decide otherwise
    return [*without(original, replaced), *between, *given]


def without(words, names):
    """The words without some options and their values, `--name value` or `--name=value`."""
    rest, kept = iter(words), []
    for word in rest:
        if word in names:
            next(rest, None)
        elif word.partition("=")[0] not in names:
            kept.append(word)
    return kept

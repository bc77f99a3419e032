"""Checkpoints on disk: a folder that is whole and unchanged, or not used."""

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any, cast

import numpy as np

from keras_frcnn.files import flush, unwritable

PREFIX = "step-"
ARRAYS, MANIFEST = "arrays.npz", "manifest.json"
_UNREADABLE = (OSError, ValueError, KeyError, TypeError, EOFError)


class Damaged(ValueError):
    """A checkpoint is cut off or changed; the message says what is wrong with it."""


def write(folder: Path, name: str, arrays: dict[str, np.ndarray], state: dict, keep: int) -> Path:
    """Write a checkpoint beside the others, and remove the oldest ones.

    Everything is written into a hidden folder. The manifest, which holds the checksum of the arrays, comes
    last; the folder gets its name when all of it is on disk.

    Args:
        folder: folder of the checkpoints.
        name: name of this one; names sort by age.
        arrays: arrays by name.
        state: everything else, for JSON.
        keep: number of checkpoints that stay.

    Returns:
        The folder of the checkpoint.

    Raises:
        OSError: it cannot be written, such as on a full disk; the other checkpoints stay.
    """
    partial, path = folder / f".{name}.partial", folder / name
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        np.savez(partial / ARRAYS, **cast(Any, arrays))
        flush(partial / ARRAYS)
        text = json.dumps({**state, "sha256": _checksum(partial / ARRAYS)}, indent=1)
        manifest = json.dumps({"sha256": hashlib.sha256(text.encode()).hexdigest()}) + "\n" + text
        (partial / MANIFEST).write_text(manifest, encoding="utf-8")
        flush(partial / MANIFEST)
        shutil.rmtree(path, ignore_errors=True)
        os.replace(partial, path)
        flush(folder)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    for old in all_of(folder)[:-keep]:
        shutil.rmtree(old, ignore_errors=True)
    return path


def all_of(folder: Path) -> list[Path]:
    """List the checkpoints of a folder, oldest first; some may be damaged."""
    return sorted(path for path in folder.glob(f"{PREFIX}*") if path.is_dir())


def read(path: Path) -> tuple[dict[str, np.ndarray], dict]:
    """Read a checkpoint.

    Args:
        path: folder of the checkpoint.

    Returns:
        The arrays by name, and the state.

    Raises:
        Damaged: the checkpoint is cut off or changed.
    """
    try:
        line, text = (path / MANIFEST).read_text(encoding="utf-8").split("\n", 1)
        if json.loads(line)["sha256"] != hashlib.sha256(text.encode()).hexdigest():
            raise Damaged(f"{path / MANIFEST} was changed")
        state = json.loads(text)
        if _checksum(path / ARRAYS) != state["sha256"]:
            raise Damaged(f"{path / ARRAYS} was cut off or changed")
        with np.load(path / ARRAYS, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}, state
    except Damaged:
        raise
    except _UNREADABLE as error:
        raise Damaged(f"{path} cannot be read ({error})") from None


def newest(folder: Path) -> tuple[Path, dict[str, np.ndarray], dict] | None:
    """Read the newest checkpoint that is whole, and say which ones are not.

    Args:
        folder: folder of the checkpoints; need not exist.

    Returns:
        Path, arrays and state; None if there is no whole one.
    """
    paths = all_of(folder)
    for path in reversed(paths):
        try:
            return path, *read(path)
        except Damaged as error:
            rest = "training begins anew" if path == paths[0] else "the checkpoint before it is taken"
            print(f"{error}; {rest}.", flush=True)
    return None


def remove_after(folder: Path, path: Path | None) -> None:
    """Remove the checkpoints after one, all of which are damaged, and unfinished ones; after None, all."""
    damaged = [other for other in all_of(folder) if path is None or other.name > path.name]
    for other in [*damaged, *folder.glob(f".{PREFIX}*.partial")]:
        shutil.rmtree(other, ignore_errors=True)


def _checksum(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

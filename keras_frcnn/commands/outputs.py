"""Checks of the paths that a command writes to, before the minutes of work."""

from pathlib import Path


def check_model_folder(folder: Path, option: str) -> None:
    """Reject a path that cannot be the folder of a model's versions.

    Args:
        folder: folder that receives the versions 1, 2 …
        option: name of the command-line option, for the message.

    Raises:
        ValueError: it is a file, or a version itself.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{option} {folder} is a file; name a folder.")
    if folder.name.isdecimal() or (folder / "saved_model.pb").exists():
        raise ValueError(
            f"{option} {folder} is a version itself; name the folder of the model, such as {folder.parent}."
        )


def check_json(file: Path | None) -> None:
    """Reject a folder as the value of --json, and create the folder of the file.

    Args:
        file: file to write later, or None.

    Raises:
        ValueError: it is a folder.
    """
    if file is None:
        return
    if file.is_dir():
        raise ValueError(f"--json {file} is a folder; name a file.")
    file.parent.mkdir(parents=True, exist_ok=True)

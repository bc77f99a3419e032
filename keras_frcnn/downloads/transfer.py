"""Fetch a file over HTTP, and go on where a connection was cut."""

import hashlib
import itertools
import time
from pathlib import Path

from keras_frcnn.downloads.answer import TOO_FAR, Answer, NotFetched
from keras_frcnn.downloads.progress import DownloadLines
from keras_frcnn.files import unwritable

# Attempts in all, and in a row that bring nothing; seconds before the second, which double.
ATTEMPTS, FRUITLESS, PAUSE = 20, 3, 0.5


def transfer(url: str, part: Path, digest: str) -> None:
    """Fetch a file, and go on with what an earlier attempt left of it.

    Args:
        url: address, https or http.
        part: the file to write; what it holds is taken as the beginning, or as the whole if the digest fits.
        digest: first digits of the file's SHA-256. With another one, nothing is left of `part`.

    Raises:
        NotFetched: no attempt brought the whole file, or it has another SHA-256.
        OSError: the file cannot be written.
    """
    if part.exists() and sha256(part).startswith(digest):
        return
    fruitless, validator = 0, None
    with DownloadLines(url) as progress:
        for attempt in itertools.count(1):
            before = _size(part)
            try:
                with Answer(url, before, validator) as answer:
                    validator = answer.validator
                    _write(part, answer, progress)
                return _check(part, digest, resumed=before > 0)
            except NotFetched as error:
                if error.status == TOO_FAR:  # the file is shorter than what is there
                    part.unlink(missing_ok=True)
                fruitless = 0 if _size(part) > before else fruitless + 1
                if error.final or fruitless == FRUITLESS or attempt == ATTEMPTS:
                    raise
            time.sleep(PAUSE * 2**fruitless)


def sha256(path: Path) -> str:
    """The SHA-256 of a file, as hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write(part, answer, progress):
    """Write an answer behind the part that it goes on with, or from the beginning."""
    done = answer.begin
    try:
        with open(part, "ab") as file:
            file.truncate(done)
            for piece in answer.pieces():
                file.write(piece)
                done += len(piece)
                progress(done, answer.total)
    except OSError as error:
        raise unwritable(part, error) from error


def _check(part, digest, resumed):
    """Remove a file with another SHA-256; it may be of two versions if it was fetched in parts."""
    found = sha256(part)
    if not found.startswith(digest):
        part.unlink()
        raise NotFetched(
            f"the SHA-256 of what the server sends begins with {found[: len(digest)]} instead of {digest}",
            final=not resumed,
        )


def _size(path):
    return path.stat().st_size if path.exists() else 0

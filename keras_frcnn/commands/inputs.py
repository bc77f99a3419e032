"""What `predict` is given: images, folders, patterns, videos, streams, or a list of these on the input."""

import glob
import re
import sys
from collections.abc import Sequence
from pathlib import Path

VIDEOS = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv")
# The files of a folder that are left out are named up to this number.
NAMED = 5


def pictures_and_videos(words: Sequence[str | Path], endings: Sequence[str]) -> tuple[list[Path], list[str]]:
    """Sort what is named into pictures and videos.

    Args:
        words: files, folders, patterns such as "photos/**/*.jpg", URLs of streams, and "-" for a list of
            these on the standard input, one a line.
        endings: endings of the pictures of a folder.

    Returns:
        The pictures, and the videos: files or URLs. Each is named once.

    Raises:
        ValueError: nothing is named, a folder has no picture, or a pattern matches nothing.
    """
    pictures, videos = [], []
    for word in _all_words(words):
        if is_stream(word):
            videos.append(word)
        elif "\0" in word:
            raise ValueError(f"{word!r} can be no file; check what lists it.")
        elif Path(word).is_dir():
            pictures += _of_folder(Path(word), endings)
        elif Path(word).suffix.lower() in VIDEOS:
            videos.append(word)
        else:
            pictures.append(Path(word))
    if not pictures and not videos:
        raise ValueError("No image is named; give image files or folders of them.")
    return [*dict.fromkeys(pictures)], [*dict.fromkeys(videos)]


def is_stream(word: str) -> bool:
    """Whether a word is a URL."""
    return bool(re.match(r"[a-z][a-z0-9+.-]*://", word, re.IGNORECASE))


def _all_words(words):
    """The words with "-" and patterns replaced by what they stand for."""
    for word in map(str, words):
        if word == "-":
            yield from _all_words(line.strip() for line in sys.stdin if line.strip() not in ("", "-"))
        elif glob.has_magic(word) and not is_stream(word) and not Path(word).exists():
            found = sorted(glob.glob(word, recursive=True))
            if not found:
                raise ValueError(f"No file matches {word}; name image files or folders of them.")
            yield from found
        else:
            yield word


def _of_folder(folder, endings):
    """The pictures of a folder."""
    files = [file for file in sorted(folder.iterdir()) if file.is_file()]
    found = [file for file in files if file.suffix.lower() in endings]
    if not found:
        raise ValueError(f"Folder {folder} holds no image ({', '.join(endings)}); name the one that does.")
    kept = {*found}
    rest = [file.name for file in files if file not in kept and not file.name.startswith(".")]
    if rest:
        names = ", ".join(rest[:NAMED]) + (" …" if len(rest) > NAMED else "")
        print(f"Left out of {folder}, by their endings no pictures: {len(rest)}, {names}.")
    return found

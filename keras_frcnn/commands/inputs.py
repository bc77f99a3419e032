"""What `predict` is given: images, folders, patterns, videos, streams, or a list of these on the input."""

import glob
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from keras_frcnn.class_names import visible

VIDEOS = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv")
# The files of a folder that are left out are named up to this number.
NAMED = 5


def pictures_and_videos(
    words: Sequence[str | Path], endings: Sequence[str]
) -> tuple[list[Path], list[str], dict[str, str]]:
    """Sort what is named into pictures and videos.

    Args:
        words: files, folders, patterns such as "photos/**/*.jpg", URLs of streams, and "-" for a list of
            these on the standard input, one a line.
        endings: endings of the pictures of a folder.

    Returns:
        The pictures; the videos, files or URLs; and the folders and patterns without any, each with the
        sentence that says so. Each is named once.

    Raises:
        ValueError: there is no picture and no video.
    """
    pictures, videos, empty = [], [], {}
    for word in _all_words(words, endings, empty):
        if is_stream(word):
            videos.append(word)
        elif "\0" in word:
            raise ValueError(f"{word!r} can be no file; check what lists it.")
        elif Path(word).is_dir():
            pictures += _of_folder(Path(word), endings, empty)
        elif Path(word).suffix.lower() in VIDEOS:
            videos.append(word)
        else:
            pictures.append(Path(word))
    if not pictures and not videos:
        raise ValueError(
            next(iter(empty.values()), "No image is named; give image files or folders of them.")
        )
    return [*dict.fromkeys(pictures)], [*dict.fromkeys(videos)], empty


def is_stream(word: str) -> bool:
    """Whether a word is a URL."""
    return bool(re.match(r"[a-z][a-z0-9+.-]*://", word, re.IGNORECASE))


def _all_words(words, endings, empty):
    """The words with "-" and patterns replaced by what they stand for; `empty` gets a sentence for none."""
    for word in map(str, words):
        if word == "-":
            lines = map(_unquoted, sys.stdin)
            yield from _all_words((line for line in lines if line not in ("", "-")), endings, empty)
        elif glob.has_magic(word) and not is_stream(word) and not Path(word).exists():
            found = sorted(glob.glob(word, recursive=True))
            without = [name for name in found if Path(name).is_dir() and not _pictures(Path(name), endings)]
            if len(found) == len(without):
                empty[word] = f"No image matches {word}; name image files or folders of them."
            elif without:
                print(f"Left out of {word}, folders without pictures: {_named(without)}.")
            left = {*without}
            yield from (name for name in found if name not in left)
        else:
            yield word


def _unquoted(line):
    """A line of a list without what editors and other tools put around a name."""
    line = line.removeprefix("\ufeff").strip()
    quoted = len(line) > 1 and line[0] == line[-1] and line[0] in "\"'"
    return line[1:-1] if quoted and not Path(line).exists() else line


def _of_folder(folder, endings, empty):
    """The pictures of a folder; `empty` gets a sentence if there are none."""
    found = _pictures(folder, endings)
    if not found:
        empty[str(folder)] = f"Folder {folder} holds no image ({', '.join(endings)}); name the one that does."
    kept = {*found}
    files = [file for file in sorted(folder.iterdir()) if file.is_file() and file not in kept]
    rest = [file.name for file in files if not file.name.startswith(".")]
    if rest:
        print(f"Left out of {visible(str(folder))}, because of their endings: {_named(rest)}.")
    inside = [
        name.name for name in sorted(folder.iterdir()) if name.is_dir() and not name.name.startswith(".")
    ]
    if inside:
        place = visible(str(folder))
        print(f'Left out of {place}, its folders: {_named(inside)}; "{place}/**/*.jpg" names what they hold.')
    return found


def _pictures(folder, endings):
    """The pictures of a folder, in order."""
    return sorted(file for file in folder.iterdir() if file.is_file() and file.suffix.lower() in endings)


def _named(names):
    """The number of some files, and the first of their names."""
    return f"{len(names)}, " + visible(", ".join(names[:NAMED])) + (" …" if len(names) > NAMED else "")

"""Find pictures by the names that annotations give them."""

import functools
import os
import pathlib
import re
import unicodedata
import urllib.parse

from keras_frcnn.images import other_formats

SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".bmp", *other_formats.SUFFIXES)


class Pictures:
    """The pictures in a folder and its sub-folders.

    Files that macOS and editors hide are left out. The folder is listed when a name asks for it.

    Args:
        folder: path.
        suffixes: endings of pictures, in lower case.
    """

    def __init__(self, folder, suffixes=SUFFIXES):
        self.folder = pathlib.Path(folder)
        self._suffixes = suffixes

    @functools.cached_property
    def files(self):
        """The paths, in order. Links to folders are followed, each folder once."""
        found, seen = [], set()
        for root, folders, names in os.walk(self.folder, followlinks=True):
            real = os.path.realpath(root)
            if real in seen:
                folders.clear()
                continue
            seen.add(real)
            folders[:] = sorted(name for name in folders if not _hidden(name))
            paths = (pathlib.Path(root, name) for name in names if not _hidden(name))
            found += [path for path in paths if path.suffix.lower() in self._suffixes and is_file(path)]
        return sorted(found)

    @functools.cached_property
    def _named(self):
        return {normal(path.relative_to(self.folder).as_posix()): path for path in self.files}

    @functools.cached_property
    def _stems(self):
        stems = {}
        for name, path in self._named.items():
            stems.setdefault(stem(name), []).append(path)
        return stems

    @functools.cached_property
    def _undoubled(self):
        pictures = {}
        for name, path in self._named.items():
            for form in {undoubled(name), stem(undoubled(name))}:
                pictures.setdefault(form, []).append(path)
        return pictures

    def find(self, name, what):
        """Find a picture by its name, with or without the ending, in whichever form it is written.

        Args:
            name: str, such as "a", "a.jpg", "a.jpg.jpg", "day1/a", "images\\\\a.jpg" or a URL.
            what: str, what gives the name, for messages.

        Returns:
            The path, or None if there is none; and whether the name was mended for it.

        Raises:
            ValueError: several pictures fit.
        """
        plain = normal(name)
        path, mended = self._find(plain, name, what)
        if path is None and (unquoted := urllib.parse.unquote(plain)) != plain:
            path, mended = self._find(unquoted, name, what)[0], True
        return path, mended

    def _find(self, plain, name, what):
        if not leaves(plain) and is_file(self.folder / plain):
            return self.folder / plain, plain != name
        parts = [part for part in plain.split("/") if part not in ("", ".")]
        for first in range(len(parts)):
            end = "/".join(parts[first:])
            if end in self._named:
                return self._named[end], first > 0 or end != name
            found = self._stems.get(end) or self._undoubled.get(undoubled(end), [])
            if len(found) > 1:
                raise ValueError(
                    f"{what} names the picture {name}, and {found[0]} and {found[1]} both have this name; "
                    "rename one, or write its ending."
                )
            if found:
                return found[0], first > 0 or end != name or end not in self._stems
        return None, False


def normal(name):
    """Write the name of a picture in one form: composed letters, "/" between folders, no quotes, no host."""
    name = unicodedata.normalize("NFC", str(name)).strip()
    if len(name) > 1 and name[0] == name[-1] and name[0] in "\"'":
        name = name[1:-1]
    address = re.match(r"[a-z][a-z0-9+.-]+://[^/]*/([^?#]*)", name, re.IGNORECASE)
    name = address.group(1) if address else name
    return name.replace("\\", "/").removeprefix("./")


def stem(name):
    """The name of a picture without the ending of a picture."""
    before, dot, ending = name.rpartition(".")
    return before if dot and f".{ending.lower()}" in SUFFIXES else name


def undoubled(name):
    """The name of a picture whose ending is there twice, such as "a.jpg.jpg", with one of them."""
    before = stem(name)
    ending = name[len(before) :].lower()
    return before if ending and before.lower().endswith(ending) else name


def leaves(name):
    """Whether the name of a picture leads out of its folder: it is absolute or goes up."""
    name = str(name).replace("\\", "/")
    if "://" in name:
        return False  # only its last part is used
    return name.startswith("/") or bool(re.match(r"[A-Za-z]:", name)) or ".." in name.split("/")


def is_file(path):
    """Whether there is a file; a name that no file can have, such as one of 400 letters, names none."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def is_blank(file):
    """Whether a file has nothing but blanks."""
    return file.stat().st_size < 64 and not file.read_bytes().strip()


def is_dir(path):
    """Whether there is a folder; see `is_file`."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def expanded(text):
    """A path whose `~` stands for a home folder.

    Raises:
        ValueError: the home folder is not known.
    """
    try:
        return pathlib.Path(text).expanduser()
    except RuntimeError:
        raise ValueError(f"The home folder in {text} is not known; write the whole path.") from None


def _hidden(name):
    return name.startswith(".") or name == "__MACOSX"

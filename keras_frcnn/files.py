"""Write files completely or not at all, and read text in the encodings that people have."""

import codecs
import collections
import contextlib
import hashlib
import json
import os
from pathlib import Path

import yaml

# Bytes of a name, of most file systems.
LONGEST_NAME = 255


@contextlib.contextmanager
def replacing(path):
    """Write a temporary file and move it to `path` at the end of the block.

    A reader sees the old file or the new one, even after a power failure. If the block raises, the old file
    stays and the temporary one is removed. A link stays, and the file that it names is replaced. A device or
    a pipe, such as /dev/stdout, is written directly, even if the shell sends it to a file.

    Args:
        path: file to write; an existing one is replaced.

    Yields:
        pathlib.Path to write to, in the same folder and with the same suffix.

    Raises:
        OSError: the file cannot be written, such as on a full disk.

    Example:
        >>> with replacing("scores.json") as partial:
        ...     _ = partial.write_text("{}")
    """
    path = Path(path)
    if (path.exists() and not path.is_file()) or path.absolute().parts[1:2] in (("dev",), ("proc",)):
        yield path
        return
    path = path.resolve()
    partial = partial_of(path)
    try:
        yield partial
        flush(partial)
        os.replace(partial, path)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        partial.unlink(missing_ok=True)
    flush(path.parent)


def partial_of(path):
    """The temporary file beside a file: hidden, and with the same suffix unless that is very long.

    Args:
        path: `pathlib.Path` of the file.

    Returns:
        pathlib.Path; its name fits wherever that of the file does.
    """
    partial = path.with_name(f".{path.stem}.partial{path.suffix}")
    if len(os.fsencode(partial.name)) <= LONGEST_NAME:
        return partial
    stem = hashlib.blake2b(os.fsencode(path.name), digest_size=16).hexdigest()
    return path.with_name(f".{stem}.partial{path.suffix if len(os.fsencode(path.suffix)) < 99 else ''}")


def unwritable(path, error, remedy=""):
    """Make an OSError of the same kind whose message is one sentence about the file that was asked for.

    Args:
        path: the file.
        error: OSError.
        remedy: end of the sentence, such as "; name another folder with --output".

    Returns:
        OSError, to raise.
    """
    reason = error.strerror or str(error).partition("\n")[0]
    stays = "; what was there before stays" if path.exists() else ""
    clear = type(error)(f"{path} cannot be written ({reason}){stays}{remedy}.")
    clear.errno = error.errno
    return clear


def read_text(path):
    """Read a text file in UTF-8, with or without a byte-order mark, or in UTF-16 with one.

    Args:
        path: the file.

    Returns:
        str, with line breaks as "\\n".

    Raises:
        OSError: the file cannot be read.
        ValueError: the file has another encoding.
    """
    contents = Path(path).read_bytes()
    wide = contents.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = contents.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} is not in {'UTF-16' if wide else 'UTF-8'} (byte {error.start}); save it as UTF-8."
        ) from None
    if 3 * text.count("\0") > len(text):
        raise ValueError(f"{path} is in UTF-16 or UTF-32 without the mark of it; save it as UTF-8.")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def parse_yaml(text, numbers_as_written=False):
    """Parse YAML that comes from anywhere.

    Args:
        text: str.
        numbers_as_written: whether a number that Python writes otherwise, such as 007, stays a text.

    Returns:
        What it stands for, of Python's plain types.

    Raises:
        ValueError: the text is not plain YAML; the message is the reason alone.
    """
    try:
        return yaml.load(text, _WrittenLoader if numbers_as_written else _PlainLoader)
    except Exception as error:  # PyYAML passes on any error of the types that a tag names
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(reason) from None


class _PlainLoader(yaml.SafeLoader):
    """Refuses keys that occur twice, and to repeat lists and mappings: ten lines can stand for billions."""

    def compose_node(self, parent, index):
        repeated = self.check_event(yaml.AliasEvent)
        node = super().compose_node(parent, index)
        if repeated and not isinstance(node, yaml.ScalarNode):
            raise yaml.YAMLError("it repeats a list or mapping by an alias")
        return node

    def construct_mapping(self, node, deep=False):
        keys = collections.Counter(
            (key.tag, key.value) for key, _ in node.value if isinstance(key, yaml.ScalarNode)
        )
        for (_, key), times in keys.most_common(1):
            if times > 1:
                raise yaml.YAMLError(f"it has the key {key} twice")
        return super().construct_mapping(node, deep)


class _WrittenLoader(_PlainLoader):
    """Keeps numbers as texts that would change when they are written again: names may look like these."""

    def construct_object(self, node, deep=False):
        value = super().construct_object(node, deep)
        return value if type(value) not in (int, float) or str(value) == node.value else node.value


def write_text(path, text):
    """Write a text file in UTF-8.

    Args:
        path: file to write; an existing one is replaced.
        text: str; bytes of file names that are no letters are escaped.
    """
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8", errors="backslashreplace")


class GrowingText:
    """Writes a text file piece by piece; it appears, or replaces an existing one, when it is closed.

    Args:
        path: file to write.

    Raises:
        OSError: the file cannot be written; what was there before stays.

    Example:
        >>> numbers = GrowingText("numbers.txt")
        >>> for number in range(3):
        ...     numbers.add(f"{number}\\n")
        >>> numbers.close()
    """

    def __init__(self, path):
        self._whole = contextlib.ExitStack()
        self._path, self._file, self._failed = path, None, False

    def add(self, text):
        """Append a str, see `write_text`; after a failure, nothing."""
        if self._failed:
            return
        try:
            if self._file is None:
                partial = self._whole.enter_context(replacing(self._path))
                self._file = self._whole.enter_context(
                    open(partial, "w", encoding="utf-8", errors="backslashreplace")
                )
            self._file.write(text)
        except OSError as error:
            self._failed = True
            self._whole.__exit__(type(error), error, error.__traceback__)
            raise

    def close(self):
        """Finish the file; after a failure there is nothing to finish."""
        self.add("")
        if not self._failed:
            self._whole.close()


def write_json(path, value):
    """Write a JSON file, indented by two spaces.

    Args:
        path: file to write; an existing one is replaced.
        value: object that `json.dumps` accepts.
    """
    write_text(path, json.dumps(value, indent=2) + "\n")


def flush(path):
    """Wait until a file, or the entries of a folder, are on disk."""
    if os.name == "nt" and path.is_dir():
        return  # Windows cannot open folders; it saves their entries by itself
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

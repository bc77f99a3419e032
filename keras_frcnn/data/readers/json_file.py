"""Read JSON that comes from anywhere."""

import collections
import json
import pathlib

from keras_frcnn.files import read_text

# Instances of a million pictures take less.
MOST_BYTES = 4 * 2**30


def read_json(path):
    """Read a JSON file.

    Args:
        path: the file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not JSON, or it is too large or too deeply nested to be an annotation.
    """
    path = pathlib.Path(path)
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ValueError(f"{path} has more than {MOST_BYTES >> 30} GiB; split it into several files.")
        text = read_text(path)
    except OSError as error:
        raise FileNotFoundError(
            f"There is no annotation file {path} ({error.strerror}); check the path."
        ) from None
    try:
        return json.loads(text, object_pairs_hook=_once)
    except RecursionError:
        raise ValueError(f"{path} is nested too deeply for an annotation; repair it.") from None
    except ValueError as error:
        raise ValueError(f"{path} is not readable as JSON ({error}); repair it.") from None


def _once(pairs):
    """A dict of pairs whose keys occur once; JSON itself takes the last one."""
    found = dict(pairs)
    if len(found) < len(pairs):
        ((key, _),) = collections.Counter(key for key, _ in pairs).most_common(1)
        raise ValueError(f"it has the key {key[:40]!r} twice")
    return found

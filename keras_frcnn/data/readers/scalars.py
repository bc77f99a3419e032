"""Numbers and flags as annotation tools write them."""

import contextlib
import math
import re
import unicodedata

TRUE = ("1", "true", "yes", "y", "t")
FALSE = ("0", "false", "no", "n", "f", "", "unspecified", "none", "null")


def number(value) -> float:
    """Return a number, also one in a string; infinite if it is too large for a float.

    Raises:
        ValueError: the value is no number.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError(f"{_shown(value)} is no number")
    if isinstance(value, str) and "_" in value:
        raise ValueError(f"{_shown(value)} is no number")
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf  # pyright: ignore[reportOperatorIssue]
    except ValueError:
        raise ValueError(f"{_shown(value)} is no number") from None


def numbers(values, count: int) -> list[float]:
    """Return so many numbers from a list of them.

    Raises:
        ValueError: the value is no list of as many numbers.
    """
    if not isinstance(values, (list, tuple)) or len(values) != count:
        raise ValueError(f"{_shown(values)} is not {count} numbers")
    return [number(value) for value in values]


def hull(x, y) -> list[float]:
    """The box around points, `[left, top, right, bottom]`; not finite if a point is not."""
    if any(map(math.isnan, (*x, *y))):
        return [math.nan] * 4
    return [min(x), min(y), max(x), max(y)]


def flag(value) -> bool:
    """Return a flag that is written as a number or as a word; a missing one is False.

    Raises:
        ValueError: the value is neither.
    """
    if value is None or isinstance(value, bool):
        return bool(value)
    word = str(value).strip().lower()
    if word in TRUE or word in FALSE:
        return word in TRUE
    try:
        value = number(word)
    except ValueError:
        value = None
    if value not in (0.0, 1.0):
        raise ValueError(f"{_shown(value if value is not None else word)} is neither yes nor no")
    return value == 1.0


def is_number(text: str, number: int) -> bool:
    """Whether a text is a number, in whichever form YAML has it, such as 0x1f or 3.0."""
    for form in (float, lambda digits: int(digits, 0)):
        with contextlib.suppress(ValueError):
            return form(text) == number
    return False


def class_name(value) -> str:
    """Return the name of a class with composed letters and single blanks; "" if it is missing.

    The same word can be written with other bytes: "é" as one letter, or as an e and an accent; and a file may
    begin with an invisible mark.

    Raises:
        ValueError: the value is neither a text nor a number.
    """
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError(f"{_shown(value)} is no name")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{_shown(value)} is no name")
    return " ".join(unicodedata.normalize("NFC", str(value)).replace("\ufeff", "").split())


def identifier(value) -> int | str:
    """Return an id so that 1, 1.0 and "1" are equal.

    Raises:
        ValueError: the value is neither a number nor a text.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError(f"{_shown(value)} is no id")
    if isinstance(value, int):
        return value
    # Not int() alone, which takes "1_23" for 123.
    text = str(value).strip()
    return int(float(text)) if re.fullmatch(r"-?(0|[1-9][0-9]{0,14})(\.0*)?", text) else text


def side(value) -> int:
    """Return a side of a picture in pixels; 0 if it is not stated.

    Raises:
        ValueError: the value is no whole number.
    """
    if value is None or value == "":
        return 0
    length = number(value)
    if not math.isfinite(length) or length != int(length) or length < 0:
        raise ValueError(f"{_shown(value)} is no whole number")
    return int(length)


def _shown(value):
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."

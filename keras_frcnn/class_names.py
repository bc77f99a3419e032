"""What can be the name of a class, and how names of any kind are shown.

Names go into lines of labels.txt, cells of tables, pictures, XML, YAML and terminals, so a name is one line
of visible characters.
"""

import functools
import numbers
import unicodedata
from collections.abc import Iterable, Iterator, KeysView, Mapping, Set

# Longer ones are no names, but files that are read in a wrong way.
LONGEST = 200
# Characters that turn the direction of the text after them, in whichever line that is.
_TURNING = {*range(0x202A, 0x202F), *range(0x2066, 0x206A)}


@functools.lru_cache(maxsize=65536)
def fault(name: str) -> str:
    """What is wrong with the name of a class, as the end of a sentence; "" if nothing is.

    Example:
        >>> fault("traffic light"), fault("red\\ncell")
        ('', 'has a line break, a tab, or a blank that is not single between words')
    """
    if not name.strip():
        return "is empty"
    if len(name) > LONGEST:
        return f"is longer than {LONGEST} characters"
    if all(unicodedata.category(letter) == "Cf" for letter in name):
        return "cannot be seen"
    if " ".join(name.split()) != name:
        return "has a line break, a tab, or a blank that is not single between words"
    for letter in name:
        if _is_hidden(letter):
            return f"has the character U+{ord(letter):04X}, which cannot be shown"
    return ""


def plain(name: str) -> str:
    """A name without what is often written in several ways: case, blanks, `_`, `-` and dots.

    Example:
        >>> plain("Traffic_Light") == plain("traffic light"), plain("C++") == plain("C")
        (True, False)
    """
    return "".join(letter for letter in name.casefold() if letter not in " _-.") or name


def visible(text: str) -> str:
    """A text in which what a terminal cannot show is escaped: names of files can have anything.

    Example:
        >>> visible("a\\x1b[2Jb\\n.jpg")
        'a\\\\x1b[2Jb\\\\n.jpg'
    """
    return "".join(_escaped(letter) if _is_hidden(letter) else letter for letter in text)


def _escaped(letter):
    return letter.encode("unicode_escape").decode()


def _is_hidden(letter):
    return unicodedata.category(letter) in ("Cc", "Cs", "Cn", "Zl", "Zp") or ord(letter) in _TURNING


def in_order(names) -> tuple[str, ...]:
    """Return names of classes as texts, in composed letters: "é" can also be an e and an accent.

    Args:
        names: list of names, or another iterable that has an order.

    Raises:
        ValueError: it is one name, or has no order.
    """
    unordered = isinstance(names, Mapping) or (isinstance(names, Set) and not isinstance(names, KeysView))
    if isinstance(names, (str, bytes)) or unordered or not isinstance(names, Iterable):
        raise ValueError(f"class_names must be a list of names, in the order of the labels, not {names!r}.")
    return tuple(unicodedata.normalize("NFC", str(name)) for name in names)


def checked_class_names(names):
    """Return names of classes as a tuple of str.

    Args:
        names: list of names, in the order of the labels 0…K−1.

    Raises:
        ValueError: there are none, one occurs twice ("N/A" may), one is neither text nor a whole
            number, or one is no name; see `fault`.
    """
    names = tuple(names) if isinstance(names, Iterator) else names
    given, names = names, in_order(names)
    for name in given:
        if not isinstance(name, (str, numbers.Integral)):
            raise ValueError(f"class_names has {name!r}, which is no name; give texts such as 'cell'.")
    for name in names:
        if fault(name):
            raise ValueError(f"class_names has {name[:40]!r}, which {fault(name)}; rename the class.")
    twice = sorted({name for name in names if names.count(name) > 1 and name != "N/A"})
    if not names:
        raise ValueError("class_names has no name; give one or more.")
    if twice:
        raise ValueError(
            f"class_names has {', '.join(map(repr, twice))} more than once; give each name once."
        )
    return names

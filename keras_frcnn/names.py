"""Suggest the name that was meant where an unknown one is given."""

import difflib
from collections.abc import Iterable

# How alike two names are, 0 to 1, so that one is suggested for the other.
NEAR = 0.6


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Find the known name that an unknown one is most like, without regard to case.

    Args:
        name: what was given.
        known: names that there are.

    Returns:
        The name; None if it is known, or none is like it.

    Example:
        >>> nearest("mobilnet_v2_fpn", ["vgg16", "mobilenet_v2", "mobilenet_v2_fpn"])
        'mobilenet_v2_fpn'
    """
    known = [str(each) for each in known]
    if str(name) in known:
        return None
    lowered = {each.lower(): each for each in known}
    found = difflib.get_close_matches(str(name).lower(), lowered, n=1, cutoff=NEAR)
    return lowered[found[0]] if found else None


def remedy(name: str, known: Iterable[str], otherwise: str) -> str:
    """The end of a message about an unknown name: a suggestion where one is near, then what else to do.

    Args:
        name: what was given.
        known: names that there are.
        otherwise: the remedy in any case, such as "use one of vgg16, zf."

    Returns:
        `otherwise`, or "did you mean NAME?" before it.

    Example:
        >>> known = ["vgg16", "zf"]
        >>> f"Unknown backbone 'vgg61'; {remedy('vgg61', known, 'use one of vgg16, zf.')}"
        "Unknown backbone 'vgg61'; did you mean vgg16? Use one of vgg16, zf."
    """
    near = nearest(name, known)
    return f"did you mean {near}? {otherwise[0].upper()}{otherwise[1:]}" if near else otherwise

"""Check the names of a detector's classes."""


def checked_class_names(names):
    """Return names of classes as a tuple of str.

    Args:
        names: list of names, in the order of the labels 0…K−1.

    Raises:
        ValueError: there are none, one occurs twice ("N/A" may), or one has a line break.
    """
    if isinstance(names, (str, int)):
        raise ValueError(f"class_names must be a list of names, not the one value {names!r}.")
    names = tuple(str(name) for name in names)
    for name in names:
        if "".join(name.splitlines()) != name:
            raise ValueError(
                f"class_names has {name!r}, but labels.txt has one a line; leave the line break out."
            )
    twice = sorted({name for name in names if names.count(name) > 1 and name != "N/A"})
    if not names:
        raise ValueError("class_names has no name; give one or more.")
    if twice:
        raise ValueError(f"class_names has {', '.join(twice)} more than once; give each name once.")
    return names

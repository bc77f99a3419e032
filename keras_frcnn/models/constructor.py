"""Build the signature and docstring of a constructor from the tables in `arguments.py`."""

import inspect
import textwrap

from keras_frcnn.models.defaults import UNKNOWN, BackboneOr, entries

# This line of a class's docstring is replaced with the arguments of its group.
PLACE = "    **arguments: "
WIDTH = 110


def takes(group):
    """Class decorator that lists a group's arguments in the signature and docstring of the constructor.

    `help`, completion and `inspect.signature` show each argument as if it were written out; type checkers use
    `Unpack[group]`.

    Args:
        group: TypedDict whose fields are annotated with a default and a description.
    """

    def decorate(cls):
        cls.argument_group = group
        own = [
            parameter
            for parameter in inspect.signature(cls.__init__).parameters.values()
            if parameter.kind is not inspect.Parameter.VAR_KEYWORD
        ]
        keywords = [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=None if isinstance(entry.default, BackboneOr) else entry.default,
                annotation=entry.type,
            )
            for name, entry in entries(group).items()
        ]
        rest = inspect.Parameter("kwargs", inspect.Parameter.VAR_KEYWORD)
        cls.__init__.__signature__ = inspect.Signature([*own, *keywords, rest])
        cls.__signature__ = inspect.Signature([*own[1:], *keywords, rest])
        # From Python 3.13 on, docstrings are without indentation; under -OO there are none.
        before, place, after = inspect.cleandoc(cls.__doc__ or "").partition(PLACE)
        if place:
            cls.__doc__ = before + "\n".join(_lines(group)) + "\n" + after.partition("\n")[2]
        return cls

    return decorate


def _lines(group):
    """Format the arguments as lines of a docstring."""
    for name, entry in entries(group).items():
        text = f"{name} ({_type(entry.type)}): {entry.description} {_default(entry.default)}"
        yield textwrap.fill(text, WIDTH, initial_indent=" " * 4, subsequent_indent=" " * 8)


def _type(annotation):
    text = (
        annotation.__name__
        if isinstance(annotation, type) and "[" not in str(annotation)
        else str(annotation)
    )
    return text.removesuffix(" | None")


def _default(default):
    if not isinstance(default, BackboneOr):
        return f"Default: {_word(default)}."
    if default.one_map == UNKNOWN:
        return "Default: what the backbone says."
    if default.one_map == default.pyramid:
        return f"Default: {_word(default.one_map)}, or the backbone's own."
    return (
        f"Default: {_word(default.one_map)} over one map, {_word(default.pyramid)} over a pyramid, or the "
        "backbone's own."
    )


def _word(value):
    return (
        f'"{value}"' if isinstance(value, str) else f"{value:.3g}" if isinstance(value, float) else f"{value}"
    )

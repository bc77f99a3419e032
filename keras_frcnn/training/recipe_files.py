"""Recipes as YAML: those of the package, by name, and your own files."""

import dataclasses
from importlib import resources
from typing import Literal, get_args, get_origin, get_type_hints

import yaml

from keras_frcnn.files import parse_yaml
from keras_frcnn.names import remedy
from keras_frcnn.training.recipe import ALTERNATING, Recipe


def names():
    """Names of the recipes in the package."""
    folder = resources.files("keras_frcnn.training") / "recipes"
    return sorted(
        entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml")
    )


def load(name, base=None):
    """Load a recipe of the package by name, on top of the defaults or another recipe.

    Raises:
        ValueError: the package has no recipe of this name.
    """
    if name not in names():
        raise ValueError(
            f"Unknown recipe {name!r}; "
            + remedy(name, names(), f"use one of {', '.join(names())}, or give a file with --config.")
        )
    text = (resources.files("keras_frcnn.training") / "recipes" / f"{name}.yaml").read_text(encoding="utf-8")
    return from_yaml(text, f"recipe {name!r}", base)


def from_yaml(text, origin, base=None):
    """Read a recipe from YAML, on top of the defaults or another recipe.

    Args:
        text: YAML mapping of field names to values.
        origin: str, name of the text in messages.
        base: `Recipe` with the values of fields that the text leaves out.

    Raises:
        ValueError: the text is not a mapping, or has an unknown field or a value of the wrong type.
    """
    try:
        values = parse_yaml(text) or {}
    except ValueError as error:
        raise ValueError(f"{origin} is not valid YAML ({error}); mend it.") from None
    known = get_type_hints(Recipe)
    if not isinstance(values, dict):
        raise ValueError(f"{origin} must be a mapping such as `epochs: 12`.")
    unknown = [str(name) for name in values if name not in known]
    if unknown:
        listed = remedy(unknown[0], known, f"known are {', '.join(known)}.")
        raise ValueError(f"{origin} has unknown fields {', '.join(unknown)}; {listed}")
    values = {name: _typed(value, known[name], f"{name} in {origin}") for name, value in values.items()}
    if "epochs" in values:
        values.setdefault("steps", 0)  # otherwise the base's steps would override epochs
    if "epochs" in values or "steps" in values:
        values = {**dict.fromkeys(ALTERNATING, ()), **values}
    return dataclasses.replace(base or Recipe(), **values)


def _typed(value, kind, what):
    """Convert a YAML value to its field's type: lists to tuples, integers and `1e-3` to float."""
    parts = get_args(kind)
    if get_origin(kind) is Literal and value in parts:
        return value
    if get_origin(kind) is tuple and isinstance(value, list):
        if parts[-1] is ... or len(value) == len(parts):
            return tuple(_typed(item, parts[0], what) for item in value)
    number = _number(value)
    if kind is float and isinstance(number, (int, float)) and not isinstance(number, bool):
        return float(number)
    if kind in (int, bool, str) and type(value) is kind:
        return value
    if get_origin(kind) is dict and isinstance(value, dict):
        return {name: _number(one) for name, one in value.items()}
    if get_origin(kind) is Literal:
        listed = remedy(str(value), parts, f"it must be one of {', '.join(parts)}.")
        raise ValueError(f"{what} is {value!r}; {listed}")
    raise ValueError(f"{what} is {value!r}; it must be {str(kind) if parts else kind.__name__}.")


def _number(value):
    """Texts that are numbers, such as 1e-3, which YAML 1.1 reads as text for want of a dot, as floats."""
    if isinstance(value, list):
        return [_number(one) for one in value]
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def to_yaml(recipe):
    """Write every field of a recipe as YAML."""
    values = dataclasses.asdict(recipe)
    plain = {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
    return yaml.safe_dump(plain, sort_keys=False)

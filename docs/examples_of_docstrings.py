"""Griffe extension: the examples of docstrings, headed "Example:", are code for the site too."""

import re

import griffe


class Examples(griffe.Extension):
    """Give the heading the name that Griffe knows."""

    def on_object(self, *, obj, **_):
        if obj.docstring:
            obj.docstring.value = re.sub(r"(?m)^(\s*)Example:$", r"\1Examples:", obj.docstring.value)

"""The options of all commands that read data sets."""

import dataclasses
from typing import Literal

from keras_frcnn import data


@dataclasses.dataclass(frozen=True)
class AnnotationOptions:
    """What annotations may be like."""

    missing_annotation: Literal["refuse", "empty"] = "refuse"
    """A picture without an annotation: refuse it, or take it as one without objects."""
    allow_outside: bool = False
    """Let annotations name pictures outside the picture folder."""


@dataclasses.dataclass(frozen=True)
class ReadingOptions(AnnotationOptions):
    """What to do with what cannot be mended."""

    on_broken: Literal["stop", "skip"] = "stop"
    """A picture that cannot be decoded: stop, or leave it out, at most ten or a tenth of them."""

    def load(self, specs, **arguments):
        """Load data sets as `data.load` does, with these options."""
        options = {field.name: getattr(self, field.name) for field in dataclasses.fields(ReadingOptions)}
        return data.load(list(specs), **options, **arguments)

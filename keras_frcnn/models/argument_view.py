"""Constructor arguments as attributes of the model."""

from typing import Any


class ArgumentView:
    """Read-only attribute that shows an entry of a detector's `arguments`.

    Args:
        name: str, name of the argument; by default that of the attribute.
        read: function from the argument's value to the attribute's.
        default: value of the attribute if the constructor has no such argument.

    Raises:
        AttributeError: the attribute is set.
    """

    def __init__(self, name=None, read=lambda value: value, default=None):
        self.name, self.read, self.default = name, read, default

    def __set_name__(self, owner, name):
        self.attribute = name
        self.name = self.name or name

    def __get__(self, model, owner=None) -> Any:
        if model is None:
            return self
        return self.read(model.arguments[self.name]) if self.name in model.arguments else self.default

    def __set__(self, model, value):
        raise AttributeError(
            f"{self.attribute} cannot be set, because the parts of a detector are built for it; make a copy "
            f"with another {self.name}: keras_frcnn.export.with_settings(model, {self.name}=…)."
        )

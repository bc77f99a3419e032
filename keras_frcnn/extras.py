"""Packages that only some formats need."""

import importlib
import importlib.util
from types import ModuleType


def needed(package: str, extra: str) -> ModuleType:
    """Import a package of an extra.

    Args:
        package: name of the module to import, such as "onnxruntime".
        extra: name of the extra that installs it.

    Raises:
        ValueError: it is not installed.

    Example:
        >>> needed("json", "onnx").dumps([1])
        '[1]'
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise ValueError(
            f"{package} cannot be imported ({error}); install it with pip install 'keras_frcnn[{extra}]'."
        ) from error

"""Choose the kernels of a traced function: TensorFlow's own, or ones that XLA can compile.

TensorFlow's sparse matrix products and combined_non_max_suppression are the fastest on a CPU but have no XLA
implementation. Under XLA (`jit_compile=True`), gathers and loops of static shapes give the same results;
LiteRT converts these too. A traced function keeps the kernels that it was traced with.
"""

import contextlib
import contextvars
from collections.abc import Iterator

import tensorflow as tf

from keras_frcnn import _compat
from keras_frcnn.names import remedy

KINDS = ("auto", "stock", "xla")

_kind = contextvars.ContextVar("kernels", default="auto")


@contextlib.contextmanager
def use(kind: str) -> Iterator[None]:
    """Choose the kernels of everything that runs or is traced within the block.

    Args:
        kind: "auto", XLA's while a function with `jit_compile=True` is traced and TensorFlow's own elsewhere,
            except that a GPU uses gathers; "stock", TensorFlow's own, which XLA refuses; "xla", XLA's also in
            plain graphs and eagerly, for example to export a graph without operations that TensorFlow only
            has on a CPU.

    Raises:
        ValueError: if the kind is unknown.

    Example:
        >>> with use("xla"):
        ...     for_xla()
        True
    """
    if kind not in KINDS:
        listed = remedy(kind, KINDS, f"use one of {', '.join(KINDS)}.")
        raise ValueError(f"Unknown kernels {kind!r}; {listed}")
    token = _kind.set(kind)
    try:
        yield
    finally:
        _kind.reset(token)


def for_xla() -> bool:
    """Whether XLA must be able to compile the function that is being traced."""
    if _kind.get() == "auto":
        return _compat.for_xla()
    return _kind.get() == "xla"


def for_gathers() -> bool:
    """Whether to read RoIs with gathers instead of a sparse matrix: under XLA and on a GPU."""
    return for_xla() or (_kind.get() == "auto" and bool(tf.config.list_physical_devices("GPU")))

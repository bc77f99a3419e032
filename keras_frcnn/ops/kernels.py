"""Which kernels a function gets when it is traced: TensorFlow's own, or ones that XLA can compile.

TensorFlow's products with sparse matrices and combined_non_max_suppression are the fastest on a CPU and have
no XLA implementation. Where XLA compiles (`jit_compile=True`) the same answers come from gathers and loops of
static shapes. A traced function keeps what it was traced with.
"""

import contextlib
import contextvars
from collections.abc import Iterator

import tensorflow as tf

from keras_frcnn import _compat

KINDS = ("auto", "stock", "xla")

_kind = contextvars.ContextVar("kernels", default="auto")


@contextlib.contextmanager
def use(kind: str) -> Iterator[None]:
    """Choose the kernels of everything that runs or is traced within the block.

    Args:
        kind: "auto", those of XLA while a function with `jit_compile=True` is traced and TensorFlow's own
            elsewhere, but for the gathers that suit a GPU; "stock", TensorFlow's own, which XLA refuses;
            "xla", also in plain graphs and eagerly, for example to export a graph without operations that
            only TensorFlow's CPU has.

    Raises:
        ValueError: another kind.

    Example:
        >>> with use("xla"):
        ...     for_xla()
        True
    """
    if kind not in KINDS:
        raise ValueError(f"Unknown kernels {kind!r}; use one of {', '.join(KINDS)}.")
    token = _kind.set(kind)
    try:
        yield
    finally:
        _kind.reset(token)


def for_xla() -> bool:
    """Whether XLA has to be able to compile what is traced now."""
    if _kind.get() == "auto":
        return _compat.for_xla()
    return _kind.get() == "xla"


def for_gathers() -> bool:
    """Whether RoIs are better read by gathers than by a sparse matrix: for XLA, and on a GPU."""
    return for_xla() or (_kind.get() == "auto" and bool(tf.config.list_physical_devices("GPU")))

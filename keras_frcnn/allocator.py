"""Tune glibc's allocator so that TensorFlow keeps its buffers from one step to the next."""

import ctypes
import os
import sys

# Parameter numbers of mallopt (malloc.h).
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -2, -3, -8

# Older glibc rejects an mmap threshold above 32 MiB; the second value is the fallback.
MMAP_THRESHOLDS = 2**30, 2**25
TRIM_THRESHOLD = 2**31 - 1
TOP_PAD = 2**26


def keep_memory() -> bool:
    """Let the process keep freed memory instead of returning it to the system and requesting it again.

    Without AVX-512, TensorFlow allocates with malloc, and glibc returns large freed buffers to the kernel,
    which hands them out again page by page. Call this once, before the first step. Every command of the
    package does so. Memory use grows by a few percent. The environment variables MALLOC_MMAP_THRESHOLD_,
    MALLOC_TRIM_THRESHOLD_, MALLOC_TOP_PAD_ and MALLOC_ARENA_MAX do the same for another program, such as a
    server.

    The function does nothing if the environment configures malloc, if another allocator is preloaded, or if
    there is no glibc. Under Python 3.11, TensorFlow itself undoes half of the setting when the first
    `tf.data.Dataset.from_generator` of a process begins: from then on, new buffers above 128 kB go back to
    the system. With such a data set, call this again after the first batch. The batches of this package use
    no generator.

    Returns:
        bool, whether the setting was applied.

    Example:
        >>> keep_memory()  # doctest: +SKIP
        True
    """
    if _is_set_otherwise(os.environ):
        return False
    libc = _glibc()
    return libc is not None and _set(libc)


def _is_set_otherwise(environment):
    """Whether the user has configured malloc."""
    own = any(name.startswith("MALLOC_") for name in environment)
    return own or "glibc.malloc" in environment.get("GLIBC_TUNABLES", "")


def _glibc():
    """The C library if it is glibc and the process allocates with it, else None."""
    if not sys.platform.startswith("linux"):
        return None
    process = ctypes.CDLL(None)
    if not hasattr(process, "gnu_get_libc_version"):
        return None
    libc = ctypes.CDLL("libc.so.6")
    return libc if _address(process.malloc) == _address(libc.malloc) else None


def _address(function):
    return ctypes.cast(function, ctypes.c_void_p).value


def _set(libc):
    # mallopt returns 1 on success.
    return bool(
        any(libc.mallopt(M_MMAP_THRESHOLD, threshold) for threshold in MMAP_THRESHOLDS)
        and libc.mallopt(M_TRIM_THRESHOLD, TRIM_THRESHOLD)
        and libc.mallopt(M_TOP_PAD, TOP_PAD)
        # Each arena keeps its own memory, and glibc would create eight per processor.
        and libc.mallopt(M_ARENA_MAX, os.cpu_count() or 1)
    )

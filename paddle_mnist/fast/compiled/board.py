"""Where a leading thread puts work for helpers (board.h): lists of steps, done without Python, or calls for help."""

from __future__ import annotations

import time

import numpy as np

from paddle_mnist.fast.arrays import aligned
from paddle_mnist.fast.compiled.library import Lists, check, loaded

# Turns of waiting before a thread sleeps, about half a millisecond, and how long it sleeps, in seconds.
SPINS, SLEEP = 20_000, 50e-6
# The fields of a board, the numbers from one to the next, and two of them by their order.
FIELDS, LINE = 8, 8
NUMBER, STATUS = 0, 6


class Board:
    """See the module. One thread leads; helpers call ``follow``."""

    def __init__(self) -> None:
        self._fields = aligned(2 * FIELDS * LINE).view(np.int64)
        self._address = self._fields.ctypes.data
        self._lead, self._call, self._close, self._follow = (
            loaded().board[name] for name in ("lead", "call", "close", "follow")
        )
        self._is_open = False
        self._job: Lists | None = None  # keeps what helpers may still read

    @property
    def number(self) -> int:
        """How many jobs there have been."""
        return int(self._fields[NUMBER * LINE])

    def lead(self, lists: Lists) -> None:
        """Do lists of steps together with the helpers, and return once all are done."""
        self.close()
        self._is_open, self._job = True, lists
        arrays = lists.addresses.ctypes.data, lists.taken.ctypes.data
        self._is_open = not self._lead(self._address, *arrays, len(lists.lists), SPINS)
        self.close()
        check(int(self._fields[STATUS * LINE]))

    def call(self) -> None:
        """Let ``follow`` return to the helpers, until ``close``."""
        self.close()
        self._is_open = True
        self._call(self._address)

    def close(self) -> None:
        """Return once the job is done and no helper reads it."""
        while self._is_open:
            self._is_open = not self._close(self._address, SPINS)
            if self._is_open:
                time.sleep(SLEEP)

    def follow(self, thread: int, threads: int, seen: int) -> tuple[int, bool]:
        """Take part in jobs after number ``seen`` as one of ``threads``, until Python is called for or none comes.

        Returns:
            the number of the last job, and whether it calls for Python.
        """
        number = self._follow(self._address, thread, threads, seen, SPINS)
        return (number, True) if number >= 0 else (~number, False)


class Counter:
    """A number that threads add to and wait for, read without Python's lock."""

    def __init__(self) -> None:
        compiled = loaded()
        self._value = np.zeros(1, np.int64)
        self._address = self._value.ctypes.data
        self._add, self._wait = compiled.fetch_add, compiled.wait_for

    def add(self, more: int) -> None:
        self._add(self._address, more)

    def wait(self, least: int) -> bool:
        """Wait a moment until the number is at least ``least``; return whether it is."""
        return bool(self._wait(self._address, least, SPINS))

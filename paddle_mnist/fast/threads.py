"""Work spread over threads, in phases between which all of them wait for each other.

The calling thread takes part, and does everything where no other thread finds the time. Waiting threads spin for a
moment before they sleep: the pauses are shorter than it takes a system to wake a thread up.
"""

from __future__ import annotations

import contextlib
import functools
import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from paddle_mnist.fast.compiled.library import library, loaded

# Threads are started when they are needed; this is more than any machine has cores.
MOST_THREADS = 1024
# Turns of waiting before a thread sleeps, some hundred microseconds, and how long it sleeps.
SPINS, SLEEP = 20_000, 50e-6

Work = Callable[[int, int], None]


@dataclass
class Phase:
    """What is done between two points where all threads wait.

    Attributes:
        work: is called with (number of the thread, item) for every item, by whichever thread has time.
        after: is called by one thread once all items are done.
    """

    work: Work
    after: Callable[[], None] | None = None


def run(
    phases: Sequence[Phase],
    items: int,
    threads: int,
    context: Callable[[], contextlib.AbstractContextManager[None]],
) -> None:
    """Do all phases for all items.

    Args:
        phases: in order.
        items: how many there are in each phase.
        threads: how many may work; more than there are items are not used.
        context: what each thread enters while it works.
    """
    threads = max(1, min(threads, items))  # without items, what follows each phase is still done
    team = _Team(phases, items)
    if threads == 1:
        with context():
            team.lead(alone=True)
        return
    helpers = [_pool(os.getpid()).submit(team.help, number, context) for number in range(1, threads)]
    try:
        with context():
            team.lead()
    finally:
        team.dismiss()
        for helper in helpers:
            helper.cancel()  # one that has not begun yet has nothing left to do
        for helper in helpers:
            if not helper.cancelled():
                helper.result()


class _Team:
    """The threads that do the phases of one call."""

    def __init__(self, phases: Sequence[Phase], items: int) -> None:
        self.phases, self.items = phases, items
        self.todo = [iter(range(items)) for _ in phases]  # ``next`` is atomic
        self.done, self.begun = counter(), counter()
        self.error: BaseException | None = None

    def lead(self, alone: bool = False) -> None:
        """Do the phases, and what follows each."""
        for number, phase in enumerate(self.phases):
            if alone:
                for item in range(self.items):
                    phase.work(0, item)
            else:
                self.begun.add(1)
                self._take(number, 0)
                self.done.wait((number + 1) * self.items)
                if self.error is not None:
                    raise self.error
            if phase.after is not None:
                phase.after()

    def help(self, thread: int, context: Callable[[], contextlib.AbstractContextManager[None]]) -> None:
        """Take items of each phase as soon as it has begun."""
        with context():
            for number in range(len(self.phases)):
                self.begun.wait(number + 1)
                self._take(number, thread)

    def _take(self, number: int, thread: int) -> None:
        for item in self.todo[number]:
            try:
                if self.error is None:
                    self.phases[number].work(thread, item)
            except BaseException as error:
                self.error = error  # raised by the leading thread
            self.done.add(1)

    def dismiss(self) -> None:
        """Let nobody wait any more."""
        for todo in self.todo:
            for _ in todo:
                pass
        self.begun.add(len(self.phases))


class _Counter:
    """A number that threads add to and wait for."""

    def __init__(self) -> None:
        self._value, self._changed = 0, threading.Condition()

    def add(self, more: int) -> None:
        with self._changed:
            self._value += more
            self._changed.notify_all()

    def wait(self, least: int) -> None:
        """Return once the number is at least ``least``."""
        with self._changed:
            self._changed.wait_for(lambda: self._value >= least)


class _SpinningCounter:
    """The same, in memory that waiting threads read without Python's lock."""

    def __init__(self) -> None:
        compiled = loaded()
        self._value = np.zeros(1, np.int64)
        self._address = self._value.ctypes.data
        self._add, self._wait = compiled.fetch_add, compiled.wait_for

    def add(self, more: int) -> None:
        self._add(self._address, more)

    def wait(self, least: int) -> None:
        """Return once the number is at least ``least``."""
        while not self._wait(self._address, least, SPINS):
            time.sleep(SLEEP)


def counter() -> _Counter | _SpinningCounter:
    """Return a counter at zero."""
    return _Counter() if library() is None else _SpinningCounter()


@functools.lru_cache(maxsize=1)
def _pool(process: int) -> ThreadPoolExecutor:
    """Return the threads that help; a forked process has lost its parent's and gets its own."""
    return ThreadPoolExecutor(MOST_THREADS, thread_name_prefix="paddle_mnist")

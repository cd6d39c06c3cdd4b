"""Work spread over threads, which all wait for each other before the next piece of work begins.

The calling thread takes part, and does everything where no other thread finds the time. Waiting threads spin for a
moment before they sleep: the pauses are shorter than it takes a system to wake a thread up. Each thread begins with
the same items every time, whose data are then in its own core's cache, and takes those of others when it has done its
own.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from paddle_mnist.fast.compiled.library import Steps, check, library, loaded

# Threads are started when they are needed; this is more than any machine has cores.
MOST_THREADS = 1024
# Turns of waiting before a thread sleeps, some hundred microseconds, and how long it sleeps.
SPINS, SLEEP = 20_000, 50e-6

# Is called with (number of the thread, item).
Work = Callable[[int, int], None]


@contextlib.contextmanager
def crew(threads: int, context: Callable[[], contextlib.AbstractContextManager[None]]) -> Iterator[Crew]:
    """Hold threads ready for ``Crew.do`` until the block ends.

    Args:
        threads: how many may work, the calling one among them.
        context: what each thread enters while it works.
    """
    team = Crew(threads)
    helpers = [_pool(os.getpid()).submit(team.help, number, context) for number in range(1, threads)]
    try:
        with context():
            yield team
    finally:
        team.dismiss()
        for helper in helpers:
            helper.cancel()  # one that has not begun yet has nothing left to do
        for helper in helpers:
            if not helper.cancelled():
                helper.result()


class Crew:
    """The threads that work together; see ``crew``."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._jobs: list[_Job | _CompiledJob] = []
        self._begun = counter()

    def do(self, work: Work, items: int) -> None:
        """Do the work for every item, and return when all of it is done."""
        if self.threads == 1 or items < 2:
            for item in range(items):
                work(0, item)
            return
        self._share(_Job(work, items, self.threads))

    def do_steps(self, lists: Sequence[Steps]) -> None:
        """Do lists of compiled steps, as ``do`` would, without Python between two of them."""
        if self.threads == 1 or len(lists) < 2:
            for steps in lists:
                steps()
            return
        self._share(_CompiledJob(lists, self.threads))

    def _share(self, job: _Job | _CompiledJob) -> None:
        self._jobs.append(job)
        self._begun.add(1)
        job.take(0)
        job.wait()

    def help(self, thread: int, context: Callable[[], contextlib.AbstractContextManager[None]]) -> None:
        """Take part in everything until the crew is dismissed."""
        with context():
            number = 0
            while True:
                self._begun.wait(number + 1)
                if number == len(self._jobs):
                    return
                self._jobs[number].help(thread, self._begun, number + 2)
                number += 1

    def dismiss(self) -> None:
        """Let nobody wait any more."""
        self._begun.add(1)


class _Job:
    """One piece of work, and which of its items nobody has taken yet."""

    def __init__(self, work: Work, items: int, threads: int) -> None:
        self.work, self.items, self.threads = work, items, threads
        self._untaken = [iter((True,)) for _ in range(items)]  # ``next`` is atomic
        self._done = counter()
        self._error: BaseException | None = None

    def take(self, thread: int) -> None:
        """Do what is left, beginning with the thread's own share."""
        first = thread * self.items // self.threads
        for item in (*range(first, self.items), *range(first)):
            if next(self._untaken[item], False):
                try:
                    if self._error is None:
                        self.work(thread, item)
                except BaseException as error:
                    self._error = error  # raised by the leading thread
                self._done.add(1)

    def help(self, thread: int, begun: _Counter | _SpinningCounter, least: int) -> None:
        """Do what is left."""
        self.take(thread)

    def wait(self) -> None:
        """Return once all items are done, or raise what went wrong."""
        self._done.wait(self.items)
        if self._error is not None:
            raise self._error


class _CompiledJob:
    """The same for lists of compiled steps."""

    def __init__(self, lists: Sequence[Steps], threads: int) -> None:
        self.count, self.threads = len(lists), threads
        self._kept = lists
        self._lists = np.array([(ctypes.addressof(steps.pairs), steps.count) for steps in lists], np.int64)
        self._taken = np.zeros(self.count, np.int64)
        self._done, self._status = _SpinningCounter(), 0

    def take(self, thread: int) -> None:
        """Do what is left, beginning with the thread's own share."""
        status = loaded().share(*self._arguments(thread))
        self._status = self._status or status

    def help(self, thread: int, begun: _Counter | _SpinningCounter, least: int) -> None:
        """Do what is left, and wait a moment for the next job, without the lock that the leading thread needs."""
        assert isinstance(begun, _SpinningCounter)
        status = loaded().share_then_wait(*self._arguments(thread), begun.address, least, SPINS)
        self._status = self._status or status

    def _arguments(self, thread: int) -> tuple[int, ...]:
        first = thread * self.count // self.threads
        return self._lists.ctypes.data, self._taken.ctypes.data, self.count, first, self._done.address

    def wait(self) -> None:
        """Return once all lists are done, or raise what went wrong."""
        self._done.wait(self.count)
        check(self._status)


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
        self.address = self._value.ctypes.data
        self._add, self._wait = compiled.fetch_add, compiled.wait_for

    def add(self, more: int) -> None:
        self._add(self.address, more)

    def wait(self, least: int) -> None:
        """Return once the number is at least ``least``."""
        while not self._wait(self.address, least, SPINS):
            time.sleep(SLEEP)


def counter() -> _Counter | _SpinningCounter:
    """Return a counter at zero."""
    return _Counter() if library() is None else _SpinningCounter()


@functools.lru_cache(maxsize=1)
def _pool(process: int) -> ThreadPoolExecutor:
    """Return the threads that help; a forked process has lost its parent's and gets its own."""
    return ThreadPoolExecutor(MOST_THREADS, thread_name_prefix="paddle_mnist")

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
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from paddle_mnist.fast.compiled.library import Steps, check, library, loaded

# Threads are started when they are needed; this is more than any machine has cores.
MOST_THREADS = 1024
# Turns of waiting before a thread sleeps, some hundred microseconds, and how long it sleeps, in seconds.
SPINS, SLEEP = 20_000, 50e-6
# How long a thread waits at a time that cannot spin, in seconds.
WAIT = 1e-3

# Is called with (number of the thread, item).
Work = Callable[[int, int], None]


class Crew:
    """Threads that work together: the calling one, and helpers.

    Helpers stay ready for a moment after ``rest``, since the next batch is likely to follow.

    Args:
        threads: how many work, the calling one among them.
        context: what each helper enters while it is ready.
    """

    def __init__(self, threads: int, context: Callable[[], contextlib.AbstractContextManager[None]]) -> None:
        self.threads, self._context = threads, context
        self._jobs: dict[int, _Job | _CompiledJob] = {}
        self._count = 0  # of the jobs begun
        self._begun = counter()
        self._resting, self._process = True, 0
        self._lock = threading.Lock()
        self._away: set[int] = set()  # helpers that have left

    def ready(self) -> None:
        """Have all helpers ready for ``do``, until ``rest``."""
        if self._process != os.getpid():  # a forked process has none of its parent's threads
            self._process, self._lock, self._away = os.getpid(), threading.Lock(), set(range(1, self.threads))
        with self._lock:
            self._resting = False
            away, self._away = self._away, set()
        for thread in away:
            _pool(self._process).submit(self._help, thread)

    def rest(self) -> None:
        """Let helpers leave if nothing follows soon."""
        self._resting = True

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
        number = self._count
        self._jobs[number] = job
        self._count += 1
        self._begun.add(1)
        try:
            job.take(0)
            job.wait()
        finally:
            del self._jobs[number]

    def _help(self, thread: int) -> None:
        """Take part in every job until there is nothing to do for a moment."""
        with self._context():
            number = max(self._count - 1, 0)
            while True:
                if self._begun.wait(number + 1):
                    job = self._jobs.get(number)
                    if job is not None and thread < job.items:  # else it is done, or has less work than threads
                        job.help(thread, self._begun, number + 2)
                    number += 1
                elif self._leaves(thread, number):
                    return

    def _leaves(self, thread: int, number: int) -> bool:
        """Let a helper leave if no job has begun since the given number of them; else let it sleep."""
        with self._lock:
            if self._resting and self._count == number:
                self._away.add(thread)
                return True
        time.sleep(SLEEP)
        return False


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
        wait(self._done, self.items)
        if self._error is not None:
            raise self._error


class _CompiledJob:
    """The same for lists of compiled steps."""

    def __init__(self, lists: Sequence[Steps], threads: int) -> None:
        self.items, self.threads = len(lists), threads
        self._kept = lists
        self._lists = np.array([(ctypes.addressof(steps.pairs), steps.count) for steps in lists], np.int64)
        self._taken = np.zeros(self.items, np.int64)
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
        first = thread * self.items // self.threads
        return self._lists.ctypes.data, self._taken.ctypes.data, self.items, first, self._done.address

    def wait(self) -> None:
        """Return once all lists are done, or raise what went wrong."""
        wait(self._done, self.items)
        check(self._status)


class _Counter:
    """A number that threads add to and wait for."""

    def __init__(self) -> None:
        self._value, self._changed = 0, threading.Condition()

    def add(self, more: int) -> None:
        with self._changed:
            self._value += more
            self._changed.notify_all()

    def wait(self, least: int) -> bool:
        """Wait a moment until the number is at least ``least``; return whether it is."""
        with self._changed:
            return self._changed.wait_for(lambda: self._value >= least, WAIT)


class _SpinningCounter:
    """The same, in memory that waiting threads read without Python's lock."""

    def __init__(self) -> None:
        compiled = loaded()
        self._value = np.zeros(1, np.int64)
        self.address = self._value.ctypes.data
        self._add, self._wait = compiled.fetch_add, compiled.wait_for

    def add(self, more: int) -> None:
        self._add(self.address, more)

    def wait(self, least: int) -> bool:
        """Wait a moment until the number is at least ``least``; return whether it is."""
        return bool(self._wait(self.address, least, SPINS))


def wait(counter: _Counter | _SpinningCounter, least: int) -> None:
    """Return once a number is at least ``least``."""
    while not counter.wait(least):
        time.sleep(SLEEP)


def counter() -> _Counter | _SpinningCounter:
    """Return a counter at zero."""
    return _Counter() if library() is None else _SpinningCounter()


@functools.lru_cache(maxsize=1)
def _pool(process: int) -> ThreadPoolExecutor:
    """Return the threads that help; a forked process has lost its parent's and gets its own."""
    return ThreadPoolExecutor(MOST_THREADS, thread_name_prefix="paddle_mnist")

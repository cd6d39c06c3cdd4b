"""Work spread over threads, which all wait for each other before the next piece of work begins.

The calling thread takes part, and does everything where no other thread finds the time. Waiting threads spin for a
moment before they sleep: the pauses are shorter than it takes a system to wake a thread up. Each thread begins with
the same items every time, whose data are then in its own core's cache, and takes those of others when it has done its
own. Lists of compiled steps are shared without Python (``compiled/board.py``): a helper that needed Python's lock to
begin would have to be woken up for it.
"""

from __future__ import annotations

import contextlib
import functools
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from paddle_mnist.fast.compiled.board import SLEEP, Board, Counter
from paddle_mnist.fast.compiled.library import Lists, library

# Threads are started when they are needed; this is more than any machine has cores.
MOST_THREADS = 1024
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
        self._job: _Job | None = None
        self._begin()

    def _begin(self) -> None:
        """Have no helpers."""
        self._process = os.getpid()
        self._board: Board | _PlainBoard = _PlainBoard() if library() is None else Board()
        self._resting, self._lock = True, threading.Lock()
        self._away = set(range(1, self.threads))  # helpers that have left

    def _begin_in_fork(self) -> None:
        """Forget helpers that a forked process does not have, and what they were about to do."""
        if self._process != os.getpid():
            self._begin()

    def ready(self) -> None:
        """Have all helpers ready for ``do``, until ``rest``."""
        self._begin_in_fork()
        with self._lock:
            self._resting = False
            away, self._away = self._away, set()
        for thread in away:
            _pool(self._process).submit(self._help, self._board, thread)

    def rest(self) -> None:
        """Let helpers leave if nothing follows soon."""
        self._resting = True

    def do(self, work: Work, items: int) -> None:
        """Do the work for every item, and return when all of it is done."""
        if self.threads == 1 or items < 2:
            for item in range(items):
                work(0, item)
            return
        self._begin_in_fork()
        self._job = job = _Job(work, items, self.threads)
        self._board.call()
        try:
            job.take(0)
            job.wait()
        finally:
            self._job = None
            self._board.close()

    def do_steps(self, lists: Lists) -> None:
        """Do lists of compiled steps, as ``do`` would, without Python between two of them."""
        if self.threads == 1 or len(lists.lists) < 2:
            lists()
            return
        self._begin_in_fork()
        assert isinstance(self._board, Board)
        self._board.lead(lists)

    def _help(self, board: Board | _PlainBoard, thread: int) -> None:
        """Take part in every job until there is nothing to do for a moment."""
        with self._context():
            seen = max(board.number - 1, 0)
            while True:
                seen, called = board.follow(thread, self.threads, seen)
                job = self._job
                if called and job is not None and thread < job.items:  # else it is done, or has less work than threads
                    job.take(thread)
                elif not called and self._leaves(board, thread, seen):
                    return

    def _leaves(self, board: Board | _PlainBoard, thread: int, seen: int) -> bool:
        """Let a helper leave if no job has begun since number ``seen``; else let it sleep."""
        with self._lock:
            if self._resting and board.number == seen:
                self._away.add(thread)
                return True
        time.sleep(SLEEP)
        return False


class _Job:
    """One piece of work in Python, and which of its items nobody has taken yet."""

    def __init__(self, work: Work, items: int, threads: int) -> None:
        self.work, self.items, self.threads = work, items, threads
        self._untaken = [iter((True,)) for _ in range(items)]  # ``next`` is atomic
        self._done = _PlainCounter() if library() is None else Counter()
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

    def wait(self) -> None:
        """Return once all items are done, or raise what went wrong."""
        while not self._done.wait(self.items):
            time.sleep(SLEEP)
        if self._error is not None:
            raise self._error


class _PlainCounter:
    """A ``Counter`` without compiled functions."""

    def __init__(self) -> None:
        self.value, self._changed = 0, threading.Condition()

    def add(self, more: int) -> None:
        with self._changed:
            self.value += more
            self._changed.notify_all()

    def wait(self, least: int) -> bool:
        """Wait a moment until the number is at least ``least``; return whether it is."""
        with self._changed:
            return self._changed.wait_for(lambda: self.value >= least, WAIT)


class _PlainBoard:
    """A ``Board`` without compiled functions: for calls only."""

    def __init__(self) -> None:
        self._called = _PlainCounter()

    @property
    def number(self) -> int:
        """How many calls there have been."""
        return self._called.value

    def call(self) -> None:
        """Let ``follow`` return to the helpers."""
        self._called.add(1)

    def close(self) -> None:
        """Do nothing: helpers look for what to do elsewhere."""

    def follow(self, thread: int, threads: int, seen: int) -> tuple[int, bool]:
        """Wait a moment for a call after number ``seen``; return the number of the last one, and whether it came."""
        called = self._called.wait(seen + 1)
        return (self.number, True) if called else (seen, False)


@functools.lru_cache(maxsize=1)
def _pool(process: int) -> ThreadPoolExecutor:
    """Return the threads that help; a forked process has lost its parent's and gets its own."""
    return ThreadPoolExecutor(MOST_THREADS, thread_name_prefix="paddle_mnist")

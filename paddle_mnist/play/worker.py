"""The one thread that runs the nets, so that no two requests disturb each other inside Paddle.

Quick work goes first. Slow work comes in slices, between which quick work has its turn: an answer to a drawing never
waits for a whole confusion matrix.
"""

from __future__ import annotations

import itertools
import queue
import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future
from typing import Any, TypeVar

from paddle_mnist.play.replies import RefusedError

T = TypeVar("T")

MAX_WAITING = 200  # pieces of work; more are refused

QUICK, SLOW, LAST = 0, 1, 2


class Worker:
    """Runs functions one after the other, in a thread of its own."""

    def __init__(self) -> None:
        self._queue: queue.PriorityQueue[tuple[int, int, Callable[[], None] | None]] = queue.PriorityQueue()
        self._number = itertools.count()
        self._thread = threading.Thread(target=self._work, name="nets", daemon=True)
        self._thread.start()

    def quick(self, function: Callable[[], T]) -> Future[T]:
        """Run a function of some milliseconds as soon as possible.

        Raises:
            RefusedError: too much is waiting.
        """
        future: Future[T] = Future()

        def run() -> None:
            if future.set_running_or_notify_cancel():
                _settle(future, function)

        self._put(QUICK, run)
        return future

    def slow(self, slices: Generator[None, None, T]) -> Future[T]:
        """Run a generator, slice by slice, whenever nothing quick is waiting; its return value is the result.

        Raises:
            RefusedError: too much is waiting.
        """
        future: Future[T] = Future()

        def run() -> None:
            if future.cancelled():
                slices.close()
                return
            try:
                next(slices)
            except StopIteration as stop:
                _finish(future, stop.value)
            except BaseException as error:
                _fail(future, error)
            else:
                self._queue.put((SLOW, next(self._number), run))

        self._put(SLOW, run)
        return future

    def close(self) -> None:
        """Finish what is waiting to be quick, and end the thread."""
        self._queue.put((QUICK, next(self._number), None))
        self._thread.join(timeout=10)

    def _put(self, urgency: int, run: Callable[[], None]) -> None:
        if self._queue.qsize() >= MAX_WAITING:
            raise RefusedError(503, "The server is busy: try again in a second.")
        self._queue.put((urgency, next(self._number), run))

    def _work(self) -> None:
        while True:
            _, _, run = self._queue.get()
            if run is None:
                return
            run()


def _settle(future: Future[Any], function: Callable[[], Any]) -> None:
    try:
        result = function()
    except BaseException as error:
        _fail(future, error)
    else:
        _finish(future, result)


def _finish(future: Future[Any], result: Any) -> None:
    if not future.cancelled():
        future.set_result(result)


def _fail(future: Future[Any], error: BaseException) -> None:
    if not future.cancelled():
        future.set_exception(error)

"""All workers that the launcher has started, behind one object; or this process alone."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NoReturn, TypeVar

import numpy as np

from paddle_mnist.distributed.channel import Channel
from paddle_mnist.distributed.launch import Launch, from_environment
from paddle_mnist.distributed.mesh import Mesh
from paddle_mnist.distributed.team import Alone
from paddle_mnist.errors import UserError, printable

NOTICE_SECONDS = 2.0  # for the end of a worker to be told by rank 0
FAILED = 1  # the exit status of a worker that stops because another one has
T = TypeVar("T")


class Workers(Alone):
    """The workers of one training, a ``team.Team``; as it is here, of a single worker.

    Every worker calls the same methods in the same order.

    Attributes:
        stop: the number of the signal after which all workers stop, 0 for none; the same for all after every exchange.
        resume_with: the command that continues the run, for the sentence of a worker that stops.
    """

    stop, resume_with = 0, ""

    @property
    def is_first(self) -> bool:
        """Whether this worker writes the run folder and prints."""
        return self.rank == 0

    def exchange(self, value: Any) -> list[Any]:
        """Return every worker's value, which JSON can hold, in the order of ranks."""
        return [value]

    def from_first(self, make: Callable[[], T]) -> T:
        """Return what ``make`` returns in rank 0, a value that JSON can hold; the others do not call it."""
        return self.exchange(make() if self.is_first else None)[0]

    def bytes_from_first(self, data: bytes) -> bytes:
        """Return rank 0's bytes."""
        return data

    def one_by_machine(self, action: Callable[[], T]) -> T:
        """Return what ``action`` returns; on each machine one worker does it before the others, which use its cache."""
        return action()

    def request_stop(self, number: int) -> None:
        """Let all workers stop after the same step; ``number`` is that of a signal."""
        self.stop = number

    def agree_on(self, facts: Mapping[str, Any]) -> None:
        """Raise ``UserError`` if a worker's facts differ from rank 0's, which names the first that does."""

    def connect(self) -> None:
        """Prepare the exchange of arrays; from now on a silent worker is noticed within seconds."""

    def end_step(self) -> None:
        """Exchange whether to stop, after a step in which no arrays were exchanged."""


class Launched(Workers):
    """Workers that the launcher has started."""

    def __init__(self, launch: Launch) -> None:
        self.launch, self.rank, self.size, self.stop = launch, launch.rank, launch.size, 0
        self.channel = Channel(launch, self._end)
        self._mesh: Mesh | None = None
        self._asked, self._exchanged = 0, False

    def gather(self, array: np.ndarray) -> np.ndarray:
        """See ``team.Team``."""
        # The first number of every message is the signal that this worker was sent.
        message = np.empty(array.size + 1, np.float32)
        message[0], message[1:] = self._asked, array
        with self._naming_the_lost():
            found = self.mesh.gather(message)
        self._exchanged, self.stop = True, max(self.stop, int(found[:, 0].max()))
        return found[:, 1:]

    @property
    def mesh(self) -> Mesh:
        """The connections that carry arrays, made when they are first needed."""
        if self._mesh is None:
            self._mesh = Mesh(self.launch, self.exchange)
        return self._mesh

    def exchange(self, value: Any) -> list[Any]:
        """See ``Workers``."""
        return self.channel.exchange(value)

    def bytes_from_first(self, data: bytes) -> bytes:
        """See ``Workers``."""
        size = self.exchange(len(data))[0]
        with self._naming_the_lost():
            return self.mesh.broadcast(data, size)

    @contextlib.contextmanager
    def _naming_the_lost(self) -> Iterator[None]:
        """Stop when a connection breaks; if a worker is gone, the channel knows it within moments and says so."""
        try:
            yield
        except ConnectionError as error:
            self.channel.wait_for_failure(NOTICE_SECONDS)
            raise UserError(f"{error}{self._hint}") from None

    @property
    def _hint(self) -> str:
        return f"; continue with any number of workers: {self.resume_with}" if self.resume_with else ""

    def one_by_machine(self, action: Callable[[], T]) -> T:
        """See ``Workers``."""
        if self.launch.local_rank == 0:
            result = action()
            self.exchange(None)
            return result
        self.exchange(None)
        return action()

    def request_stop(self, number: int) -> None:
        """See ``Workers``."""
        self._asked = number

    def agree_on(self, facts: Mapping[str, Any]) -> None:
        """See ``Workers``."""
        first, *others = self.exchange(dict(facts))
        for rank, other in enumerate(others, start=1):
            for name, value in first.items():
                if other.get(name) != value:
                    raise UserError(
                        f"{name} must be the same for all workers, got {value} in rank 0 and {other.get(name)} in rank "
                        f"{rank}"
                    )

    def connect(self) -> None:
        """See ``Workers``."""
        self.mesh  # noqa: B018 - made here, as long as nobody is expected to be quick
        self.channel.watch_closely()

    def end_step(self) -> None:
        """See ``Workers``."""
        if not self._exchanged:
            self.gather(np.empty(0, np.float32))
        self._exchanged = False

    def leave(self) -> None:
        """End the connections once all workers have come here."""
        self.channel.exchange(None, last=True)
        self._close()

    def fail(self, reason: str) -> None:
        """Tell the others that this worker stops, and why."""
        self.channel.fail(f"rank {self.rank} of {self.size} has stopped: {reason}")
        self._close()

    def _close(self) -> None:
        self.channel.close()
        if self._mesh is not None:
            self._mesh.close()

    def _end(self, sentence: str) -> NoReturn:
        """End this process at once, since another worker has stopped. Checkpoints on disk are complete."""
        # The main thread may wait for that worker's array, which nothing else can interrupt.
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(printable(f"paddle_mnist: error: {sentence}{self._hint}") + "\n")
            sys.stderr.flush()
        os._exit(FAILED)


_joined: list[Workers] = []


@contextlib.contextmanager
def joined() -> Iterator[Workers]:
    """Join the other workers for as long as the block runs; blocks may be nested. Alone if there are no others.

    Raises:
        UserError: the launcher's variables are damaged, or not all workers connect in time.
    """
    if _joined:
        yield _joined[-1]
        return
    launch = from_environment()
    if launch is None:
        yield Workers()
        return
    workers = Launched(launch)
    _joined.append(workers)
    try:
        yield workers
        workers.leave()
    except BaseException as error:
        if getattr(error, "by_all_workers", False):
            workers.leave()
        else:
            workers.fail(str(error) or type(error).__name__)
        raise
    finally:
        _joined.remove(workers)

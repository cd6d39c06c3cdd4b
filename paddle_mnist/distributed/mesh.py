"""A connection between every two workers, over which they exchange arrays.

Each worker sends its array to all others directly, so an exchange takes as long as one message travels. A worker that
waits tries again for a moment before it sleeps: on one machine the others are late by less than it takes to wake a
process up, and a process that sleeps may wake up on the core of the one that it waits for.
"""

from __future__ import annotations

import secrets
import select
import socket
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from paddle_mnist.distributed import meet
from paddle_mnist.distributed.launch import Launch, cores

TRY_SECONDS = 1e-3  # before a waiting worker sleeps
BUFFERS_KEPT = 16
KEY_BYTES, RANK_BYTES = 16, 4


class Mesh:
    """This worker's connections to all others. All workers call the same methods in the same order.

    Args:
        launch: this worker's place.
        exchange: returns every worker's value, in the order of ranks.

    Attributes:
        seconds: how long exchanges have taken so far.

    Raises:
        UserError: a worker cannot be reached.
    """

    def __init__(self, launch: Launch, exchange: Callable[[Any], list[Any]]) -> None:
        self._rank, self._size = launch.rank, launch.size
        self._try_seconds = TRY_SECONDS if launch.local_size <= cores() else 0.0
        self._buffers: dict[int, np.ndarray] = {}
        self.seconds = 0.0
        self._sockets: dict[int, socket.socket] = {}
        key = secrets.token_bytes(KEY_BYTES)  # whoever connects has to know it

        def welcome(sock: socket.socket) -> tuple[int, socket.socket]:
            greeting = sock.recv(KEY_BYTES + RANK_BYTES, socket.MSG_WAITALL)
            if not secrets.compare_digest(greeting[:KEY_BYTES], key):
                raise ValueError
            return int.from_bytes(greeting[KEY_BYTES:], "big"), sock

        with meet.listen(launch, (launch.host, 0)) as listening:
            address = launch.host, listening.getsockname()[1]
            places = exchange([*address, key.hex()])
            for rank, (host, port, others_key) in enumerate(places[: launch.rank]):
                self._sockets[rank] = meet.connect(launch, rank, (host, port))
                self._sockets[rank].sendall(bytes.fromhex(others_key) + launch.rank.to_bytes(RANK_BYTES, "big"))
            meet.accept(launch, listening, address, launch.rank + 1, welcome, self._sockets)
        for sock in self._sockets.values():
            sock.setblocking(False)

    def gather(self, array: np.ndarray) -> np.ndarray:
        """Return every worker's array: float32 [n] of each, [size, n] in all, valid until the next call.

        Raises:
            ConnectionError: a connection is broken, which ``broadcast`` raises too.
        """
        found = self._buffer(array.size)
        found[self._rank] = array
        rows = [row.data for row in found.view(np.uint8)]
        self._transfer({rank: rows[self._rank] for rank in self._sockets}, {rank: rows[rank] for rank in self._sockets})
        return found

    def broadcast(self, data: bytes, size: int) -> bytes:
        """Return rank 0's ``data``, of which every worker knows the size in bytes."""
        if self._rank == 0:
            self._transfer({rank: memoryview(data) for rank in self._sockets}, {})
            return data
        received = bytearray(size)
        self._transfer({}, {0: memoryview(received)})
        return bytes(received)

    def close(self) -> None:
        """Close all connections."""
        for sock in self._sockets.values():
            sock.close()

    def _buffer(self, n: int) -> np.ndarray:
        if n not in self._buffers:
            if len(self._buffers) >= BUFFERS_KEPT:
                self._buffers.clear()
            self._buffers[n] = np.empty((self._size, n), np.float32)
        return self._buffers[n]

    def _transfer(self, outgoing: dict[int, memoryview], incoming: dict[int, memoryview]) -> None:
        """Send and receive these bytes, by rank; both at once, since no connection holds a whole message."""
        began = moved = time.perf_counter()
        while outgoing or incoming:
            sent = self._move(outgoing, socket.socket.send)
            if self._move(incoming, socket.socket.recv_into) or sent:
                moved = time.perf_counter()
            elif time.perf_counter() - moved > self._try_seconds:
                self._sleep(outgoing, incoming)
        self.seconds += time.perf_counter() - began

    def _move(self, parts: dict[int, memoryview], call: Callable[[socket.socket, memoryview], int]) -> bool:
        """Send or receive as much as is possible at once, and keep in ``parts`` what is left; return if it was any."""
        any_moved = False
        for rank, part in list(parts.items()):
            try:
                count = call(self._sockets[rank], part)
            except BlockingIOError:
                continue
            except OSError as error:
                raise self._broken(rank, error.strerror or str(error)) from None
            if count == 0 and len(part):
                raise self._broken(rank, "closed")
            any_moved = True
            if count == len(part):
                del parts[rank]
            else:
                parts[rank] = part[count:]
        return any_moved

    def _broken(self, rank: int, reason: str) -> ConnectionError:
        return ConnectionError(f"the connection between rank {self._rank} and rank {rank} is broken ({reason})")

    def _sleep(self, outgoing: dict[int, memoryview], incoming: dict[int, memoryview]) -> None:
        """Sleep until something can be sent or received."""
        waiting = select.poll()
        for rank, sock in self._sockets.items():
            events = (select.POLLOUT if rank in outgoing else 0) | (select.POLLIN if rank in incoming else 0)
            if events:
                waiting.register(sock, events)
        waiting.poll()

"""Connections between rank 0 and every other worker: small values are exchanged, and a lost worker is noticed.

Arrays go another way (``mesh``), where nobody notices a worker that has stopped without a word. Here every worker gives
a sign of life twice a second. Rank 0 hears all of them and tells everybody when one has been silent for too long or its
connection has closed; if rank 0 is the silent one, everybody notices.

Each connection carries lines of JSON:

    {"hello": {rank, host, process}}    the first line of a worker
    {"alive": 0}                        a sign of life
    {"value": any}                      a worker's part in an exchange
    {"values": [any, ...], "last"}      rank 0's answer: the parts of all; after the last, connections close
    {"failed": sentence}                a worker stops, and so must all
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import queue
import selectors
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from paddle_mnist.distributed import meet
from paddle_mnist.distributed.launch import Launch, silence_seconds
from paddle_mnist.errors import UserError

SIGN_SECONDS, WAIT_SECONDS = 0.5, 0.1
STARTUP_SECONDS = 60.0  # of one that imports Paddle, which may read from a slow disk
MAX_LINE = 1 << 24

OnFailure = Callable[[str], None]


class Lost(ConnectionError):
    """Another worker has stopped."""


class Connection:
    """A socket that carries lines of JSON; several threads may send."""

    def __init__(self, sock: socket.socket, name: str) -> None:
        self.socket, self.name, self.rank = sock, name, -1
        self.heard = time.monotonic()
        self.early: list[dict[str, Any]] = []  # messages that came with the first one
        self._lock = threading.Lock()
        self._received = b""

    def send(self, message: dict[str, Any]) -> None:
        """Send a message; a connection that is broken is left for ``receive`` to report."""
        with self._lock, contextlib.suppress(OSError):
            self.socket.sendall(json.dumps(message).encode() + b"\n")

    def receive(self) -> list[dict[str, Any]]:
        """Return the messages that have arrived, at least part of one.

        Raises:
            Lost: the connection is closed or broken, or brings something else.
        """
        try:
            data = self.socket.recv(1 << 16)
        except OSError as error:
            raise Lost(f"{self.name} has stopped ({error.strerror or error})") from None
        if not data:
            raise Lost(f"{self.name} has stopped")
        self.heard = time.monotonic()
        *lines, self._received = (self._received + data).split(b"\n")
        try:
            messages = [json.loads(line) for line in lines]
            if len(self._received) > MAX_LINE or not all(isinstance(message, dict) for message in messages):
                raise ValueError
        except ValueError:
            raise Lost(f"{self.name} sends something else than a worker does") from None
        return messages


class Channel:
    """This worker's connections: of rank 0 to all others, of the others to rank 0.

    Args:
        launch: this worker's place.
        on_failure: called once, from a thread, with a sentence, when another worker has stopped.

    Raises:
        UserError: not all workers have connected in time.
    """

    def __init__(self, launch: Launch, on_failure: OnFailure) -> None:
        self.launch, self._on_failure = launch, on_failure
        self._silence = STARTUP_SECONDS
        self._ending = False  # after the last exchange a closed connection is no failure
        self._failed = threading.Event()
        self._stopped = threading.Event()
        self._incoming: queue.Queue[tuple[int, Any]] = queue.Queue()
        self._connections = _accept_all(launch) if launch.rank == 0 else [_connect(launch)]
        for connection in self._connections:
            connection.socket.settimeout(silence_seconds())
        self._thread = threading.Thread(target=self._listen, name="workers", daemon=True)
        self._thread.start()

    def exchange(self, value: Any, last: bool = False) -> list[Any]:
        """Return every worker's value, in the order of ranks, once all have called this.

        Args:
            value: anything that JSON can hold.
            last: nothing is exchanged after this.
        """
        if self.launch.rank == 0:
            values = [value, *([None] * (self.launch.size - 1))]
            for _ in range(self.launch.size - 1):
                rank, values[rank] = self._incoming.get()
            self._ending = last
            for connection in self._connections:
                connection.send({"values": values, "last": last})
            return values
        self._connections[0].send({"value": value})
        _, values = self._incoming.get()
        return values

    def watch_closely(self) -> None:
        """From now on a silent worker is reported soon."""
        self._silence = silence_seconds()

    def fail(self, sentence: str) -> None:
        """Tell the other workers that this one stops."""
        self._ending = True
        for connection in self._connections:
            connection.send({"failed": sentence})

    def wait_for_failure(self, seconds: float) -> None:
        """Wait until a lost worker has been noticed here, at most so long."""
        self._failed.wait(seconds)

    def close(self) -> None:
        """End all connections, after the last exchange or a failure."""
        self._ending = True
        self._stopped.set()
        self._thread.join(2 * SIGN_SECONDS)
        for connection in self._connections:
            with contextlib.suppress(OSError):
                connection.socket.shutdown(socket.SHUT_WR)
        until = time.monotonic() + 2 * SIGN_SECONDS
        for connection in self._connections:
            # Closed with something unread, a socket would take back what was sent last.
            with contextlib.suppress(OSError):
                connection.socket.settimeout(max(0.01, until - time.monotonic()))
                while time.monotonic() < until and connection.socket.recv(1 << 16):
                    pass
            connection.socket.close()

    def _listen(self) -> None:
        """Receive messages, give signs of life, and watch for those of others; runs in a thread."""
        with selectors.DefaultSelector() as selector:
            for connection in self._connections:
                selector.register(connection.socket, selectors.EVENT_READ, connection)
                connection.heard = time.monotonic()
                self._handle(connection.early, connection)
            next_sign, before = 0.0, time.monotonic()
            while not self._stopped.is_set():
                events = selector.select(WAIT_SECONDS)
                now = time.monotonic()
                # While this process did not run, on a busy or suspended machine, it did not listen.
                missed, before = max(0.0, now - before - WAIT_SECONDS), now
                for connection in self._connections:
                    connection.heard += missed
                for key, _ in events:
                    self._receive(key.data, selector)
                if now >= next_sign:
                    next_sign = now + SIGN_SECONDS
                    for connection in self._connections:
                        connection.send({"alive": 0})
                self._check_silence(now)

    def _receive(self, connection: Connection, selector: selectors.BaseSelector) -> None:
        try:
            self._handle(connection.receive(), connection)
        except Lost as lost:
            selector.unregister(connection.socket)
            self._lose(str(lost), connection)

    def _handle(self, messages: list[dict[str, Any]], connection: Connection) -> None:
        for message in messages:
            if "value" in message:
                self._incoming.put((connection.rank, message["value"]))
            elif "values" in message:
                self._ending = bool(message.get("last"))  # before the connection closes
                self._incoming.put((0, message["values"]))
            elif "failed" in message:
                self._lose(str(message["failed"]), connection)

    def _check_silence(self, now: float) -> None:
        for connection in self._connections:
            if now - connection.heard > self._silence:
                self._lose(f"{connection.name} has not answered for {self._silence:.0f} seconds", connection)

    def _lose(self, sentence: str, source: Connection) -> None:
        if self._ending or self._failed.is_set():
            return
        for connection in self._connections:
            if connection is not source:
                connection.send({"failed": sentence})
        self._failed.set()
        self._on_failure(sentence)


def _accept_all(launch: Launch) -> list[Connection]:
    """Return connections from all other workers, in the order of ranks."""
    found: dict[int, Connection] = {}
    with meet.listen(launch, launch.hub) as listening:
        try:
            meet.accept(launch, listening, launch.hub, 1, functools.partial(_welcome, launch), found)
        except UserError as error:
            for connection in found.values():
                connection.send({"failed": str(error)})
            raise
    return [found[rank] for rank in sorted(found)]


def _welcome(launch: Launch, sock: socket.socket) -> tuple[int, Connection]:
    """Return a worker's rank and its connection."""
    connection = Connection(sock, "a worker")
    message, *connection.early = connection.receive() or [{}]
    try:
        hello = message["hello"]
        rank, host, process = int(hello["rank"]), str(hello["host"])[:64], int(hello["process"])
    except (KeyError, TypeError) as error:
        raise ValueError from error
    connection.rank, connection.name = rank, f"rank {rank} of {launch.size} ({host}, process {process})"
    return rank, connection


def _connect(launch: Launch) -> Connection:
    """Return the connection to rank 0."""
    connection = Connection(meet.connect(launch, 0, launch.hub), f"rank 0 of {launch.size}")
    connection.send({"hello": {"rank": launch.rank, "host": socket.gethostname(), "process": os.getpid()}})
    return connection

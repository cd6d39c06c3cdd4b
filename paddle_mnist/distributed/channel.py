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
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from paddle_mnist.distributed.launch import Address, Launch, join_seconds, silence_seconds
from paddle_mnist.errors import UserError

SIGN_SECONDS, WAIT_SECONDS = 0.5, 0.1
STARTUP_SECONDS = 60.0  # of one that imports Paddle, which may read from a slow disk
GREETING_SECONDS = 2.0  # for whoever connects to say which worker it is
MAX_LINE = 1 << 24

OnFailure = Callable[[str], None]
T = TypeVar("T")


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
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

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
        within = join_seconds()
        self._connections = _accept_all(launch, within) if launch.rank == 0 else [_connect(launch, within)]
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


def _accept_all(launch: Launch, within: float) -> list[Connection]:
    """Return connections from all other workers, in the order of ranks."""
    with listener(launch, launch.hub) as listening:
        found = accept(listening, range(1, launch.size), within, functools.partial(_welcome, launch))
    if len(found) < launch.size - 1:
        sentence = (
            f"rank {missing(found, launch)} of {launch.size} has not connected to rank 0 at {_name(launch.hub)} within "
            f"{within:g} seconds: see its own message, open this port, and on several machines start each launcher "
            "with --host and the machine's address"
        )
        for connection in found.values():
            connection.send({"failed": sentence})
        raise UserError(sentence)
    return [found[rank] for rank in sorted(found)]


def accept(
    listening: socket.socket, ranks: range, within: float, welcome: Callable[[socket.socket], tuple[int, T]]
) -> dict[int, T]:
    """Accept connections until every rank has one, or time is up.

    Args:
        within: so many seconds.
        welcome: returns the rank that a new connection comes from, and what to keep of it. Raises ``OSError`` or
            ``ValueError`` if it is not a worker's.
    """
    until = time.monotonic() + within
    found: dict[int, T] = {}
    while len(found) < len(ranks) and (left := until - time.monotonic()) > 0:
        listening.settimeout(left)
        with contextlib.suppress(OSError):
            sock, _ = listening.accept()
            sock.settimeout(GREETING_SECONDS)
            try:
                rank, kept = welcome(sock)
                if rank not in ranks or rank in found:
                    raise ValueError
                found[rank] = kept
            except (OSError, ValueError):
                sock.close()
    return found


def missing(found: Mapping[int, Any], launch: Launch, first: int = 1) -> str:
    """Return the ranks from ``first`` on that are not in ``found``, as text."""
    return ", ".join(str(rank) for rank in range(first, launch.size) if rank not in found)


def listener(launch: Launch, address: Address) -> socket.socket:
    """Return a socket that listens at an address, or where it cannot be bound, at its port on all interfaces."""
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        try:
            listening.bind(address)
        except OSError:  # the address of a container's host, for instance
            listening.bind(("", address[1]))
        listening.listen(512)
    except OSError as error:
        listening.close()
        raise UserError(f"rank {launch.rank} cannot listen at {_name(address)}: {error.strerror or error}") from None
    return listening


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


def _connect(launch: Launch, within: float) -> Connection:
    """Return the connection to rank 0."""
    until = time.monotonic() + within
    while True:
        try:
            sock = socket.create_connection(launch.hub, timeout=max(0.1, min(2.0, until - time.monotonic())))
        except OSError as error:
            if time.monotonic() >= until:
                raise UserError(
                    f"rank {launch.rank} of {launch.size} cannot reach rank 0 at {_name(launch.hub)} "
                    f"({error.strerror or error}): see rank 0's own message, open this port, and on several machines "
                    "start each launcher with --host and the machine's address"
                ) from None
            time.sleep(0.05)
            continue
        connection = Connection(sock, f"rank 0 of {launch.size}")
        connection.send({"hello": {"rank": launch.rank, "host": socket.gethostname(), "process": os.getpid()}})
        return connection


def _name(address: Address) -> str:
    return f"{address[0]}:{address[1]}"

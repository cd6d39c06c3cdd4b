"""How workers find each other when they start: some listen, the others connect to them."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable
from typing import TypeVar

from paddle_mnist.distributed.launch import Address, Launch, join_seconds
from paddle_mnist.errors import UserError

GREETING_SECONDS = 2.0  # for whoever connects to say which worker it is
WHAT_TO_DO = (
    "see its own message, open all ports from 1024 between the machines, and start each launcher with --host and the "
    "machine's address"
)
T = TypeVar("T")


def listen(launch: Launch, address: Address) -> socket.socket:
    """Return a socket that listens at an address, or where it cannot be bound, at its port on all interfaces.

    Raises:
        UserError: the port is in use.
    """
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


def connect(launch: Launch, other: int, address: Address) -> socket.socket:
    """Return a connection to another worker, which may begin to listen later.

    Raises:
        UserError: it cannot be reached in time.
    """
    until = time.monotonic() + join_seconds()
    while True:
        try:
            sock = socket.create_connection(address, timeout=max(0.1, min(2.0, until - time.monotonic())))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return sock
        except OSError as error:
            if time.monotonic() >= until:
                raise UserError(
                    f"rank {launch.rank} of {launch.size} cannot reach rank {other} at {_name(address)} "
                    f"({error.strerror or error}): {WHAT_TO_DO}"
                ) from None
        time.sleep(0.05)


def accept(
    launch: Launch,
    listening: socket.socket,
    address: Address,
    first: int,
    welcome: Callable[[socket.socket], tuple[int, T]],
    found: dict[int, T],
) -> None:
    """Accept a connection from every rank that is not below ``first``. Others are closed.

    Args:
        address: of ``listening``, as the others know it.
        welcome: returns the rank that a connection comes from, and what to keep of it; raises ``OSError`` or
            ``ValueError`` if it is not a worker's.
        found: what is kept, by rank.

    Raises:
        UserError: some have not connected in time.
    """
    within, ranks = join_seconds(), range(first, launch.size)
    until = time.monotonic() + within
    while missing := [str(rank) for rank in ranks if rank not in found]:
        left = until - time.monotonic()
        if left <= 0:
            raise UserError(
                f"rank {', '.join(missing)} of {launch.size} has not connected to rank {launch.rank} at "
                f"{_name(address)} within {within:g} seconds: {WHAT_TO_DO}"
            )
        listening.settimeout(left)
        with contextlib.suppress(OSError):
            sock, _ = listening.accept()
            sock.settimeout(GREETING_SECONDS)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                rank, kept = welcome(sock)
                if str(rank) not in missing:
                    raise ValueError
                found[rank] = kept
            except (OSError, ValueError):
                sock.close()


def _name(address: Address) -> str:
    return f"{address[0]}:{address[1]}"

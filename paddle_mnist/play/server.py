"""Binds the address, runs the server until Ctrl-C, and keeps slow clients from holding it up."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import logging
import secrets
import socket
from collections.abc import Callable
from typing import Any

import anyio
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from paddle_mnist.errors import UserError
from paddle_mnist.play.app import create_app
from paddle_mnist.play.guard import Access
from paddle_mnist.play.playground import Playground

PORT = 8765
MAX_CONNECTIONS = 400
HEADER_SECONDS = 10.0  # in which the head of a request must have come
ANSWER_SECONDS = 30.0  # in which a client must have taken enough of an answer for more to be sent


class Protocol(H11Protocol):
    """HTTP that closes a connection whose request does not come in time, or whose answer is not taken in time."""

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._deadline = self.loop.call_later(HEADER_SECONDS, self._too_slow)
        self._untaken: asyncio.TimerHandle | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._deadline.cancel()
        self._taken()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Begin to wait until the client takes what was sent."""
        super().pause_writing()
        self._untaken = self.loop.call_later(ANSWER_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """Send on."""
        self._taken()
        super().resume_writing()

    def _taken(self) -> None:
        if self._untaken is not None:
            self._untaken.cancel()
            self._untaken = None

    def on_response_complete(self) -> None:
        """Begin to wait for the next request on the same connection."""
        super().on_response_complete()
        self._deadline.cancel()
        self._deadline = self.loop.call_later(HEADER_SECONDS, self._too_slow)

    def _too_slow(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()


def bind(host: str, port: int | None) -> socket.socket:
    """Return a socket that listens at an address.

    Args:
        host: a name or an address of this machine.
        port: ``None`` takes the usual one, or any free one if that is taken.

    Raises:
        UserError: the host is not this machine's, or the port that was asked for is taken.
    """
    try:
        return _bind(host, PORT if port is None else port)
    except OSError as error:
        if port is None and error.errno in (errno.EADDRINUSE, errno.EACCES):
            return _bind(host, 0)
        if error.errno == errno.EADDRINUSE:
            raise UserError(f"port {port} is taken by another program: leave --port out, or choose another") from None
        raise UserError(
            f"cannot listen at {host}: {error.strerror or error}; give an address of this machine"
        ) from None


def _bind(host: str, port: int) -> socket.socket:
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    # With the protocol named, asyncio sends small answers at once instead of waiting for an acknowledgement.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if hasattr(socket, "SO_REUSEADDR") and not hasattr(socket, "SO_EXCLUSIVEADDRUSE"):
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(128)
    except BaseException:
        listener.close()
        raise
    return listener


def access_to(host: str, listener: socket.socket) -> Access:
    """Return how a server at a socket is reached: with a token unless only this machine reaches it."""
    return Access(host, listener.getsockname()[1], None if _is_local(host) else secrets.token_urlsafe(16))


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def address_of(access: Access) -> str:
    """Return the address to open in a browser."""
    name = access.host if access.host not in ("0.0.0.0", "::", "") else _own_address()
    shown = f"[{name}]" if ":" in name else name
    return f"http://{shown}:{access.port}/" + (f"?token={access.token}" if access.token else "")


def _own_address() -> str:
    """Return the address by which other machines reach this one, or its name if it has none."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # chooses the way, and sends nothing
        return str(probe.getsockname()[0])
    return socket.gethostname()


class Server(uvicorn.Server):
    """The server of a playground, which lives and ends with it.

    Args:
        config: of the server.
        playground: what it serves.
        on_start: called once the server can be asked.
    """

    def __init__(self, config: uvicorn.Config, playground: Playground, on_start: Callable[[], None]) -> None:
        super().__init__(config)
        self.playground, self.on_start = playground, on_start

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then tell so."""
        self.following = asyncio.create_task(self.playground.follow())
        await anyio.sleep(0)  # imports what streams need
        await super().startup(sockets)
        if self.started:
            self.on_start()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams, which would go on forever, then stop; at once if Ctrl-C was pressed twice."""
        self.playground.hub.close()
        self.following.cancel()
        await asyncio.wait([self.following])
        try:
            await super().shutdown(sockets)
        finally:
            self.playground.close()


def _is_news(record: logging.LogRecord) -> bool:
    """Tell whether a line of the log says more than that an answer was broken off, by the client or by Ctrl-C."""
    cancelled = record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError)
    return not cancelled and "without completing response" not in record.getMessage()


def server_for(playground: Playground, on_start: Callable[[], None]) -> Server:
    """Return the server of a playground; ``on_start`` is called once it can be asked."""
    logging.getLogger("uvicorn.error").addFilter(_is_news)
    config = uvicorn.Config(
        create_app(playground),
        http=Protocol,
        ws="none",
        loop="asyncio",
        lifespan="off",
        log_level="error",
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=3,
        h11_max_incomplete_event_size=32 << 10,
    )
    return Server(config, playground, on_start)

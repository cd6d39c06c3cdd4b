"""Who may ask, how much and for how long: what is checked before a request reaches the application.

- ``Host`` must be this server's own name. A page of another site, whose name was made to lead here (DNS rebinding),
  sends its own.
- ``Origin`` must be this server's on every POST, and where a browser says that another site asks (``Sec-Fetch-Site``)
  nothing but the page itself is given.
- With a token, every request must bring it: in the address, or in the cookie that the page was given for it.
- A body is read whole before it is looked at, bounded in size and time.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import ipaddress
import socket
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

import anyio
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from paddle_mnist.play.replies import RefusedError, refusal

MAX_PICTURE = 20 << 20  # bytes of a picture file
MAX_PIXELS = 4 << 20  # of raw grey values
MAX_JSON = 16 << 10
MAX_QUERY = 8 << 10
SECONDS = {"picture": 60.0, "other": 10.0}  # in which the body of a request must have come
MAX_BODIES = 8  # large ones that are read at once; more are refused

SIMPLE_NAMES = ("localhost", "127.0.0.1", "[::1]")

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "font-src 'self'; manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    "cache-control": "no-store",
}
ENCODED_HEADERS = [(name.encode(), value.encode()) for name, value in HEADERS.items()]


@dataclass(frozen=True)
class Access:
    """How the server may be reached.

    Attributes:
        host: the address that it listens at.
        port: likewise.
        token: what every request must bring; ``None`` where only this machine can ask.
    """

    host: str
    port: int
    token: str | None = None

    @property
    def cookie(self) -> str:
        """The name of the cookie that holds the token. Browsers give cookies to all ports of a host."""
        return f"paddle_mnist_{self.port}"

    def names(self) -> frozenset[str]:
        """Return the names that this server answers to, in lower case and without the port."""
        own = {*SIMPLE_NAMES, _bracketed(self.host)}
        if self.token is not None:
            machine = socket.gethostname()
            own |= {machine, f"{machine}.local", socket.getfqdn()}
        return frozenset(name.lower() for name in own)

    def is_own(self, authority: str) -> bool:
        """Tell whether ``Host`` or the end of ``Origin`` names this server."""
        name, port = _split(authority.lower())
        if port != self.port:
            return False
        # A token protects what an address of numbers reaches, and no address of numbers can be rebound.
        return name in self.names() or (self.token is not None and _is_address(name))


class Guard:
    """The middleware around the application."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self.app, self.access = app, access
        self.bodies = asyncio.Semaphore(MAX_BODIES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check a request, then hand it on with its whole body; refuse it in one sentence otherwise."""
        if scope["type"] != "http":
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name.lower() for name, _ in message["headers"]}
                more = [header for header in ENCODED_HEADERS if header[0] not in given]
                message["headers"] = [*message["headers"], *more]
            await send(message)

        try:
            self._check(scope)
            if scope["method"] == "POST":
                receive = await self._body(scope, receive)
        except RefusedError as error:
            reply = refusal(error.status, error.message)
            reply.headers["connection"] = "close"  # the rest of the body is not waited for
            await reply(scope, receive, send_with_headers)
            return
        with contextlib.suppress(ClientDisconnect):
            await self.app(scope, receive, send_with_headers)

    def _check(self, scope: Scope) -> None:
        headers = _headers(scope)
        if len(scope.get("query_string", b"")) > MAX_QUERY:
            raise RefusedError(400, f"The address must have at most {MAX_QUERY:,} bytes behind the question mark.")
        if not self.access.is_own(headers.get("host", "")):
            raise RefusedError(403, "The Host header must name this server: use the address that it printed.")
        if scope["method"] not in ("GET", "HEAD", "POST"):
            raise RefusedError(405, "The method must be GET, HEAD or POST.")
        self._check_origin(scope, headers)
        if self.access.token is not None and not self._has_token(scope, headers):
            raise RefusedError(403, "The token is missing: open the address that the server printed, with its ?token=.")

    def _check_origin(self, scope: Scope, headers: dict[str, str]) -> None:
        origin, site = headers.get("origin"), headers.get("sec-fetch-site", "same-origin")
        own = origin is not None and origin.startswith("http://") and self.access.is_own(origin[len("http://") :])
        own = own and origin is not None and origin[len("http://") :].lower() == headers.get("host", "").lower()
        if (origin is not None and not own) or (scope["method"] == "POST" and not own):
            raise RefusedError(403, "The Origin header must name this server: other sites may not ask it.")
        if site not in ("same-origin", "none") and scope["path"] != "/":
            raise RefusedError(403, "Other sites may not ask this server: open its page itself.")

    def _has_token(self, scope: Scope, headers: dict[str, str]) -> bool:
        token = (self.access.token or "").encode()
        given = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token", [])
        try:
            cookies = SimpleCookie(headers.get("cookie", ""))
            if self.access.cookie in cookies:
                given.append(cookies[self.access.cookie].value)
        except CookieError:
            pass
        return any([hmac.compare_digest(value.encode("utf-8", "replace"), token) for value in given])

    async def _body(self, scope: Scope, receive: Receive) -> Receive:
        """Read the whole body, and return what hands it to the application in one piece."""
        headers = _headers(scope)
        most = _most_bytes(headers.get("content-type", ""))
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length[:20]) > most:
            raise RefusedError(413, f"The body must have at most {most:,} bytes.")
        large = max(most if "content-length" not in headers else 0, int(length)) > MAX_JSON
        if large and self.bodies.locked():
            raise RefusedError(503, "The server is busy: try again in a second.")
        try:
            if large:
                async with self.bodies:
                    data = await _read(receive, most, SECONDS["picture"])
            else:
                data = await _read(receive, most, SECONDS["other"])
        except TimeoutError:
            raise RefusedError(408, "The body took too long to come.") from None
        done = False

        async def whole() -> Message:
            nonlocal done
            if done:
                return await receive()  # waits until the client has gone
            done = True
            return {"type": "http.request", "body": data, "more_body": False}

        return whole


async def _read(receive: Receive, most: int, seconds: float) -> bytes:
    parts, size = [], 0
    with anyio.fail_after(seconds):  # asyncio.wait_for would make a task for each body
        while True:
            message = await receive()
            if message["type"] != "http.request":
                raise RefusedError(400, "The client has gone before its body was complete.")
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > most:
                raise RefusedError(413, f"The body must have at most {most:,} bytes.")
            if not message.get("more_body", False):
                return b"".join(parts)


def _most_bytes(content_type: str) -> int:
    """Return how many bytes a body of a type may have."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/json":
        return MAX_JSON
    if kind == "application/octet-stream":
        return MAX_PIXELS
    if kind.startswith("image/"):
        return MAX_PICTURE
    raise RefusedError(415, "The Content-Type must be application/json, application/octet-stream or that of an image.")


def _headers(scope: Scope) -> dict[str, str]:
    """Return the headers by name; a name that comes twice is joined, so that it matches nothing."""
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        found[key] = f"{found[key]}, {text}" if key in found else text
    return found


def _split(authority: str) -> tuple[str, int | None]:
    """Return the name and the port of ``name:port``; port 80 if none is given."""
    name, colon, port = authority.rpartition(":")
    if not colon or authority.endswith("]"):
        return authority, 80
    return name, int(port) if port.isdecimal() and len(port) <= 5 else None


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True

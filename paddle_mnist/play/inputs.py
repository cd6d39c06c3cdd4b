"""What the page sends, checked: numbers and words in the address, and JSON in the body."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from starlette.requests import Request

from paddle_mnist.errors import UserError, quote
from paddle_mnist.play.replies import RefusedError
from paddle_mnist.storage.bounded_json import parse_object

MAX_MODELS = 100  # that one request may ask


def integer(request: Request, name: str, default: int | None, low: int, high: int) -> int:
    """Return an integer of the address's query.

    Raises:
        RefusedError: it is missing, where there is no default, or outside ``low`` to ``high``.
    """
    text = request.query_params.get(name)
    if text is None and default is not None:
        return default
    if text is None or not text.isascii() or not text.isdecimal() or len(text) > 9 or not low <= int(text) <= high:
        raise RefusedError(400, f"{name} must be an integer from {low:,} to {high:,}, got {quote(text)}.")
    return int(text)


def word(request: Request, name: str, words: tuple[str, ...]) -> str:
    """Return a word of the query, which must be one of some; the first is the default."""
    text = request.query_params.get(name, words[0])
    if text not in words:
        raise RefusedError(400, f"{name} must be one of {', '.join(words)}, got {quote(text)}.")
    return text


def ids(request: Request, name: str) -> list[str] | None:
    """Return the ids in the query that commas separate, each once; ``None`` if the query has none.

    Commas inside an id are escaped, so the raw query is read.
    """
    raw = request.scope.get("query_string", b"").decode("latin-1")
    given = [part.partition("=")[2] for part in raw.split("&") if part.partition("=")[0] == name]
    if not given:
        return None
    found = list(dict.fromkeys(unquote(text) for value in given for text in value.split(",") if text))
    if len(found) > MAX_MODELS:
        raise RefusedError(400, f"{name} must name at most {MAX_MODELS} models, got {len(found)}.")
    return found


async def json_object(request: Request) -> dict[str, Any]:
    """Return the JSON object in the body; an empty body is an empty object."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise RefusedError(415, "The Content-Type must be application/json.")
    data = await request.body()
    try:
        return parse_object(data, "the body") if data else {}
    except UserError as error:
        raise RefusedError(400, f"{error}.") from None

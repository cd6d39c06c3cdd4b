"""What every answer of the server is made of: JSON, arrays in it, and refusals of one sentence."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson
from starlette.responses import Response

from paddle_mnist.errors import printable


class RefusedError(Exception):
    """A request that is not answered.

    Attributes:
        status: of HTTP.
        message: one sentence for the person at the page.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, printable(message)


class Json(Response):
    """A JSON answer; what is not finite becomes ``null``."""

    media_type = "application/json"

    def __init__(self, content: Any, status_code: int = 200, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(content, status_code, headers)

    def render(self, content: Any) -> bytes:
        """Return the content as JSON."""
        return to_json(content)


def to_json(content: Any) -> bytes:
    """Return a value as JSON; NumPy's numbers and small arrays are written as numbers and lists."""
    return orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS)


def refusal(status: int, message: str) -> Json:
    """Return an answer that says in one sentence why there is none."""
    headers = {"Retry-After": "1"} if status == 503 else None
    return Json({"error": message}, status, headers)


def array(values: np.ndarray) -> dict[str, Any]:
    """Return an array as an object: its shape, its dtype, and its little-endian values in base64."""
    name = {"u": "uint8", "i": "int32", "f": "float32"}[values.dtype.kind]
    little = np.ascontiguousarray(values, np.dtype(name).newbyteorder("<"))
    return {"shape": list(values.shape), "dtype": name, "data": base64.b64encode(little.tobytes()).decode("ascii")}

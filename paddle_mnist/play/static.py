"""The files of the page: listed once, so that a name from the outside is only ever looked up, never a path."""

from __future__ import annotations

import hashlib
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

import paddle_mnist
from paddle_mnist.play.replies import RefusedError

PACKAGE = Path(paddle_mnist.__file__).parent
FOLDERS = {"web": PACKAGE / "play" / "web", "shared": PACKAGE / "exports" / "web"}
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}
PAGE = "web/index.html"
ICON = "web/favicon.svg"


class Static:
    """Serves the files of ``FOLDERS`` whose suffixes are in ``TYPES``."""

    def __init__(self) -> None:
        self.files = {
            f"{name}/{path.relative_to(folder).as_posix()}": path
            for name, folder in FOLDERS.items()
            for path in folder.rglob("*")
            if path.suffix in TYPES and path.is_file()
        }

    def reply(self, name: str, request: Request) -> Response:
        """Return a file, or say that the browser's copy of it is current.

        Raises:
            RefusedError: there is no such file.
        """
        path = self.files.get(name)
        if path is None:
            raise RefusedError(404, "There is no such page.")
        try:
            data = path.read_bytes()
        except OSError:
            raise RefusedError(404, "The file of this page has been removed.") from None
        headers = {"etag": f'"{hashlib.sha256(data).hexdigest()[:32]}"', "cache-control": "no-cache"}
        if request.headers.get("if-none-match") == headers["etag"]:
            return Response(status_code=304, headers=headers)
        return Response(data, headers=headers, media_type=TYPES[path.suffix])

"""The addresses of the server, and how an error becomes an answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from paddle_mnist import console
from paddle_mnist.errors import UserError
from paddle_mnist.play.guard import Guard
from paddle_mnist.play.playground import Playground
from paddle_mnist.play.replies import RefusedError, refusal
from paddle_mnist.play.static import FOLDERS

Handler = Callable[[Request], Awaitable[Response]]


def create_app(playground: Playground) -> Guard:
    """Return the application that serves a playground, with its guard around it."""
    get, post = ["GET"], ["POST"]
    model = "/api/models/{id}"
    routes: list[tuple[str, Handler, list[str]]] = [
        ("/", playground.page, get),
        ("/favicon.ico", playground.icon, get),
        *[(f"/{folder}/{{name:path}}", partial(playground.file, folder), get) for folder in FOLDERS],
    ]
    api: list[tuple[str, Handler, list[str]]] = [
        ("/api/models", playground.models, get),
        ("/api/answers", playground.answer, post),
        ("/api/digits", playground.digits, get),
        (f"{model}/weights", playground.weights, get),
        (f"{model}/layers", playground.layers, post),
        (f"{model}/saliency", playground.saliency, post),
        (f"{model}/neighbours", playground.neighbours, post),
        ("/api/training/form", playground.form, get),
        ("/api/training", playground.train, post),
        ("/api/page", playground.export, get),
        ("/api/events", playground.events, get),
        (f"{model}/stop", playground.stop, post),
        (f"{model}/resume", playground.resume, post),
        (f"{model}/history", playground.history, get),
        (f"{model}/confusion", playground.confusion, get),
        (f"{model}/confusion/{{true}}/{{predicted}}", playground.cell, get),
    ]

    app = Starlette(
        routes=[Route(path, _answering(handler), methods=methods) for path, handler, methods in [*api, *routes]],
        exception_handlers={404: _not_found, 405: _wrong_method},
    )
    app.router.redirect_slashes = False
    return Guard(app, playground.access)


def _answering(handler: Handler) -> Handler:
    """Return the handler with every error that a request can cause as an answer of one sentence."""

    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except RefusedError as error:
            return refusal(error.status, error.message)
        except UserError as error:
            return refusal(400, f"{error}.")
        except OSError as error:
            return refusal(500, f"{console.describe(error)}.")
        except MemoryError:
            return refusal(503, "The server is out of memory: try again later.")

    return answer


def _not_found(request: Request, error: Exception) -> Response:
    return refusal(404, "There is no such page.")


def _wrong_method(request: Request, error: Exception) -> Response:
    return refusal(405, "The method must be GET where something is read, and POST where something is asked.")

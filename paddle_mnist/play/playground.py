"""The playground: what the server holds, and the functions that answer the page."""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from paddle_mnist import console
from paddle_mnist.dataset import Dataset, open_dataset
from paddle_mnist.errors import UserError
from paddle_mnist.play import inputs, inside
from paddle_mnist.play.answers import (
    KINDS,
    Answers,
    Found,
    find,
    one_digit,
    picture_from_file,
    picture_from_pixels,
    prepared,
)
from paddle_mnist.play.events import PAUSE, Hub
from paddle_mnist.play.form import form, read_order
from paddle_mnist.play.guard import Access
from paddle_mnist.play.models import Catalog, Model
from paddle_mnist.play.nets import WHICH, Nets
from paddle_mnist.play.replies import Json, RefusedError
from paddle_mnist.play.static import ICON, PAGE, Static
from paddle_mnist.play.training import Trainings
from paddle_mnist.play.worker import Worker
from paddle_mnist.recipes import MAX_COUNT
from paddle_mnist.runs.history import thinned

T = TypeVar("T")

MAX_SIDE = 2000  # pixels of a drawing
MAX_SEGMENTING = 30  # pictures at a time
MAX_SHOWN = 200  # digits in one answer
JOIN_SECONDS = 0.005  # from one page that connects to the next: a whole class does so while others draw
SWITCH_SECONDS = 0.0005  # after which a thread of Python's gives way to another: a computing one to the server's
SPLITS = ("eval", "train", "valid")


class Playground:
    """Everything that the server holds, and the functions that answer.

    Args:
        work: the work folder, which holds the runs.
        access: how the server may be reached.
        environment: of the trainings that it starts.
    """

    def __init__(self, work: Path, access: Access, environment: Mapping[str, str]) -> None:
        self.access, self.static = access, Static()
        self.trainings = Trainings(work, environment)
        self.catalog = Catalog(work / "runs", self.trainings.planned)
        self.hub = Hub(self.catalog, self.trainings)
        self.worker, self.nets = Worker(), Nets()
        self.answers = Answers(self.nets, self.worker)
        self.pictures = ThreadPoolExecutor(2, "pictures")  # decode and segment, away from the nets' thread
        self.disk = ThreadPoolExecutor(1, "disk")  # lists runs and reads histories
        self.data = ThreadPoolExecutor(1, "data")  # opens digits, which may take a download
        self._datasets: dict[str, Dataset] = {}
        self._segmenting = 0  # pictures that are being segmented or wait for it
        self._next_join = 0.0  # when the next page may connect

    # --- the page ---

    async def page(self, request: Request) -> Response:
        """Return the page itself; with a token in the address, also the cookie that stands for it from now on."""
        reply = self.static.reply(PAGE, request)
        if self.access.token is not None:
            reply.set_cookie(self.access.cookie, self.access.token, httponly=True, samesite="lax")
        return reply

    async def file(self, folder: str, request: Request) -> Response:
        """Return a file of the page."""
        return self.static.reply(f"{folder}/{request.path_params['name']}", request)

    async def icon(self, request: Request) -> Response:
        """Return the icon, if there is one."""
        return self.static.reply(ICON, request) if ICON in self.static.files else Response(status_code=204)

    # --- models and answers ---

    async def models(self, request: Request) -> Response:
        """Return the listing of models."""
        return Json(await self.on(self.disk, self.catalog.described))

    async def answer(self, request: Request) -> Response:
        """Return what nets answer to a drawing or a picture."""
        kind, which = inputs.word(request, "kind", KINDS), inputs.word(request, "weights", WHICH)
        listed = await self.listed()
        chosen = inputs.ids(request, "models")
        if chosen is None:
            models = [model for model in listed.values() if model.trained]
        else:
            models = [_known(listed, model_id) for model_id in chosen]
        found = await self._found(request, kind)
        await self.answers.turn()
        answers = await asyncio.wrap_future(self.answers.ask(models, which, found)) if len(found.images) else []
        return Json(
            {
                "kind": kind,
                "picture": dict(zip(("width", "height"), found.size, strict=True)),
                "empty": not len(found.images),
                "reason": found.reason,
                "digits": found.described,
                "cuts": found.cuts,
                "answers": answers,
            }
        )

    async def _found(self, request: Request, kind: str) -> Found:
        data = await request.body()
        if kind == "prepared":
            return prepared(data)
        if request.headers.get("content-type", "").startswith("image/"):
            read = partial(picture_from_file, data)
        else:
            width, height = (inputs.integer(request, name, None, 4, MAX_SIDE) for name in ("width", "height"))
            read = partial(picture_from_pixels, data, width, height)
        if self._segmenting >= MAX_SEGMENTING:
            raise RefusedError(503, "The server is busy with other pictures: try again in a second.")
        self._segmenting += 1
        try:
            return await self.on(self.pictures, lambda: find(read(), kind))
        finally:
            self._segmenting -= 1

    # --- look inside ---

    async def weights(self, request: Request) -> Response:
        """Return the parameters of a net."""
        model, which = await self.model(request), inputs.word(request, "weights", WHICH)
        names = inputs.ids(request, "names")
        return Json(await self.quick(lambda: inside.weights(self.nets, model, which, names)))

    async def layers(self, request: Request) -> Response:
        """Return what each operation of a net makes of a digit."""
        model, which = await self.model(request), inputs.word(request, "weights", WHICH)
        image = one_digit(await request.body())

        def look() -> dict[str, Any]:
            found = inside.layers(self.nets, model, which, image)
            return {**found, "answer": self.answers.one(model, which, image[np.newaxis], [0])}

        return Json(await self.quick(look))

    async def saliency(self, request: Request) -> Response:
        """Return which pixels the answer depends on."""
        model, which = await self.model(request), inputs.word(request, "weights", WHICH)
        method = inputs.word(request, "method", ("gradient", "occlusion"))
        digit = inputs.integer(request, "digit", None, 0, 9) if "digit" in request.query_params else None
        image = one_digit(await request.body())
        return Json(await self.quick(lambda: inside.saliency(self.nets, model, which, image, method, digit)))

    async def neighbours(self, request: Request) -> Response:
        """Return the training digits that look most alike to a net."""
        model, image = await self.model(request), one_digit(await request.body())
        data = await self.dataset(inside.data_of(model))
        return Json(await self.slow(inside.neighbours(self.nets, model, image, data)))

    async def confusion(self, request: Request) -> Response:
        """Return the table of true against predicted test digits."""
        model = await self.model(request)
        data = await self.dataset(inside.data_of(model))
        found = await self.slow(inside.predicted(self.nets, model, data))
        return Json(inside.confusion(model, data.eval.labels, found))

    async def cell(self, request: Request) -> Response:
        """Return the digits behind a cell of the table."""
        model, start, count = await self.model(request), *_slice(request)
        true, predicted = (_digit(request.path_params[name]) for name in ("true", "predicted"))
        data = await self.dataset(inside.data_of(model))
        found = await self.slow(inside.predicted(self.nets, model, data))
        which = np.flatnonzero((data.eval.labels == true) & (found == predicted))
        return Json(inside.some(data.eval.images, data.eval.labels, which, start, count))

    async def digits(self, request: Request) -> Response:
        """Return some of the digits that nets are trained and tested on."""
        name, (start, count) = inputs.word(request, "split", SPLITS), _slice(request)
        label = inputs.integer(request, "label", None, 0, 9) if "label" in request.query_params else None
        split = getattr(await self.dataset("auto"), name)
        which = np.arange(len(split.labels)) if label is None else np.flatnonzero(split.labels == label)
        return Json({"split": name, **inside.some(split.images, split.labels, which, start, count)})

    async def export(self, request: Request) -> Response:
        """Return nets as one page that works without a server."""
        listed = await self.listed()
        models = [_known(listed, model_id) for model_id in inputs.ids(request, "models") or []]
        page = await self.slow(inside.exported(models))
        headers = {"content-disposition": 'attachment; filename="digits.html"'}
        return Response(page, headers=headers, media_type="text/html")

    # --- watch it learn ---

    async def form(self, request: Request) -> Response:
        """Return the fields of a training."""
        return Json(form())

    async def train(self, request: Request) -> Response:
        """Start a training, or put it into the queue."""
        order = read_order(await inputs.json_object(request))
        return await self._accepted(partial(self.trainings.start, order))

    async def resume(self, request: Request) -> Response:
        """Resume a run, perhaps to more epochs."""
        model, body = await self.model(request), await inputs.json_object(request)
        epochs = body.pop("epochs", None)
        if body or not (epochs is None or (type(epochs) is int and 0 < epochs < MAX_COUNT)):
            raise RefusedError(400, f"The body must hold epochs, an integer from 1 to {MAX_COUNT - 1:,}, or nothing.")
        if model.run is None:
            raise RefusedError(409, f"{model.id} has not begun yet.")
        return await self._accepted(partial(self.trainings.resume, model.run, epochs))

    async def stop(self, request: Request) -> Response:
        """Ask a training to save and stop, or take it out of the queue."""
        model = await self.model(request)
        await inputs.json_object(request)
        state = await self.on(self.disk, partial(self.trainings.stop, model.described["name"]))
        await self.on(self.disk, partial(self.catalog.models, fresh=True))
        return Json({"model": model.id, "state": state}, 202)

    async def _accepted(self, begin: Callable[[], dict[str, Any]]) -> Response:
        accepted = await self.on(self.disk, begin)
        await self.on(self.disk, partial(self.catalog.models, fresh=True))
        return Json(accepted, 202)

    async def history(self, request: Request) -> Response:
        """Return a run's history, thinned out."""
        model, points = await self.model(request), inputs.integer(request, "points", 2000, 10, 100_000)
        run = model.run
        records = [] if run is None else await self.on(self.disk, run.history)
        return Json(
            {
                "model": model.id,
                "records": thinned(records, points),
                "total": len(records),
                "state": model.described["state"],
            }
        )

    async def events(self, request: Request) -> Response:
        """Return the stream of what changes.

        Pages that connect at once take turns, ``JOIN_SECONDS`` apart: each is told a whole history first, and nobody's
        drawing waits until all of them are.
        """
        ids = inputs.ids(request, "runs") or []
        now = time.monotonic()
        turn = max(now, self._next_join)
        self._next_join = turn + JOIN_SECONDS
        await asyncio.sleep(turn - now)
        subscriber = await self.on(self.disk, lambda: self.hub.subscribe(ids))
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        return StreamingResponse(self.hub.stream(subscriber), headers=headers, media_type="text/event-stream")

    async def follow(self) -> None:
        """Follow the disk, for as long as the server runs."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                await self.on(self.disk, lambda: self.hub.poll(loop))
            except (OSError, UserError) as error:  # a disk that fails now may answer later
                console.note(console.describe(error) if isinstance(error, OSError) else str(error))
            await asyncio.sleep(PAUSE)

    # --- what the functions above share ---

    async def listed(self) -> dict[str, Model]:
        """Return all models by their ids."""
        known = self.catalog.recent()
        return await self.on(self.disk, self.catalog.models) if known is None else known

    async def model(self, request: Request) -> Model:
        """Return the model that the address names."""
        return _known(await self.listed(), request.path_params["id"])

    async def dataset(self, source: str) -> Dataset:
        """Return the digits at a place, which is kept; it never comes from the page."""
        if source not in self._datasets:
            self._datasets[source] = await self.on(self.data, partial(open_dataset, source))
        return self._datasets[source]

    async def on(self, pool: ThreadPoolExecutor, function: Callable[[], T]) -> T:
        """Run a function in a pool."""
        return await asyncio.get_running_loop().run_in_executor(pool, function)

    async def quick(self, function: Callable[[], T]) -> T:
        """Run a function in the nets' thread."""
        return await asyncio.wrap_future(self.worker.quick(function))

    async def slow(self, slices: Generator[None, None, T]) -> T:
        """Run a generator in the nets' thread, between quick work."""
        return await asyncio.wrap_future(self.worker.slow(slices))

    def prepare(self) -> None:
        """Begin to load what answers need, so that none of them waits for it."""

        def steps() -> Generator[None, None, None]:
            yield from self.nets.prepare()
            # Paddle's modules make a whole collection of garbage take 0.1 s, in which nothing is answered. They stay.
            gc.freeze()

        sys.setswitchinterval(SWITCH_SECONDS)
        self.worker.slow(steps())

    def close(self) -> None:
        """End all threads."""
        self.worker.close()
        self.pictures.shutdown(cancel_futures=True)
        self.disk.shutdown(cancel_futures=True)
        self.data.shutdown(wait=False, cancel_futures=True)


def _known(models: dict[str, Model], model_id: str) -> Model:
    if model_id not in models:
        raise RefusedError(404, f"There is no model {model_id[:80]!r}: it may have been removed.")
    return models[model_id]


def _slice(request: Request) -> tuple[int, int]:
    return inputs.integer(request, "start", 0, 0, 10**9 - 1), inputs.integer(request, "count", 60, 1, MAX_SHOWN)


def _digit(text: str) -> int:
    if len(text) != 1 or text not in "0123456789":
        raise RefusedError(404, "The cells of the table are named by two digits.")
    return int(text)

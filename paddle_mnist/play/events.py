"""What changes, told to every open page as it happens: server-sent events.

One thread reads the disk for all pages: it follows the histories that are watched, and looks whether there are new
runs, weights or states. A page is told what it has not seen yet.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, field
from typing import Any

from paddle_mnist.play.models import Catalog, Model
from paddle_mnist.play.replies import RefusedError, to_json
from paddle_mnist.play.training import Trainings
from paddle_mnist.runs.history import Tail, thinned

PAUSE = 0.25  # seconds between two looks at the disk
HEARTBEAT = 10.0  # seconds of silence after which a comment is sent
MAX_WAITING = 500  # events that a page has not taken yet; a page that is slower is cut off, and connects again
MAX_WATCHED = 8  # runs that one page follows
POINTS = 2000  # records of steps that are sent at first


@dataclass(eq=False)
class Subscriber:
    """An open page.

    Attributes:
        watched: the ids of the runs that it follows.
        waiting: encoded events that it has not taken yet; ``None`` ends the stream.
        told: when the last one came.
    """

    watched: frozenset[str]
    waiting: asyncio.Queue[bytes | None] = field(default_factory=asyncio.Queue)
    told: float = field(default_factory=time.monotonic)

    def put(self, one: bytes | None) -> None:
        """Add an event; call it in the server's own thread."""
        self.waiting.put_nowait(one)
        self.told = time.monotonic()

    async def take(self) -> bytes | None:
        """Return all events that wait, at least one: together they cost as much as one. ``None`` ends the stream."""
        found: list[bytes] = []
        while not found or not self.waiting.empty():
            one = await self.waiting.get()
            if one is None:
                return None
            found.append(one)
        return b"".join(found)


class Watched:
    """A run that some page follows."""

    def __init__(self, model: Model) -> None:
        self.id = model.id
        self.tail: Tail | None = None
        self.state: dict[str, Any] = {}
        self.weights: dict[str, Any] = {}
        self._everything: bytes | None = None  # encoded once for all pages that connect between two changes

    def news(self, model: Model, message: str | None) -> list[bytes]:
        """Return what has changed since the last call."""
        found = []
        if self.tail is None and model.run is not None:
            self.tail = Tail(model.run.history_path)
        state = {"model": self.id, "state": model.described["state"], "message": message}
        if state != self.state:
            self.state = state
            found.append(event("state", state))
        if self.tail is not None:
            first = self.tail.poll()
            if first is not None:
                found.append(self.history(first))
        epoch = max((record["epoch"] for record in self._epochs()), default=None)
        weights = {"model": self.id, "weights": model.described["weights"], "epoch": epoch}
        if model.trained and weights["weights"] != self.weights.get("weights"):
            self.weights = weights
            found.append(event("weights", weights))
        if found:
            self._everything = None
        return found

    def everything(self) -> bytes:
        """Return the events that tell all that is known, for a page that has just connected."""
        if self._everything is None:
            found = [event("state", self.state)] if self.state else []
            if self.tail is not None and self.tail.records:
                found.append(self.history(0))
            if self.weights:
                found.append(event("weights", self.weights))
            self._everything = b"".join(found)
        return self._everything

    def history(self, first: int) -> bytes:
        """Return the event that tells the records from ``first`` on."""
        records = self.tail.records[first:] if self.tail else []
        sent = thinned(records, POINTS)
        return event("history", {"model": self.id, "from": first, "records": sent, "thinned": len(sent) < len(records)})

    def _epochs(self) -> list[dict[str, Any]]:
        records = self.tail.records[-1000:] if self.tail else []
        return [record for record in records if "valid_loss" in record and isinstance(record.get("epoch"), int)]


class Hub:
    """Follows the disk and tells the pages. All methods but ``stream`` and ``close`` run in the thread of the disk.

    Args:
        catalog: the listing of models.
        trainings: what is being trained.
    """

    def __init__(self, catalog: Catalog, trainings: Trainings) -> None:
        self.catalog, self.trainings = catalog, trainings
        self.subscribers: set[Subscriber] = set()
        self._watched: dict[str, Watched] = {}
        self._version = -1
        self._training: dict[str, Any] = {}

    def poll(self, loop: asyncio.AbstractEventLoop) -> None:
        """Look at the disk once, and tell every page what is new to it."""
        self.trainings.poll()
        if not self.subscribers:
            self._watched.clear()
            return
        models = self.catalog.models(fresh=True)  # so that no request waits for it
        for_all = []
        if self.catalog.version != self._version:
            self._version = self.catalog.version
            for_all.append(event("models", {"version": self._version}))
        training = self.trainings.state()
        if training != self._training:
            self._training = training
            for_all.append(event("training", training))
        pages = list(self.subscribers)
        for one in for_all:
            self._tell(loop, one, pages)
        wanted = {model_id for page in pages for model_id in page.watched}
        self._watched = {model_id: watched for model_id, watched in self._watched.items() if model_id in wanted}
        messages = {plan.name: plan.message for plan in self.trainings.planned()}
        for model_id, watched in self._watched.items():
            model = models.get(model_id)
            for one in watched.news(model, messages.get(model.described["name"])) if model else []:
                self._tell(loop, one, [page for page in pages if model_id in page.watched])
        silent = time.monotonic() - HEARTBEAT
        self._tell(loop, b": still here\n\n", [page for page in pages if page.told < silent])

    def subscribe(self, ids: list[str]) -> Subscriber:
        """Return a new page's place among those that are told, with all that there is to tell already.

        Raises:
            RefusedError: a run is unknown, or too many are to be followed.
        """
        if len(ids) > MAX_WATCHED:
            raise RefusedError(400, f"runs must name at most {MAX_WATCHED} runs, got {len(ids)}.")
        models = {model_id: self.catalog.find(model_id) for model_id in ids}
        subscriber = Subscriber(frozenset(ids))
        first = [event("models", {"version": self.catalog.version}), event("training", self.trainings.state())]
        messages = {plan.name: plan.message for plan in self.trainings.planned()}
        for model_id, model in models.items():
            if model_id not in self._watched:
                self._watched[model_id] = Watched(model)
                self._watched[model_id].news(model, messages.get(model.described["name"]))
            first.append(self._watched[model_id].everything())
        for one in first:
            subscriber.put(one)
        self.subscribers.add(subscriber)
        return subscriber

    async def stream(self, subscriber: Subscriber) -> AsyncIterator[bytes]:
        """Yield the events of a page until it is told that the server stops."""
        try:
            subscriber.put(b"retry: 1000\n\n")
            while (events := await subscriber.take()) is not None:
                yield events
        finally:
            self.subscribers.discard(subscriber)

    def close(self) -> None:
        """End all streams; call it in the server's own thread."""
        for subscriber in list(self.subscribers):
            subscriber.put(None)

    def _tell(self, loop: asyncio.AbstractEventLoop, one: bytes, pages: Collection[Subscriber]) -> None:
        def put() -> None:
            for page in pages:
                slow = page.waiting.qsize() > MAX_WAITING
                if slow:
                    self.subscribers.discard(page)
                page.put(None if slow else one)

        if pages:
            loop.call_soon_threadsafe(put)


def event(name: str, data: Any) -> bytes:
    """Return an event as it is sent."""
    return b"event: %s\ndata: %s\n\n" % (name.encode(), to_json(data))

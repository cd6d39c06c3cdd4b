"""Which models there are: the bundled reader and every run, each with its state and the marks of its weights."""

from __future__ import annotations

import dataclasses
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from paddle_mnist.errors import UserError
from paddle_mnist.play.replies import RefusedError, to_json
from paddle_mnist.recipes import NETS, Settings
from paddle_mnist.runs import checkpoint, listing
from paddle_mnist.runs.run import MANIFEST, Run, open_run

READER = "reader"
BUNDLED = "bundled"  # the mark of its weights, which never change
FRESH = 0.5  # seconds for which a listing is used again: with pages open, the hub makes a new one before that

NOTHING = (
    "Only the bundled reader answers until a net is trained: start a training on this page, or run "
    "python -m paddle_mnist.train --net cnn --task classify"
)


@dataclasses.dataclass(frozen=True)
class Model:
    """One entry of the listing.

    Attributes:
        id: what the page calls it: ``"reader"``, or ``"run:"`` and the name of the run's folder.
        described: what the page is told about it.
        run: the run, or ``None`` for the reader and for a training that is queued.
        best: a mark that changes with the best weights, ``None`` if there are none.
        newest: likewise for the newest checkpoint, or the best weights if there is none.
    """

    id: str
    described: dict[str, Any]
    run: Run | None = None
    best: str | None = None
    newest: str | None = None

    @property
    def trained(self) -> bool:
        """Whether there are weights to answer with."""
        return self.best is not None or self.newest is not None


@dataclasses.dataclass(frozen=True)
class Planned:
    """A training that was asked for on the page, for as long as this server knows about it.

    Attributes:
        name: of its run folder.
        state: ``"queued"``, ``"running"`` or ``"failed"``.
        settings: of the run.
        message: why it failed.
    """

    name: str
    state: str
    settings: Settings
    message: str | None = None


class Catalog:
    """The listing of all models, read from the run folders at most every ``FRESH`` seconds.

    Args:
        runs: the folder that holds the run folders.
        planned: returns the trainings that were asked for on the page.
    """

    def __init__(self, runs: Path, planned: Callable[[], list[Planned]]) -> None:
        self.runs, self.planned = runs, planned
        self.version = 0
        self._lock = threading.Lock()
        self._manifests: dict[Path, tuple[tuple[int, ...], Run | None]] = {}
        self._models: dict[str, Model] = {}
        self._read = -FRESH
        self._last = b""

    def models(self, fresh: bool = False) -> dict[str, Model]:
        """Return all models by their ids; ``fresh`` reads the folders even if they were read just now."""
        with self._lock:
            if fresh or time.monotonic() - self._read > FRESH:
                self._models = self._scan()
                self._read = time.monotonic()
                seen = to_json([_lasting(model.described) for model in self._models.values()])
                if seen != self._last:
                    self.version, self._last = self.version + 1, seen
            return self._models

    def recent(self) -> dict[str, Model] | None:
        """Return all models by their ids, if the folders were read just now; it waits for nothing."""
        return self._models if time.monotonic() - self._read <= FRESH else None

    def find(self, model_id: str) -> Model:
        """Return the model of an id.

        Raises:
            RefusedError: there is none.
        """
        model = self.models().get(model_id)
        if model is None:
            raise RefusedError(404, f"There is no model {model_id[:80]!r}: it may have been removed.")
        return model

    def described(self) -> dict[str, Any]:
        """Return the listing as the page gets it."""
        models = self.models()
        default = default_model(models)
        return {
            "version": self.version,
            "default": default.id if default else None,
            "note": None if any(model.run and model.trained for model in models.values()) else NOTHING,
            "models": [model.described for model in models.values()],
        }

    def _scan(self) -> dict[str, Model]:
        models = [Model(READER, dict(READER_DESCRIBED), best=BUNDLED, newest=BUNDLED)]
        planned = {plan.name: plan for plan in self.planned()}
        folders = listing.run_folders(self.runs)
        for path in folders:
            run = self._open(path)
            if run is not None:
                models.append(_model_of_run(run, planned.pop(path.name, None)))
        models += [_model_of_plan(plan) for plan in planned.values()]
        self._manifests = {path: known for path, known in self._manifests.items() if path in set(folders)}
        return {model.id: model for model in models}

    def _open(self, path: Path) -> Run | None:
        """Return a run, read again only when its ``run.json`` has changed; ``None`` if it is damaged."""
        try:
            status = os.stat(path / MANIFEST)
            mark = (status.st_mtime_ns, status.st_size, status.st_ino)
            if self._manifests.get(path, (None, None))[0] != mark:
                self._manifests[path] = mark, open_run(path)
        except OSError:
            return None
        except UserError:
            self._manifests[path] = mark, None
        return self._manifests[path][1]


READER_DESCRIBED = {
    "id": READER,
    "name": READER,
    "kind": "reader",
    "net": None,
    "task": "classify",
    "answer": "probabilities",
    "numpy": True,
    "trained": True,
    "state": "complete",
    "settings": None,
    "options": None,
    "data": None,
    "engine": None,
    "result": None,
    "started": None,
    "weights": BUNDLED,
    # Whether the page can run the net itself: the reader has a class for what is no digit.
    "inside": False,
}


def default_model(models: dict[str, Model]) -> Model | None:
    """Return the model that answers first: the reader, else the most accurate net with probabilities, else any."""
    trained = [model for model in models.values() if model.trained]

    def rank(model: Model) -> tuple[bool, bool, float]:
        accuracy = (model.described["result"] or {}).get("accuracy")
        known = float(accuracy) if isinstance(accuracy, int | float) else 0.0
        return model.id == READER, model.described["answer"] == "probabilities", known

    return max(trained, key=rank, default=None)


def run_id(name: str) -> str:
    """Return the id of a run by the name of its folder."""
    return f"run:{name}"


def answer_kind(settings: Settings) -> str:
    """Return what a net's outputs are: probabilities of the digits, scores, or a value on the number line."""
    if settings.task == "regress":
        return "value"
    return "scores" if settings.net == "nielsen" else "probabilities"


def _lasting(described: dict[str, Any]) -> dict[str, Any]:
    """Return what makes a new version of the listing: not each new checkpoint of a training, which comes every second.

    Those who follow the training are told of its weights by an event of their own.
    """
    return {**described, "weights": None} if described["state"] == "running" else described


def _model_of_run(run: Run, plan: Planned | None) -> Model:
    best = _mark(run.best_path)
    saved = listing.newest_checkpoint(run)
    newest = _mark(saved) if saved else None
    data = run.manifest.get("data", {})
    described = {
        **_description(run.path.name, run.settings),
        "trained": best is not None or newest is not None,
        "state": _state(run, plan, listing.epochs_done(saved)),
        "options": run.options.as_dict(),
        "data": {"name": data.get("name"), "samples": data.get("samples")},
        "engine": run.manifest.get("engine"),
        "result": run.result,
        "started": _started(run.path),
        "weights": "-".join(mark for mark in (best, newest) if mark) or None,
    }
    return Model(run_id(run.path.name), described, run, best, newest or best)


def _model_of_plan(plan: Planned) -> Model:
    return Model(run_id(plan.name), {**_description(plan.name, plan.settings), "state": plan.state})


def _description(name: str, settings: Settings) -> dict[str, Any]:
    return {
        **READER_DESCRIBED,
        "id": run_id(name),
        "name": name,
        "kind": "run",
        "net": settings.net,
        "task": settings.task,
        "answer": answer_kind(settings),
        "numpy": NETS[settings.net].layer is None,
        "trained": False,
        "settings": settings.as_dict(),
        "engine": None,
        "weights": None,
        "inside": True,
    }


def _state(run: Run, plan: Planned | None, epochs: int) -> str:
    """Return ``complete``, ``running``, ``queued``, ``stopped`` or ``failed``."""
    if plan is not None and plan.state in ("queued", "running"):
        return plan.state
    complete = run.result is not None and epochs >= run.settings.epochs
    if not complete and checkpoint.is_locked(run.path):
        return "running"
    if plan is not None:
        return plan.state
    return "complete" if complete else "stopped"


def _mark(path: Path) -> str | None:
    """Return a short text that changes when a file or a folder is replaced, ``None`` if there is none."""
    try:
        status = os.stat(path, follow_symlinks=False)
    except OSError:
        return None
    return f"{status.st_mtime_ns:x}.{status.st_ino:x}"


def _started(path: Path) -> float | None:
    """Return when a run began: its lock file is made first and never written again."""
    try:
        return os.stat(path / ".lock", follow_symlinks=False).st_mtime
    except OSError:
        return None

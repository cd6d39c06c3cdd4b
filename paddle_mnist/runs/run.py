"""The folder of one training run: its settings, its history, its checkpoints and its pictures."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paddle_mnist.errors import UserError, quote
from paddle_mnist.recipes import Settings
from paddle_mnist.runs import checkpoint
from paddle_mnist.storage.bounded_json import append_history, dump, read_history, read_json
from paddle_mnist.storage.files import atomic_write, os_errors_as
from paddle_mnist.storage.weights import load_state_dict

# Beyond these no run goes: its checkpoints could not be named.
MAX_COUNT = checkpoint.MAX_COUNT
LIMITS = {"epochs": MAX_COUNT, "batch_size": MAX_COUNT, "seed": 1 << 63}
# What else decides how a run goes on: the kind of value, its least or default, and both in words.
OPTIONS = {
    "plain": (bool, False, "true or false"),
    "save_every": (int, 0, "a whole number"),
    "keep": (int, 1, "a whole number from 1 on"),
    "log_every": (int, 1, "a whole number from 1 on"),
}
LEFTOVER = re.compile(r"\.[\w.-]+\.[0-9a-f]{8}\.tmp")  # as atomic_write names a file until it is whole
FIGURES = ("lr", "ms_per_step", "mse", "accuracy", "seconds")
MAX_FIGURE = 1e100  # what is larger cannot be drawn


@dataclass
class Run:
    """A run on disk.

    Attributes:
        path: the run folder.
        document: what ``run.json`` holds: ``settings``, ``data`` (name, sha256), ``versions``, ``command`` and, once
            the run is complete, ``result``.
    """

    path: Path
    document: dict[str, Any]

    @property
    def settings(self) -> Settings:
        """What the run trains, and how.

        Raises:
            UserError: ``run.json``, which may be a stranger's, says something else than a run's settings.
        """
        try:
            settings = Settings(**self.document["settings"])
            _check(settings)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise UserError(
                f"{self.path / 'run.json'}: the settings are not those of a run ({quote(error, 200)}); restore the "
                "file, or train anew"
            ) from None
        return settings

    @property
    def history_path(self) -> Path:
        """``history.jsonl``, a line per logged batch and per epoch."""
        return self.path / "history.jsonl"

    @property
    def best_path(self) -> Path:
        """The weights with the best validation loss."""
        return self.path / ("best.npz" if self.settings.is_numpy else "best.pdparams")

    def history(self) -> list[dict[str, Any]]:
        """Return every record of the run so far, oldest first.

        Raises:
            UserError: the history is damaged, or a line in it is no record of a batch or of an epoch.
        """
        history = read_history(self.history_path)
        for number, record in enumerate(history, start=1):
            wrong = _wrong_in_record(record)
            if wrong:
                raise UserError(
                    f"{self.history_path}, line {number} is no record of a batch or of an epoch: {wrong}; delete that "
                    "line to go on without it"
                )
        return history

    def append(self, records: list[dict[str, Any]]) -> None:
        """Add records to the history; they are on the disk when this returns."""
        append_history(self.history_path, records)

    def sweep(self) -> None:
        """Remove the half-written files that a killed process has left; nobody else may be writing in the folder."""
        for path in self.path.glob(".*.tmp"):
            if LEFTOVER.fullmatch(path.name) and (path.is_file() or path.is_symlink()):
                path.unlink(missing_ok=True)

    def write_document(self) -> None:
        """Write ``run.json``.

        Raises:
            UserError: the operating system refused; the file is as it was.
        """
        path = self.path / "run.json"
        with os_errors_as(f"cannot write {path}"), atomic_write(path, "w") as file:
            file.write(dump(self.document, indent=2) + "\n")


def create(out: str | None, name: str, document: dict[str, Any], runs: Path) -> Run:
    """Make the folder of a new run.

    Args:
        out: the folder itself, or ``None`` for ``name`` (or ``name-2``, ``name-3`` …) under ``runs``.

    Raises:
        UserError: ``out`` already holds a run, or is no folder.
    """
    if out is None:
        path = _next_free(runs, name)
    else:
        path = Path(out)
        if path.exists() and not path.is_dir():
            raise UserError(f"{path} is a file, where a folder for the run is needed: choose another --out")
    run = Run(path, document)
    with checkpoint.lock(path):  # of two commands that begin here at once, one finds the other's run
        if (path / "run.json").exists():
            raise UserError(f"{path} already holds a run: choose another --out, or go on with it by --resume {path}")
        run.write_document()
    return run


def open_run(path: str | os.PathLike[str]) -> Run:
    """Open the folder of an existing run.

    Raises:
        UserError: there is no run in ``path``, or its ``run.json`` is damaged.
    """
    path = Path(path)
    if not (path / "run.json").is_file():
        raise UserError(f"{path} holds no run: there is no run.json in it; give a folder that train has written")
    run = Run(path, read_json(path / "run.json"))
    run.settings  # noqa: B018 - damage is said when a run is opened, not when it is half used
    _check_document(run.document, path / "run.json")
    return run


def _check(settings: Settings) -> None:
    """Refuse settings that no run on disk can have, before memory is taken for them."""
    for name, limit in LIMITS.items():
        value = getattr(settings, name)
        if value is not None and (type(value) is not int or value >= limit):
            raise UserError(f"{name} is {value!r}, where a whole number below {limit:,} is needed")


def _check_document(document: dict[str, Any], where: Path) -> None:
    """Make sure of what ``run.json`` says beside the settings, as far as anything is done with it."""
    data = document.get("data")
    if not isinstance(data, dict) or not all(isinstance(data.get(name), str) for name in ("name", "source", "sha256")):
        raise UserError(f"{where} does not say which digits the run was trained on; restore the file, or train anew")
    if not all(data[name].isprintable() for name in ("name", "source")):
        raise UserError(f"{where} names digits by something that is no path; restore the file, or train anew")
    for name, (kind, least, needed) in OPTIONS.items():
        value = document.get(name, least)
        if type(value) is not kind or (kind is int and not least <= value < MAX_COUNT):
            raise UserError(f"{where}: {name} is {quote(value)}, where {needed} is needed")
    if document.get("device", "cpu") not in ("cpu", "gpu"):
        raise UserError(f"{where}: device is {quote(document['device'])}, where cpu or gpu is needed")


def _wrong_in_record(record: dict[str, Any]) -> str:
    """Tell what keeps a line of a history from being a record; nothing if it is one."""
    epoch, step = record.get("epoch"), record.get("step")
    for name, value in (("epoch", epoch), ("step", step)):
        if type(value) is not int or not 0 <= value < MAX_COUNT:
            return f"its {name} is {quote(value)}"
    if step < epoch:
        return f"step {step} cannot be of epoch {epoch}"
    needed = ["loss", *(["valid_loss"] if "valid_loss" in record else [])]
    for name in (*needed, *(name for name in FIGURES if record.get(name) is not None)):
        value = record.get(name)
        if type(value) not in (int, float) or not abs(value) < MAX_FIGURE:
            return f"its {name} is {quote(value)}"
    return ""


def _next_free(runs: Path, name: str) -> Path:
    """Make and return the first of ``name``, ``name-2``, ``name-3`` … that does not exist yet."""
    runs.mkdir(parents=True, exist_ok=True)
    number = 1
    while True:
        path = runs / (name if number == 1 else f"{name}-{number}")
        try:
            path.mkdir()  # fails where the folder exists: two commands started at once take two names
            return path
        except FileExistsError:
            number += 1


def reproducible_state(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return all that a run's settings decide, and nothing that hangs on the clock or the folder.

    Two runs with equal settings, data, machine and thread count have equal states, to the bit, however often either was
    stopped and resumed. ``numpy.testing.assert_equal`` compares them.

    Returns:
        ``weights``, ``optimizer`` and ``progress`` of the newest checkpoint, the ``best`` weights, the ``history``
        without its times, and the test ``result``.
    """
    run = open_run(path)
    found = checkpoint.latest(run.path)
    if found is None:
        raise UserError(f"{run.path} has no checkpoint yet: train it first")
    weights, optimizer, state = found
    return {
        "weights": weights,
        "optimizer": optimizer,
        "progress": state["progress"],
        "best": load_state_dict(run.best_path),
        "history": [{k: v for k, v in line.items() if k not in ("ms_per_step", "seconds")} for line in run.history()],
        "result": run.document.get("result"),
    }

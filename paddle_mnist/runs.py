"""The folder of one training run: its settings, its history, its checkpoints and its pictures."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paddle_mnist import checkpoint
from paddle_mnist.errors import UserError
from paddle_mnist.files import atomic_write
from paddle_mnist.recipes import Settings
from paddle_mnist.records import append_history, dump, read_history, read_json


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
        """What the run trains, and how."""
        try:
            return Settings(**self.document["settings"])
        except (KeyError, TypeError) as error:
            raise UserError(
                f"{self.path / 'run.json'}: the settings are not those of a run ({error}); restore the file, "
                "or train anew"
            ) from None

    @property
    def history_path(self) -> Path:
        """``history.jsonl``, a line per logged batch and per epoch."""
        return self.path / "history.jsonl"

    @property
    def best_path(self) -> Path:
        """The weights with the best validation loss."""
        return self.path / ("best.npz" if self.settings.is_numpy else "best.pdparams")

    def history(self) -> list[dict[str, Any]]:
        """Return every record of the run so far, oldest first."""
        return read_history(self.history_path)

    def append(self, records: list[dict[str, Any]]) -> None:
        """Add records to the history; they are on the disk when this returns."""
        append_history(self.history_path, records)

    def write_document(self) -> None:
        """Write ``run.json``."""
        with atomic_write(self.path / "run.json", "w") as file:
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
    return run


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
        "best": checkpoint.load_state_dict(run.best_path),
        "history": [{k: v for k, v in line.items() if k not in ("ms_per_step", "seconds")} for line in run.history()],
        "result": run.document.get("result"),
    }

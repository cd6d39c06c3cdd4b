"""The folder of one training run: its settings, its history, its checkpoints and its pictures."""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from paddle_mnist.engine import Progress
from paddle_mnist.errors import UserError, quote
from paddle_mnist.recipes import MAX_COUNT, Settings
from paddle_mnist.runs import checkpoint
from paddle_mnist.storage.bounded_json import append_history, dump, read_history, read_json, truncate_history
from paddle_mnist.storage.files import atomic_write, os_errors_as
from paddle_mnist.storage.weights import load_state_dict, save_state_dict

MANIFEST = "run.json"
LEFTOVER = re.compile(r"\.[\w.-]+\.[0-9a-f]{8}\.tmp")  # the name that atomic_write gives a file in progress
FIGURES = ("lr", "ms_per_step", "mse", "accuracy", "seconds")
MAX_FIGURE = 1e100  # larger values cannot be drawn


@dataclass(frozen=True)
class RunOptions:
    """How a run is carried out. Unlike ``Settings``, these do not decide which net comes out.

    Attributes:
        device: ``"cpu"`` or ``"gpu"``.
        plain: train through Paddle's own layers, without the faster equivalents in ``fast``.
        save_every: steps between checkpoints within an epoch; 0 saves after each epoch only.
        keep: the number of checkpoints to keep.
        log_every: steps between records of the loss.
        quiet: show neither a progress bar nor a line per epoch.

    Raises:
        UserError: an option is outside its range; the message names it.
    """

    device: str = "cpu"
    plain: bool = False
    save_every: int = 0
    keep: int = 3
    log_every: int = 10
    quiet: bool = False

    def __post_init__(self) -> None:
        """Check every option."""
        if self.device not in ("cpu", "gpu"):
            raise UserError(f"device must be cpu or gpu, got {quote(self.device)}")
        for name in ("plain", "quiet"):
            if type(getattr(self, name)) is not bool:
                raise UserError(f"{name} must be true or false, got {quote(getattr(self, name))}")
        for name, least in {"save_every": 0, "keep": 1, "log_every": 1}.items():
            value = getattr(self, name)
            if type(value) is not int or not least <= value < MAX_COUNT:
                raise UserError(f"{name} must be an integer from {least} to {MAX_COUNT - 1:,}, got {quote(value)}")

    def as_dict(self) -> dict[str, Any]:
        """Return the options that ``run.json`` keeps; ``quiet`` belongs to one command, not to the run."""
        return {name: value for name, value in asdict(self).items() if name != "quiet"}


@dataclass
class Run:
    """A run on disk.

    Attributes:
        path: the run folder.
        manifest: the contents of ``run.json``: ``settings``, ``options``, ``data`` (name, source, sha256, samples),
            ``engine``, ``versions``, ``command`` and, once the run is complete, ``result``.
        settings: what is trained and how.
        options: how the run is carried out.
    """

    path: Path
    manifest: dict[str, Any]
    settings: Settings
    options: RunOptions

    @property
    def history_path(self) -> Path:
        """``history.jsonl``, a line per logged batch and per epoch."""
        return self.path / "history.jsonl"

    @property
    def best_path(self) -> Path:
        """The weights with the best validation loss."""
        return self.path / ("best.npz" if self.settings.is_numpy else "best.pdparams")

    @property
    def result(self) -> dict[str, Any] | None:
        """The metrics of the best weights on the test digits, or ``None`` before the run is complete."""
        return self.manifest.get("result")

    def history(self) -> list[dict[str, Any]]:
        """Return every record of the run so far, oldest first.

        Raises:
            UserError: the history is damaged, or a line in it is not the record of a batch or an epoch.
        """
        history = read_history(self.history_path)
        for number, record in enumerate(history, start=1):
            if wrong := _wrong_in_record(record):
                raise UserError(
                    f"{self.history_path}, line {number} is not the record of a batch or an epoch: {wrong}; delete "
                    "the line to continue without it"
                )
        return history

    def append(self, records: list[dict[str, Any]], sync: bool = True) -> None:
        """Add records to the history; with ``sync``, the whole history is on the disk when this returns."""
        append_history(self.history_path, records, sync)

    def truncate_history(self, progress: Progress) -> None:
        """Drop the records of steps that a run resumed at ``progress`` will take again."""
        truncate_history(self.history_path, epoch=progress.epoch, batch=progress.batch)

    def save_best(self, state: dict[str, np.ndarray]) -> None:
        """Write the best weights: ``best.pdparams`` and ``best.safetensors``, or ``best.npz`` for a NumPy net."""
        save_state_dict(self.best_path, state)
        if not self.settings.is_numpy:
            save_state_dict(self.best_path.with_suffix(".safetensors"), state)

    def best_state(self) -> dict[str, np.ndarray]:
        """Return the best weights.

        Raises:
            UserError: no epoch is complete yet, or the file is damaged.
        """
        if not os.path.lexists(self.best_path):
            raise UserError(
                f"{self.path} has no {self.best_path.name} yet: complete an epoch with --resume {self.path}"
            )
        return load_state_dict(self.best_path)

    def remove_leftovers(self) -> None:
        """Remove the unfinished files of a killed process; call it only with the run's lock held."""
        for path in self.path.glob(".*.tmp"):
            if LEFTOVER.fullmatch(path.name) and (path.is_file() or path.is_symlink()):
                path.unlink(missing_ok=True)

    def write_manifest(self) -> None:
        """Write ``run.json``.

        Raises:
            UserError: the operating system refused; the file is as it was.
        """
        path = self.path / MANIFEST
        self.manifest |= {"settings": self.settings.as_dict(), "options": self.options.as_dict()}
        with os_errors_as(f"cannot write {path}"), atomic_write(path, "w") as file:
            file.write(dump(self.manifest, indent=2) + "\n")


def create(
    out: str | os.PathLike[str] | None,
    name: str,
    settings: Settings,
    options: RunOptions,
    manifest: dict[str, Any],
    runs: Path,
) -> Run:
    """Make the folder of a new run.

    Args:
        out: the folder itself, or ``None`` for ``name`` (or ``name-2``, ``name-3`` …) under ``runs``.

    Raises:
        UserError: ``out`` already holds a run, or is not a folder. No folder is left behind.
    """
    if out is None:
        path, new = _next_free(runs, name), True
    else:
        path = Path(out)
        new = not path.exists()
        if not new and not path.is_dir():
            raise UserError(f"{path} must be a folder for the run, got a file: choose another --out")
    run = Run(path, manifest, settings, options)
    try:
        with checkpoint.lock(path):  # of two commands that start here at once, one finds the other's run
            if (path / MANIFEST).exists():
                raise UserError(f"{path} already holds a run: choose another --out, or resume it with --resume {path}")
            run.write_manifest()
    except BaseException:
        if new:
            _remove_empty(path)
        raise
    return run


def open_run(path: str | os.PathLike[str]) -> Run:
    """Open the folder of an existing run.

    Raises:
        UserError: ``path`` holds no run, or its ``run.json``, which may be a stranger's, is damaged.
    """
    path = Path(path)
    if not os.path.lexists(path / MANIFEST):
        raise UserError(f"{path} holds no run (no {MANIFEST}): give a folder that train has written")
    source = path / MANIFEST
    manifest = read_json(source)
    try:
        settings, options = Settings(**manifest["settings"]), RunOptions(**manifest.get("options", {}))
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{source} must hold the settings and options of a run, got {quote(str(error), 200)}; restore the file, or "
            "train a new run"
        ) from None
    _check_data(manifest.get("data"), source)
    return Run(path, manifest, settings, options)


def _check_data(data: Any, source: Path) -> None:
    """Check what ``run.json`` says about the digits."""
    if not isinstance(data, dict) or not all(isinstance(data.get(name), str) for name in ("name", "source", "sha256")):
        raise UserError(f"{source} must say which digits the run was trained on; restore the file, or train a new run")
    if not all(data[name].isprintable() for name in ("name", "source")):
        raise UserError(f"{source} must name the digits in visible text: restore the file, or train a new run")


def _wrong_in_record(record: dict[str, Any]) -> str:
    """Return what is wrong with a line of a history, ``""`` if it is valid."""
    for name in ("epoch", "step"):
        value = record.get(name)
        if type(value) is not int or not 0 <= value < MAX_COUNT:
            return f"its {name} is {quote(value)}"
    if record["step"] < record["epoch"]:
        return f"step {record['step']} cannot be in epoch {record['epoch']}"
    needed = ["loss", *(["valid_loss"] if "valid_loss" in record else [])]
    for name in (*needed, *(name for name in FIGURES if record.get(name) is not None)):
        value = record.get(name)
        if not isinstance(value, int | float) or type(value) is bool or not abs(value) < MAX_FIGURE:
            return f"its {name} is {quote(value)}"
    return ""


def _next_free(runs: Path, name: str) -> Path:
    """Make and return the first of ``name``, ``name-2``, ``name-3`` … that does not exist yet."""
    runs.mkdir(parents=True, exist_ok=True)
    number = 1
    while True:
        path = runs / (name if number == 1 else f"{name}-{number}")
        try:
            path.mkdir()  # fails if the folder exists, so two commands started at once take two names
            return path
        except FileExistsError:
            number += 1


def _remove_empty(folder: Path) -> None:
    """Remove the folder of a run that never began, unless it holds other files."""
    with contextlib.suppress(OSError):
        if {entry.name for entry in folder.iterdir()} <= {".lock"}:
            (folder / ".lock").unlink(missing_ok=True)
            folder.rmdir()


def reproducible_state(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return everything that the settings of a run decide, and nothing that depends on the clock or the folder.

    Two runs with equal settings, data, machine and thread count have equal states, to the bit, however often either
    was stopped and resumed. ``numpy.testing.assert_equal`` compares them.

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
        "best": run.best_state(),
        "history": [{k: v for k, v in line.items() if k not in ("ms_per_step", "seconds")} for line in run.history()],
        "result": run.result,
    }

"""The history of a run: how long it will get, which is known before it begins, and how to follow it as it grows.

A history is read whole, by the run itself at its end and when it resumes, so its length is bounded
(``bounded_json``). A run that would pass the bound is refused before anything is written: stopped at the bound, or
with a thinned-out history, it would no longer be the run that was asked for.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from paddle_mnist.errors import UserError
from paddle_mnist.storage.bounded_json import MAX_HISTORY_BYTES, MAX_HISTORY_LINES, MAX_LINE_BYTES, parse_object

STEP_BYTES = 150  # what a step's record takes at most, with full counts and every digit of its floats
EPOCH_BYTES = 320  # likewise an epoch's record

# A link would lead out of the run folder, and a pipe would keep its reader waiting.
OPEN_FLAGS = os.O_RDONLY | sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"))


def check_length(epochs: int, steps_per_epoch: int, log_every: int, written: Iterable[Mapping[str, Any]] = ()) -> None:
    """Make sure that the history of a whole run can be read back.

    Args:
        epochs: of the run, those that are done included.
        steps_per_epoch: gradient steps in an epoch.
        log_every: steps between records from now on.
        written: the records that the run has already; those of an epoch that is not complete may be written again.

    Raises:
        UserError: it cannot; the message names the smallest ``--log-every`` that works.
    """
    records = list(written)
    done = sum("valid_loss" in record for record in records)
    left = (epochs - done) * steps_per_epoch
    free = MAX_HISTORY_BYTES - STEP_BYTES * sum(
        "valid_loss" not in record and record["epoch"] < done for record in records
    )
    most = (free - epochs * EPOCH_BYTES) // STEP_BYTES  # records of steps
    if math.ceil(left / log_every) <= most:
        return
    if most < 1:
        longest = (free - STEP_BYTES) // EPOCH_BYTES
        raise UserError(f"epochs must be at most {longest:,}, got {epochs:,}: a longer history is not read")
    raise UserError(
        f"--log-every must be at least {math.ceil(left / most):,} for {left:,} steps, got {log_every:,}: a longer "
        "history is not read"
    )


class Tail:
    """Follows a history while a run writes it.

    Args:
        path: of the history, which may not exist yet.

    Attributes:
        records: every record that was read so far, oldest first.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.records: list[dict[str, Any]] = []
        self._file: tuple[int, int] | None = None  # device and number of the file that was read
        self._read = 0  # bytes

    def poll(self) -> int | None:
        """Read what was added, and return the number of the first new record; ``None`` if nothing was added.

        0 means that the history began again, or was cut back to a checkpoint by a run that was resumed.
        A line that is not complete yet is left for the next time, and so is everything behind a damaged line.
        """
        try:
            with open(os.open(self.path, OPEN_FLAGS), "rb") as file:
                status = os.fstat(file.fileno())
                if (status.st_dev, status.st_ino) != self._file or status.st_size < self._read:
                    before = self._file
                    self._file, self._read, self.records = (status.st_dev, status.st_ino), 0, []
                    restarted = before is not None
                else:
                    restarted = False
                file.seek(self._read)
                data = file.read(max(0, MAX_HISTORY_BYTES - self._read))
        except OSError:
            return None
        first = len(self.records)
        for line in data.splitlines(keepends=True):
            record = _record(line)
            if record is None or len(self.records) >= MAX_HISTORY_LINES:
                break
            self.records.append(record)
            self._read += len(line)
        return first if restarted or len(self.records) > first else None


def _record(line: bytes) -> dict[str, Any] | None:
    """Return the record in a line, ``None`` if the line is not complete or damaged."""
    if not line.endswith(b"\n") or len(line) > MAX_LINE_BYTES:
        return None
    try:
        return parse_object(line, "the history")
    except UserError:
        return None


def thinned(records: list[dict[str, Any]], points: int) -> list[dict[str, Any]]:
    """Return at most ``points`` records of steps, evenly spaced, and every record of an epoch, in their order."""
    steps = sum("valid_loss" not in record for record in records)
    stride = max(1, math.ceil(steps / max(1, points)))
    kept, number = [], 0
    for record in records:
        if "valid_loss" in record:
            kept.append(record)
            continue
        if number % stride == 0:
            kept.append(record)
        number += 1
    return kept

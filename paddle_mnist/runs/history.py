"""How long the history of a run will get, which is known before it begins.

A history is read whole, by the run itself at its end and when it resumes, so its length is bounded
(``bounded_json``). A run that would pass the bound is refused before anything is written: stopped at the bound, or
with a thinned-out history, it would no longer be the run that was asked for.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from paddle_mnist.errors import UserError
from paddle_mnist.storage.bounded_json import MAX_HISTORY_BYTES

STEP_BYTES = 150  # what a step's record takes at most, with full counts and every digit of its floats
EPOCH_BYTES = 320  # likewise an epoch's record


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

"""Which runs a folder holds, how far each has come, and whether it is being trained."""

from __future__ import annotations

import os
import re
from pathlib import Path

from paddle_mnist.errors import UserError
from paddle_mnist.runs import checkpoint
from paddle_mnist.runs.run import MANIFEST, Run


def run_folders(runs: Path) -> list[Path]:
    """Return the folders in ``runs`` that hold a run, by name; links are not followed, odd names are left out."""
    try:
        entries = list(os.scandir(runs))
    except OSError:
        return []
    return sorted(
        Path(entry.path)
        for entry in entries
        if entry.name.isprintable()
        and entry.is_dir(follow_symlinks=False)
        and os.path.isfile(os.path.join(entry.path, MANIFEST))
    )


def free_name(name: str, taken: set[str]) -> str:
    """Return ``name``, or the first of ``name-2``, ``name-3`` … that is not taken."""
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}-{number}"
    return free


def newest_checkpoint(run: Run) -> Path | None:
    """Return the folder of a run's newest checkpoint, which is not verified here; ``None`` if there is none."""
    try:
        found = checkpoint.checkpoints(run.path)
    except (UserError, OSError):
        return None
    return found[-1] if found else None


def epochs_done(newest: Path | None) -> int:
    """Return how many epochs a run has complete, by its newest checkpoint."""
    match = re.search(r"epoch-(\d+)", newest.name) if newest else None
    return int(match[1]) if match else 0

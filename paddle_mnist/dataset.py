"""Where the digits come from: a path, the work folder, the verified download, or the bundled sample."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from paddle_mnist import mnist_json
from paddle_mnist.errors import UserError
from paddle_mnist.splits import Splits

SAMPLE = "mnist-5k.json.gz"
WHOLE = "mnist.json.gz"


@dataclass(frozen=True)
class Dataset(Splits):
    """A data set and where it came from.

    Attributes:
        name: the file or folder that was read.
        sha256: the SHA-256 of that file (of the four files one after the other, for a folder of IDX files).
    """

    name: str = ""
    sha256: str = ""


def work_folder() -> Path:
    """Return the folder where data and runs are kept: ``work`` here, else in the source checkout, else ``work`` here."""
    here = Path("work")
    checkout = Path(__file__).resolve().parent.parent / "work"
    return checkout if not here.is_dir() and checkout.is_dir() else here


def open_dataset(data: str | os.PathLike[str] = "auto", say: Callable[[str], None] | None = None) -> Dataset:
    """Open a data set."""
    path = work_folder() / SAMPLE if data in ("auto", "sample") else Path(data)
    if not path.exists():
        raise UserError(f"{path} is not there")
    if say:
        say(f"digits from {path}")
    splits = mnist_json.read(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Dataset(splits.train, splits.valid, splits.eval, splits.encoding, name=str(path), sha256=digest)

"""Where the digits come from: a path, the work folder, the verified download, or the bundled sample."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from paddle_mnist.errors import UserError
from paddle_mnist.sources import cache, idx, mnist_json
from paddle_mnist.splits import Splits

SAMPLE = "mnist-5k.json.gz"
WHOLE = "mnist.json.gz"
GET_ALL = "python -m paddle_mnist.data fetch"

_RETRY_AFTER = 3600.0  # seconds after which a failed download is tried again

Log = Callable[[str], None]


@dataclass(frozen=True)
class Dataset(Splits):
    """A data set and its origin.

    The images are read-only memory maps if they come from the cache.

    Attributes:
        name: the file or folder that was read.
        sha256: the SHA-256 of that file's bytes (of the four files one after the other, for a folder of IDX files).
    """

    name: str = ""
    sha256: str = ""


def open_dataset(data: str | os.PathLike[str] = "auto", log: Log | None = None) -> Dataset:
    """Open a data set.

    Args:
        data: a file in the course's format (``.json`` or ``.json.gz``), a folder with MNIST's four IDX files,
            ``"sample"`` for the 5,000 digits that come with the project, or ``"auto"`` for the first of these that
            exists: the path in the environment variable ``PADDLE_MNIST_DATA``; ``mnist.json.gz`` in the work folder;
            the digits that were downloaded before; the download itself, unless ``PADDLE_MNIST_OFFLINE`` is 1 or it
            failed within the last hour; the sample.
        log: takes a line that names the data that was opened, and lines about a download; ``None`` discards them.

    Raises:
        UserError: there is no such data, or it is damaged or in another format.
        OSError: a file cannot be read.
    """
    log = log or (lambda line: None)
    if str(data) == "auto":
        return _open_auto(log)
    if str(data) == "sample":
        return _open(_sample(), log)
    return _open(Path(data), log)


def work_folder() -> Path:
    """Return the folder where data and runs are kept.

    It is ``work`` in the current folder if that exists; else the one of the source checkout, if the package is
    installed from one (``pip install -e``); else ``work`` in the current folder, which is yet to be made.
    """
    here = Path("work")
    checkout = _checkout_work()
    return checkout if not here.is_dir() and checkout.is_dir() else here


def download_folder() -> Path:
    """Return the folder in the cache that holds MNIST's four IDX files after their download."""
    return cache.folder() / "mnist"


def _checkout_work() -> Path:
    return Path(__file__).resolve().parent.parent / "work"


def _open_auto(log: Log) -> Dataset:
    if chosen := os.environ.get("PADDLE_MNIST_DATA"):
        if not Path(chosen).exists():
            raise UserError(f"PADDLE_MNIST_DATA must name a file or folder that exists, got {chosen}")
        return _open(Path(chosen), log)
    if (whole := work_folder() / WHOLE).exists():
        return _open(whole, log)
    failure = None if _is_downloaded() else _download(log)
    if failure is None:
        return _open(download_folder(), log)
    log(f"{failure}: using the bundled sample of 5,000 digits; `{GET_ALL}` gets all 70,000")
    return _open(_sample(), log)


def _open(path: Path, log: Log) -> Dataset:
    if path.is_dir():
        splits, sha256 = cache.open_source(idx.files(path), lambda: idx.read_folder(path))
    elif path.exists():
        splits, sha256 = cache.open_source([path], lambda: mnist_json.read(path))
    else:
        raise UserError(f"data must be a mnist.json.gz, a folder of IDX files, 'sample' or 'auto', got no file {path}")
    counts = " + ".join(f"{len(part.labels):,}" for part in (splits.train, splits.valid, splits.eval))
    log(f"{counts} digits from {path}")
    return Dataset(splits.train, splits.valid, splits.eval, splits.encoding, name=str(path), sha256=sha256)


def _sample() -> Path:
    """Return the path of the bundled sample: in the work folder, in the source checkout, or in the package itself."""
    installed = Path(__file__).resolve().parent / "sources"  # where setup.py puts it in a wheel
    for folder in (work_folder(), _checkout_work(), installed):
        if (folder / SAMPLE).exists():
            return folder / SAMPLE
    raise UserError(
        f"the sample {SAMPLE} is missing from {work_folder()} and from the installed package: reinstall paddle-mnist, "
        f"get all of MNIST by `{GET_ALL}`, or give a file by --data"
    )


def _is_downloaded() -> bool:
    try:
        return len(idx.files(download_folder())) == len(idx.NAMES)
    except UserError:
        return False


def _download(log: Log) -> str | None:
    """Try to download MNIST; return the reason why it failed, ``None`` if it did not."""
    if os.environ.get("PADDLE_MNIST_OFFLINE", "0") not in ("", "0"):
        return "PADDLE_MNIST_OFFLINE is set"
    failed = cache.folder() / "download-failed"
    with contextlib.suppress(OSError):
        if 0 <= time.time() - failed.stat().st_mtime < _RETRY_AFTER:
            return "MNIST could not be downloaded within the last hour"
    from paddle_mnist.sources import download

    try:
        download.fetch(download_folder(), log=log)
        return None
    except download.NoMirrorError:
        reason = "no network"
    except (UserError, OSError) as error:
        reason = "the mirrors' files are incomplete" if isinstance(error, UserError) else error.strerror or str(error)
    with contextlib.suppress(OSError):
        failed.parent.mkdir(parents=True, exist_ok=True)
        failed.touch()
    return f"MNIST could not be downloaded ({reason})"

"""Where the digits come from: a path, the work folder, the verified download, or the bundled sample."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from paddle_mnist.errors import UserError
from paddle_mnist.sources import cache, idx, mnist_json
from paddle_mnist.splits import Splits

SAMPLE = "mnist-5k.json.gz"
WHOLE = "mnist.json.gz"
GET_ALL = "python -m paddle_mnist.data fetch"

_FORGET_FAILURE = 3600.0  # seconds after which a download that failed is tried again

Log = Callable[[str], None]


@dataclass(frozen=True)
class Dataset(Splits):
    """A data set and where it came from.

    The images are read-only memory maps if they come by way of the cache: they take memory only where they are looked
    at.

    Attributes:
        name: the file or folder that was read.
        sha256: the SHA-256 of that file's bytes (of the four files one after the other, for a folder of IDX files).
    """

    name: str = ""
    sha256: str = ""


def open_dataset(data: str | os.PathLike[str] = "auto", log: Log | None = None) -> Dataset:
    """Open a data set.

    Args:
        data: a file in the course's form (``.json`` or ``.json.gz``), a folder with MNIST's four IDX files,
            ``"sample"`` for the 5,000 digits that come with the project, or ``"auto"`` for the first of these that is
            there: the path in the environment variable ``PADDLE_MNIST_DATA``; ``mnist.json.gz`` in the work folder; the
            digits that were downloaded before; the download itself, unless ``PADDLE_MNIST_OFFLINE`` is 1 or it failed
            within the last hour; the sample.
        log: takes one line that says what was taken, and lines about a download; ``None`` keeps silent.

    Raises:
        UserError: there is no such data, or it is not what it should be.
        OSError: a file cannot be read.
    """
    log = log or (lambda message: None)
    if str(data) == "auto":
        return _open_auto(log)
    if str(data) == "sample":
        return _open(_sample(), log)
    return _open(Path(data), log)


def work_folder() -> Path:
    """Return the folder where data and runs are kept.

    It is ``work`` in the current folder if there is one; else that of the source checkout which the package is
    installed from, if it is (``pip install -e``); else ``work`` in the current folder, to be made.
    """
    here = Path("work")
    checkout = _checkout_work()
    return checkout if not here.is_dir() and checkout.is_dir() else here


def download_folder() -> Path:
    """Return the folder in the cache that holds MNIST's four IDX files once they were downloaded."""
    return cache.folder() / "mnist"


def _checkout_work() -> Path:
    return Path(__file__).resolve().parent.parent / "work"


def _open_auto(log: Log) -> Dataset:
    if chosen := os.environ.get("PADDLE_MNIST_DATA"):
        if not Path(chosen).exists():
            raise UserError(f"PADDLE_MNIST_DATA names {chosen}, which is not there: mend it, or unset it")
        return _open(Path(chosen), log)
    if (whole := work_folder() / WHOLE).exists():
        return _open(whole, log)
    if _is_downloaded():
        return _open(download_folder(), log)
    why = _download(log)
    if why is None:
        return _open(download_folder(), log)
    return _open(_sample(), log, f" ({why}; all 70,000: {GET_ALL})")


def _open(path: Path, log: Log, remark: str = "") -> Dataset:
    if not path.exists():
        raise UserError(f"{path} is not there: give a mnist.json.gz, a folder of IDX files, 'sample' or 'auto' as data")
    if path.is_dir():
        files = idx.files(path)

        def parse(spool: IO[bytes] | None) -> Splits:
            splits = idx.read_folder(path)
            if spool is not None:
                for part in (splits.train, splits.valid, splits.eval):
                    spool.write(part.images.tobytes())
            return splits
    else:
        files = [path]

        def parse(spool: IO[bytes] | None) -> Splits:
            return mnist_json.read(path, spool)

    splits, sha256 = cache.open_source(files, parse)
    counts = " + ".join(f"{len(part.labels):,}" for part in (splits.train, splits.valid, splits.eval))
    log(f"{counts} digits from {path}{remark}")
    return Dataset(splits.train, splits.valid, splits.eval, splits.encoding, name=str(path), sha256=sha256)


def _sample() -> Path:
    """Return where the bundled sample is."""
    # The last is where setup.py puts it in a wheel.
    places = [work_folder() / SAMPLE, _checkout_work() / SAMPLE, Path(__file__).parent / "sources" / SAMPLE]
    for path in places:
        if path.exists():
            return path
    raise UserError(
        f"the sample {SAMPLE} is neither in {places[0].parent} nor in a source checkout: get all of MNIST by "
        f"{GET_ALL}, or give a file by --data"
    )


def _is_downloaded() -> bool:
    try:
        return len(idx.files(download_folder())) == len(idx.NAMES)
    except UserError:
        return False


def _download(log: Log) -> str | None:
    """Try to download MNIST; return why it was not, ``None`` if it was."""
    if os.environ.get("PADDLE_MNIST_OFFLINE", "0") not in ("", "0"):
        return "the sample: PADDLE_MNIST_OFFLINE is set"
    failed = cache.folder() / "download-failed"
    with contextlib.suppress(OSError):
        if 0 <= time.time() - failed.stat().st_mtime < _FORGET_FAILURE:
            return "the sample: MNIST could not be downloaded within the last hour"
    from paddle_mnist.sources import download

    log("MNIST is not here yet: downloading its 11 MB")
    try:
        download.fetch(download_folder(), log=log)
    except (UserError, OSError):
        with contextlib.suppress(OSError):
            failed.parent.mkdir(parents=True, exist_ok=True)
            failed.touch()
        return "the sample: MNIST could not be downloaded"
    return None

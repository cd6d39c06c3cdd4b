"""Download the four files of MNIST from the mirrors of PyTorch, Google and Paddle, and verify them."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pooch
import requests
from tqdm import tqdm

from paddle_mnist.errors import UserError
from paddle_mnist.sources import idx

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",  # torchvision's
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "https://dataset.bj.bcebos.com/mnist/",  # paddle.vision's
)

# The mirrors serve the same compressed files. These are the MD5s that paddle.vision and torchvision declare for them;
# they detect accidents, not attackers.
MD5 = dict(
    zip(
        (f"{name}.gz" for name in idx.NAMES),
        (
            "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "d53e105ee54ea40749a09fcbcd1e9432",
            "9fb629c4189551a2d022fa330f9573f3",
            "ec29112dd5afa0611ce80d1b7f02629c",
        ),
        strict=True,
    )
)

MAX_BYTES = 20_000_000  # of one file; the largest has 9.9 MB
PATIENCE = 15.0  # seconds after which a mirror must have sent MIN_RATE bytes a second
MIN_RATE = 10_000
_STALL = 10.0  # seconds without a byte
_CHUNK = 1 << 13


class NoMirrorError(UserError):
    """No mirror answered, most likely because there is no network."""


def fetch(
    folder: Path,
    mirrors: Sequence[str] = MIRRORS,
    md5: dict[str, str] | None = None,
    timeout: float = 3.0,
    progress: bool = True,
    log: Callable[[str], None] | None = None,
) -> list[Path]:
    """Download the missing files of MNIST.

    Each file is taken from the first mirror that has it complete, and appears in ``folder`` only after its MD5 was
    verified. Complete files are not downloaded again.

    Args:
        folder: the folder to download into.
        mirrors: URLs to which the files' names are appended, in order of preference.
        md5: each file's name and MD5; ``None`` is ``MD5``.
        timeout: seconds within which a mirror must answer.
        progress: whether to show a progress bar.
        log: takes a line when the download begins, and one for each failed attempt.

    Returns:
        The four files.

    Raises:
        NoMirrorError: no mirror answered in time.
        UserError: no mirror has a file complete; the sentence says what each of them answered.
        OSError: the folder cannot be written to.
    """
    log = log or (lambda line: None)
    md5 = MD5 if md5 is None else md5
    missing = [name for name, digest in md5.items() if not _is_complete(Path(folder, name), digest)]
    if missing:
        mirrors = _answering_first(mirrors, missing[0], timeout)
        log("downloading MNIST (11 MB)")
    for name in missing:
        _fetch_file(Path(folder, name), md5[name], mirrors, timeout, progress, log)
    return [Path(folder, name) for name in md5]


def _is_complete(path: Path, md5: str) -> bool:
    return path.is_file() and pooch.file_hash(str(path), alg="md5") == md5


def _answering_first(mirrors: Sequence[str], name: str, timeout: float) -> list[str]:
    """Return the mirrors, those first that answer in time.

    All are asked at once. Looking up a host's name has no time limit and may take a minute without a network, so
    threads do it, which are left behind if need be.
    """
    answered: list[str] = []

    def ask(mirror: str) -> None:
        try:
            requests.head(mirror + name, timeout=timeout, allow_redirects=True)
        except (requests.RequestException, ValueError):  # ValueError: not a URL
            return
        answered.append(mirror)

    threads = [threading.Thread(target=ask, args=(mirror,), daemon=True) for mirror in mirrors]
    deadline = time.monotonic() + timeout
    for thread in threads:
        thread.start()
    for mirror, thread in zip(mirrors, threads, strict=True):
        thread.join(max(deadline - time.monotonic(), 0))
        if mirror in answered:
            return sorted(mirrors, key=lambda other: other not in answered)
    raise NoMirrorError(
        f"MNIST could not be downloaded (no answer from {', '.join(mirrors)}): "
        "check the network and try again, or give the data by --data"
    )


def _fetch_file(
    path: Path, md5: str, mirrors: Sequence[str], timeout: float, progress: bool, log: Callable[[str], None]
) -> None:
    """Download a file from the first mirror that has it complete."""
    pooch.get_logger().setLevel("WARNING")  # the progress bar tells the rest
    failures = []
    for mirror in mirrors:
        with contextlib.closing(_Transfer(path.name, progress)) as transfer:
            downloader = pooch.HTTPDownloader(transfer, chunk_size=_CHUNK, timeout=(timeout, _STALL))
            try:
                pooch.retrieve(mirror + path.name, f"md5:{md5}", path.name, path.parent, downloader=downloader)
                return
            except requests.HTTPError as error:
                status = "error" if error.response is None else f"status {error.response.status_code}"
                failures.append(f"{mirror}: HTTP {status}")
            except requests.RequestException as error:
                failures.append(f"{mirror}: {type(error).__name__}")
            except ValueError as error:  # from _Transfer, or pooch's for a wrong MD5
                failures.append(f"{mirror}: {error if isinstance(error, UserError) else 'damaged or incomplete'}")
        log(f"{path.name} from {failures[-1]}")
    raise UserError(
        f"{path.name} could not be downloaded ({'; '.join(failures)}): try again later, or give the data by --data"
    )


class _Transfer:
    """Shows the progress that pooch reports, and stops a transfer that is too long or too slow."""

    total: int | None = None  # pooch sets it; 0 if the mirror does not tell

    def __init__(self, name: str, shown: bool) -> None:
        self._bar = tqdm(desc=name, unit="B", unit_scale=True, disable=not shown)
        self._begun = time.monotonic()
        self._received = 0

    def update(self, size: int) -> None:
        """Count one more chunk."""
        self._received += size
        seconds = time.monotonic() - self._begun
        if self._received > MAX_BYTES + _CHUNK:
            raise UserError(f"it sent more than {MAX_BYTES // 1_000_000} MB")
        if seconds > PATIENCE and self._received < MIN_RATE * seconds:
            raise UserError(f"it sent {self._received:,} bytes in {seconds:.0f} s, which is too slow")
        self._bar.total = self.total or None
        self._bar.update(size)

    def reset(self) -> None:
        """Count from zero again, as pooch asks at the end, before it adds the total."""
        self._begun, self._received = time.monotonic(), 0
        self._bar.reset()

    def close(self) -> None:
        """Leave the bar as it is."""
        self._bar.close()

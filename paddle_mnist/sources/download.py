"""Get the four files of MNIST from the mirrors that Paddle, PyTorch and Google keep, and check what came."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import queue
import threading
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from paddle_mnist.errors import UserError
from paddle_mnist.sources import idx
from paddle_mnist.storage.files import atomic_write

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",  # torchvision's
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "https://dataset.bj.bcebos.com/mnist/",  # paddle.vision's
)

# MD5 of what is inside: each mirror packs the files in its own way. It guards against accidents, not against attackers.
MD5 = dict(
    zip(
        idx.NAMES,
        (
            "6bbc9ace898e44ae57da46a324031adb",
            "a25bea736e30d166cdddb491f175f624",
            "2646ac647ad5339dbf082846283269ea",
            "27ae3e4e09519cfbb04c329615203637",
        ),
        strict=True,
    )
)

_MAX_PACKED = 20_000_000  # the largest file is 9.9 MB packed and 47 MB unpacked
_MAX_CONTENT = 100_000_000
_STEP = 1 << 16
_STALL = 10.0  # seconds without a byte
_PATIENT = 15.0  # seconds after which a mirror must have given _LEAST_RATE bytes a second
_LEAST_RATE = 10_000
_CAUSES = (OSError, http.client.HTTPException, EOFError, zlib.error, ValueError)


def fetch(
    folder: Path,
    mirrors: Sequence[str] = MIRRORS,
    md5: dict[str, str] = MD5,
    connect_timeout: float = 3.0,
    patience: float = 9.0,
    retries: int = 2,
    progress: bool = True,
    log: Callable[[str], None] | None = None,
) -> list[Path]:
    """Download what is missing of MNIST.

    Each file is taken from the first mirror that gives it whole, and appears in ``folder`` only once its content was
    checked. Files that are there and sound are not fetched again.

    Args:
        folder: where to.
        mirrors: addresses that the files' names are appended to, in order of preference.
        md5: the MD5 of each file's unpacked content.
        connect_timeout: seconds to wait for a mirror's answer.
        patience: seconds in all after which no further mirror is tried while none has answered.
        retries: how often a mirror that is busy, or whose file is not whole, is asked again, each time a second later.
        progress: whether to show a bar.
        log: takes a line for each failed attempt.

    Returns:
        The four files.

    Raises:
        UserError: no mirror gave a file; the sentence says what each of them answered.
        OSError: the folder cannot be written to.
    """
    clock = _Patience(time.monotonic() + patience)
    paths = []
    for name, digest in md5.items():
        path = Path(folder, name + ".gz")
        if not (path.is_file() and _md5(path.read_bytes()) == digest):
            content = _from_any(name, digest, mirrors, connect_timeout, retries, clock, progress, log)
            with atomic_write(path) as file:
                file.write(content)
        paths.append(path)
    return paths


class _Patience:
    """The time until which mirrors are tried that never answered; an answer ends the hurry."""

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline
        self.answered = False

    def left(self) -> float:
        return 3600.0 if self.answered else self._deadline - time.monotonic()


def _from_any(
    name: str,
    digest: str,
    mirrors: Sequence[str],
    timeout: float,
    retries: int,
    clock: _Patience,
    progress: bool,
    log: Callable[[str], None] | None,
) -> bytes:
    """Return a file's packed bytes, checked, from the first mirror that has them."""
    failures = []
    for mirror in mirrors:
        for pause in range(retries + 1):
            if clock.left() <= pause:
                break
            time.sleep(pause)
            try:
                content = _get(mirror + name + ".gz", timeout, clock, progress)
                found = _md5(content)
                if found != digest:
                    raise ValueError(f"its content has the MD5 {found}, where {digest} is needed")
                return content
            except _CAUSES as error:
                failures.append(f"{mirror}: {_describe(error)}")
                if log:
                    log(f"{name} from {failures[-1]}")
                if not _is_worth_another(error):
                    break
    tried = "; ".join(dict.fromkeys(failures)) or "there was no time left"
    raise UserError(f"{name} could not be downloaded ({tried}): try again later, or give the data by --data")


def _get(url: str, timeout: float, clock: _Patience, progress: bool) -> bytes:
    """Return what an address gives."""
    response = _open(url, max(min(timeout, clock.left()), 0.1))
    clock.answered = True
    begun = time.monotonic()
    with response:
        total = int(response.headers.get("Content-Length") or 0)
        content = bytearray()
        with _bar(url.rpartition("/")[2], total, progress) as advance:
            while part := response.read1(_STEP):  # what has come, and not only when it is this much
                content += part
                advance(len(part))
                if len(content) > _MAX_PACKED:
                    raise ValueError(f"it gave more than {_MAX_PACKED // 1_000_000} MB")
                seconds = time.monotonic() - begun
                if seconds > _PATIENT and len(content) < _LEAST_RATE * seconds:
                    raise TimeoutError(f"it gave {len(content):,} bytes in {seconds:.0f} s, which is too slow")
    if total and len(content) != total:
        raise ValueError(f"it gave {len(content):,} of {total:,} bytes")
    return bytes(content)


def _open(url: str, wait: float) -> http.client.HTTPResponse:
    """Open an address, in ``wait`` seconds at most.

    Looking up a host's name has no time limit of its own and may take a minute without a network, so a thread does
    it, which is left behind if need be.
    """
    outcome: queue.SimpleQueue = queue.SimpleQueue()
    given_up = threading.Event()

    def work() -> None:
        try:
            request = urllib.request.Request(url, headers={"User-Agent": "paddle_mnist"})
            response = urllib.request.urlopen(request, timeout=_STALL)
        except BaseException as error:
            if isinstance(error, urllib.error.HTTPError):
                error.close()
            outcome.put(error)
            return
        if given_up.is_set():
            response.close()
        outcome.put(response)

    threading.Thread(target=work, daemon=True, name="connect").start()
    try:
        found = outcome.get(timeout=wait)
    except queue.Empty:
        given_up.set()
        raise TimeoutError(f"no answer within {wait:.0f} s") from None
    if isinstance(found, BaseException):
        raise found
    return found


@contextlib.contextmanager
def _bar(name: str, total: int, shown: bool) -> Iterator[Callable[[int], object]]:
    from tqdm import tqdm

    with tqdm(total=total or None, desc=name, unit="B", unit_scale=True, disable=not shown) as bar:
        yield bar.update


def _md5(packed: bytes) -> str:
    """Return the MD5 of what is packed; what does not unpack has none, and gives the reason instead."""
    digest, size = hashlib.md5(usedforsecurity=False), 0
    unpacker = zlib.decompressobj(wbits=31)
    try:
        while packed:
            part = unpacker.decompress(packed, _STEP)
            digest.update(part)
            size += len(part)
            packed = unpacker.unconsumed_tail
            if size > _MAX_CONTENT or not (part or packed):
                break
    except zlib.error as error:
        return f"none ({error})"
    return digest.hexdigest() if unpacker.eof and not unpacker.unused_data else "none (it is no whole gzip file)"


def _is_worth_another(error: BaseException) -> bool:
    """Tell whether a mirror may do better next time: one that is busy or cuts off may, an absent one will not."""
    if isinstance(error, urllib.error.HTTPError):
        return error.code >= 500 or error.code == 429
    return isinstance(error, (http.client.HTTPException, ValueError, ConnectionResetError))


def _describe(error: BaseException) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"it answered {error.code} {error.reason}"
    if isinstance(error, urllib.error.URLError):
        return str(error.reason)
    return str(error) or type(error).__name__

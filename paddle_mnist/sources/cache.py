"""A cache of data sets that were opened before: their digits are mapped into memory instead of being parsed again.

The file ``<sha256>.digits`` holds the arrays of the source whose bytes have that SHA-256: pixels, labels and a trailer.
A source is hashed each time it is opened, so a changed source is always noticed and its name does not matter.

Detected: a cached file that is incomplete, belongs to another source, or has any byte that differs from what was
written (CRC-32). The source is then read again and the file replaced.

A file that another user owns or may write to is not used either: he could put other digits into it, and a file that is
cut short while it is mapped ends the process (SIGBUS). Users who share a folder therefore share no cached files.

If the folder cannot be read or written, or the disk is full, data sets are opened without a cache.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import struct
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO

import numpy as np
from isal.isal_zlib import crc32  # takes 1 ms for MNIST's pixels, zlib's takes 25

from paddle_mnist.errors import UserError
from paddle_mnist.splits import Split, Splits
from paddle_mnist.storage.files import atomic_write, open_regular

MAX_CACHED = 6  # data sets; the oldest is removed when another is added
MAX_SOURCE = 1 << 31  # bytes of a source's file; the longest form of MNIST has 476 MB, uncompressed

_TRAILER = struct.Struct("<32s8s3I8sI")  # the source's SHA-256, the encoding, three counts, a mark, CRC-32 of the rest
_MARK = b"digits\r\n"
_CHUNK = 1 << 20
_STALE = 3600.0  # seconds after which a temporary file must be the remains of a killed process


def folder() -> Path:
    """Return the cache's folder: ``PADDLE_MNIST_CACHE``, or the user's place for caches on this system."""
    if chosen := os.environ.get("PADDLE_MNIST_CACHE"):
        return Path(chosen)
    try:
        home = Path.home()
    except RuntimeError:  # a container's user without a name and a home
        home = Path(os.devnull)  # no folder can be made there, so nothing is cached
    if os.name == "nt":
        base = os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = home / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or home / ".cache"
    return Path(base, "paddle_mnist")


def open_source(paths: list[Path], parse: Callable[[], Splits]) -> tuple[Splits, str]:
    """Open a data set from the cache, or parse it and add it to the cache.

    Args:
        paths: the source's files.
        parse: reads them.

    Returns:
        The splits (with images as read-only memory maps if the cache could be used), and the SHA-256 of the files'
        bytes, one after the other.

    Raises:
        UserError: from ``parse``; a file is not a regular one, is too large, or changed while it was read.
        OSError: a source cannot be read. Errors of the cache itself are ignored.
    """
    before = [_identity(path) for path in paths]
    sha256 = _hash(paths)
    cached = folder() / f"{sha256.hex()}.digits"
    splits = _load(cached, sha256)
    if splits is None:
        splits = parse()
        with contextlib.suppress(OSError):
            _save(cached, splits, sha256)
            _prune(cached)
            splits = _load(cached, sha256) or splits
    if [_identity(path) for path in paths] != before:
        raise UserError(f"{paths[0]} changed while it was read: read it again when it is complete")
    return splits, sha256.hex()


def _save(path: Path, splits: Splits, sha256: bytes) -> None:
    parts = (splits.train, splits.valid, splits.eval)
    counts = [len(part.labels) for part in parts]
    crc = 0
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with atomic_write(path) as file:
        os.chmod(file.name, 0o600)
        for array in [part.images for part in parts] + [part.labels for part in parts]:
            data = np.ascontiguousarray(array).data.cast("B")
            file.write(data)
            crc = crc32(data, crc)
        fields = (sha256, splits.encoding.encode(), *counts, _MARK)
        crc = crc32(_TRAILER.pack(*fields, 0)[:-4], crc)
        file.write(_TRAILER.pack(*fields, crc))


def _load(path: Path, sha256: bytes) -> Splits | None:
    """Map a cached data set; ``None`` if there is none, it is damaged, or others could change it."""
    try:
        with open_regular(path) as file:
            if not _is_private(os.fstat(file.fileno())):
                return None
            end = file.seek(0, os.SEEK_END) - _TRAILER.size
            file.seek(max(end, 0))
            source, encoding, *counts, mark, crc = _TRAILER.unpack(file.read())
            samples = sum(counts)
            if (source, mark, samples * 785) != (sha256, _MARK, end) or _checksum(file, end + _TRAILER.size - 4) != crc:
                return None
            images = np.memmap(file, np.uint8, "r", shape=(samples, 28, 28))
            file.seek(samples * 784)
            labels = np.frombuffer(file.read(samples), np.uint8)
            name = encoding.rstrip(b"\0").decode("ascii")
            if not name.isprintable() or (labels > 9).any():  # the checksum is no proof of who has written the file
                return None
    except (OSError, UserError, ValueError, struct.error):
        return None
    ends = np.cumsum(counts)[:-1]
    train, valid, test = map(Split, np.split(images, ends), np.split(labels, ends))
    return Splits(train, valid, test, name)


def _is_private(status: os.stat_result) -> bool:
    """Tell whether nobody but this user, and the system's administrator, can change a file."""
    if os.name == "nt":  # which refuses to cut a mapped file short, and keeps caches in the user's own profile
        return True
    return status.st_uid in (os.geteuid(), 0) and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _checksum(file: BinaryIO, size: int) -> int:
    """Return the CRC-32 of a file's first bytes, which are read, not mapped: that takes no memory of this process."""
    file.seek(0)
    crc = 0
    for chunk in _chunks(file, size):
        crc = crc32(chunk, crc)
    return crc


def _chunks(file: BinaryIO, size: int) -> Iterable[memoryview]:
    """Yield a file's next bytes, at most ``size``, each time in the same buffer."""
    buffer = memoryview(bytearray(_CHUNK))
    while size > 0 and (read := file.readinto(buffer[: min(_CHUNK, size)])):  # type: ignore[attr-defined]
        size -= read
        yield buffer[:read]


def _identity(path: Path) -> tuple[int, int, int]:
    status = os.stat(path)
    return status.st_size, status.st_mtime_ns, status.st_ino


def _hash(paths: list[Path]) -> bytes:
    """Return the SHA-256 of files' bytes, one file after the other."""
    digest = hashlib.sha256()
    for path in paths:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            if size > MAX_SOURCE:
                raise UserError(
                    f"{path} must have at most {MAX_SOURCE >> 30} GB, got {size / 2**30:.1f} GB: compress it by gzip"
                )
            for chunk in _chunks(file, size):
                digest.update(chunk)
    return digest.digest()


def _prune(newest: Path) -> None:
    """Remove the oldest data sets so that ``MAX_CACHED`` stay, and what killed processes left half written."""
    found = sorted(folder().glob("*.digits"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    stale = [path for path in folder().glob(".*.digits.*.tmp") if time.time() - path.stat().st_mtime > _STALE]
    for path in stale + [path for path in found if path != newest][MAX_CACHED - 1 :]:
        with contextlib.suppress(OSError):
            path.unlink()

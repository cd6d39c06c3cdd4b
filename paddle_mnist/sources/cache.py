"""A cache of opened data sets: the second time, the digits are mapped into memory instead of being read again.

The cache is a folder of two kinds of files. ``<sha256>.digits`` holds the arrays of a source whose bytes have that
SHA-256. ``<name>.source.json`` remembers the SHA-256 of a file by its path, size, time of change and inode, so that
opening it again need not read it.

What is trusted, and what is not. A source whose path, size, time and inode are those of last time is taken to be
unchanged, as ``make`` and ``git`` take it; times within two seconds of now are not relied upon, since a file may
change twice in a tick. Anything else about the source leads to its bytes being hashed again. Arrays are used only if
the file is complete, of this layout's version and made from a source of that SHA-256, and if the CRC-32s of all its
bytes are those that were noted when they were written: damage is found, and the source is read again. A CRC-32 is no
guard against a person who can write to the cache folder; that person is you.

Where the folder cannot be written, data sets open as they would without a cache.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import mmap
import os
import secrets
import struct
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any

import numpy as np

from paddle_mnist.errors import UserError
from paddle_mnist.splits import Split, Splits
from paddle_mnist.storage.files import atomic_write

KEPT = 6  # data sets; whichever was written first goes when a seventh comes

_VERSION = 1
_TAIL = struct.Struct("<8sQI")  # mark, the description's length, its CRC-32
_MARK = b"digits\r\n"
_STEP = 1 << 20
_SETTLED_NS = 2_000_000_000
_ABANDONED = 3600.0
_LARGE = 1 << 26


def folder() -> Path:
    """Return the cache's folder: ``PADDLE_MNIST_CACHE``, or this user's place for caches on this system."""
    if chosen := os.environ.get("PADDLE_MNIST_CACHE"):
        return Path(chosen)
    if os.name == "nt":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base, "paddle_mnist")


def open_source(paths: list[Path], parse: Callable[[IO[bytes] | None], Splits]) -> tuple[Splits, str]:
    """Open a data set by way of the cache.

    Args:
        paths: the source's files.
        parse: reads them; given a binary file, it puts the pixels of all splits into it, one split after the other, and
            returns images that lie there; given ``None``, it keeps them in memory.

    Returns:
        The splits (images are read-only memory maps if the cache could be used), and the SHA-256 of the files' bytes,
        one after the other.

    Raises:
        UserError: from ``parse``, or because a file changed meanwhile.
        OSError: a source cannot be read. What goes wrong with the cache itself is passed over.
    """
    before = [_identity(path) for path in paths]
    sha256 = _remembered(paths, before)
    known = sha256 is not None
    if sha256 is None:
        sha256 = _hash(paths)
    splits = _load(folder() / f"{sha256}.digits", sha256)
    if splits is None:
        splits = _parse_into_cache(parse, sha256)
    if [_identity(path) for path in paths] != before:
        raise UserError(f"{paths[0]} changed while it was read: read it again when it is complete")
    if not known:
        _remember(paths, before, sha256)
    return splits, sha256


def _parse_into_cache(parse: Callable[[IO[bytes] | None], Splits], sha256: str) -> Splits:
    """Parse a source into the cache, or into memory where there is no writing to it."""
    path = folder() / f"{sha256}.digits"
    try:
        with _new_file(path) as file:
            # The splits are not kept: Windows does not rename a file that is mapped.
            _finish(file, parse(file), sha256)
        loaded = _load(path, sha256)
        _prune(path)
    except OSError:
        loaded = None
    return loaded if loaded is not None else parse(None)


@contextlib.contextmanager
def _new_file(path: Path) -> Iterator[IO[bytes]]:
    """As ``files.atomic_write``, but the file can also be read while it is written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with open(temporary, "x+b") as file:
            yield file
            file.flush()
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def _finish(file: IO[bytes], splits: Splits, sha256: str) -> None:
    """Write the labels and the description after the pixels."""
    parts = (splits.train, splits.valid, splits.eval)
    file.seek(0, os.SEEK_END)
    for part in parts:
        file.write(part.labels.tobytes())
    file.flush()
    description = {
        "version": _VERSION,
        "source": sha256,
        "encoding": splits.encoding,
        "counts": [len(part.labels) for part in parts],
        "crc32": _checksum(file, file.tell()),
    }
    text = json.dumps(description).encode()
    file.seek(0, os.SEEK_END)
    file.write(text + _TAIL.pack(_MARK, len(text), zlib.crc32(text)))


def _load(path: Path, sha256: str) -> Splits | None:
    """Map a cached data set; ``None`` if it is not there or is not whole."""
    try:
        with open(path, "rb") as file:
            description = _describe(file)
            if description is None or description["source"] != sha256:
                return None
            counts = description["counts"]
            samples = sum(counts)
            size = samples * 785
            if _checksum(file, size) != description["crc32"]:
                return None
            images = np.memmap(file, np.uint8, "r", shape=(samples, 28, 28))
            file.seek(samples * 784)
            labels = np.frombuffer(file.read(samples), np.uint8)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    ends = np.cumsum(counts)[:-1]
    return Splits(*map(Split, np.split(images, ends), np.split(labels, ends)), encoding=description["encoding"])


def _describe(file: IO[bytes]) -> dict[str, Any] | None:
    """Return the description at the end of a cached data set, if it is one."""
    size = file.seek(0, os.SEEK_END)
    if size < _TAIL.size:
        return None
    file.seek(size - _TAIL.size)
    mark, length, crc = _TAIL.unpack(file.read(_TAIL.size))
    if mark != _MARK or not 0 < length <= size - _TAIL.size:
        return None
    file.seek(size - _TAIL.size - length)
    text = file.read(length) if length < _STEP else b""
    description = json.loads(text) if zlib.crc32(text) == crc and text else {}
    whole = description.get("version") == _VERSION and sum(description["counts"]) * 785 + length + _TAIL.size == size
    return description if whole else None


def _checksum(file: IO[bytes], size: int) -> list[int]:
    """Return the CRC-32s of a file's first bytes, one for each of four parts, which four threads take in turn.

    The file is read and not mapped, so that checking it does not count as memory of this process.
    """
    bounds = [size * i // 4 for i in range(5)]

    def one(first: int, last: int) -> int:
        crc, buffer = 0, memoryview(bytearray(_STEP))
        with open(file.name, "rb", buffering=0) as own:
            own.seek(first)
            while first < last:
                read = own.readinto(buffer[: min(_STEP, last - first)])
                if not read:
                    raise OSError("the file is shorter than it says")
                crc = zlib.crc32(buffer[:read], crc)
                first += read
        return crc

    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(one, bounds[:-1], bounds[1:]))


def _identity(path: Path) -> list[int]:
    status = os.stat(path)
    return [status.st_size, status.st_mtime_ns, status.st_ino]


def _hash(paths: list[Path]) -> str:
    """Return the SHA-256 of files' bytes, one file after the other."""
    digest, buffer = hashlib.sha256(), memoryview(bytearray(_STEP))
    for path in paths:
        with open(path, "rb", buffering=0) as file:
            while read := file.readinto(buffer):
                digest.update(buffer[:read])
    return digest.hexdigest()


def _note(paths: list[Path]) -> Path:
    name = hashlib.sha256("\0".join(str(path.resolve()) for path in paths).encode("utf-8", "surrogatepass")).hexdigest()
    return folder() / f"{name[:32]}.source.json"


def _remembered(paths: list[Path], identities: list[list[int]]) -> str | None:
    """Return the SHA-256 that the same files had before, if they look the same."""
    try:
        note = json.loads(_note(paths).read_bytes())
        sha256 = note["sha256"]
        is_hash = len(sha256) == 64 and set(sha256) <= set("0123456789abcdef")
        return sha256 if note["files"] == identities and is_hash else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _remember(paths: list[Path], identities: list[list[int]], sha256: str) -> None:
    """Note the SHA-256 of files that have not changed in the last seconds."""
    if max(mtime for _, mtime, _ in identities) > time.time_ns() - _SETTLED_NS:
        return
    note = {"path": str(paths[0].resolve()), "files": identities, "sha256": sha256}
    with contextlib.suppress(OSError), atomic_write(_note(paths)) as file:
        file.write(json.dumps(note).encode())


def _prune(newest: Path) -> None:
    """Remove the data sets that were written first, so that ``KEPT`` stay."""
    found = sorted(folder().glob("*.digits"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    # What a process left behind that was killed while it wrote.
    abandoned = [path for path in folder().glob(".*.tmp") if time.time() - path.stat().st_mtime > _ABANDONED]
    for path in abandoned + [path for path in found if path != newest][KEPT - 1 :]:
        with contextlib.suppress(OSError):
            path.unlink()


def release(images: np.ndarray) -> None:
    """Give back the memory that a large map has taken for what was looked at; it is mapped again when it is needed.

    A process that goes through a data set in random order would otherwise end with all of it in its memory. Called
    every few batches this costs little, as the system keeps the file in its own cache. Nothing is done for maps under
    64 MB (all of MNIST), for arrays that are not maps, and on systems without the call (Windows).
    """
    mapped = getattr(images, "_mmap", None)
    if mapped is not None and len(mapped) > _LARGE and hasattr(mmap, "MADV_DONTNEED"):
        mapped.madvise(mmap.MADV_DONTNEED)

"""The course's file format: one JSON array of three splits, read as a stream in bounded memory, and written."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import numpy as np
import orjson

from paddle_mnist.errors import UserError
from paddle_mnist.files import atomic_write
from paddle_mnist.splits import Split, Splits

ENCODINGS = ("uint8", "k/255", "k/256", "pm1")


def pixel_values(encoding: str) -> list[int] | list[float]:
    """Return how an encoding writes the 256 grey levels, in order from paper to full ink."""
    levels = np.arange(256)
    if encoding == "uint8":
        return levels.tolist()
    if encoding == "k/255":
        return (levels / 255).tolist()
    if encoding == "k/256":
        return (levels / 256).tolist()
    if encoding == "pm1":
        return ((levels / 255).astype(np.float32) * 2 - 1).tolist()
    raise UserError(f"encoding is {encoding!r}, where one of {', '.join(map(repr, ENCODINGS))} is needed")


def read(path: str | os.PathLike[str]) -> Splits:
    """Read a file in the course's form."""
    data = Path(path).read_bytes()
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    parts = orjson.loads(data)
    for encoding in ENCODINGS:
        levels = pixel_values(encoding)
        try:
            table = {value: k for k, value in enumerate(levels)}
            splits = [
                Split(
                    np.frombuffer(b"".join(bytes(map(table.__getitem__, row)) for row in images), np.uint8).reshape(
                        -1, 28, 28
                    ),
                    np.array(labels, np.uint8),
                )
                for images, labels in parts
            ]
            return Splits(*splits, encoding=encoding)
        except KeyError:
            continue
    raise UserError(f"{path} holds pixels in no known encoding")


def write(path: str | os.PathLike[str], splits: Splits, encoding: str = "uint8") -> None:
    """Write the course's form: the same digits always give the same bytes.

    Args:
        path: where to; a name that ends in ``.gz`` is compressed, and gzip's header then holds neither a time nor a name.
        splits: what to write.
        encoding: how a pixel is written: ``"uint8"``, ``"k/255"``, ``"k/256"`` or ``"pm1"``.

    Raises:
        UserError: the encoding is none of these.
        OSError: as the operating system reports it; what was there before stays.
    """
    cells = [repr(value).encode() for value in pixel_values(encoding)]
    with atomic_write(path) as file:
        if not Path(path).name.endswith(".gz"):
            _write_text(file, splits, cells)
            return
        with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=file, mtime=0) as packed:
            _write_text(packed, splits, cells)


def _write_text(file, splits: Splits, cells: list[bytes]) -> None:
    before = b"["
    for split in (splits.train, splits.valid, splits.eval):
        opening = before + b"[["
        for image in split.images:
            row = b", ".join([cells[k] for k in image.tobytes()])
            file.write(b"%s[%s]" % (opening, row))
            opening = b",\n"
        if not len(split.images):
            file.write(opening)
        file.write(b"], [%s]]" % b", ".join(b"%d" % label for label in split.labels))
        before = b",\n"
    file.write(b"]\n")

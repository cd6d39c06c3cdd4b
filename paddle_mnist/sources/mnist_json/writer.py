"""Write a data set in the course's JSON format, which ``reader.py`` describes."""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from typing import IO

from paddle_mnist.errors import UserError
from paddle_mnist.sources.mnist_json.levels import pixel_values
from paddle_mnist.splits import Splits
from paddle_mnist.storage.files import atomic_write


def write(path: str | os.PathLike[str], splits: Splits, encoding: str = "uint8", compresslevel: int = 9) -> None:
    """Write a data set; the same digits always give the same bytes.

    Args:
        path: the file; a name that ends in ``.gz`` is compressed, without a time or a name in gzip's header.
        splits: the digits, images uint8 [n, 28, 28] and labels uint8 [n].
        encoding: how a pixel is written: ``"uint8"``, ``"k/255"``, ``"k/256"`` or ``"pm1"``.
        compresslevel: gzip's, 1 (fast) to 9 (small).

    Raises:
        UserError: the encoding is none of these.
        OSError: from the operating system; an existing file then stays as it was.
    """
    try:
        cells = [repr(value).encode() for value in pixel_values(encoding)]
    except ValueError as error:
        raise UserError(str(error)) from None
    with atomic_write(path) as file:
        if not Path(path).name.endswith(".gz"):
            _write_text(file, splits, cells)
            return
        with gzip.GzipFile(filename="", mode="wb", compresslevel=compresslevel, fileobj=file, mtime=0) as packed:
            _write_text(packed, splits, cells)


def _write_text(file: IO[bytes] | gzip.GzipFile, splits: Splits, cells: list[bytes]) -> None:
    """Write the JSON text, one image a line; ``cells`` holds the text of each grey level."""
    separator = b"["
    for split in (splits.train, splits.valid, splits.eval):
        separator += b"[["
        for image in split.images:
            file.write(b"%s[%s]" % (separator, b", ".join([cells[k] for k in image.tobytes()])))
            separator = b",\n"
        file.write(b"], [%s]]" % b", ".join(b"%d" % label for label in split.labels))
        separator = b",\n"
    file.write(b"]\n")

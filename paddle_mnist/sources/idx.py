"""MNIST's original file format, IDX: a header of big-endian integers, then the bytes of one array.

A data set is four such files, packed by gzip or not: images and labels to train on, images and labels to test on.
The format is described by its authors at http://yann.lecun.com/exdb/mnist/.
"""

from __future__ import annotations

import gzip
import math
import os
import stat
import zlib
from pathlib import Path
from typing import IO

import numpy as np

from paddle_mnist.errors import UserError
from paddle_mnist.splits import Split, Splits
from paddle_mnist.storage.files import atomic_write

NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
MAX_SAMPLES = 2_000_000
VALID = 10_000

_UNSIGNED_BYTE = 0x08
_STEP = 1 << 20


def read(path: str | os.PathLike[str], dimensions: int) -> np.ndarray:
    """Read one IDX file of bytes.

    Args:
        path: the file, packed by gzip or not, whatever its name says.
        dimensions: how many the array must have, 3 for images and 1 for labels.

    Returns:
        The array, uint8.

    Raises:
        UserError: the file is damaged, is not such a file, or holds more or less than its header says.
        OSError: as the operating system reports it.
    """
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise UserError(f"{path} is not an ordinary file, where an IDX file is needed")
    with open(path, "rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        try:
            return _read(path, gzip.GzipFile(fileobj=file) if packed else file, dimensions)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise UserError(f"{path} is damaged or not complete ({error}): get it again") from None


def _read(path: str | os.PathLike[str], file: IO[bytes], dimensions: int) -> np.ndarray:
    header = file.read(4)
    if header != bytes([0, 0, _UNSIGNED_BYTE, dimensions]):
        expected = f"{bytes([0, 0, _UNSIGNED_BYTE, dimensions]).hex(' ')} (bytes in {dimensions} dimensions)"
        raise UserError(f"{path} begins with {header.hex(' ') or 'nothing'}, where an IDX file begins with {expected}")
    shape = tuple(np.frombuffer(file.read(4 * dimensions).ljust(4 * dimensions, b"\0"), ">u4").tolist())
    if not 1 <= shape[0] <= MAX_SAMPLES or shape[1:] not in ((), (28, 28)):
        needed = "1 to 2,000,000 " + ("images of 28×28" if dimensions == 3 else "labels")
        raise UserError(f"{path} says that it holds {' × '.join(map(str, shape))}, where {needed} are needed")
    size = math.prod(shape)
    content = bytearray()  # grows with what is there, not with what the header claims
    while part := file.read(min(_STEP, size + 1 - len(content))):
        content += part
    if len(content) != size:
        found = "more" if len(content) > size else f"{len(content):,}"
        raise UserError(f"{path} holds {found} bytes, where its header says {size:,}: get it again")
    return np.frombuffer(content, np.uint8).reshape(shape)


def files(folder: str | os.PathLike[str]) -> list[Path]:
    """Return the four files of a data set, in the order of ``NAMES``, each with ``.gz`` or without.

    Raises:
        UserError: one of them is not there.
    """
    found = []
    for name in NAMES:
        # Some archives put a dot before "idx".
        spellings = [name, name + ".gz", name.replace("-idx", ".idx"), name.replace("-idx", ".idx") + ".gz"]
        present = [Path(folder, spelling) for spelling in spellings if Path(folder, spelling).is_file()]
        if not present:
            raise UserError(f"{folder} holds no {name} or {name}.gz, where MNIST's four IDX files are needed")
        found.append(present[0])
    return found


def read_folder(folder: str | os.PathLike[str], valid: int | None = None) -> Splits:
    """Read a data set of four IDX files.

    Args:
        folder: where they are.
        valid: how many of the training digits, its last ones, are the validation set. ``None`` takes MNIST's 10,000, or
            a sixth of the digits where there are fewer than 60,000.

    Raises:
        UserError: a file is missing or is not what it should be.
        OSError: as the operating system reports it.
    """
    paths = files(folder)
    images, labels, eval_images, eval_labels = (
        read(path, 1 if "labels" in name else 3) for path, name in zip(paths, NAMES, strict=True)
    )
    for path, values in ((paths[1], labels), (paths[3], eval_labels)):
        wrong = np.flatnonzero(values > 9)
        if len(wrong):
            raise UserError(f"{path}: the label of sample {wrong[0]} is {values[wrong[0]]}, where 0 to 9 is needed")
    for path, some, others in ((paths[0], images, labels), (paths[2], eval_images, eval_labels)):
        if len(some) != len(others):
            raise UserError(f"{path} holds {len(some)} images for {len(others)} labels, where as many are needed")
    kept = len(images) - (valid_size(len(images)) if valid is None else valid)
    if not 0 < kept < len(images):
        raise UserError(
            f"{folder} holds {len(images)} digits to train on, and {len(images) - kept} of them cannot be validation"
        )
    return Splits(
        Split(images[:kept], labels[:kept]),
        Split(images[kept:], labels[kept:]),
        Split(eval_images, eval_labels),
    )


def valid_size(samples: int) -> int:
    """Return how many of so many training digits are for validation, where nothing else is said."""
    return min(VALID, samples // 6)


def write_folder(folder: str | os.PathLike[str], splits: Splits) -> list[Path]:
    """Write a data set as four packed IDX files; the validation set becomes the last part of the training files.

    Returns:
        The files. The same digits always give the same bytes.

    Raises:
        OSError: as the operating system reports it.
    """
    arrays = (
        np.concatenate([splits.train.images, splits.valid.images]),
        np.concatenate([splits.train.labels, splits.valid.labels]),
        splits.eval.images,
        splits.eval.labels,
    )
    paths = [Path(folder, name + ".gz") for name in NAMES]
    for path, array in zip(paths, arrays, strict=True):
        header = bytes([0, 0, _UNSIGNED_BYTE, array.ndim]) + np.array(array.shape, ">u4").tobytes()
        with (
            atomic_write(path) as file,
            gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=file, mtime=0) as packed,
        ):
            packed.write(header + array.tobytes())
    return paths

"""MNIST's original file format, IDX: a header of big-endian integers, then the bytes of one array.

A data set is four such files, compressed by gzip or not: training images and labels, test images and labels. The format
is described by its authors at http://yann.lecun.com/exdb/mnist/.
"""

from __future__ import annotations

import gzip
import io
import math
import os
from pathlib import Path

import numpy as np
from isal import igzip, isal_zlib

from paddle_mnist.errors import UserError
from paddle_mnist.splits import Split, Splits
from paddle_mnist.storage.files import atomic_write, open_regular

NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
MAX_SAMPLES = 1_000_000
VALID = 10_000  # digits of the training set that MNIST's users keep for validation

_UNSIGNED_BYTE = 0x08
_CHUNK = 1 << 20


def read(path: str | os.PathLike[str], dimensions: int) -> np.ndarray:
    """Read one IDX file of bytes.

    Args:
        path: the file, compressed by gzip or not, whatever its name says.
        dimensions: the number of the array's dimensions, 3 for images and 1 for labels.

    Returns:
        The array, uint8 [n, 28, 28] or [n].

    Raises:
        UserError: the file cannot be opened, is damaged, is not an IDX file of bytes, or holds more or less than its
            header says.
        OSError: from the operating system.
    """
    with open_regular(path) as file:
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        try:
            unpacked = igzip.IGzipFile(fileobj=file) if packed else file  # type: ignore[no-untyped-call]
            return _read(path, unpacked, dimensions)
        # isal's stubs declare its exception as an instance. OverflowError: a huge header.
        except (EOFError, isal_zlib.error, gzip.BadGzipFile, OverflowError) as error:  # type: ignore[misc]
            raise UserError(f"{path} is damaged or incomplete ({error}): get it again") from None


def _read(path: str | os.PathLike[str], file: io.BufferedIOBase, dimensions: int) -> np.ndarray:
    header = file.read(4)
    if header != bytes([0, 0, _UNSIGNED_BYTE, dimensions]):
        expected = f"{bytes([0, 0, _UNSIGNED_BYTE, dimensions]).hex(' ')} (bytes in {dimensions} dimensions)"
        raise UserError(f"{path} must begin with {expected} to be an IDX file, got {header.hex(' ') or 'nothing'}")
    shape = tuple(np.frombuffer(file.read(4 * dimensions).ljust(4 * dimensions, b"\0"), ">u4").tolist())
    if not 1 <= shape[0] <= MAX_SAMPLES or shape[1:] not in ((), (28, 28)):
        expected = f"1 to {MAX_SAMPLES:,} {'images of 28 × 28' if dimensions == 3 else 'labels'}"
        raise UserError(f"{path} must hold {expected}, got {' × '.join(map(str, shape))}")
    size = math.prod(shape)
    content = bytearray()  # grows with the file's content, not with what the header claims
    while part := file.read(min(_CHUNK, size + 1 - len(content))):
        content += part
    if len(content) != size:
        found = "more" if len(content) > size else f"{len(content):,}"
        raise UserError(f"{path} must hold {size:,} bytes after its header, got {found}: get it again")
    return np.frombuffer(content, np.uint8).reshape(shape)


def files(folder: str | os.PathLike[str]) -> list[Path]:
    """Return the four files of a data set, in the order of ``NAMES``, each with ``.gz`` or without.

    Raises:
        UserError: one of them is missing.
    """
    found = []
    for name in NAMES:
        # Some archives put a dot before "idx".
        spellings = [name, name + ".gz", name.replace("-idx", ".idx"), name.replace("-idx", ".idx") + ".gz"]
        present = [Path(folder, spelling) for spelling in spellings if Path(folder, spelling).is_file()]
        if not present:
            raise UserError(f"{folder} must hold MNIST's four IDX files, got no {name} or {name}.gz")
        found.append(present[0])
    return found


def read_folder(folder: str | os.PathLike[str], valid: int | None = None) -> Splits:
    """Read a data set of four IDX files.

    Args:
        folder: the folder that holds them.
        valid: the number of training digits, the last ones, that become the validation set. ``None`` takes 10,000, or a
            sixth of the digits if there are fewer than 60,000.

    Raises:
        UserError: a file is missing or damaged, or does not fit the others.
        OSError: from the operating system.
    """
    paths = files(folder)
    images, labels, eval_images, eval_labels = (
        read(path, 1 if "labels" in name else 3) for path, name in zip(paths, NAMES, strict=True)
    )
    for path, values in ((paths[1], labels), (paths[3], eval_labels)):
        wrong = np.flatnonzero(values > 9)
        if len(wrong):
            raise UserError(f"{path}: the label of sample {wrong[0]} must be 0 to 9, got {values[wrong[0]]}")
    for path, some, others in ((paths[0], images, labels), (paths[2], eval_images, eval_labels)):
        if len(some) != len(others):
            raise UserError(f"{path} must hold as many images as labels, got {len(some)} and {len(others)}")
    kept = len(images) - (valid_size(len(images)) if valid is None else valid)
    if not 0 < kept < len(images):
        raise UserError(
            f"the validation set must be 1 to {len(images) - 1} of the {len(images)} training digits in {folder}, "
            f"got {len(images) - kept}"
        )
    return Splits(
        Split(images[:kept], labels[:kept]),
        Split(images[kept:], labels[kept:]),
        Split(eval_images, eval_labels),
    )


def valid_size(samples: int) -> int:
    """Return the default size of the validation set for a number of training digits."""
    return min(VALID, samples // 6)


def write_folder(folder: str | os.PathLike[str], splits: Splits) -> list[Path]:
    """Write a data set as four compressed IDX files; the validation set becomes the end of the training files.

    Returns:
        The files. The same digits always give the same bytes.

    Raises:
        OSError: from the operating system.
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

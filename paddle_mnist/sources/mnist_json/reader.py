"""The course's file format: one JSON array of three splits, read as a stream in bounded memory, and written.

    [[train_images, train_labels], [valid_images, valid_labels], [eval_images, eval_labels]]

An image is a list of 784 numbers, row by row from the top left; a label is an integer 0 to 9. The numbers are grey
levels k = 0..255 in one of four encodings, the same throughout a file: ``"uint8"`` (k itself), ``"k/255"``, ``"k/256"``
or ``"pm1"`` (``float32(k / 255) * 2 - 1``, from -1 to 1). Any white space that JSON allows may stand between them.
"""

from __future__ import annotations

import collections
import gzip
import os
import re
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import IO

import numpy as np
import orjson

from paddle_mnist.errors import UserError
from paddle_mnist.sources.mnist_json.levels import ENCODINGS, PIXELS, Levels, pixel_values
from paddle_mnist.sources.mnist_json.text import MARGIN, Text, open_text, shorten
from paddle_mnist.splits import Split, Splits
from paddle_mnist.storage.files import atomic_write

try:  # compiled at installation, where there is a compiler
    from paddle_mnist.sources.mnist_json.table import NumberTable as Table
except ImportError:
    from paddle_mnist.sources.mnist_json.rows import RowTable as Table

__all__ = ["ENCODINGS", "MAX_SAMPLES", "read", "write"]

NAMES = ("train", "valid", "eval")
MAX_SAMPLES = 2_000_000  # what one file may hold: 1.6 GB of pixels; a small packed file could claim any number
_MAX_ROW = 1 << 20
_MAX_LABELS = 1 << 26
_STEP = 1 << 16
_LIST_END = re.compile(rb"\][ \t\r\n]*\]")
_AHEAD = 3  # blocks that the look-up's thread has before it; more than these are looked up where they are unpacked


def read(path: str | os.PathLike[str], spool: IO[bytes] | None = None) -> Splits:
    """Read a file in the course's form, packed by gzip or not.

    Memory is that of the arrays (784 bytes a digit) and some megabytes, whatever the file's size.

    Args:
        path: the file.
        spool: a file open for reading and writing in binary mode, empty, that takes the pixels; the images are then a
            memory map of it. ``None`` keeps them in memory.

    Returns:
        The three splits, images uint8 [n, 28, 28] and labels uint8 [n], and the encoding that was recognised. Every
        pixel of the file was checked against it.

    Raises:
        UserError: the file is damaged, is not JSON, is not in this form, or mixes encodings; the sentence names the
            split and the sample (counted from 0).
        OSError: as the operating system reports it.
    """
    spool = spool if spool is not None else _Memory()
    with ThreadPoolExecutor(1, "look-up") as pool, open_text(path) as text:
        reader = _Reader(text, spool, pool)
        counts, labels = reader.read()
    try:
        encoding, levels = reader.levels.lookup()
    except ValueError as error:
        raise UserError(f"{path}: {error}, so that the file cannot be read") from None
    pixels = _stored(spool)
    if not np.array_equal(levels, np.arange(256)):
        for first in range(0, len(pixels), _STEP):
            part = pixels[first : first + _STEP]
            part[:] = levels[part]
    if isinstance(pixels, np.memmap):
        pixels.flush()
    images = np.split(pixels.reshape(-1, 28, 28), np.cumsum(counts)[:-1])
    return Splits(*map(Split, images, labels), encoding=encoding)


def write(path: str | os.PathLike[str], splits: Splits, encoding: str = "uint8", compresslevel: int = 9) -> None:
    """Write the course's form: the same digits always give the same text.

    Args:
        path: where to; a name that ends in ``.gz`` is packed, and gzip's header then holds neither a time nor a name.
        splits: what to write.
        encoding: how a pixel is written: ``"uint8"``, ``"k/255"``, ``"k/256"`` or ``"pm1"``.
        compresslevel: gzip's, 1 (fast) to 9 (small).

    Raises:
        UserError: the encoding is none of these.
        OSError: as the operating system reports it; what was there before stays.
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


def _write_text(file: IO[bytes], splits: Splits, cells: list[bytes]) -> None:
    before = b"["
    for split in (splits.train, splits.valid, splits.eval):
        before += b"[["
        for image in split.images:
            file.write(b"%s[%s]" % (before, b", ".join([cells[k] for k in image.tobytes()])))
            before = b",\n"
        file.write(b"], [%s]]" % b", ".join(b"%d" % label for label in split.labels))
        before = b",\n"
    file.write(b"]\n")


class _Memory:
    """Takes pixels as a file does, in one large array.

    The system gives such an array out in pages of 2 MB where it can, and copying into it lets other threads run; an
    ``io.BytesIO`` takes eight times as long, in which they wait. What was not written takes no memory.
    """

    def __init__(self) -> None:
        self._array = np.empty(1 << 26, np.uint8)
        self._size = 0

    def write(self, pixels: np.ndarray) -> None:
        size = self._size + len(pixels)
        if size > len(self._array):
            larger = np.empty(2 * size, np.uint8)
            larger[: self._size] = self.stored()
            self._array = larger
        self._array[self._size : size] = pixels
        self._size = size

    def stored(self) -> np.ndarray:
        return self._array[: self._size]


def _stored(spool: IO[bytes] | _Memory) -> np.ndarray:
    """Return the pixels that were spooled, uint8 [n], to be changed in place."""
    if isinstance(spool, _Memory):
        return spool.stored()
    spool.flush()
    return np.memmap(spool, np.uint8, "r+")


class _Here(Executor):
    """Runs what is submitted to it at once."""

    def submit(self, function: Callable, /, *args) -> Future:
        future: Future = Future()
        future.set_result(function(*args))
        return future


class _Reader:
    """The grammar of the format: which bracket stands where, and what is said when it does not."""

    def __init__(self, text: Text, spool: IO[bytes] | _Memory, pool: ThreadPoolExecutor) -> None:
        self.levels = Levels()
        self._pool = pool
        self._count = 0
        self._text = text
        self._spool = spool
        self._table = Table(self.levels)
        self._read = 0

    def read(self) -> tuple[list[int], list[np.ndarray]]:
        """Read the whole file; return each split's number of images and its labels, uint8 [n]."""
        counts, labels = [], []
        self._expect(b"[", "the file", "a list of three splits")
        for i, name in enumerate(NAMES):
            if i:
                self._expect(b",", f"after {NAMES[i - 1]}", f"a comma and the split {name} (three splits are needed)")
            self._expect(b"[", name, "a list of images and labels")
            counts.append(self._images(name))
            self._expect(b",", f"after the images of {name}", "a comma and the labels")
            labels.append(self._labels(name, counts[-1]))
            self._expect(b"]", f"after the labels of {name}", "the end of the split, ']'")
        self._expect(b"]", f"after {NAMES[-1]}", "the end of the three splits, ']'")
        if self._text.peek():
            self._fail("after the end of the data", self._text.around(), "nothing more")
        return counts, labels

    def _images(self, name: str) -> int:
        self._expect(b"[", f"the images of {name}", "a list of images")
        if self._text.peek() == b"]":
            self._fail(name, "no images", "one at least")
        self._count = slow = 0  # slow: the size of the text that is to be read row by row
        while True:
            if slow <= 0 and not self._rush(name):
                slow = self._block(name)
            if slow > 0:
                slow -= self._row(name) + 1  # and the comma
            if self._text.peek() == b"]":
                self._text.skip()
                return self._count
            self._expect(b",", f"{name}, after sample {self._count - 1}", "a comma or the end of the images, ']'")

    def _rush(self, name: str) -> bool:
        """Read as many blocks of rows as can be looked up in what is known.

        A thread does so, while this one unpacks what follows; where that is quicker, this one looks up blocks, too.

        Returns:
            Whether any rows were read and all went well, so that a comma or the end of the list comes next. Otherwise
            the row comes next at which the look-up stopped.
        """
        pending: collections.deque[tuple[np.ndarray, Future]] = collections.deque()
        on, comma, stored = True, False, False  # comma: whether the one before what comes next was passed
        while True:
            while on and len(pending) <= _AHEAD:
                room = self._text.take_sequences() if self._text.peek() == b"[" else None
                on = room is not None
                if on:
                    busy = sum(not future.done() for _, future in pending) >= _AHEAD
                    pool = _Here() if busy else self._pool
                    pending.append((room, pool.submit(self._table.look_up, room)))
                    on = comma = self._text.peek() == b","
                    if comma:
                        self._text.skip()
            if not pending:
                if comma:
                    self._text.push_back(b",")
                return stored
            room, future = pending.popleft()
            rows = future.result()
            if rows is None:
                wait([later for _, later in pending])
                texts = (text[MARGIN:-MARGIN] for text in (room, *(later for later, _ in pending)))
                self._text.push_back(b",".join(texts) + (b"," if comma else b""))
                return False
            self._store(name, rows)
            stored = True

    def _block(self, name: str) -> int:
        """Read a block of rows in which there may be numbers that were not met before.

        Returns:
            0; or the size of the text that is to be read row by row instead, from here on.
        """
        self._expect_row(name)
        room = self._text.take_sequences()
        if room is None:
            return 1
        if end := _LIST_END.search(room[MARGIN:-MARGIN]):
            end = MARGIN + end.start() + 1
            self._text.push_back(bytes(room[end:-MARGIN]))
            room = room[: end + MARGIN]
        rows = self._table.parse(room)
        if rows is None:
            self._text.push_back(bytes(room[MARGIN:-MARGIN]))
            return len(room) - 2 * MARGIN
        self._store(name, rows)
        return 0

    def _store(self, name: str, rows: np.ndarray) -> None:
        self._spool.write(rows.reshape(-1))
        self._count += len(rows)
        self._read += len(rows)
        if self._read > MAX_SAMPLES:
            self._fail(name, "more digits", f"no more than {MAX_SAMPLES:,} in a file")

    def _row(self, name: str) -> int:
        """Read the row that begins here by itself; return the size of its text."""
        self._expect_row(name)
        where = f"{name}, sample {self._count}"
        text = self._text.sequence(_MAX_ROW)
        if text is None:
            self._fail(where, f"no end within {_MAX_ROW >> 20} MB or the file", "784 pixels and ']'")
        values = self._parse(text, where, "784 pixels")
        if len(values) != PIXELS:
            self._fail(where, f"{len(values)} pixels", f"{PIXELS}")
        identifiers = self.levels.of_known(values)
        if identifiers is None:
            identifiers = bytes(self._identifier(value, f"{where}, pixel {i}") for i, value in enumerate(values))
        self._text.advance(len(text))
        self._store(name, np.frombuffer(identifiers, np.uint8).reshape(1, PIXELS))
        return len(text)

    def _identifier(self, value: object, place: str) -> int:
        if type(value) not in (int, float):
            self._fail(place, shorten(orjson.dumps(value)), "a number")
        try:
            return self.levels.of_value(float(value), isinstance(value, int))
        except (ValueError, OverflowError) as error:
            raise UserError(f"{self._text.path}: {place} is {error} and all of a file is written alike") from None

    def _expect_row(self, name: str) -> None:
        if self._text.peek() != b"[":
            self._fail(f"{name}, sample {self._count}", self._text.around(), "a list of 784 pixels")

    def _labels(self, name: str, count: int) -> np.ndarray:
        where = f"the labels of {name}"
        if self._text.peek() != b"[":
            self._fail(where, self._text.around(), "a list of integers 0 to 9")
        text = self._text.sequence(_MAX_LABELS)
        if text is None:
            self._fail(where, "no end", "']'")
        values = self._parse(text, where, "integers 0 to 9")
        self._text.advance(len(text))
        for i, value in enumerate(values):
            if type(value) is not int or not 0 <= value <= 9:
                self._fail(f"{name}, the label of sample {i}", shorten(orjson.dumps(value)), "an integer 0 to 9")
        if len(values) != count:
            self._fail(name, f"{count} images and {len(values)} labels", "as many of one as of the other")
        return np.array(values, np.uint8)

    def _parse(self, text: bytes, where: str, expected: str) -> list:
        if b"[" in text[1:]:
            self._fail(where, "a list within the list", expected)
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError as error:
            self._fail(where, f"text that is not JSON ({error})", expected)

    def _expect(self, character: bytes, where: str, expected: str) -> None:
        if self._text.peek() != character:
            self._fail(where, self._text.around(), expected)
        self._text.skip()

    def _fail(self, where: str, found: str, expected: str) -> None:
        raise UserError(f"{self._text.path}: {where}: found {found}, where {expected} is needed")

"""Read the course's file format: one JSON array of three splits.

    [[train_images, train_labels], [valid_images, valid_labels], [eval_images, eval_labels]]

An image is a list of 784 numbers, row by row from the top left; a label is an integer 0 to 9. The numbers are grey
levels k = 0..255 in one of four encodings, the same throughout a file: ``"uint8"`` (k itself), ``"k/255"``, ``"k/256"``
or ``"pm1"`` (``float32(k / 255) * 2 - 1``, from -1 to 1). Any white space that JSON allows may separate them.
"""

from __future__ import annotations

import os
import re
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NoReturn

import numpy as np
import orjson

from paddle_mnist.errors import UserError
from paddle_mnist.sources.mnist_json.blocks import look_up_blocks
from paddle_mnist.sources.mnist_json.levels import PIXELS, Levels
from paddle_mnist.sources.mnist_json.pixels import PixelBuffer
from paddle_mnist.sources.mnist_json.tables import PlainTable, make_table
from paddle_mnist.sources.mnist_json.text import MARGIN, Text, excerpt, open_text
from paddle_mnist.splits import Split, Splits

NAMES = ("train", "valid", "eval")
MAX_SAMPLES = 1_000_000  # in one file: 784 MB of pixels; a small gzip file could hold any number
_MAX_ROW = 1 << 20  # bytes
_MAX_LABELS = 1 << 25  # bytes: 33 for each of a million labels
_CHUNK = 1 << 16
_LIST_END = re.compile(rb"\][ \t\r\n]*\]")


def read(path: str | os.PathLike[str], plain: bool = False) -> Splits:
    """Read a file in the course's format, compressed by gzip or not.

    It takes the memory of the arrays (784 bytes a digit) and some megabytes, whatever the size of the text.

    Args:
        path: the file.
        plain: whether to do without the compiled look-up, as on a machine where it could not be compiled.

    Returns:
        The three splits, images uint8 [n, 28, 28] and labels uint8 [n], and the encoding. Every pixel of the file was
        checked against it.

    Raises:
        UserError: the file is damaged, is not JSON, is not in this format, or mixes encodings; the sentence names the
            split and the sample (counted from 0).
        OSError: from the operating system.
    """
    buffer, levels = PixelBuffer(), Levels()
    with ThreadPoolExecutor(1, "look-up") as pool, open_text(path) as text:
        counts, labels = _Parser(text, buffer, levels, pool, plain).parse()
    try:
        encoding, grey = levels.lookup()
    except ValueError as error:
        raise UserError(f"{path} cannot be read: {error}") from None
    pixels = buffer.pixels()
    if not np.array_equal(grey, np.arange(256)):
        for first in range(0, len(pixels), _CHUNK):
            part = pixels[first : first + _CHUNK]
            part[:] = grey[part]
    images = np.split(pixels.reshape(-1, 28, 28), np.cumsum(counts)[:-1])
    train, valid, test = map(Split, images, labels)
    return Splits(train, valid, test, encoding)


class _Parser:
    """The grammar of the format: which bracket must come where, and the error if another one does.

    Rows are read in three ways, from the fastest to the one that finds the mistake: blocks of known values, a block
    with new values, row by row.
    """

    def __init__(self, text: Text, buffer: PixelBuffer, levels: Levels, pool: ThreadPoolExecutor, plain: bool) -> None:
        self._text = text
        self._buffer = buffer
        self._levels = levels
        self._pool = pool
        self._table = make_table(levels, plain)
        self._plain_table = PlainTable(levels)  # for blocks that do not suit the compiled one
        self._count = 0  # of this split
        self._total = 0

    def parse(self) -> tuple[list[int], list[np.ndarray]]:
        """Read the whole file; return each split's number of images and its labels, uint8 [n]."""
        counts, labels = [], []
        self._expect(b"[", "a list of three splits")
        for i, name in enumerate(NAMES):
            if i:
                self._expect(b",", f"a comma and the split {name} after {NAMES[i - 1]}")
            self._expect(b"[", f"a list of images and labels for {name}")
            counts.append(self._images(name))
            self._expect(b",", f"a comma and the labels after the images of {name}")
            labels.append(self._labels(name, counts[-1]))
            self._expect(b"]", f"']' after the labels of {name}")
        self._expect(b"]", f"']' after {NAMES[-1]}")
        self._expect(b"", "the end of the file after the data")
        return counts, labels

    def _images(self, name: str) -> int:
        self._expect(b"[", f"a list of images for {name}")
        if self._text.peek() == b"]":
            self._fail(f"{name} must hold at least one image, got none")
        self._count = by_row = 0  # by_row: the size of the text that is to be read row by row
        while True:
            if by_row <= 0 and not look_up_blocks(self._text, self._table, self._pool, partial(self._store, name)):
                by_row = self._block(name)
            if by_row > 0:
                by_row -= self._row(name) + 1  # and the comma
            if self._text.peek() == b"]":
                self._text.skip()
                return self._count
            self._expect(b",", f"a comma or ']' after sample {self._count - 1} of {name}")

    def _block(self, name: str) -> int:
        """Read a block of rows that may hold new pixel values.

        Returns:
            0, or the size of the text that must be read row by row from here on.
        """
        self._expect_row(name)
        block = self._text.take_block()
        if block is None:
            return 1
        if end := _LIST_END.search(block[MARGIN:-MARGIN].data):
            first = MARGIN + end.start() + 1
            self._text.push_back(bytes(block[first:-MARGIN]))
            block = block[: first + MARGIN]
        rows = self._table.parse(block)
        if rows is None:
            rows = self._plain_table.parse(block)
        if rows is None:
            self._text.push_back(bytes(block[MARGIN:-MARGIN]))
            return len(block) - 2 * MARGIN
        self._store(name, rows)
        return 0

    def _store(self, name: str, rows: np.ndarray) -> None:
        self._buffer.append(rows)
        self._count += len(rows)
        self._total += len(rows)
        if self._total > MAX_SAMPLES:
            self._fail(f"a file must hold at most {MAX_SAMPLES:,} digits, got more in {name}")

    def _row(self, name: str) -> int:
        """Read a single row; return the size of its text."""
        self._expect_row(name)
        place = f"{name}, sample {self._count}"
        text = self._text.next_list(_MAX_ROW)
        if text is None:
            self._fail(f"{place} must be 784 pixels and ']', got no ']' within {_MAX_ROW >> 20} MB or the file")
        values = self._loads(text, place, "784 pixels")
        if len(values) != PIXELS:
            self._fail(f"{place} must have {PIXELS} pixels, got {len(values)}")
        identifiers = bytes(self._identifier(value, f"{place}, pixel {i}") for i, value in enumerate(values))
        self._text.advance(len(text))
        self._store(name, np.frombuffer(identifiers, np.uint8).reshape(1, PIXELS))
        return len(text)

    def _identifier(self, value: object, place: str) -> int:
        if type(value) not in (int, float):
            self._fail(f"{place} must be a number, got {excerpt(orjson.dumps(value))}")
        try:
            return self._levels.id_of(float(value), isinstance(value, int))  # type: ignore[arg-type]
        except (ValueError, OverflowError) as error:
            self._fail(f"{place} {error}")

    def _expect_row(self, name: str) -> None:
        self._check(b"[", f"a list of 784 pixels for sample {self._count} of {name}")

    def _labels(self, name: str, count: int) -> np.ndarray:
        place = f"the labels of {name}"
        self._check(b"[", f"a list of integers 0 to 9 for {place}")
        text = self._text.next_list(_MAX_LABELS)
        if text is None:
            self._fail(f"{place} must end in ']', got no end")
        values = self._loads(text, place, "integers 0 to 9")
        self._text.advance(len(text))
        for i, value in enumerate(values):
            if type(value) is not int or not 0 <= value <= 9:
                found = excerpt(orjson.dumps(value))
                self._fail(f"{name}, the label of sample {i} must be an integer 0 to 9, got {found}")
        if len(values) != count:
            self._fail(f"{name} must have as many labels as images, got {count} images and {len(values)} labels")
        return np.array(values, np.uint8)

    def _loads(self, text: bytes, place: str, expected: str) -> list[Any]:
        if b"[" in text[1:]:
            self._fail(f"{place} must be {expected}, got a list within the list")
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError as error:
            self._fail(f"{place} must be {expected}, got text that is not JSON ({error})")

    def _expect(self, character: bytes, expected: str) -> None:
        """Move past a character, which must come next; ``b""`` stands for the end of the file."""
        self._check(character, expected)
        self._text.skip()

    def _check(self, character: bytes, expected: str) -> None:
        if self._text.peek() != character:
            self._fail(f"expected {expected}, got {self._text.excerpt()}")

    def _fail(self, message: str) -> NoReturn:
        raise UserError(f"{self._text.path}: {message}")

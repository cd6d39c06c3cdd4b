"""Turn the text of many rows of pixels into one array at once: by compiled code, or by orjson without it.

Both tables do the same. ``CompiledTable`` needs ``lookup.c`` to have been compiled at installation and is some ten
times faster.
"""

from __future__ import annotations

import re
from itertools import chain
from typing import Protocol

import numpy as np
import orjson

from paddle_mnist.sources.mnist_json.levels import PIXELS, Levels
from paddle_mnist.sources.mnist_json.text import MARGIN

try:  # compiled at installation if there is a compiler
    from paddle_mnist.sources.mnist_json import _lookup  # type: ignore[attr-defined]
except ImportError:
    _lookup = None
COMPILED = _lookup is not None

_NUMBER = re.compile(rb"[ \t\r\n]*\[?[ \t\r\n]*([-+.0-9eE]+)")
_NOT_NUMBERS = (b"t", b"f", b"n", b'"', b"{")  # true, false, null, texts, objects: none goes without one of these
_NOT_INTEGERS = (b".", b"e", b"E")


class Table(Protocol):
    """The pixel values met so far, and the look-up of whole blocks of rows among them."""

    def parse(self, block: np.ndarray) -> np.ndarray | None:
        """Look up rows of pixels, and learn the values that are new.

        Args:
            block: the text of whole rows, from the first one's ``[`` to the last one's ``]``, uint8, with ``MARGIN``
                bytes before and after it, which are overwritten.

        Returns:
            Identifiers, uint8 [rows, 784]. ``None`` if the text is anything else or does not suit the method; then
            nothing is learnt from it, since its numbers need not be pixels.
        """
        ...

    def look_up(self, block: np.ndarray) -> np.ndarray | None:
        """As ``parse``, but without learning, so that several threads may call it at once."""
        ...


def make_table(levels: Levels, plain: bool = False) -> Table:
    """Return the fastest table there is, or the plain one if ``plain`` is true."""
    return PlainTable(levels) if plain or not COMPILED else CompiledTable(levels)


class PlainTable:
    """Rows parsed by orjson, whose values are then looked up by NumPy.

    Args:
        levels: gives each pixel value its identifier.
    """

    def __init__(self, levels: Levels) -> None:
        self._levels = levels

    def parse(self, block: np.ndarray) -> np.ndarray | None:
        """As ``Table.parse``."""
        state, text = self._levels.save(), block[MARGIN:-MARGIN].tobytes()
        values = _values(text)
        if values is None:
            return None
        try:
            for value in np.unique(values).tolist():
                self._levels.id_of(value, _only_integers(text))
        except ValueError:
            self._levels.restore(state)
            return None
        return self._identifiers(text, values)

    def look_up(self, block: np.ndarray) -> np.ndarray | None:
        """As ``Table.look_up``."""
        text = block[MARGIN:-MARGIN].tobytes()
        return self._identifiers(text, _values(text))

    def _identifiers(self, text: bytes, values: np.ndarray | None) -> np.ndarray | None:
        identifiers = None if values is None else self._levels.ids_of_known(values)
        if identifiers is None:
            return None
        if self._levels.only_integers and not _only_integers(text):
            self._levels.only_integers = False
        return identifiers.reshape(-1, PIXELS)


def _values(text: bytes) -> np.ndarray | None:
    """Parse rows of 784 numbers, float64 [784 · rows]; return ``None`` if the text is anything else."""
    if any(mark in text for mark in _NOT_NUMBERS):
        return None
    try:
        rows = orjson.loads(b"[%s]" % text)
        if set(map(len, rows)) != {PIXELS}:
            return None
        return np.fromiter(chain.from_iterable(rows), np.float64, PIXELS * len(rows))
    except (ValueError, TypeError, OverflowError):  # not JSON, or a list among the numbers or a number among the rows
        return None


def _only_integers(text: bytes) -> bool:
    return not any(mark in text for mark in _NOT_INTEGERS)


class CompiledTable:
    """Numbers looked up by their text in compiled code; each text is parsed once, when it is first met.

    Args:
        levels: gives each pixel value its identifier.
    """

    def __init__(self, levels: Levels) -> None:
        self._levels = levels
        self._numbers: dict[bytes, int] = {}  # text: identifier
        self._table = bytearray(_lookup.TABLE_SIZE)

    def parse(self, block: np.ndarray) -> np.ndarray | None:
        """As ``Table.parse``."""
        state, count = self._levels.save(), len(self._numbers)
        found = self._parse(block, learning=True)
        if found is None:
            self._levels.restore(state)
            self._forget(count)
        return found

    def look_up(self, block: np.ndarray) -> np.ndarray | None:
        """As ``Table.look_up``."""
        return self._parse(block, learning=False)

    def _parse(self, block: np.ndarray, learning: bool) -> np.ndarray | None:
        at, end, done = MARGIN, len(block) - MARGIN, 0
        block[end:] = 0
        pixels = np.empty(len(block) // 2, np.uint8)  # each takes at least two characters
        while True:
            done, at = _lookup.look_up(self._table, block, at, end, pixels, done)
            if at == end:
                return pixels[:done].reshape(-1, PIXELS) if done and done % PIXELS == 0 else None
            if not learning or not self._learn(block, at):
                return None

    def _learn(self, block: np.ndarray, at: int) -> bool:
        """Parse the number at which the look-up stopped; return whether it can be a pixel that was not known."""
        match = _NUMBER.match(block.data, at)
        if match is None or match[1] in self._numbers:
            return False
        try:
            identifier = self._levels.id_of_text(match[1])
        except ValueError:
            return False
        if not _lookup.learn(self._table, match[1], identifier):
            return False
        self._numbers[match[1]] = identifier
        return True

    def _forget(self, count: int) -> None:
        """Forget all numbers but the first ``count``."""
        if len(self._numbers) == count:
            return
        while len(self._numbers) > count:
            self._numbers.popitem()
        self._table[:] = bytes(len(self._table))
        for number, identifier in self._numbers.items():
            _lookup.learn(self._table, number, identifier)

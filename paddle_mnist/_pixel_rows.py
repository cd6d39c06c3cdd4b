"""Turn the text of many rows of pixels into one array at once, without looking at each number by itself.

A file of MNIST has 55 million pixels, but only 256 different ones. So a number is parsed when its text is met for the
first time; from then on, its bytes are looked up:

1. The commas of a block of text are found; what lies between two commas is a *cell*, such as ``b" 0.99609375"``.
   A row's first cell also holds the bracket that opens the row, its last cell the one that closes it.
2. Four cells in five are paper. Those are recognised by comparing bytes with the paper's cell.
3. Each other cell is loaded as a few 64-bit words, hashed to a slot, and compared with all of the cell in that slot.
4. A cell that is not in the table is parsed strictly and put into it, and the block is looked up again.

Every byte of a block is thereby either a comma or part of a cell that was parsed. A block for which any of this does
not work out is handed back, for the row-by-row reader to read it or to say what is wrong.
"""

from __future__ import annotations

import re

import numpy as np

from paddle_mnist._pixel_levels import Levels

PIXELS = 784
_MAX_WORDS = 5  # the longest cell that is looked up, in 64-bit words, its comma included
_MAX_CELLS = 800  # more different cells than this are better read row by row
_SLOT_BITS = 16
_CELL = re.compile(
    rb"[ \t\r\n]*(\[?)[ \t\r\n]*(-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)[ \t\r\n]*(\]?)[ \t\r\n]*"
)
_INTERIOR, _FIRST, _LAST = range(3)


class RowTable:
    """What is known of a file's cells, and the look-up of whole blocks in it.

    Args:
        levels: gives each pixel value its identifier.
    """

    def __init__(self, levels: Levels) -> None:
        self._levels = levels
        self._cells: dict[bytes, tuple[int, int]] = {}  # text: (identifier, kind)
        self._paper: bytes | None = None
        self._paper_id = 0
        self._words = 1
        self._random = np.random.default_rng(784)
        self._rebuild()

    def parse(self, text: bytes) -> np.ndarray | None:
        """Look up rows of pixels.

        Args:
            text: whole rows, from the first one's ``[`` to the last one's ``]``.

        Returns:
            Identifiers, uint8 [rows, 784]; ``None`` if the text is anything else or does not suit the method. Nothing
            is learned from such a text: its numbers need not be pixels.
        """
        state, count = self._levels.save(), len(self._cells)
        found = self._parse(text, learning=True)
        if found is None:
            self._levels.restore(state)
            if len(self._cells) > count:
                while len(self._cells) > count:
                    self._cells.popitem()
                self._rebuild()
        elif self._paper is None:
            self._choose_paper(found)
        return found

    def look_up(self, text: bytes) -> np.ndarray | None:
        """As ``parse``, but learning nothing, so that several threads may call it at once."""
        return self._parse(text, learning=False)

    def _parse(self, text: bytes, learning: bool) -> np.ndarray | None:
        size = len(text)
        block = np.zeros((size // 8 + _MAX_WORDS + 2) * 8, np.uint8)
        block[:size] = np.frombuffer(text, np.uint8)
        block[size] = ord(",")
        commas = block == ord(",")
        ends = np.flatnonzero(commas)
        if len(ends) % PIXELS:
            return None
        rest = self._other_than_paper(block, commas, ends)
        starts = ends[rest - 1] + 1
        starts[0] = 0
        lengths = ends[rest] - starts
        slots, known = self._find(block, starts, lengths)
        if not known.all():
            missed = starts[~known]
            if not learning or not self._learn(text, missed.tolist(), (missed + lengths[~known]).tolist()):
                return None
            slots, _ = self._find(block, starts, lengths)
        if not _frames_rows(rest, self._kinds[slots], len(ends)):
            return None
        out = np.full(len(ends), self._paper_id, np.uint8)
        out[rest] = self._ids[slots]
        return out.reshape(-1, PIXELS)

    def _other_than_paper(self, block: np.ndarray, commas: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """Return the indices of the cells that differ from the paper's, in order; the first, with its bracket, does."""
        if self._paper is None:
            return np.arange(len(ends))
        after = len(self._paper) + 1  # from a comma to the next one, with paper between
        n = len(block) - after
        paper = commas[after:].copy()
        for i, byte in enumerate(self._paper, 1):
            paper &= block[i : n + i] == byte
        other = np.flatnonzero(~paper[ends[:-1]])
        return np.concatenate([[0], other + 1])

    def _find(self, block: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return each cell's index in the table, and whether it is there at all."""
        words = block.view("<u8")
        at = starts >> 3
        shift = ((starts & 7) << 3).astype(np.uint64)
        back = np.uint64(64) - shift  # a shift by 64 gives 0 in NumPy
        bits = (lengths + 1).astype(np.uint64) << np.uint64(3)  # the comma is part of the key, and ends it
        low = words[at]
        known = lengths < 8 * self._words
        hashed, keys = None, []
        for i in range(self._words):
            high = words[at + (i + 1)]
            key = (low >> shift) | (high << back)
            key &= _low_bits(bits, i)
            keys.append(key)
            mixed = key * self._factors[i]
            hashed = mixed if hashed is None else hashed ^ mixed
            low = high
        index = self._slots[(hashed >> np.uint64(64 - _SLOT_BITS)).astype(np.intp)]
        for i, key in enumerate(keys):
            known &= self._keys[i][index] == key
        return index, known

    def _learn(self, text: bytes, starts: list[int], ends: list[int]) -> bool:
        """Parse cells that were met for the first time; return whether all of them can be pixels."""
        for start, end in zip(starts, ends, strict=True):
            cell = text[start:end]
            if cell in self._cells:
                continue
            match = _CELL.fullmatch(cell)
            if match is None or len(cell) >= 8 * _MAX_WORDS or len(self._cells) >= _MAX_CELLS:
                return False
            opens, number, closes = match.groups()
            if opens and closes:
                return False
            try:
                identifier = self._levels.of_text(number)
            except ValueError:
                return False
            self._cells[cell] = (identifier, _FIRST if opens else _LAST if closes else _INTERIOR)
        self._rebuild()
        return True

    def _rebuild(self) -> None:
        """Lay the known cells into a table without collisions, by trying hash factors until there are none."""
        cells = list(self._cells)
        self._words = max((len(cell) // 8 + 1 for cell in cells), default=1)
        padded = b"".join((cell + b",").ljust(8 * self._words, b"\0") for cell in cells)
        keys = np.frombuffer(padded, "<u8").reshape(len(cells), self._words)
        while True:
            self._factors = self._random.integers(0, 2**64, self._words, dtype=np.uint64) | np.uint64(1)
            hashed = np.bitwise_xor.reduce(keys * self._factors, axis=1) if cells else np.zeros(0, np.uint64)
            at = hashed >> np.uint64(64 - _SLOT_BITS)
            if len(np.unique(at)) == len(cells):
                break
        # An empty slot leads to the last row of the table, whose key no cell has: a key never is all zeros.
        self._slots = np.full(1 << _SLOT_BITS, len(cells), np.uint16)
        self._slots[at.astype(np.intp)] = np.arange(len(cells))
        self._keys = [np.append(keys[:, i], np.uint64(0)) for i in range(self._words)]
        self._ids = np.array([identifier for identifier, _ in self._cells.values()] + [0], np.uint8)
        self._kinds = np.array([kind for _, kind in self._cells.values()] + [0], np.uint8)

    def _choose_paper(self, out: np.ndarray) -> None:
        """Take the commonest pixel of the first block for paper; a wrong choice costs time only."""
        self._paper_id = int(np.bincount(out.reshape(-1), minlength=256).argmax())
        self._paper = next((cell for cell, found in self._cells.items() if found == (self._paper_id, _INTERIOR)), None)


def _low_bits(bits: np.ndarray, word: int) -> np.ndarray:
    """Return masks that keep what belongs to a key of ``bits`` bits in its ``word``-th 64-bit word."""
    ones = np.uint64(0xFFFF_FFFF_FFFF_FFFF)
    left = np.maximum(bits, np.uint64(64 * word)) - np.uint64(64 * word)
    return ~(ones << left)  # a shift by 64 or more gives 0 in NumPy


def _frames_rows(rest: np.ndarray, kinds: np.ndarray, n: int) -> bool:
    """Tell whether brackets open each row's first cell and close its last, and stand nowhere else."""
    return np.array_equal(rest[kinds == _FIRST], np.arange(0, n, PIXELS)) and np.array_equal(
        rest[kinds == _LAST], np.arange(PIXELS - 1, n, PIXELS)
    )


def without_space(text: bytes) -> bytes | None:
    """Take the white space out of JSON's lists of numbers.

    Returns:
        The text without it; ``None`` where two numbers would run together, which JSON does not allow.
    """
    block = np.frombuffer(text, np.uint8)
    kept = block > ord(" ")
    if not np.isin(block[~kept], np.frombuffer(b" \t\r\n", np.uint8)).all():
        return None
    bare = block[kept]
    edges = np.flatnonzero(kept[1:] != kept[:-1])  # the text begins and ends with a bracket, so edges come in pairs
    before, after = block[edges[0::2]], block[edges[1::2] + 1]
    structure = np.zeros(256, bool)
    structure[list(b",[]")] = True
    return bare.tobytes() if (structure[before] | structure[after]).all() else None

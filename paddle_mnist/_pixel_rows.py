"""Turn the text of many rows of pixels into one array at once, without looking at each number by itself.

A file of MNIST has 55 million pixels, but only 256 different ones. So a number is parsed when its text is met for the
first time; from then on, its bytes are looked up. What lies between two commas is a *cell*, such as ``b" 0.99609375"``.
A row's first cell also holds the bracket that opens the row, its last cell the one that closes it.

1. Four cells in five are paper. A comma with a paper's cell and another comma after it is recognised by comparing
   bytes, for all of a block of text at once. The other commas are listed: after each of them begins some other cell.
2. Each of these cells is loaded as a few 64-bit words, which end with its comma, hashed to a slot, and compared with
   the cell in that slot. Its length, which is thereby known, tells where it ends.
3. From there to the next comma in the list stands nothing but papers, and how many they are follows from the distance.
   So the pixels between need not be counted, and each cell's place in its row is known.
4. A cell that is not in the table is parsed strictly and put into it, and the block is looked up again.

Every byte of a block is thereby either a comma or part of a cell that was parsed. A block for which any of this does
not work out is handed back, for the row-by-row reader to read it or to say what is wrong.

The text is handled in pieces that stay in a core's second-level cache, in arrays that each thread keeps: fresh memory
is dear, since the system clears it page by page.
"""

from __future__ import annotations

import re
import threading

import numpy as np

from paddle_mnist._pixel_levels import Levels

PIXELS = 784
_MAX_WORDS = 5  # the longest cell that is looked up, in 64-bit words, its comma included
_MAX_CELLS = 800  # more different cells than this are better read row by row
_SLOT_BITS = 16
_LEAD = 8 * _MAX_WORDS  # what stands before a text in the array that takes it
_COMMA = ord(",")
_COMMAS, _ONES, _HIGHS = (np.uint64(byte * 0x0101_0101_0101_0101) for byte in (_COMMA, 0x01, 0x80))
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
        self._room = _Room()
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
        state, count, paper = self._levels.save(), len(self._cells), self._paper
        if self._paper is None:
            first = self._parse(text[: text.find(b"]") + 1], learning=True)
            if first is not None:
                self._choose_paper(first)
        found = self._parse(text, learning=True)
        if found is None:
            self._levels.restore(state)
            self._paper = paper
            if len(self._cells) > count:
                while len(self._cells) > count:
                    self._cells.popitem()
                self._rebuild()
        return found

    def look_up(self, text: bytes) -> np.ndarray | None:
        """As ``parse``, but learning nothing, so that several threads may call it at once."""
        return self._parse(text, learning=False)

    def _parse(self, text: bytes, learning: bool) -> np.ndarray | None:
        block, commas = self._other_than_paper(text)
        starts = commas[:-1]
        cells, known = self._find(block, starts)
        if not known.all():
            if not learning or not self._learn(text, (starts[~known] - (_LEAD - 1)).tolist()):
                return None
            cells, _ = self._find(block, starts)
        steps = np.diff(commas)
        steps -= cells & 0xFF
        steps //= 1 if self._paper is None else len(self._paper) + 1
        steps += 1  # the cell itself, and then paper
        places = np.cumsum(steps)
        count = int(places[-1])
        places -= steps
        if not _frames_rows(places, cells, count):
            return None
        out = np.full(count, self._paper_id, np.uint8)
        out[places] = (cells >> 8).astype(np.uint8)
        return out.reshape(-1, PIXELS)

    def _other_than_paper(self, text: bytes) -> tuple[np.ndarray, np.ndarray]:
        """Find the cells that differ from the paper's.

        Returns:
            The text with a comma before it and one after it, uint8, and the indices of the commas before those cells,
            in order. The first cell, with its bracket, is always among them, and the last comma's index is at the end.
        """
        end = _LEAD + len(text)
        room = self._room.for_text(len(text))
        block, commas, paper, equal = (array[: end + 1] for array in room)
        block[_LEAD - 1] = block[end] = _COMMA
        block[_LEAD:end] = np.frombuffer(text, np.uint8)
        room[0][end + 1 :][: 8 * _MAX_WORDS] = 0
        np.equal(block, _COMMA, out=commas)
        if self._paper is not None:
            after = len(self._paper) + 1  # from a comma to the next one, with paper between
            n = len(block) - after
            paper[n:] = False
            np.logical_and(commas[:n], commas[after:], out=paper[:n])
            for i, byte in enumerate(self._paper, 1):
                np.equal(block[i : n + i], byte, out=equal[:n])
                np.logical_and(paper[:n], equal[:n], out=paper[:n])
            np.greater(commas, paper, out=commas)
            commas[_LEAD - 1] = True
        room[1][end + 1 :][:4] = False
        return room[0], _indices(room[1][: end + 4 & ~3])

    def _find(self, block: np.ndarray, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return what is noted of the cell after each of some commas, and whether it is in the table at all."""
        size = 8 * self._words
        after = np.ndarray(len(block) - size, f"V{size}", block, 1, (1,))  # the words after each byte of the block
        words = np.ascontiguousarray(after[starts].view("<u8").reshape(-1, self._words).T)
        _cut_after_comma(words)
        hashed = words[0] * self._factors[0]
        for word, factor in zip(words[1:], self._factors[1:], strict=True):
            hashed ^= word * factor
        hashed >>= np.uint64(64 - _SLOT_BITS)
        found = self._slots.take(hashed.view(np.int64), axis=0)
        known = found[:, 0] == words[0]
        for i, word in enumerate(words[1:], 1):
            known &= found[:, i] == word
        return found[:, -1].astype(np.int64), known

    def _learn(self, text: bytes, starts: list[int]) -> bool:
        """Parse cells that were met for the first time; return whether all of them can be pixels."""
        for start in starts:
            end = text.find(b",", start)
            cell = text[start:] if end < 0 else text[start:end]
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
            hashed = np.bitwise_xor.reduce(keys * self._factors, axis=1)
            at = (hashed >> np.uint64(64 - _SLOT_BITS)).astype(np.intp)
            if len(np.unique(at)) == len(cells):
                break
        # A slot holds a cell's words, and last its length with the comma, its identifier and its kind, in a byte each.
        # Slots of 16 and 32 bytes are the quickest to copy. No key is all zeros, as an empty slot is.
        width = {1: 2, 2: 4, 3: 4}.get(self._words, self._words + 1)
        self._slots = np.zeros((1 << _SLOT_BITS, width), np.uint64)
        self._slots[at, : self._words] = keys
        self._slots[at, -1] = [len(cell) + 1 | i << 8 | kind << 16 for cell, (i, kind) in self._cells.items()]

    def _choose_paper(self, out: np.ndarray) -> None:
        """Take the commonest pixel of the first block for paper; a wrong choice costs time only."""
        self._paper_id = int(np.bincount(out.reshape(-1), minlength=256).argmax())
        self._paper = next((cell for cell, found in self._cells.items() if found == (self._paper_id, _INTERIOR)), None)


class _Room(threading.local):
    """Arrays to work in, of each thread's own."""

    def __init__(self) -> None:
        self._size = 0

    def for_text(self, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return an array of bytes and three of booleans that take so long a text and what is put around it."""
        size += _LEAD + 8 * _MAX_WORDS + 8
        if size > self._size:
            self._size = size
            self._arrays = (np.zeros(size, np.uint8), *(np.zeros(size, bool) for _ in range(3)))
        return self._arrays


def _indices(marks: np.ndarray) -> np.ndarray:
    """Return where the marks are, as ``np.flatnonzero`` does, in half its time where they stand four apart at least.

    Args:
        marks: bool [a multiple of 4].
    """
    fours = marks.view("<u4")
    found = np.flatnonzero(fours != 0)
    values = fours.take(found)
    if (values & (values - np.uint32(1))).any():
        return np.flatnonzero(marks)  # two marks in one of the fours
    found <<= 2
    values *= np.uint32(0x00010203)  # brings the index of the byte that is 1 to the top
    values >>= np.uint32(24)
    found += values
    return found


def _cut_after_comma(words: np.ndarray) -> None:
    """Set to zero what comes after the first comma of each cell.

    Args:
        words: the first 8 bytes of each cell, the second 8 and so on, uint64 [words, cells].
    """
    ended = None
    for word in words:
        # Bytes that are commas become zero, and the lowest of those is found by subtraction: see "Determining if a
        # word has a zero byte" in Anderson, Bit Twiddling Hacks.
        differs = word ^ _COMMAS
        comma = differs - _ONES
        comma &= np.invert(differs, out=differs)
        comma &= _HIGHS
        up_to_comma = np.subtract(comma, np.uint64(1), out=differs)
        up_to_comma ^= comma  # all of the word, if there is no comma
        word &= up_to_comma
        if ended is not None:
            word *= ended ^ np.True_
            ended |= comma != 0
        else:
            ended = comma != 0


def _frames_rows(places: np.ndarray, cells: np.ndarray, n: int) -> bool:
    """Tell whether brackets open each row's first cell and close its last, and stand nowhere else."""
    if n % PIXELS:
        return False
    edges = np.flatnonzero(cells >= 1 << 16)
    first = np.arange(0, n, PIXELS)
    return (
        len(edges) == 2 * len(first)
        and np.array_equal(places[edges[0::2]], first)
        and np.array_equal(places[edges[1::2]], first + (PIXELS - 1))
        and bool((cells[edges[0::2]] >> 16 == _FIRST).all())
        and bool((cells[edges[1::2]] >> 16 == _LAST).all())
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

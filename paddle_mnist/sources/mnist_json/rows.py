"""Turn the text of many rows of pixels into one array at once, by NumPy: where ``_number_table`` was not compiled.

A file of MNIST has 55 million pixels, but only 256 different ones. So a number is parsed when its text is met for the
first time; from then on, its bytes are looked up. What lies between two commas is a *cell*, such as ``b" 0.99609375"``.
A row's first cell also holds the bracket that opens the row, its last cell the one that closes it.

1. Four cells in five are paper, and nearly all of them follow another one. So a text is compared with itself, shifted
   by the length of paper and its comma, the *period*. Where it is the same from one comma over a whole period to the
   next, the cell there repeats the one before. The other commas are listed: after each of them begins a cell that is no
   repetition. This takes seven passes over the bytes or eight, however long the text of a paper is.
2. Between a listed comma and the next one stands either a single cell, or a *run*: a cell of the period's length and
   repetitions of it. Up to 64 bytes are loaded from there, those from the next listed comma on are set to zero, and
   what comes out is hashed to a slot and compared with what stands in it. A run that is longer than what was loaded
   needs no more: the rest of it repeats its beginning.
3. A single cell stands for one pixel, a run for as many as its length says.
4. A text that is not in the table is parsed strictly and put into it, and the block is looked up again.

Every byte of a block is thereby either compared with a text that was parsed, or with a byte that was. A block for which
any of this does not work out is handed back, for the row-by-row reader to read it or to say what is wrong. (So are
texts in which two cells together are as long as paper and are repeated; no one has been seen to write such.)

Threads gain less here than one would think. NumPy lets go of the interpreter's lock for each operation and then has to
get it back, which takes as long as comparing tens of kilobytes. The arrays that are as long as the text are kept, by
each thread for itself, and the text is looked up in the memory into which it was unpacked.
"""

from __future__ import annotations

import re
import threading

import numpy as np

from paddle_mnist.sources.mnist_json.levels import PIXELS, Levels
from paddle_mnist.sources.mnist_json.text import MARGIN, with_margins

_WORDS = (1, 2, 4, 8)  # how many 64-bit words of a cell are loaded; NumPy copies these sizes quickest
_MAX_CELLS = 800  # more different cells than this are better read row by row
_SLOT_BITS = 16
_SQUEEZES = 8  # so many blocks that can be looked up only without their white space, and all are taken so
_COMMA = ord(",")
_CELL = re.compile(rb"[ \t\r\n]*(\[?)[ \t\r\n]*([-+.0-9eE]+)[ \t\r\n]*(\]?)[ \t\r\n]*")
# What is noted of a text in the table, in one integer: its pixel's identifier in the lowest byte, and these. That of a
# run is the sign bit, so that a shift makes a mask of it; a run of anything but paper has the bit of ink, too.
_FIRST, _LAST, _INK, _RUN = 1 << 8, 1 << 9, 1 << 10, -1 << 63


class RowTable:
    """As ``NumberTable``: what is known of a file's cells, and the look-up of whole blocks in it."""

    def __init__(self, levels: Levels) -> None:
        self._as_written = _CellTable(levels)
        self._bare = _CellTable(levels)  # for rows whose white space was taken out
        self._squeezed = 0

    def parse(self, room: np.ndarray) -> np.ndarray | None:
        """As ``NumberTable.parse``."""
        if self._squeezed < _SQUEEZES:
            found = self._as_written.parse(room)
            if found is not None:
                return found
        bare = without_space(room[MARGIN:-MARGIN])
        if bare is None or (len(bare) == len(room) and self._squeezed < _SQUEEZES):
            return None
        found = self._bare.parse(bare)
        self._squeezed += found is not None
        return found

    def look_up(self, room: np.ndarray) -> np.ndarray | None:
        """As ``NumberTable.look_up``."""
        if self._squeezed < _SQUEEZES:
            return self._as_written.look_up(room)
        bare = without_space(room[MARGIN:-MARGIN])
        return None if bare is None else self._bare.look_up(bare)


class _CellTable:
    """Cells met before, and what is noted of them."""

    def __init__(self, levels: Levels) -> None:
        self._levels = levels
        self._cells: dict[bytes, int] = {}  # text, without the comma: what is noted of it
        self._paper = 0  # the commonest pixel's identifier
        self._period = 0  # the length of the commonest cell, with its comma; 0 as long as it is not known
        self._work = _Work()
        self._random = np.random.default_rng(784)
        self._rebuild()

    def parse(self, room: np.ndarray) -> np.ndarray | None:
        """As ``RowTable.parse``, with the white space as it stands."""
        state, count, period = self._levels.save(), len(self._cells), self._period
        if not self._period:
            text = room[MARGIN:-MARGIN]
            first = self._parse(with_margins(text[: int((text == ord("]")).argmax()) + 1]), learning=True)
            if first is not None:
                self._choose_period(first)
        found = self._parse(room, learning=True)
        if found is None:
            self._levels.restore(state)
            if len(self._cells) > count or self._period != period:
                while len(self._cells) > count:
                    self._cells.popitem()
                self._period = period
                self._rebuild()
        return found

    def look_up(self, room: np.ndarray) -> np.ndarray | None:
        return self._parse(room, learning=False)

    def _parse(self, room: np.ndarray, learning: bool) -> np.ndarray | None:
        commas = self._without_repetitions(room)
        starts, sizes = commas[:-1], np.diff(commas)
        notes, known = self._find(room, starts, sizes)
        if known is not None:
            if not learning or not self._learn(room, starts[~known]):
                return None
            notes, known = self._find(room, starts, sizes)
            if known is not None:  # no cells and repetitions of them after all
                return None
        if self._period:
            sizes //= self._period
            sizes -= 1
            sizes &= notes >> 63
            sizes += 1
        else:
            sizes.fill(1)
        return _rows(notes, sizes, self._paper)

    def _without_repetitions(self, room: np.ndarray) -> np.ndarray:
        """List the commas that begin a cell which does not repeat the one before.

        A comma is put before the text and another one after it, among zeros.

        Returns:
            The listed commas' indices, in order: the first is the one before the text, the last the one after it.
        """
        n = len(room) - MARGIN + 1
        (commas, same, spare), marks = self._work.for_text(n), slice(n, -(-n // 8) * 8)
        room[:MARGIN] = room[n:] = 0
        room[MARGIN - 1] = room[n - 1] = _COMMA
        np.equal(room[:n], _COMMA, out=commas[:n])
        commas[marks] = False
        period = self._period
        if 0 < 2 * period < n:
            # same[i] says first that the byte at i is the one a period later, then that so many from there on are.
            np.equal(room[: n - period], room[period:n], out=same[: n - period])
            size, needed, end = 1, period + 1, n - period
            while size < needed:
                step = min(size, needed - size)
                end -= step
                np.logical_and(same[:end], same[step : end + step], out=spare[:end])
                same, spare = spare, same
                size += step
            np.greater(commas[period : n - period], same[:end], out=commas[period : n - period])
        commas[MARGIN - 1] = commas[n - 1] = True
        return _indices(commas[: marks.stop], 8 if period >= 8 else 4)

    def _find(self, room: np.ndarray, starts: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Return what is noted of the text after each of some commas, and which are in the table (``None``: all)."""
        width = 8 * self._words
        after = np.ndarray(len(room) - width, f"V{width}", room, 1, (1,))  # the words after each byte
        keys = after[starts].view("<u8")
        keys &= self._masks.take(sizes, mode="clip").view("<u8")
        words = keys.reshape(-1, self._words)
        hashed = words[:, 0] * self._factors[0]
        for i in range(1, self._words):
            hashed ^= words[:, i] * self._factors[i]
        hashed >>= np.uint64(64 - _SLOT_BITS)
        slots = hashed.view(np.int64)
        equal = self._keys.take(slots).view("<u8") == keys
        known = None if equal.all() else equal.reshape(words.shape).all(axis=1)
        return self._notes.take(slots), known

    def _learn(self, room: np.ndarray, commas: np.ndarray) -> bool:
        """Parse the cells after some commas, met for the first time; return whether all of them can be pixels."""
        text = bytes(room)
        for comma in commas.tolist():
            cell = text[comma + 1 : text.find(b",", comma + 1)]
            if cell in self._cells:
                continue
            match = _CELL.fullmatch(cell)
            if match is None or len(cell) + 2 > 8 * _WORDS[-1] or len(self._cells) >= _MAX_CELLS:
                return False
            opens, number, closes = match.groups()
            if opens and closes:
                return False
            try:
                identifier = self._levels.of_text(number)
            except ValueError:
                return False
            self._cells[cell] = identifier | (_FIRST if opens else _LAST if closes else 0)
        self._rebuild()
        return True

    def _rebuild(self) -> None:
        """Lay the known texts into a table without collisions, by trying hash factors until there are none."""
        # A run is told from a single cell by what follows its first comma, so one byte of that is to be loaded.
        longest = max([self._period + 1, *(len(cell) + 1 for cell in self._cells)])
        self._words = next(words for words in _WORDS if 8 * words >= longest)
        width = 8 * self._words
        texts = {cell + b",": note for cell, note in self._cells.items()}
        for cell, note in self._cells.items():
            if len(cell) + 1 == self._period and note < _FIRST:
                run = note | _RUN | (0 if note == self._paper else _INK)
                for size in range(2 * self._period, width + self._period, self._period):
                    texts[((cell + b",") * size)[: min(size, width)]] = run
        keys = np.frombuffer(b"".join(text.ljust(width, b"\0") for text in texts), "<u8").reshape(-1, self._words)
        while True:
            self._factors = self._random.integers(0, 2**64, self._words, dtype=np.uint64) | np.uint64(1)
            hashed = np.bitwise_xor.reduce(keys * self._factors, axis=1)
            slots = (hashed >> np.uint64(64 - _SLOT_BITS)).astype(np.intp)
            # An empty slot must match nothing. It holds zeros, which are never looked for but in slot 0; and that holds
            # ones, which must be looked for elsewhere.
            if len(np.unique(slots)) == len(texts) and np.bitwise_xor.reduce(self._factors) >> np.uint64(
                64 - _SLOT_BITS
            ):
                break
        table = np.zeros((1 << _SLOT_BITS, self._words), "<u8")
        table[0] = 1
        table[slots] = keys
        self._keys = table.view(f"V{width}").reshape(-1)
        self._notes = np.zeros(1 << _SLOT_BITS, np.int64)
        self._notes[slots] = list(texts.values())
        self._masks = (255 * np.tri(width + 1, width, -1, np.uint8)).view(f"V{width}").reshape(-1)

    def _choose_period(self, row: np.ndarray) -> None:
        """Take the commonest pixel of a row for paper; a wrong choice costs time only."""
        self._paper = int(np.bincount(row.reshape(-1)).argmax())
        self._period = next((len(cell) + 1 for cell, note in self._cells.items() if note == self._paper), 0)
        self._rebuild()


class _Work(threading.local):
    """Arrays to work in, of each thread's own."""

    def __init__(self) -> None:
        self._size = 0

    def for_text(self, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return three arrays of booleans that have one for each byte of so long a text, and some more."""
        if size + 8 > self._size:
            self._size = size + 8
            self._arrays = tuple(np.zeros(self._size, bool) for _ in range(3))
        return self._arrays


def _indices(marks: np.ndarray, size: int) -> np.ndarray:
    """Return where the marks are, as ``np.flatnonzero`` does, in half its time if they are far apart.

    Args:
        marks: bool [a multiple of 8].
        size: how many bytes are looked at together, 4 or 8; two marks among them should be rare.
    """
    words = marks.view(f"<u{size}")
    found = np.flatnonzero(words != 0)  # without the comparison, each would be asked twice
    values = words.take(found)
    found *= size
    rest = values & (values - 1)  # without the first mark
    several = np.flatnonzero(rest != 0)
    if len(several) == 0:
        found += _byte_index(values)
        return found
    rest = rest[several]
    if len(several) > len(found) // 8 or (rest & (rest - 1)).any():
        return np.flatnonzero(marks)  # too many, or three marks in one word
    values[several] ^= rest
    second = found[several] + _byte_index(rest)
    found += _byte_index(values)
    counts = np.ones(len(found), np.intp)
    counts[several] = 2
    found = np.repeat(found, counts)
    found[several + np.arange(1, len(several) + 1)] = second
    return found


def _byte_index(words: np.ndarray) -> np.ndarray:
    """Return which byte is 1, counted from 0, of words in which all other bytes are 0."""
    top = 8 * (words.itemsize - 1)
    indices = words * words.dtype.type(0x0001020304050607 >> (56 - top))  # brings that byte's index to the top
    indices >>= words.dtype.type(top)
    return indices.astype(np.int64)


def _rows(notes: np.ndarray, counts: np.ndarray, paper: int) -> np.ndarray | None:
    """Lay out the pixels of single cells and runs.

    Args:
        notes: what is noted of each, int64 [n].
        counts: the number of its pixels, int64 [n].
        paper: the identifier that all runs have except those that say otherwise.

    Returns:
        Identifiers, uint8 [rows, 784]; ``None`` unless brackets open each row's first cell and close its last, and
        stand nowhere else.
    """
    ends = np.cumsum(counts)
    n = int(ends[-1])
    marked = np.flatnonzero((notes & (_FIRST | _LAST | _INK)) != 0)
    marks = notes[marked]
    edges = marked[marks & _INK == 0]
    first, last = edges[0::2], edges[1::2]
    rows = np.arange(0, n, PIXELS)
    if (
        n % PIXELS
        or not len(first) == len(last) == len(rows)
        or not np.array_equal(ends[first], rows + 1)
        or not np.array_equal(ends[last], rows + PIXELS)
        or not ((notes[first] & _FIRST).all() and (notes[last] & _LAST).all())
    ):
        return None
    ids, places = notes.astype(np.uint8), ends - counts
    inked = marked[marks & _INK != 0]
    if len(inked) > len(ids) // 64:
        return np.repeat(ids, counts).reshape(-1, PIXELS)
    out = np.full(n, paper, np.uint8)
    out[places] = ids
    for i in inked.tolist():
        out[places[i] : ends[i]] = ids[i]
    return out.reshape(-1, PIXELS)


def without_space(text: np.ndarray) -> np.ndarray | None:
    """Take the white space out of JSON's lists of numbers.

    Args:
        text: from the first one's ``[`` to the last one's ``]``, uint8.

    Returns:
        The text without it, uint8, with ``MARGIN`` bytes before it and after it; ``None`` where numbers and commas do
        not take turns, so that two numbers might run together, which JSON does not allow.
    """
    kept = text > ord(" ")
    spaces = sum(np.count_nonzero(text == character) for character in b" \t\r\n")
    inside = kept.copy()
    for character in b",[]":
        inside &= text != character
    # One more number than commas, and it is so again when each comma has turned out to stand between two: so none ran
    # together.
    numbers = np.count_nonzero(inside[1:] > inside[:-1])
    if np.count_nonzero(kept) + spaces != len(text) or numbers != np.count_nonzero(text == _COMMA) + 1:
        return None
    return with_margins(np.compress(kept, text))  # twice as fast as text[kept]

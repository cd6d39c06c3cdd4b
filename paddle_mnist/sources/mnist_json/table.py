"""Turn the text of many rows of pixels into one array at once, by compiled code: see ``lookup.c``.

Importing this module fails where the package was installed without a compiler; ``_pixel_rows`` then does the same in
NumPy, in twice the time.
"""

from __future__ import annotations

import re

import numpy as np

from paddle_mnist.sources.mnist_json import _lookup
from paddle_mnist.sources.mnist_json.levels import PIXELS, Levels
from paddle_mnist.sources.mnist_json.text import MARGIN

_NUMBER = re.compile(rb"[ \t\r\n]*\[?[ \t\r\n]*([-+.0-9eE]+)")


class NumberTable:
    """What is known of a file's numbers, and the look-up of whole blocks of rows in it.

    Args:
        levels: gives each pixel value its identifier.
    """

    def __init__(self, levels: Levels) -> None:
        self._levels = levels
        self._numbers: dict[bytes, int] = {}  # text: identifier
        self._table = bytearray(_lookup.TABLE_SIZE)

    def parse(self, room: np.ndarray) -> np.ndarray | None:
        """Look up rows of pixels.

        Args:
            room: whole rows, from the first one's ``[`` to the last one's ``]``, as text, uint8; before it and after it
                ``MARGIN`` bytes, which are overwritten.

        Returns:
            Identifiers, uint8 [rows, 784]; ``None`` if the text is anything else or does not suit the method. Nothing
            is learned from such a text: its numbers need not be pixels.
        """
        state, count = self._levels.save(), len(self._numbers)
        found = self._parse(room, learning=True)
        if found is None:
            self._levels.restore(state)
            self._forget(count)
        return found

    def look_up(self, room: np.ndarray) -> np.ndarray | None:
        """As ``parse``, but learning nothing, so that several threads may call it at once."""
        return self._parse(room, learning=False)

    def _parse(self, room: np.ndarray, learning: bool) -> np.ndarray | None:
        at, end, done = MARGIN, len(room) - MARGIN, 0
        room[end:] = 0
        pixels = np.empty(len(room) // 2, np.uint8)  # each takes two characters at least
        while True:
            done, at = _lookup.look_up(self._table, room, at, end, pixels, done)
            if at == end:
                return pixels[:done].reshape(-1, PIXELS) if done and done % PIXELS == 0 else None
            if not learning or not self._learn(room, at):
                return None

    def _learn(self, room: np.ndarray, at: int) -> bool:
        """Parse the number at which the look-up stopped; return whether it can be a pixel that was not known."""
        match = _NUMBER.match(room, at)
        if match is None or match[1] in self._numbers:
            return False
        try:
            identifier = self._levels.of_text(match[1])
        except ValueError:
            return False
        if not _lookup.learn(self._table, match[1], identifier):
            return False
        self._numbers[match[1]] = identifier
        return True

    def _forget(self, count: int) -> None:
        """Forget all numbers but the first ones."""
        if len(self._numbers) == count:
            return
        while len(self._numbers) > count:
            self._numbers.popitem()
        self._table[:] = bytes(len(self._table))
        for number, identifier in self._numbers.items():
            _lookup.learn(self._table, number, identifier)

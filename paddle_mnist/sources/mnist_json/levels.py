"""Recognise how a file encodes its 256 grey levels."""

from __future__ import annotations

import math
import re

import numpy as np

PIXELS = 784  # of a digit, row by row from the top left
ENCODINGS = ("uint8", "k/255", "k/256", "pm1")

# Neighbouring levels of an encoding differ by 1/256 or more, and k/255 and k/256 differ by 1.5e-5 or more for every k
# but 0. This tolerance tells them apart and allows for any rounding: float32, float64, six decimals.
_TOLERANCE = 1e-6
_NUMBER = re.compile(rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_DESCRIPTIONS = {"uint8": "a whole number 0 to 255", "k/255": "k/255", "k/256": "k/256", "pm1": "k/255*2-1"}


def pixel_values(encoding: str) -> list[int] | list[float]:
    """Return the values that an encoding writes for the grey levels 0 (paper) to 255 (full ink), in order.

    Raises:
        ValueError: the encoding is none of ``ENCODINGS``.
    """
    levels = np.arange(256)
    if encoding == "uint8":
        return levels.tolist()
    if encoding == "k/255":
        return (levels / 255).tolist()
    if encoding == "k/256":
        return (levels / 256).tolist()
    if encoding == "pm1":
        return ((levels / 255).astype(np.float32) * 2 - 1).tolist()
    raise ValueError(f"encoding must be one of {', '.join(map(repr, ENCODINGS))}, got {encoding!r}")


def level(value: float, encoding: str) -> int | None:
    """Return the grey level 0 to 255 that a value stands for in an encoding; ``None`` if it stands for none."""
    if encoding == "uint8":
        return int(value) if 0 <= value <= 255 and value == int(value) else None
    if not -2 < value < 2:
        return None
    if encoding == "pm1":
        k = round((value + 1) * 127.5)
        exact = k / 127.5 - 1
    else:
        steps = 255 if encoding == "k/255" else 256
        k = round(value * steps)
        exact = k / steps
    return k if 0 <= k <= 255 and abs(value - exact) <= _TOLERANCE else None


class Levels:
    """The distinct pixel values of a file, and the encodings that fit all of them.

    The encoding may be certain only late in a file (in three of them the paper of the first digits is 0). Pixels are
    therefore stored as identifiers first, and ``lookup`` says at the end which grey level each identifier is. An
    identifier is the grey level itself where that can be guessed, which nearly always saves rewriting the pixels.
    """

    def __init__(self) -> None:
        self.candidates: tuple[str, ...] = ENCODINGS
        self.only_integers = True
        self._ids: dict[float, int] = {}

    def id_of_text(self, number: bytes) -> int:
        """Return the identifier of a JSON number.

        Raises:
            ValueError: as ``id_of``, or because the text is not a JSON number.
        """
        if not _NUMBER.fullmatch(number):
            raise ValueError(f"must be a number, got {number!r}")
        return self.id_of(float(number), number.lstrip(b"-").isdigit())

    def id_of(self, value: float, is_integer: bool) -> int:
        """Return the identifier 0 to 255 of a pixel value.

        Args:
            value: the number in the file.
            is_integer: whether it was written without a point and an exponent.

        Raises:
            ValueError: no encoding has this value together with the earlier ones; the message says "must be …, got …".
        """
        known = self._ids.get(value)
        if known is not None:
            self.only_integers &= is_integer
            return known
        fitting = tuple(name for name in self.candidates if math.isfinite(value) and level(value, name) is not None)
        if not fitting:
            raise ValueError(f"must be {self._expected()}, got {value!r}")
        if len(self._ids) == 256:
            raise ValueError(f"must be one of the 256 pixel values before it, got {value!r}")
        self.only_integers &= is_integer
        self.candidates = fitting
        guess, taken = level(value, fitting[0]), set(self._ids.values())
        found = guess if guess is not None and guess not in taken else min(set(range(256)) - taken)
        self._ids[value] = found
        return found

    def ids_of_known(self, values: np.ndarray) -> np.ndarray | None:
        """Return the identifiers, uint8 [n], of pixel values, float64 [n]; ``None`` unless each was met before."""
        if not self._ids:
            return None
        known = np.array(sorted(self._ids))
        found = np.searchsorted(known, values).clip(max=len(known) - 1)
        if not np.array_equal(known[found], values):
            return None
        return np.array([self._ids[value] for value in known.tolist()], np.uint8)[found]

    def save(self) -> tuple[tuple[str, ...], bool, int]:
        """Return the present state, for ``restore``."""
        return self.candidates, self.only_integers, len(self._ids)

    def restore(self, state: tuple[tuple[str, ...], bool, int]) -> None:
        """Forget every value that was met since ``save``."""
        self.candidates, self.only_integers, count = state
        while len(self._ids) > count:
            self._ids.popitem()

    def lookup(self) -> tuple[str, np.ndarray]:
        """Decide the encoding.

        Values that fit several encodings are accepted if they mean the same grey levels in each. A file of nothing but
        the integers 0 and 1 holds the levels 0 and 1; one of nothing but 0.0 and 1.0 holds paper and full ink.

        Returns:
            The encoding, and the grey level of each identifier, uint8 [256]; an unused identifier stands for itself.

        Raises:
            ValueError: the values fit two encodings that mean different digits.
        """
        scaled = [name for name in self.candidates if name != "uint8"]
        choices = ["uint8"] if "uint8" in self.candidates and (self.only_integers or not scaled) else scaled
        tables = [[level(value, name) for value in self._ids] for name in choices]
        if any(table != tables[0] for table in tables):
            raise ValueError(f"its pixels are ambiguous: they fit {' and '.join(choices)}, which mean different digits")
        levels = np.arange(256, dtype=np.uint8)
        levels[list(self._ids.values())] = np.array(tables[0], np.uint8)
        return choices[0], levels

    def _expected(self) -> str:
        if self.candidates == ENCODINGS:
            return "a pixel 0 to 255, k/255, k/256 or -1 to 1"
        return f"{' or '.join(_DESCRIPTIONS[name] for name in self.candidates)} like the pixels before it"

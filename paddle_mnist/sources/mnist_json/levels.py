"""Recognise how a file writes its 256 grey levels."""

from __future__ import annotations

import math
import re

import numpy as np

PIXELS = 784  # of a digit, row by row from the top left
ENCODINGS = ("uint8", "k/255", "k/256", "pm1")

# Levels of one encoding lie 1/256 apart, and k/255 and k/256 differ by 1.5e-5 or more for every k but 0. So this
# tells them apart, and takes whatever rounding a number went through: float32, float64, six decimals.
_TOLERANCE = 1e-6
_NUMBER = re.compile(rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")


def pixel_values(encoding: str) -> list[int] | list[float]:
    """Return how an encoding writes the 256 grey levels, in order from paper to full ink.

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
    raise ValueError(f"encoding is {encoding!r}, where one of {', '.join(map(repr, ENCODINGS))} is needed")


def level(value: float, encoding: str) -> int | None:
    """Return the grey level 0 to 255 that a number stands for in an encoding, ``None`` if it stands for none."""
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
    """The different pixel values of a file, and the encodings that all of them fit.

    Which encoding a file has may show late (the first digits' paper is 0 in three of them), so pixels are first given
    identifiers, and ``lookup`` says at the end which grey level each one is. An identifier is the grey level itself
    where that can be guessed, which is nearly always and saves changing all the pixels.
    """

    def __init__(self) -> None:
        self.candidates: tuple[str, ...] = ENCODINGS
        self.only_integers = True
        self._ids: dict[float, int] = {}

    def of_text(self, number: bytes) -> int:
        """Return the identifier of a JSON number; raises as ``of_value``, and a ValueError if the text is none."""
        if not _NUMBER.fullmatch(number):
            raise ValueError(f"{number!r}, where a number is needed")
        return self.of_value(float(number), number.lstrip(b"-").isdigit())

    def of_value(self, value: float, is_integer: bool) -> int:
        """Return the identifier 0 to 255 of a pixel's value.

        Args:
            value: what stands in the file.
            is_integer: whether it was written without a point and an exponent.

        Raises:
            ValueError: no encoding has this value beside those that were met before; the message says so.
        """
        known = self._ids.get(value)
        self.only_integers &= is_integer
        if known is not None:
            return known
        fitting = tuple(name for name in self.candidates if math.isfinite(value) and level(value, name) is not None)
        if not fitting:
            raise ValueError(f"{value!r}, where {self._expected()} is needed")
        if len(self._ids) == 256:
            raise ValueError(
                f"{value!r}, where the file holds 256 other pixel values already, and no more can be told apart"
            )
        self.candidates = fitting
        guess, taken = level(value, fitting[0]), set(self._ids.values())
        self._ids[value] = guess if guess not in taken else min(set(range(256)) - taken)
        return self._ids[value]

    def of_known(self, values: list) -> bytes | None:
        """Return the identifiers of what JSON lists hold; ``None`` unless all are numbers that were met before."""
        types = set(map(type, values))
        if not types <= {int, float}:  # True is 1, too
            return None
        try:
            identifiers = bytes(map(self._ids.__getitem__, values))
        except KeyError:
            return None
        self.only_integers &= float not in types
        return identifiers

    def save(self) -> tuple:
        """Return the present state, for ``restore``."""
        return self.candidates, self.only_integers, len(self._ids)

    def restore(self, state: tuple) -> None:
        """Forget every value that was met since ``save``."""
        self.candidates, self.only_integers, count = state
        while len(self._ids) > count:
            self._ids.popitem()

    def lookup(self) -> tuple[str, np.ndarray]:
        """Decide the encoding.

        Values that fit several encodings are no matter if they mean the same grey levels. Whole numbers 0 and 1 alone
        are taken as they are written, as levels 0 and 1; 0.0 and 1.0 alone as paper and full ink.

        Returns:
            The encoding, and the grey level of each identifier, uint8 [256]; of one that was not given, itself.

        Raises:
            ValueError: the values fit two encodings that read them differently.
        """
        scaled = [name for name in self.candidates if name != "uint8"]
        choices = ["uint8"] if "uint8" in self.candidates and (self.only_integers or not scaled) else scaled
        tables = {name: [level(value, name) for value in self._ids] for name in choices}
        first = choices[0]
        if any(table != tables[first] for table in tables.values()):
            raise ValueError(f"every pixel can be read as {' and as '.join(choices)}, which mean different digits")
        levels = np.arange(256, dtype=np.uint8)
        levels[list(self._ids.values())] = tables[first]
        return first, levels

    def _expected(self) -> str:
        if self.candidates == ENCODINGS:
            return "a pixel 0 to 255, k/255, k/256 or -1 to 1"
        names = {"uint8": "a whole number 0 to 255", "k/255": "k/255", "k/256": "k/256", "pm1": "k/255*2-1"}
        return f"{' or '.join(names[name] for name in self.candidates)}, as in the pixels before it,"

"""Labelled digits, and the three parts that a data set is split into."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np


class Split(NamedTuple):
    """Digits with their labels.

    Attributes:
        images: uint8 [n, 28, 28], 0 is paper (black in MNIST) and 255 is full ink (white).
        labels: uint8 [n], the digit 0 to 9 that each image shows.
    """

    images: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class Splits:
    """The three parts of a data set: to learn from, to choose by, and to be judged on.

    Attributes:
        train: what the net learns from.
        valid: what is watched while it learns, to choose the best weights.
        eval: what it is judged on once, at the end (MNIST's test set).
        encoding: how the source wrote a pixel: ``"uint8"`` (0..255), ``"k/255"``, ``"k/256"`` or ``"pm1"``
            (-1..1, ``float32(k / 255) * 2 - 1``). The images here are uint8 whatever it says.
    """

    train: Split
    valid: Split
    eval: Split
    encoding: str = "uint8"

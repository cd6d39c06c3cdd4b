"""Labelled digits, and the three splits of a data set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np


class Split(NamedTuple):
    """Digits with their labels.

    Attributes:
        images: uint8 [n, 28, 28]; 0 is background (black in MNIST), 255 is full ink (white).
        labels: uint8 [n], the digit 0 to 9 that each image shows.
    """

    images: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class Splits:
    """The three splits of a data set.

    Attributes:
        train: what the net learns from.
        valid: what is measured after each epoch, to choose the best weights.
        eval: what the net is judged on once, at the end (MNIST's test set).
        encoding: how the source wrote a pixel: ``"uint8"`` (0..255), ``"k/255"``, ``"k/256"`` or ``"pm1"``
            (-1..1, ``float32(k / 255) * 2 - 1``). The images here are uint8 in every case.
    """

    train: Split
    valid: Split
    eval: Split
    encoding: str = "uint8"

    def for_training(self, train_on: str) -> tuple[Split, Split]:
        """Return the split to learn from and the one to measure after each epoch.

        Args:
            train_on: ``"train"``, or ``"train+valid"`` for all of MNIST's training set. Then no digits are held out,
                and the evaluation digits are measured instead.
        """
        if train_on == "train":
            return self.train, self.valid
        both = (np.concatenate(arrays) for arrays in zip(self.train, self.valid, strict=True))
        return Split(*both), self.eval

"""The gradients of large weights, computed tile by tile where they are used: they need not go through memory."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TypeAlias

import numpy as np

Tile = tuple[slice, slice]

# A tile of a gradient has at most so many rows and about so many columns: it stays in a core's cache.
TILE_ROWS, TILE_COLUMNS = 1024, 64


class Product:
    """The gradient of a linear layer's weight: inputs.T @ gradient.

    Args:
        inputs: the layer's [n, inputs].
        gradient: that of its result [n, outputs].
    """

    def __init__(self, inputs: np.ndarray, gradient: np.ndarray) -> None:
        self.inputs, self.gradient = inputs, gradient
        self.shape = inputs.shape[1], gradient.shape[1]

    def tiles(self) -> list[Tile]:
        """Return the rows and columns of an even number of tiles, for threads to share; columns by columns."""
        count = -(-self.shape[0] // TILE_ROWS)
        return [(rows, columns) for columns in slices(self.shape[1]) for rows in parts(self.shape[0], count)]

    def compute(self, tile: Tile, out: np.ndarray) -> None:
        """Write a tile to ``out``."""
        rows, columns = tile
        np.matmul(self.inputs[:, rows].T, self.gradient[:, columns], out=out)

    def is_bounded(self) -> bool:
        """Whether all of it is surely finite: by the inequality of Cauchy and Schwarz."""
        squares = [float(np.vdot(array, array)) for array in (self.inputs, self.gradient)]
        return math.sqrt(squares[0]) * math.sqrt(squares[1]) < float(np.finfo(np.float32).max)


# What is known of a gradient: its numbers, or how to compute them.
Gradient: TypeAlias = "np.ndarray | Product"


def slices(columns: int) -> list[slice]:
    """Return an even number of slices of about equal size, for threads to share."""
    return parts(columns, 2 * max(1, round(columns / (2 * TILE_COLUMNS))))


def parts(size: int, count: int) -> list[slice]:
    """Return slices of about equal size."""
    return [slice(*edge) for edge in pairwise([i * size // count for i in range(count + 1)])]

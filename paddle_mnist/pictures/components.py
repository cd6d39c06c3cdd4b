"""Connected components of ink, and what is measured on them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from paddle_mnist.errors import UserError

INK = 0.35  # of full ink: what belongs to a component


class Component(NamedTuple):
    """Some pixels of ink, given by their coordinates.

    Attributes:
        y: int64 [n], rows of the picture.
        x: int64 [n], columns.
    """

    y: np.ndarray
    x: np.ndarray

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, right, bottom, the last two exclusive."""
        return int(self.x.min()), int(self.y.min()), int(self.x.max()) + 1, int(self.y.max()) + 1

    @property
    def height(self) -> int:
        """Rows from the first to the last."""
        return int(np.ptp(self.y)) + 1

    @property
    def width(self) -> int:
        """Columns from the first to the last."""
        return int(np.ptp(self.x)) + 1

    def subset(self, kept: np.ndarray) -> Component:
        """Return the pixels that bool [n] keeps."""
        return Component(self.y[kept], self.x[kept])

    def mask(self, margin: int = 0) -> np.ndarray:
        """Return the box with a margin around it, bool [h, w], true where the ink is."""
        mask = np.zeros((self.height + 2 * margin, self.width + 2 * margin), dtype=bool)
        mask[self.y - self.y.min() + margin, self.x - self.x.min() + margin] = True
        return mask


def union(parts: list[Component]) -> Component:
    """Return all pixels of several components as one."""
    return Component(np.concatenate([part.y for part in parts]), np.concatenate([part.x for part in parts]))


def connected_components(ink: np.ndarray, name: str = "the picture") -> list[Component]:
    """Return the connected components of the ink, without single pixels of noise."""
    from scipy import ndimage

    labels, count = ndimage.label(ink > INK, structure=np.ones((3, 3)))  # corners connect
    if count == 0:
        raise UserError(f"no digits found in {name}: its ink is too faint")
    y, x = np.nonzero(labels)
    label = labels[y, x]
    order = np.argsort(label, kind="stable")
    areas = np.bincount(label)[1:]
    ends = np.cumsum(areas)[:-1]
    found = [Component(*pixels) for pixels in zip(np.split(y[order], ends), np.split(x[order], ends), strict=True)]
    return [component for component in found if len(component.y) >= 0.01 * areas.max()]


def digit_height(components: list[Component]) -> float:
    """Estimate the height of the digits: the median over components of at least half the largest height."""
    heights = np.array([component.height for component in components])
    return float(np.median(heights[heights >= 0.5 * heights.max()]))


def find_slant(ink: Component, doubt: float = 0.1) -> float:
    """Return by how many pixels to the right the writing leans, per pixel upwards.

    Upright writing has the emptiest gaps between its digits, so the slant is the one under which the ink falls into
    the fewest columns, measured by the sum of squares over columns.

    Args:
        ink: of a page or of a piece of writing.
        doubt: the share of that sum that a slant of 1 loses, so that upright writing is preferred.
    """
    slants = np.linspace(-0.5, 0.5, 21)

    def sharpness(slant: float) -> float:
        columns = np.rint(ink.x + slant * ink.y).astype(int)
        return float((np.bincount(columns - columns.min()).astype(float) ** 2).sum()) * (1 - doubt * abs(slant))

    return float(max(slants, key=sharpness))


def upright_columns(component: Component, slant: float) -> tuple[float, float]:
    """Return the first and last column that a component covers once the slant is removed."""
    columns = component.x + slant * component.y
    return float(columns.min()), float(columns.max()) + 1

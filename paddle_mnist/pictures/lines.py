"""Lines of writing: which components stand on one line, for lines that may all rise or fall alike."""

from __future__ import annotations

import numpy as np

from paddle_mnist.pictures.components import Component

MAX_SLOPE = 0.25  # of several lines, in rows a column; one line alone may rise more
TALL_ENOUGH = 0.5  # of a digit's height: what decides where lines are
APART = 0.55  # of a digit's height: a wider gap between the middles of digits separates two lines
OFF_LINE = 0.7  # of a digit's height: how far a digit's middle may lie above or below its line


def find_lines(components: list[Component], height: float) -> list[list[Component]] | None:
    """Sort components into lines of writing, from top to bottom.

    Args:
        components: the ink of a page, without what is far too small or too wide.
        height: of a digit, in pixels.

    Returns:
        The components of each line, or ``None`` if they do not stand on lines.
    """
    tall = [component for component in components if component.height >= TALL_ENOUGH * height]
    if not tall:
        return [components]
    left, top, right, bottom = np.array([component.box for component in tall], dtype=float).T
    x, y = (left + right) / 2, (top + bottom) / 2
    if _distance_from_line(x, y) <= OFF_LINE * height:
        return [components]
    slope = _slope(x, top, bottom)
    level = np.sort(y - slope * x)
    groups = np.split(level, np.flatnonzero(np.diff(level) > APART * height) + 1)
    if any(np.ptp(group) > 2 * OFF_LINE * height for group in groups):
        return None
    middles = np.array([np.median(group) for group in groups])
    lines: list[list[Component]] = [[] for _ in groups]
    for component in components:
        first, upper, last, lower = component.box
        lines[int(np.abs(middles - (upper + lower - slope * (first + last)) / 2).argmin())].append(component)
    return lines


def _distance_from_line(x: np.ndarray, y: np.ndarray) -> float:
    """Return how far the point furthest from the line through most points lies above or below it.

    The line goes through the medians, so that a point off it does not pull it closer.
    """
    from scipy import stats

    slope = stats.theilslopes(y, x).slope if len(x) > 2 and np.ptp(x) else 0.0
    level = y - slope * x
    return float(np.abs(level - np.median(level)).max())


def _slope(x: np.ndarray, top: np.ndarray, bottom: np.ndarray) -> float:
    """Return the slope under which the digits cover the fewest rows, measured by the sum of squares over rows."""

    def sharpness(slope: float) -> float:
        shift = slope * x
        first = np.floor(top - shift - (top - shift).min()).astype(int)
        last = np.floor(bottom - shift - (top - shift).min()).astype(int)
        covered = np.zeros(last.max() + 2)
        np.add.at(covered, first, 1)
        np.add.at(covered, last, -1)
        return float((np.cumsum(covered) ** 2).sum()) * (1 - 0.1 * abs(slope))

    return float(max(np.linspace(-MAX_SLOPE, MAX_SLOPE, 101), key=sharpness))

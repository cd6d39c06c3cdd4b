"""A picture of a number, parted into its digits.

    ink  ->  strokes (connected components)  ->  pieces of a digit joined  ->  touching digits cut  ->  digits in order

Everything is measured in the height of the digits themselves, so that the size of the picture does not matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from paddle_mnist.errors import UserError
from paddle_mnist.preprocess import Picture, find_ink, ink_box, prepare_digit

Score = Callable[[np.ndarray], np.ndarray]
Judge = Callable[[list[np.ndarray]], np.ndarray]  # the same for masks of the picture

INK = 0.35  # of full ink: what belongs to a stroke
MAX_COMPONENTS = 400  # more than any line of writing has: a texture

# All in digit heights.
SPECK = 0.22  # what is neither higher nor wider is no stroke
MIN_DIGIT = 0.45  # a digit is at least so high
TWO_WIDE = 1.2  # what is wider holds two digits at least; a single one seldom is
SINGLE = 0.75  # the width of a usual digit
SURELY_TWO = 1.6  # not even a judge may take what is wider for one digit
MAYBE_TWO = 0.75  # what is narrower holds one
BRIDGE = 1.1  # stroke widths: a longer path through ink crosses more than one stroke
CROSSING = 0.1  # what each stroke width of ink crossed beyond the first takes off the judge's probability
DOUBT = 0.1  # by how much two digits must be likelier than one
MIN_PART = 0.7  # each part of a cut reaches so high, or it is a stroke and no digit


@dataclass(frozen=True)
class Digit:
    """One digit found in a picture.

    Attributes:
        box: left, top, right, bottom in pixels of the file, the last two exclusive.
        image28: uint8 [28, 28], prepared as MNIST's digits were.
    """

    box: tuple[int, int, int, int]
    image28: np.ndarray


def split_digits(picture: Picture | np.ndarray, score: Score | None = None) -> list[Digit]:
    """Find the digits of a number written on one line, from left to right.

    Args:
        picture: what ``preprocess.open_picture`` returned, or grey values uint8 [h, w].
        score: how much each of uint8 [n, 28, 28] looks like a digit, float [n] from 0 to 1, such as a classifier's
            largest probability; decides in doubt whether and where touching digits are cut.

    Raises:
        UserError: nothing in the picture looks like digits.
    """
    name = picture.name if isinstance(picture, Picture) else "the picture"
    scale = picture.scale if isinstance(picture, Picture) else 1.0
    ink = find_ink(picture)

    def judge(masks: list[np.ndarray]) -> np.ndarray:
        return score(np.stack([_digit(ink, mask, scale).image28 for mask in masks]))

    masks = find_digits(ink, name, judge if score else None)
    return [_digit(ink, mask, scale) for mask in masks]


def find_digits(ink: np.ndarray, name: str = "the picture", judge: Judge | None = None) -> list[np.ndarray]:
    """Part ink [h, w] into digits: a mask bool [h, w] for each, from left to right."""
    strokes = find_strokes(ink, name)
    height = digit_height(strokes)
    strokes = [stroke for stroke in strokes if max(extent(stroke)) >= SPECK * height]
    slant = find_slant(np.logical_or.reduce(strokes))
    digits = [part for piece in join_pieces(strokes, slant, height) for part in cut_apart(piece, slant, height, judge)]
    digits = [digit for digit in digits if extent(digit)[0] >= MIN_DIGIT * height]
    if not digits:
        raise UserError(f"no digits found in {name}: write larger, dark on light or light on dark")
    return sorted(digits, key=lambda digit: np.mean(upright_columns(digit, slant)))


def find_strokes(ink: np.ndarray, name: str = "the picture") -> list[np.ndarray]:
    """Return the connected components of the ink as masks bool [h, w], without single pixels of noise."""
    from scipy import ndimage

    labels, count = ndimage.label(ink > INK, structure=np.ones((3, 3)))  # strokes may hold together at corners
    if count == 0 or count > MAX_COMPONENTS:
        raise UserError(f"no digits found in {name}: found {count:,} separate spots of ink, where a number has a few")
    areas = np.bincount(labels.ravel())[1:]
    large = np.flatnonzero(areas >= max(4, 0.01 * areas.max())) + 1
    return [labels == label for label in large]


def digit_height(strokes: list[np.ndarray]) -> float:
    """Estimate the height of the digits: the median over strokes of at least half the largest height."""
    heights = np.array([extent(stroke)[0] for stroke in strokes])
    return float(np.median(heights[heights >= 0.5 * heights.max()]))


def extent(mask: np.ndarray) -> tuple[int, int]:
    """Return the height and width of a mask's ink in pixels."""
    left, top, right, bottom = ink_box(mask)
    return bottom - top, right - left


def find_slant(mask: np.ndarray) -> float:
    """Return by how many pixels to the right the writing leans, per pixel upwards.

    Upright writing has the emptiest gaps between its digits, so the slant is the one under which the ink falls into
    the fewest columns, measured by the sum of squares over columns.
    """
    slants = np.linspace(-0.5, 0.5, 21)
    y, x = np.nonzero(mask)

    def sharpness(slant: float) -> float:
        columns = np.rint(x + slant * y).astype(int)
        return float((np.bincount(columns - columns.min()).astype(float) ** 2).sum()) * (1 - 0.1 * abs(slant))

    return float(max(slants, key=sharpness))


def upright_columns(mask: np.ndarray, slant: float) -> tuple[float, float]:
    """Return the first and last column that a mask covers once the slant is taken out."""
    y, x = np.nonzero(mask)
    columns = x + slant * y
    return float(columns.min()), float(columns.max()) + 1


def join_pieces(strokes: list[np.ndarray], slant: float, height: float) -> list[np.ndarray]:
    """Join the strokes of one digit: those that stand over each other, once the slant is taken out.

    A five's bar stands over its bow, a broken eight's halves over each other; two digits stand side by side. Pieces
    are joined as long as the narrower one lies mostly over the wider one and the whole is not wider than a digit.
    """
    pieces = [(upright_columns(stroke, slant), stroke) for stroke in strokes]
    pieces.sort(key=lambda piece: piece[0])
    joined: list[tuple[tuple[float, float], np.ndarray]] = []
    for (first, last), mask in pieces:
        for index, ((other_first, other_last), other) in enumerate(joined):
            overlap = min(last, other_last) - max(first, other_first)
            narrower = min(last - first, other_last - other_first)
            whole = max(last, other_last) - min(first, other_first)
            # Two whole digits that lean over each other are not one.
            both_whole = min(extent(mask)[0], extent(other)[0]) >= MIN_PART * height
            if overlap > 0.5 * narrower and whole <= TWO_WIDE * height and not both_whole:
                joined[index] = ((min(first, other_first), max(last, other_last)), mask | other)
                break
            near = overlap > -0.12 * height and min(extent(mask)[0], extent(other)[0]) < MIN_DIGIT * height
            if near and whole <= SINGLE * 1.2 * height:
                joined[index] = ((min(first, other_first), max(last, other_last)), mask | other)
                break
        else:
            joined.append(((first, last), mask))
    return [mask for _, mask in joined]


def cut_apart(mask: np.ndarray, slant: float, height: float, judge: Judge | None = None) -> list[np.ndarray]:
    """Cut a piece that holds several digits along a path that crosses little ink.

    What is wider than any digit is cut in any case. What is merely wide may be one digit or two. A judge decides by how
    much the parts look like digits; without one, it is cut where one thin bridge alone holds the parts together.
    """
    first, last = upright_columns(mask, slant)
    width = last - first
    if width < MAYBE_TWO * height:
        return [mask]
    thickness = stroke_width(mask)
    cuts = [(cost / thickness, left, mask & ~left) for cost, left in _cuts(mask, slant, first, last, height)]
    cuts = [cut for cut in cuts if _are_digits(cut[1], height) and _are_digits(cut[2], height)]
    if not cuts:
        return [mask]
    too_wide = width >= TWO_WIDE * height
    if judge is None:
        # Where digits are equally wide, the first cut belongs here.
        wanted = first + width / max(2, round(width / (SINGLE * height)))
        crossed, left, right = min(
            cuts, key=lambda cut: cut[0] + 0.25 * abs(upright_columns(cut[1], slant)[1] - wanted) / thickness
        )
        worth = too_wide or crossed <= BRIDGE
    else:
        values = [min(judge([left, right])) - CROSSING * max(0.0, crossed - 1) for crossed, left, right in cuts]
        best = int(np.argmax(values))
        _, left, right = cuts[best]
        too_wide = width >= SURELY_TWO * height
        worth = too_wide or values[best] > judge([mask])[0] + DOUBT
    if not worth:
        return [mask]
    return [part for side in (left, right) for part in cut_apart(side, slant, height, judge)]


def _are_digits(mask: np.ndarray, height: float) -> bool:
    """Tell whether a part is high enough to be a digit."""
    return bool(mask.any()) and extent(mask)[0] >= MIN_PART * height


def stroke_width(mask: np.ndarray) -> float:
    """Estimate how thick a mask's strokes are: twice its area over its outline."""
    from scipy import ndimage

    outline = mask & ~ndimage.binary_erosion(mask)
    return 2 * mask.sum() / max(1, outline.sum())


def _cuts(
    mask: np.ndarray, slant: float, first: float, last: float, height: float
) -> Iterator[tuple[float, np.ndarray]]:
    """Yield for several columns the path from top to bottom through the least ink: its length, and what is left of it.

    Ink is counted as yes or no. Were its soft edges cheaper, paths would shave slivers off strokes.
    """
    left, top, right, bottom = ink_box(mask)
    crop = mask[top:bottom, left:right]
    rows, columns = np.arange(crop.shape[0]), np.arange(crop.shape[1])
    upright = columns[np.newaxis] + left + slant * (rows[:, np.newaxis] + top)
    for centre in np.linspace(first + 0.15 * height, last - 0.15 * height, 15):
        # Paths keep near a leaning line, so that each start finds its own cut.
        outside = np.abs(upright - centre) > 0.2 * height
        path, cost = _cheapest_path(crop + 0.01 + 1e3 * outside)
        side = np.zeros_like(mask)
        side[top:bottom, left:right] = columns[np.newaxis] < path[:, np.newaxis]
        yield cost, mask & side


def _cheapest_path(cost: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the column of the cheapest path in each row [h], from top to bottom by steps of at most one, and its cost.

    A slanting step is longer than a straight one, and costs as much more.
    """
    height, width = cost.shape
    total = cost[0].copy()
    came = np.zeros((height, width), dtype=np.int8)
    for row in range(1, height):
        padded = np.pad(total, 1, constant_values=np.inf)
        slanting = np.sqrt(2) * cost[row]
        choices = np.stack([padded[1:-1] + cost[row], padded[:-2] + slanting, padded[2:] + slanting])
        choice = choices.argmin(axis=0)
        came[row] = np.array([0, -1, 1], dtype=np.int8)[choice]
        total = choices[choice, np.arange(width)]
    path = np.empty(height, dtype=np.int64)
    path[-1] = total.argmin()
    for row in range(height - 1, 0, -1):
        path[row - 1] = path[row] + came[row, path[row]]
    return path, float(total.min())


def _digit(ink: np.ndarray, mask: np.ndarray, scale: float) -> Digit:
    """Cut a digit's ink out, with the soft edge of its strokes."""
    from scipy import ndimage

    near = ndimage.binary_dilation(mask, iterations=2)
    left, top, right, bottom = (round(side * scale) for side in ink_box(mask))
    return Digit((left, top, right, bottom), prepare_digit(np.where(near, ink, 0)))

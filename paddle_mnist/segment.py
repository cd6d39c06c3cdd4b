"""A picture of a number, parted into its digits.

    ink  ->  strokes (connected components)  ->  pieces of a digit joined  ->  touching digits cut  ->  digits in order

Everything is measured in the height of the digits themselves, so that the size of the picture does not matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from paddle_mnist.errors import UserError
from paddle_mnist.preprocess import Picture, find_ink, prepare_digit

INK = 0.35  # of full ink: what belongs to a stroke
MAX_STROKES = 60  # of the size of writing
MIN_PIXELS = 8  # a digit lower than this cannot be told from another

# All in digit heights.
SPECK = 0.22  # what is neither higher nor wider is no stroke
MIN_DIGIT = 0.45  # a digit is at least so high
TWO_WIDE = 1.2  # what is wider holds two digits at least; a single one seldom is
SINGLE = 0.75  # the width of a usual digit
SURELY_TWO = 1.6  # not even a judge may take what is wider for one digit
MAYBE_TWO = 0.75  # what is narrower holds one
RULE = 8.0  # what is wider is a line drawn across the page
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


class Stroke(NamedTuple):
    """Some pixels of ink, by their places.

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

    def where(self, kept: np.ndarray) -> Stroke:
        """Return the pixels that bool [n] keeps."""
        return Stroke(self.y[kept], self.x[kept])

    def mask(self, margin: int = 0) -> np.ndarray:
        """Return the box with a margin around it, bool [h, w], true where the ink is."""
        mask = np.zeros((self.height + 2 * margin, self.width + 2 * margin), dtype=bool)
        mask[self.y - self.y.min() + margin, self.x - self.x.min() + margin] = True
        return mask


Score = Callable[[np.ndarray], np.ndarray]
Judge = Callable[[list[Stroke]], np.ndarray]  # the same for strokes


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

    def judge(strokes: list[Stroke]) -> np.ndarray:
        return score(np.stack([_prepared(ink, stroke) for stroke in strokes]))

    digits = find_digits(ink, name, judge if score else None)
    return [Digit(tuple(round(side * scale) for side in digit.box), _prepared(ink, digit)) for digit in digits]


def find_digits(ink: np.ndarray, name: str = "the picture", judge: Judge | None = None) -> list[Stroke]:
    """Part ink [h, w] into digits, from left to right."""
    strokes = find_strokes(ink, name)
    height = digit_height(strokes)
    if height < MIN_PIXELS:
        raise UserError(f"no digits found in {name}: what is there is {height:.0f} pixels high, less than {MIN_PIXELS}")
    strokes = [stroke for stroke in strokes if SPECK * height <= max(stroke.height, stroke.width) <= RULE * height]
    if not strokes or len(strokes) > MAX_STROKES:
        raise UserError(f"no digits found in {name}: found {len(strokes):,} strokes, where a number has a few")
    slant = find_slant(_union(strokes))
    digits = [part for piece in join_pieces(strokes, slant, height) for part in cut_apart(piece, slant, height, judge)]
    digits = [digit for digit in digits if digit.height >= MIN_DIGIT * height]
    if not digits:
        raise UserError(f"no digits found in {name}: write larger, dark on light or light on dark")
    return sorted(digits, key=lambda digit: np.mean(upright_columns(digit, slant)))


def find_strokes(ink: np.ndarray, name: str = "the picture") -> list[Stroke]:
    """Return the connected components of the ink, without single pixels of noise."""
    from scipy import ndimage

    labels, count = ndimage.label(ink > INK, structure=np.ones((3, 3)))  # strokes may hold together at corners
    if count == 0:
        raise UserError(f"no digits found in {name}: its ink is too faint")
    y, x = np.nonzero(labels)
    label = labels[y, x]
    order = np.argsort(label, kind="stable")
    areas = np.bincount(label)[1:]
    ends = np.cumsum(areas)[:-1]
    strokes = [Stroke(*pixels) for pixels in zip(np.split(y[order], ends), np.split(x[order], ends), strict=True)]
    return [stroke for stroke in strokes if len(stroke.y) >= 0.01 * areas.max()]


def digit_height(strokes: list[Stroke]) -> float:
    """Estimate the height of the digits: the median over strokes of at least half the largest height."""
    heights = np.array([stroke.height for stroke in strokes])
    return float(np.median(heights[heights >= 0.5 * heights.max()]))


def _union(strokes: list[Stroke]) -> Stroke:
    """Return all pixels of several strokes as one."""
    return Stroke(np.concatenate([stroke.y for stroke in strokes]), np.concatenate([stroke.x for stroke in strokes]))


def find_slant(stroke: Stroke) -> float:
    """Return by how many pixels to the right the writing leans, per pixel upwards.

    Upright writing has the emptiest gaps between its digits, so the slant is the one under which the ink falls into
    the fewest columns, measured by the sum of squares over columns.
    """
    slants = np.linspace(-0.5, 0.5, 21)

    def sharpness(slant: float) -> float:
        columns = np.rint(stroke.x + slant * stroke.y).astype(int)
        return float((np.bincount(columns - columns.min()).astype(float) ** 2).sum()) * (1 - 0.1 * abs(slant))

    return float(max(slants, key=sharpness))


def upright_columns(stroke: Stroke, slant: float) -> tuple[float, float]:
    """Return the first and last column that a stroke covers once the slant is taken out."""
    columns = stroke.x + slant * stroke.y
    return float(columns.min()), float(columns.max()) + 1


def join_pieces(strokes: list[Stroke], slant: float, height: float) -> list[Stroke]:
    """Join the strokes of one digit: those that stand over each other, once the slant is taken out.

    A five's bar stands over its bow, a broken eight's halves over each other; two digits stand side by side. Pieces
    are joined as long as the narrower one lies mostly over the wider one and the whole is not wider than a digit.
    """
    joined: list[Stroke] = []
    for stroke in sorted(strokes, key=lambda stroke: upright_columns(stroke, slant)):
        for index, other in enumerate(joined):
            if _belong_together(stroke, other, slant, height):
                joined[index] = _union([other, stroke])
                break
        else:
            joined.append(stroke)
    return joined


def _belong_together(stroke: Stroke, other: Stroke, slant: float, height: float) -> bool:
    """Tell whether two strokes are pieces of one digit."""
    (first, last), (other_first, other_last) = upright_columns(stroke, slant), upright_columns(other, slant)
    overlap = min(last, other_last) - max(first, other_first)
    narrower = min(last - first, other_last - other_first)
    whole = max(last, other_last) - min(first, other_first)
    lower = min(stroke.height, other.height)
    # Two whole digits that lean over each other are not one.
    over_each_other = overlap > 0.5 * narrower and whole <= TWO_WIDE * height and lower < MIN_PART * height
    beside = overlap > -0.12 * height and whole <= 1.2 * SINGLE * height and lower < MIN_DIGIT * height
    return over_each_other or beside


def cut_apart(stroke: Stroke, slant: float, height: float, judge: Judge | None = None) -> list[Stroke]:
    """Cut a piece that holds several digits along a path that crosses little ink.

    What is wider than any digit is cut in any case. What is merely wide may be one digit or two. A judge decides by how
    much the parts look like digits; without one, it is cut where one thin bridge alone holds the parts together.
    """
    first, last = upright_columns(stroke, slant)
    width = last - first
    if width < MAYBE_TWO * height:
        return [stroke]
    thickness = stroke_width(stroke)
    cuts = [(cost / thickness, left, right) for cost, left, right in _cuts(stroke, slant, first, last, height)]
    cuts = [cut for cut in cuts if min(cut[1].height, cut[2].height) >= MIN_PART * height]
    if not cuts:
        return [stroke]
    if judge is None:
        # Where digits are equally wide, the first cut belongs here.
        wanted = first + width / max(2, round(width / (SINGLE * height)))
        crossed, left, right = min(
            cuts, key=lambda cut: cut[0] + 0.25 * abs(upright_columns(cut[1], slant)[1] - wanted) / thickness
        )
        worth = width >= TWO_WIDE * height or crossed <= BRIDGE
    else:
        values = [min(judge([left, right])) - CROSSING * max(0.0, crossed - 1) for crossed, left, right in cuts]
        best = int(np.argmax(values))
        _, left, right = cuts[best]
        worth = width >= SURELY_TWO * height or values[best] > judge([stroke])[0] + DOUBT
    if not worth:
        return [stroke]
    return [part for side in (left, right) for part in cut_apart(side, slant, height, judge)]


def stroke_width(stroke: Stroke) -> float:
    """Estimate how thick a stroke is in pixels: twice its area over its outline."""
    from scipy import ndimage

    mask = stroke.mask(margin=1)
    outline = mask & ~ndimage.binary_erosion(mask)
    return 2 * mask.sum() / max(1, outline.sum())


def _cuts(
    stroke: Stroke, slant: float, first: float, last: float, height: float
) -> Iterator[tuple[float, Stroke, Stroke]]:
    """Yield for several columns the path from top to bottom through the least ink: its length, and its two sides.

    Ink is counted as yes or no. Were its soft edges cheaper, paths would shave slivers off strokes.
    """
    left, top, _, _ = stroke.box
    mask = stroke.mask()
    rows, columns = np.indices(mask.shape)
    upright = columns + left + slant * (rows + top)
    for centre in np.linspace(first + 0.15 * height, last - 0.15 * height, 15):
        # Paths keep near a leaning line, so that each start finds its own cut.
        outside = np.abs(upright - centre) > 0.2 * height
        path, cost = _cheapest_path(mask + 0.01 + 1e3 * outside)
        on_left = stroke.x - left < path[stroke.y - top]
        if on_left.any() and not on_left.all():
            yield cost, stroke.where(on_left), stroke.where(~on_left)


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


def _prepared(ink: np.ndarray, stroke: Stroke) -> np.ndarray:
    """Cut a stroke's ink out, with the soft edge that it has, and prepare it as a digit."""
    from scipy import ndimage

    margin = 3
    left, top, right, bottom = stroke.box
    around = np.pad(ink[max(0, top - margin) : bottom + margin, max(0, left - margin) : right + margin], margin)
    y, x = min(top, margin), min(left, margin)  # where the box begins inside what was cut out, padding aside
    field = around[y : y + bottom - top + 2 * margin, x : x + right - left + 2 * margin]
    return prepare_digit(np.where(ndimage.binary_dilation(stroke.mask(margin), iterations=2), field, 0))

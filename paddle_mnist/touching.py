"""Digits that touch: where a piece of ink may be cut, and whether its parts look more like digits than the whole.

Without a net to ask, a piece is cut where a thin bridge alone holds two parts together (``cut_bridges``). With one,
every way to part a piece is weighed (``part_by_score``), as in Y. LeCun et al., *Gradient-Based Learning Applied to
Document Recognition*, 1998: cut too often, read every part, and keep the parts that make the likeliest number.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from paddle_mnist.strokes import Stroke, stroke_width, upright_columns

# How much each of some strokes looks like a digit: a classifier's largest raw output, float [n], and the probability
# that it gives to that digit, float [n].
Score = Callable[[list[Stroke]], tuple[np.ndarray, np.ndarray]]

# All in digit heights.
SINGLE = 0.75  # the width of a usual digit
MAYBE_TWO = 0.5  # what is narrower holds one
TWO_WIDE = 1.2  # what is wider holds two digits at least; a single one seldom is
THREE_WIDE = 1.6  # what is wider may hold three
MANY_WIDE = 3.0  # what is wider is parted from left to right, without looking back
MIN_PART = 0.7  # each part of a cut reaches so high, or it is a stroke and no digit
STEP = 0.085  # between the places where a cut is tried
LEANS = (-0.3, 0.0, 0.3)  # of the cuts against the writing, in columns a row
BANDS = (0.1, 0.3)  # how far a cut may leave its line to either side
BRIDGE_BAND = 0.2  # the same where there is no net to choose among many cuts

ROWS = 40  # rows of a digit in which cuts are sought; more find no better ones
OUTSIDE = 1e3  # the cost of a pixel outside the band
MAX_CUTS = 100
BRIDGE = 0.7  # stroke widths: a longer path through ink crosses a stroke
BEAM = 2  # left parts that are tried where a piece may hold more than two digits

# What makes a stroke a digit, in logarithms of odds. Fitted by logistic regression to the 3,600 pieces of 800 composed
# pages of digits that the classifier had not learnt from, and rounded. How much ink a cut crosses turned out to say
# nothing. Most digits stand alone, so that for another digit a little more is asked than was fitted (6.0).
OUTPUT = 8.2  # for a raw output as large as the page's largest
PROBABILITY = 1.0  # times the logarithm of the probability
TOO_WIDE = 6.5  # off for each digit height of width above one
ODD_HEIGHT = 8.0  # off for a height e times the usual, or a part of it
LOOSE = 1.3  # off for each bit that does not hang together with the rest, up to three
ANOTHER = 6.6  # off for each digit more


class Cut(NamedTuple):
    """A piece in two: the stroke widths of ink that the cut crosses, and what lies to its left and right."""

    crossed: float
    left: Stroke
    right: Stroke


class Ways(NamedTuple):
    """The ways to take a piece, scored.

    Attributes:
        strokes: the whole, then the left and the right part of each cut: 1 + 2n.
        outputs: float [1 + 2n].
        probabilities: float [1 + 2n].
    """

    strokes: list[Stroke]
    outputs: np.ndarray
    probabilities: np.ndarray


def part_by_score(pieces: list[Stroke], slant: float, height: float, score: Score) -> list[Stroke]:
    """Part pieces into the strokes that look most like digits.

    Args:
        pieces: each of one digit or several.
        slant: of the writing, as ``find_slant`` returns it.
        height: of a digit, in pixels.
        score: how much strokes look like digits.
    """
    ways = [_ways(piece, slant, height, score) for piece in pieces]
    # Nets differ in how large their outputs are; the clearest digit of the page gives the measure.
    reference = max(1e-6, *(float(way.outputs.max()) for way in ways))
    return [part for way in ways for part in _best_parts(way, slant, height, score, reference)[1]]


def _ways(piece: Stroke, slant: float, height: float, score: Score) -> Ways:
    cuts = find_cuts(piece, slant, height)
    strokes = [piece, *(part for cut in cuts for part in (cut.left, cut.right))]
    return Ways(strokes, *score(strokes))


def _best_parts(ways: Ways, slant: float, height: float, score: Score, reference: float) -> tuple[float, list[Stroke]]:
    """Return the likeliest digits in a piece, from left to right, and the sum of their values."""
    values = _values(ways, slant, height, reference)
    whole, left, right = values[0], values[1::2] - ANOTHER, values[2::2]
    found = [(float(whole), ways.strokes[:1])]
    if left.size:
        cut = int(np.argmax(left + right))
        found.append((float(left[cut] + right[cut]), ways.strokes[1 + 2 * cut : 3 + 2 * cut]))
    width = _width(ways.strokes[0], slant) / height
    if width > THREE_WIDE:
        for cut in np.argsort(-left)[: BEAM if width < MANY_WIDE else 1]:
            rest = _ways(ways.strokes[2 + 2 * cut], slant, height, score)
            value, parts = _best_parts(rest, slant, height, score, reference)
            found.append((float(left[cut]) + value, [ways.strokes[1 + 2 * cut], *parts]))
    return max(found, key=lambda way: way[0])


def _values(ways: Ways, slant: float, height: float, reference: float) -> np.ndarray:
    """Return how likely each stroke is a digit, float [1 + 2n]."""
    widths = np.array([_width(stroke, slant) for stroke in ways.strokes]) / height
    heights = np.array([stroke.height for stroke in ways.strokes]) / height
    bits = np.array([_bits(stroke, height) for stroke in ways.strokes])
    return (
        OUTPUT * ways.outputs / reference
        + PROBABILITY * np.log(np.maximum(ways.probabilities, 1e-6))
        - TOO_WIDE * np.maximum(widths - 1, 0)
        - ODD_HEIGHT * np.abs(np.log(heights))
        - LOOSE * np.minimum(bits - 1, 3)
    )


def _bits(stroke: Stroke, height: float) -> int:
    """Count what hangs together in a stroke."""
    from scipy import ndimage

    return ndimage.label(_reduced(stroke.mask(), _factor(height)) > 0.25, np.ones((3, 3)))[1]


def _width(stroke: Stroke, slant: float) -> float:
    first, last = upright_columns(stroke, slant)
    return last - first


def cut_bridges(piece: Stroke, slant: float, height: float) -> list[Stroke]:
    """Cut a piece where a thin bridge alone holds its parts together, and what is wider than any digit in any case."""
    first, last = upright_columns(piece, slant)
    width = last - first
    if width < SINGLE * height:
        return [piece]
    thickness = stroke_width(piece)
    # Where digits are equally wide, the first cut belongs here.
    wanted = first + width / max(2, round(width / (SINGLE * height)))

    def cost(cut: Cut) -> float:
        return cut.crossed + 0.25 * abs(upright_columns(cut.left, slant)[1] - wanted) / thickness

    cut = min(find_cuts(piece, slant, height, (0.0,), (BRIDGE_BAND,)), key=cost, default=None)
    if cut is None or (width < TWO_WIDE * height and cut.crossed > BRIDGE):
        return [piece]
    return [part for side in (cut.left, cut.right) for part in cut_bridges(side, slant, height)]


def find_cuts(
    piece: Stroke, slant: float, height: float, leans: tuple[float, ...] = LEANS, bands: tuple[float, ...] = BANDS
) -> list[Cut]:
    """Cut a piece from top to bottom along paths through little ink: near many lines, of which each finds its own.

    Ink is counted by whole pixels. Were its soft edges cheaper, paths would shave slivers off strokes.

    Returns:
        At most ``MAX_CUTS`` cuts whose parts differ, those through the least ink first.
    """
    first, last = upright_columns(piece, slant)
    if last - first < MAYBE_TWO * height:
        return []
    factor = _factor(height)
    unit = height / factor
    pad = math.ceil(unit)  # a leaning band may leave the box
    ink = np.pad(_reduced(piece.mask(), factor), ((0, 0), (pad, pad)))
    rows, columns = np.indices(ink.shape)
    outside = []
    for lean in leans:
        upright = columns - pad + (slant + lean) * rows
        inked = upright[ink > 0.5]
        places = np.arange(inked.min() + 0.1 * unit, inked.max() - 0.1 * unit, STEP * unit)
        outside += [np.abs(upright - place) > band * unit for band in bands for place in places]
    paths, costs = _cheapest_paths(ink + 0.01 + OUTSIDE * np.array(outside))
    left, top, _, _ = piece.box
    y, x = (piece.y - top) // factor, (piece.x - left) / factor + pad
    thickness = stroke_width(piece) / factor
    cuts: dict[bytes, Cut] = {}
    for i in np.argsort(costs):
        shorn = _shorn_off(columns <= paths[i][:, np.newaxis], ink > 0)
        on_left = (x < paths[i, y] + 0.5) ^ shorn[y, x.astype(int)]
        key = np.packbits(on_left).tobytes()
        if costs[i] >= OUTSIDE or len(cuts) == MAX_CUTS:
            break
        if key in cuts or on_left.all() or not on_left.any():
            continue
        cut = Cut(float(costs[i]) / thickness, piece.where(on_left), piece.where(~on_left))
        if min(cut.left.height, cut.right.height) >= MIN_PART * height:
            cuts[key] = cut
    return list(cuts.values())


def _shorn_off(left: np.ndarray, ink: np.ndarray) -> np.ndarray:
    """Mark the bits that a cut takes off one digit and leaves with the other: they hang on the other side alone.

    Args:
        left: which pixels lie to the left of the cut, bool [h, w].
        ink: where there is any, bool [h, w].

    Returns:
        bool [h, w].
    """
    from scipy import ndimage

    around = np.ones((3, 3))
    shorn = np.zeros_like(ink)
    for side in (left, ~left):
        labels, count = ndimage.label(ink & side, structure=around)
        if count > 1:
            sizes = np.bincount(labels.ravel())
            sizes[0] = 0
            hanging = np.unique(labels[ndimage.binary_dilation(ink & ~side, around)])
            shorn |= np.isin(labels, hanging[(hanging > 0) & (hanging != sizes.argmax())])
    return shorn


def _factor(height: float) -> int:
    """Return by how much a piece is reduced before cuts are sought in it."""
    return max(1, round(height / ROWS))


def _reduced(mask: np.ndarray, factor: int) -> np.ndarray:
    """Average bool [h, w] over squares of ``factor`` pixels."""
    height, width = (-(-side // factor) for side in mask.shape)
    padded = np.zeros((height * factor, width * factor), np.float32)
    padded[: mask.shape[0], : mask.shape[1]] = mask
    return padded.reshape(height, factor, width, factor).mean(axis=(1, 3))


def _cheapest_paths(costs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the cheapest path from top to bottom, by steps of one row and at most one column, in each of several fields.

    A slanting step is longer than a straight one, and costs as much more.

    Args:
        costs: of each pixel, float [n, h, w].

    Returns:
        The columns of each path, int64 [n, h], and what it costs, float [n].
    """
    n, height, width = costs.shape
    total = costs[:, 0]
    came = np.zeros((n, height, width), dtype=np.int8)
    edge = np.full((n, 1), np.inf)
    for row in range(1, height):
        straight, slanting = costs[:, row], math.sqrt(2) * costs[:, row]
        from_left = np.concatenate([edge, total[:, :-1]], axis=1) + slanting
        from_right = np.concatenate([total[:, 1:], edge], axis=1) + slanting
        total = np.minimum(np.minimum(from_left, from_right), total + straight)
        came[:, row][total == from_left] = -1
        came[:, row][total == from_right] = 1
    paths = np.empty((n, height), dtype=np.int64)
    paths[:, -1] = total.argmin(axis=1)
    each = np.arange(n)
    for row in range(height - 1, 0, -1):
        paths[:, row - 1] = paths[:, row] + came[each, row, paths[:, row]]
    return paths, total.min(axis=1)

"""Digits that touch: where a piece of ink may be cut, and whether its parts look more like digits than the whole.

Every way to part a piece is weighed, as in Y. LeCun et al., *Gradient-Based Learning Applied to Document Recognition*,
1998: cut too often, ask of every part how much it looks like a digit, and keep the likeliest parts.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np

from paddle_mnist.pictures.components import Stroke, upright_columns

# How much each of some strokes looks like one whole digit, a logarithm of a probability: float [n].
Likeness = Callable[[list[Stroke]], np.ndarray]

# All in digit heights.
SINGLE = 0.75  # the width of a usual digit
MAYBE_TWO = 0.5  # what is narrower holds one
TWO_WIDE = 1.2  # what is wider holds two digits at least; a single one seldom is
THREE_WIDE = 1.6  # what is wider may hold three
MANY_WIDE = 3.0  # what is wider is parted from left to right, without looking back
MIN_PART = 0.55  # each part of a cut reaches so high, or it is a stroke and no digit
STEP = 0.085  # between the places where a cut is tried
LEANS = (-0.3, 0.0, 0.3)  # of the cuts against the writing, in columns a row
BANDS = (0.1, 0.3)  # how far a cut may leave its line to either side

ROWS = 40  # rows of a digit in which cuts are sought; more find no better ones
OUTSIDE = 1e3  # the cost of a pixel outside the band
MAX_CUTS = 100
BEAM = 2  # left parts that are tried where a piece may hold more than two digits
ANOTHER = -1.7  # what each digit more must be likelier by; less than nothing, since a right cut is never quite clean


def part(piece: Stroke, slant: float, height: float, likeness: Likeness) -> list[Stroke]:
    """Part a piece into the strokes that are the likeliest digits, from left to right.

    Args:
        piece: of one digit or several.
        slant: of the writing, as ``find_slant`` returns it.
        height: of a digit, in pixels.
        likeness: how much strokes look like digits.
    """
    return _likeliest_parts(piece, slant, height, likeness)[1]


def _likeliest_parts(piece: Stroke, slant: float, height: float, likeness: Likeness) -> tuple[float, list[Stroke]]:
    cuts = find_cuts(piece, slant, height)
    values = likeness([piece, *itertools.chain.from_iterable(cuts)])
    whole, left, right = values[0], values[1::2] - ANOTHER, values[2::2]
    found = [(float(whole), [piece])]
    if cuts:
        best = int(np.argmax(left + right))
        found.append((float(left[best] + right[best]), list(cuts[best])))
    first, last = upright_columns(piece, slant)
    if last - first > THREE_WIDE * height:
        for i in np.argsort(-left)[: BEAM if last - first < MANY_WIDE * height else 1]:
            value, parts = _likeliest_parts(cuts[i][1], slant, height, likeness)
            found.append((float(left[i]) + value, [cuts[i][0], *parts]))
    return max(found, key=lambda way: way[0])


def find_cuts(piece: Stroke, slant: float, height: float) -> list[tuple[Stroke, Stroke]]:
    """Cut a piece from top to bottom along paths through little ink: near many lines, of which each finds its own.

    Ink is counted by whole pixels. Were its soft edges cheaper, paths would shave slivers off strokes.

    Returns:
        What lies to the left and to the right of at most ``MAX_CUTS`` cuts, those through the least ink first.
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
    for lean in LEANS:
        upright = columns - pad + (slant + lean) * rows
        inked = upright[ink > 0.5]
        places = np.arange(inked.min() + 0.1 * unit, inked.max() - 0.1 * unit, STEP * unit)
        outside += [np.abs(upright - place) > band * unit for band in BANDS for place in places]
    paths, costs = _cheapest_paths(ink + 0.01 + OUTSIDE * np.array(outside))
    left, top, _, _ = piece.box
    y, x = (piece.y - top) // factor, (piece.x - left) / factor + pad
    cuts: dict[bytes, tuple[Stroke, Stroke]] = {}
    for i in np.argsort(costs):
        shorn = _shorn_off(columns <= paths[i][:, np.newaxis], ink > 0)
        on_left = (x < paths[i, y] + 0.5) ^ shorn[y, x.astype(int)]
        key = np.packbits(on_left).tobytes()
        if costs[i] >= OUTSIDE or len(cuts) == MAX_CUTS:
            break
        if key in cuts or on_left.all() or not on_left.any():
            continue
        left_part, right_part = piece.where(on_left), piece.where(~on_left)
        if min(left_part.height, right_part.height) >= MIN_PART * height:
            cuts[key] = left_part, right_part
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

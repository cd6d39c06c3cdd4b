"""Touching digits, split by over-segmentation: many candidate cuts of one component, of which the best scored are kept.

As in Y. LeCun et al., *Gradient-Based Learning Applied to Document Recognition*, 1998: cut in many places, score every
part by how likely it is one whole digit, and keep the segmentation with the highest score, which may be no cut at all.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from paddle_mnist.pictures.components import Component, upright_columns

# The logarithm of the probability that each component is one whole digit, float [n].
Score = Callable[[list[Component]], np.ndarray]

# All in digit heights.
MAYBE_TWO = 0.5  # what is narrower holds one
THREE_WIDE = 1.6  # what is wider may hold three digits
WIDEST = 1.3  # no part is wider
MIN_PART = 0.55  # each part of a cut is at least this high; a lower one is a stroke, not a digit
STEP = 0.085  # between the places where a cut is tried
LEANS = (-0.6, -0.3, 0.0, 0.3, 0.6)  # slants of the cuts relative to the writing's, in columns per row
BANDS = (0.1, 0.3)  # how far a cut may stray from its line to either side

ROWS = 40  # rows of a digit in which cuts are sought; more find no better ones
OUTSIDE = 1e3  # the cost of a pixel outside the band
MAX_CUTS = 100
SPLIT_COST = 0.5  # log probability: a shape is more often one digit than two
NARROW_COST = 2.0  # log probability for each digit height by which the shape is narrower than one
BATCH = 16  # parts that are scored at a time, the promising ones first

Box = tuple[int, int, int, int]  # left, top, right, bottom in pixels, the last two exclusive


class Weighed(NamedTuple):
    """How the cuts of one component were weighed.

    Attributes:
        box: of the component.
        whole: log probability that it is one digit.
        cuts: the boxes of both parts, and the score of each cut, which is compared with ``whole``.
        chosen: the index of the best cut, or ``None`` where the component is left whole.
    """

    box: Box
    whole: float
    cuts: list[tuple[Box, Box, float]]
    chosen: int | None


class Cut(NamedTuple):
    """One cut of a component from top to bottom.

    Attributes:
        on_left: which of the component's pixels lie to its left, bool [n].
        left: these pixels.
        right: the others.
    """

    on_left: np.ndarray
    left: Component
    right: Component


def split_touching(
    components: list[Component], slant: float, height: float, score: Score, weighed: list[Weighed] | None = None
) -> list[list[Component]]:
    """Split each of some components into the most probable digits, from left to right.

    Args:
        components: each one digit or several.
        slant: of the writing, as ``find_slant`` returns it.
        height: of a digit, in pixels.
        score: how likely components are whole digits.
        weighed: a list that takes what was weighed, for those who want to see it. No cuts are weighed where none can
            score higher than the whole.
    """
    wholes = score(components).tolist() if components else []
    weighed = [] if weighed is None else weighed
    split = []
    for component, whole in zip(components, wholes, strict=True):
        first, last = upright_columns(component, slant)
        cost = split_cost((last - first) / height)
        cuts = find_cuts(component, slant, height) if whole < -cost else []
        if not cuts:
            split.append([component])
        elif last - first <= THREE_WIDE * height:
            split.append(_best_pair(component, whole, cuts, score, cost, weighed))
        else:
            split.append(_best_parts(component, whole, cuts, height, score, cost, weighed))
    return split


def split_cost(width: float) -> float:
    """Return by how much the score of a cut must exceed that of the whole, for a shape so many digit heights wide."""
    return SPLIT_COST + NARROW_COST * max(0.0, 1 - width)


def _best_pair(
    component: Component, whole: float, cuts: list[Cut], score: Score, cost: float, weighed: list[Weighed]
) -> list[Component]:
    """Return the two parts with the highest score, or the whole.

    No right part scores above 0, so those beside a left part that scores too low already are not looked at.
    """
    left = score([cut.left for cut in cuts]) - cost
    order = np.argsort(-left)
    right = np.full(len(cuts), -np.inf)
    for first in range(0, len(cuts), BATCH):
        rows = order[first : first + BATCH]
        if left[rows[0]] <= max(whole, (left + right).max()):
            break
        right[rows] = score([cuts[row].right for row in rows])
    total = left + right
    best = int(total.argmax())
    chosen = best if total[best] > whole else None
    seen = np.flatnonzero(np.isfinite(total))
    boxes = [(cuts[i].left.box, cuts[i].right.box, float(total[i])) for i in seen]
    weighed.append(Weighed(component.box, whole, boxes, None if chosen is None else int((seen < best).sum())))
    return [component] if chosen is None else [cuts[best].left, cuts[best].right]


def _best_parts(
    component: Component,
    whole: float,
    cuts: list[Cut],
    height: float,
    score: Score,
    cost: float,
    weighed: list[Weighed],
) -> list[Component]:
    """Return the parts of the segmentation with the highest score, by dynamic programming over the cuts.

    Place 0 is the left end, the last place the right end, and those between are the cuts, from left to right.
    """
    masks = _spaced(component, cuts, height)
    masks = [np.zeros(len(component.y), bool), *masks, np.ones(len(component.y), bool)]
    ends = len(masks) - 1
    spans = {}
    for i in range(ends):
        for j in range(i + 1, len(masks)):
            part = masks[j] & ~masks[i]
            if (masks[i] & ~masks[j]).any() or not part.any():
                continue
            span = component.subset(part)
            if span.height >= MIN_PART * height and (span.width <= WIDEST * height or (i, j) == (0, ends)):
                spans[i, j] = span
    scores = dict(zip(spans, score(list(spans.values())).tolist(), strict=True))
    best = [0.0] + [-np.inf] * ends
    before = [0] * len(masks)
    for (i, j), value in sorted(scores.items()):
        total = best[i] + value - (cost if i else 0)
        if total > best[j]:
            best[j], before[j] = total, i
    places = [ends]
    while places[-1]:
        places.append(before[places[-1]])
    places.reverse()
    two = [i for i in range(1, ends) if (0, i) in scores and (i, ends) in scores]
    boxes = [(spans[0, i].box, spans[i, ends].box, scores[0, i] + scores[i, ends] - cost) for i in two]
    weighed.append(Weighed(component.box, whole, boxes, two.index(places[1]) if places[1] in two else None))
    return [spans[i, j] for i, j in itertools.pairwise(places)]


def _spaced(component: Component, cuts: list[Cut], height: float) -> list[np.ndarray]:
    """Return which pixels lie to the left of a cut, bool [n], for the cut through the least ink at each place."""
    masks: dict[int, np.ndarray] = {}
    for cut in cuts:
        place = round(float(cut.on_left.mean()) * (component.width / height) / STEP)
        masks.setdefault(place, cut.on_left)
    return sorted(masks.values(), key=lambda mask: mask.sum())


def find_cuts(
    component: Component, slant: float, height: float, limit: int = MAX_CUTS, leans: tuple[float, ...] = LEANS
) -> list[Cut]:
    """Cut a component from top to bottom along paths through little ink, one near each of many lines.

    Each pixel of ink counts fully. If its soft edges were cheaper, paths would cut slivers off strokes.

    Returns:
        What lies to the left and to the right of at most ``limit`` cuts, those through the least ink first.
    """
    first, last = upright_columns(component, slant)
    if last - first < MAYBE_TWO * height:
        return []
    factor = _factor(height)
    unit = height / factor
    pad = math.ceil(unit)  # a leaning band may leave the box
    ink = np.pad(_reduced(component.mask(), factor), ((0, 0), (pad, pad)))
    rows, columns = np.indices(ink.shape)
    outside = []
    for lean in leans:
        upright = np.asarray(columns - pad + (slant + lean) * rows)
        inked = upright[ink > ink.max() / 2]  # thin strokes never fill a pixel of the reduced component
        places = np.arange(inked.min() + 0.1 * unit, inked.max() - 0.1 * unit, STEP * unit)
        outside += [np.abs(upright - place) > band * unit for band in BANDS for place in places]
    if not outside:
        return []
    paths, costs = _cheapest_paths(ink + 0.01 + OUTSIDE * np.array(outside))
    left, top, _, _ = component.box
    y, x = (component.y - top) // factor, (component.x - left) / factor + pad
    cuts: dict[bytes, Cut] = {}
    for i in np.argsort(costs):
        loose = _loose_bits(columns <= paths[i][:, np.newaxis], ink > 0)
        on_left = (x < paths[i, y] + 0.5) ^ loose[y, x.astype(int)]
        key = np.packbits(on_left).tobytes()
        if costs[i] >= OUTSIDE or len(cuts) == limit:
            break
        if key in cuts or on_left.all() or not on_left.any():
            continue
        left_part, right_part = component.subset(on_left), component.subset(~on_left)
        if min(left_part.height, right_part.height) >= MIN_PART * height:
            cuts[key] = Cut(on_left, left_part, right_part)
    return list(cuts.values())


def _loose_bits(left: np.ndarray, ink: np.ndarray) -> np.ndarray:
    """Mark the small bits that a cut leaves on the wrong side: they are connected to the other side only.

    Args:
        left: which pixels lie to the left of the cut, bool [h, w].
        ink: where there is any, bool [h, w].

    Returns:
        bool [h, w].
    """
    from scipy import ndimage

    around = np.ones((3, 3))
    loose = np.zeros_like(ink)
    for side in (left, ~left):
        labels, count = ndimage.label(ink & side, structure=around)
        if count > 1:
            sizes = np.bincount(labels.ravel())
            sizes[0] = 0
            neighbours = np.unique(labels[ndimage.binary_dilation(ink & ~side, around)])
            loose |= np.isin(labels, neighbours[(neighbours > 0) & (neighbours != sizes.argmax())])
    return loose


def _factor(height: float) -> int:
    """Return the factor by which a component is reduced before cuts are sought in it."""
    return max(1, round(height / ROWS))


def _reduced(mask: np.ndarray, factor: int) -> np.ndarray:
    """Average bool [h, w] over squares of ``factor`` pixels."""
    height, width = (-(-side // factor) for side in mask.shape)
    padded = np.zeros((height * factor, width * factor), np.float32)
    padded[: mask.shape[0], : mask.shape[1]] = mask
    return padded.reshape(height, factor, width, factor).mean(axis=(1, 3))


def _cheapest_paths(costs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the cheapest path from top to bottom in each field, by steps of one row and at most one column.

    A diagonal step costs more than a straight one in proportion to its length.

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
        straight, diagonal = costs[:, row], math.sqrt(2) * costs[:, row]
        from_left = np.concatenate([edge, total[:, :-1]], axis=1) + diagonal
        from_right = np.concatenate([total[:, 1:], edge], axis=1) + diagonal
        total = np.minimum(np.minimum(from_left, from_right), total + straight)
        came[:, row][total == from_left] = -1
        came[:, row][total == from_right] = 1
    paths = np.empty((n, height), dtype=np.int64)
    paths[:, -1] = total.argmin(axis=1)
    each = np.arange(n)
    for row in range(height - 1, 0, -1):
        paths[:, row - 1] = paths[:, row] + came[each, row, paths[:, row]]
    return paths, total.min(axis=1)

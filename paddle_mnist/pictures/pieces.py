"""Joins the pieces of one digit, whose strokes do not meet or are broken."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable

import numpy as np

from paddle_mnist.pictures.components import Component, union, upright_columns

# All in digit heights.
PIECE = 0.45  # what is lower is a piece of the digit beside it
WHOLE = 0.7  # what is higher is not just a piece of a digit
TWO_WIDE = 1.2  # pieces that make a wider whole are of two digits
NARROW = 0.9  # likewise, if they stand side by side
NEAR = 0.12  # the widest gap between pieces of a digit
TALL = 1.4  # no digit is higher
MIN_DIGIT = 0.35  # a digit is at least this high

GAP = 0.25  # the widest gap between pieces that are joined because they look like one digit
JOIN_COST = 1.0  # log probability: two shapes are more often two digits than one

# The logarithm of the probability that each component is one whole digit, float [n].
Score = Callable[[list[Component]], np.ndarray]
Pair = tuple[Component, Component]


def join_pieces(parts: list[Component], slant: float, height: float) -> list[Component]:
    """Join the components of one digit: those that lie above each other, once the slant is removed.

    A five's bar stands over its bow, a broken eight's halves over each other; two digits stand side by side. Pieces
    are joined as long as the narrower one lies mostly over the wider one and the whole is not wider than a digit.
    """
    joined: list[Component] = []
    for part in sorted(parts, key=lambda part: upright_columns(part, slant)):
        for index, other in enumerate(joined):
            if _belong_together(part, other, slant, height):
                joined[index] = union([other, part])
                break
        else:
            joined.append(part)
    return joined


def join_by_score(parts: list[Component], slant: float, height: float, score: Score) -> list[Component]:
    """Join neighbours that look like one digit more than like two.

    Args:
        parts: of one line, each a digit, several digits or a piece of one.
        slant: of the writing, as ``find_slant`` returns it.
        height: of a digit, in pixels.
        score: how likely components are whole digits.
    """
    wholes = _wholes(itertools.combinations(parts, 2), slant, height, score)
    pieces = [part for part in parts if any(part is piece for pair, _, _ in wholes for piece in pair)]
    scores = dict(zip(map(id, pieces), score(pieces).tolist(), strict=True)) if pieces else {}
    while wholes:
        gains = [whole - _apart(pair, height, scores) for pair, _, whole in wholes]
        best = int(np.argmax(gains))
        if gains[best] <= JOIN_COST:
            break
        pair, joined, scores[id(joined)] = wholes[best]
        parts = [part for part in parts if all(part is not piece for piece in pair)]
        wholes = [other for other in wholes if not any(part is piece for part in other[0] for piece in pair)]
        new = _wholes(((part, joined) for part in parts), slant, height, score)
        pieces = [part for (part, _), _, _ in new if id(part) not in scores]
        scores |= dict(zip(map(id, pieces), score(pieces).tolist(), strict=True)) if pieces else {}
        wholes += new
        parts.append(joined)
    return parts


def _wholes(pairs: Iterable[Pair], slant: float, height: float, score: Score) -> list[tuple[Pair, Component, float]]:
    """Return the pairs that may be pieces of one digit, each with both joined and the score of that."""
    near = [pair for pair in pairs if _may_be_one(*pair, slant, height)]
    joined = [union(list(pair)) for pair in near]
    return list(zip(near, joined, score(joined).tolist(), strict=True)) if near else []


def _apart(pair: Pair, height: float, scores: dict[int, float]) -> float:
    """Return the score of two components that are not joined; what is too low for a digit is left out."""
    return sum(float(scores[id(piece)]) for piece in pair if piece.height >= MIN_DIGIT * height)


def _may_be_one(part: Component, other: Component, slant: float, height: float) -> bool:
    """Tell whether two components lie so close that they may be pieces of one digit."""
    (first, last), (other_first, other_last) = upright_columns(part, slant), upright_columns(other, slant)
    (_, top, _, bottom), (_, other_top, _, other_bottom) = part.box, other.box
    return (
        max(first, other_first) - min(last, other_last) <= GAP * height
        and max(last, other_last) - min(first, other_first) <= TWO_WIDE * height
        and max(bottom, other_bottom) - min(top, other_top) <= TALL * height
        and max(part.height, other.height) >= MIN_DIGIT * height
    )


def _belong_together(part: Component, other: Component, slant: float, height: float) -> bool:
    """Tell whether two components are surely pieces of one digit."""
    (first, last), (other_first, other_last) = upright_columns(part, slant), upright_columns(other, slant)
    overlap = min(last, other_last) - max(first, other_first)
    narrower = min(last - first, other_last - other_first)
    whole = max(last, other_last) - min(first, other_first)
    lower = min(part.height, other.height)
    # Two whole digits that lean over each other are not one.
    over_each_other = overlap > 0.5 * narrower and whole <= TWO_WIDE * height and lower < WHOLE * height
    beside = overlap > -NEAR * height and whole <= NARROW * height and lower < PIECE * height
    (_, top, _, bottom), (_, other_top, _, other_bottom) = part.box, other.box
    one_above = min(bottom, other_bottom) - max(top, other_top) < NEAR * height
    stacked = one_above and overlap > -NEAR * height and max(bottom, other_bottom) - min(top, other_top) < TALL * height
    return over_each_other or beside or (stacked and whole <= TWO_WIDE * height)

from __future__ import annotations

import itertools

import numpy as np
import pytest

from paddle_mnist.pictures.components import Component, find_slant
from paddle_mnist.pictures.touching import _cheapest_paths, find_cuts, split_touching


def drawn(*bars, shape=(200, 500)):
    """Return the ink of some bars (left, top, right, bottom) as one component."""
    page = np.zeros(shape, bool)
    for left, top, right, bottom in bars:
        page[top:bottom, left:right] = True
    return Component(*np.nonzero(page))


H = drawn((100, 50, 112, 150), (180, 50, 192, 150), (110, 97, 182, 103))
THREE = drawn(*((x, 50, x + 12, 150) for x in (100, 180, 260)), (110, 97, 262, 101))


def bar(components):
    """Score only a bar as a digit, even with a rest of the bridge."""
    narrow = [np.sort(np.bincount(component.y))[len(np.unique(component.y)) // 2] < 20 for component in components]
    return np.where(narrow, 1.0, -5.0)


def test_split_touching_takes_the_more_probable_split():
    """Two bars joined by a bridge: an H, or two touching ones."""
    assert [len(parts) for parts in split_touching([H], 0.0, 100, bar)] == [2]
    assert [len(parts) for parts in split_touching([H], 0.0, 100, lambda components: -4.0 - bar(components))] == [1]


def test_split_touching_splits_three_digits():
    (parts,) = split_touching([THREE], 0.0, 100, bar)
    assert [round(np.median(part.x) / 80) for part in parts] == [1, 2, 3]
    assert sum(len(part.x) for part in parts) == len(THREE.x)


def test_split_touching_splits_many_digits_from_left_to_right():
    bars = drawn(*((x, 50, x + 12, 150) for x in range(100, 740, 80)), (110, 97, 670, 101), shape=(200, 900))
    assert [len(parts) for parts in split_touching([bars], 0.0, 100, bar)] == [8]


def test_split_touching_splits_each_component_and_leaves_what_is_surely_one_digit():
    asked = []

    def score(components):
        asked.extend(components)
        return np.where([component.width > 60 for component in components], bar(components), -0.1)

    one = drawn((100, 50, 155, 150))
    weighed = []
    assert [len(parts) for parts in split_touching([one, H, one], 0.0, 100, score, weighed)] == [1, 2, 1]
    assert [item.box for item in weighed] == [H.box]
    assert split_touching([], 0.0, 100, score) == []


def test_find_cuts_loses_no_ink_and_leaves_high_parts():
    cuts = find_cuts(H, 0.0, 100)
    assert len(cuts) > 5
    for _, left, right in cuts:
        both = {
            *zip(left.y.tolist(), left.x.tolist(), strict=True),
            *zip(right.y.tolist(), right.x.tolist(), strict=True),
        }
        assert len(left.y) + len(right.y) == len(both) == len(H.y)
        assert min(left.height, right.height) >= 55
    assert len({(left.y.tobytes(), left.x.tobytes()) for _, left, _ in cuts}) == len(cuts)


def test_find_cuts_cuts_along_each_lean():
    parts = [
        {cut.left.x.tobytes() for cut in find_cuts(H, 0.0, 100, leans=leans)} for leans in ((0.0,), (-0.6, 0.0, 0.6))
    ]
    assert parts[0] < parts[1]


def test_find_slant_doubts_that_digits_at_different_heights_lean():
    pair = drawn((100, 100, 160, 160), (160, 50, 220, 110))
    assert find_slant(pair, doubt=1.0) == pytest.approx(0)
    assert find_slant(pair) > 0.2


def test_find_cuts_finds_cuts_through_lines_one_pixel_thin():
    """Reduced to 40 rows, no pixel of such a component is filled by half."""
    thin = drawn((100, 10, 101, 190), (220, 10, 221, 190), (100, 97, 221, 98))
    cuts = find_cuts(thin, 0.0, 180)
    assert cuts and all(len(cut.left.x) + len(cut.right.x) == len(thin.x) for cut in cuts)


def test_find_cuts_leaves_narrow_components():
    assert find_cuts(drawn((100, 50, 140, 150)), 0.0, 100) == []


def test_cheapest_paths_are_no_dearer_than_any_other():
    costs = np.random.default_rng(0).random((3, 5, 4))
    paths, totals = _cheapest_paths(costs)
    steps = (-1, 0, 1)
    for field, path, total in zip(costs, paths, totals, strict=True):
        prices = []
        for first in range(4):
            for moves in itertools.product(steps, repeat=4):
                columns = np.cumsum([first, *moves])
                if columns.min() >= 0 and columns.max() < 4:
                    prices.append(price(field, columns))
        assert total == pytest.approx(min(prices)) == pytest.approx(price(field, path))


def price(field, columns):
    """Return the cost of a path; a diagonal step costs √2 times as much."""
    lengths = np.where(np.diff(columns, prepend=columns[0]) == 0, 1, np.sqrt(2))
    return float((field[np.arange(len(columns)), columns] * lengths).sum())

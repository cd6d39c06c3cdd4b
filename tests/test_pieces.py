"""Pieces of a digit are joined, digits are not."""

from __future__ import annotations

import numpy as np
import pytest

from paddle_mnist.pictures.components import Component
from paddle_mnist.pictures.pieces import join_by_score, join_pieces


def bar(left, top, right, bottom):
    """Return a filled rectangle as a component."""
    y, x = np.mgrid[top:bottom, left:right]
    return Component(y.ravel(), x.ravel())


LEFT, RIGHT = bar(100, 50, 112, 120), bar(130, 50, 142, 150)  # the strokes of an open four


def likes(width):
    """Score components of one width as digits."""
    return lambda components: np.array([0.0 if abs(part.width - width) < 3 else -5.0 for part in components])


def test_join_by_score_joins_strokes_that_look_like_one_digit_together():
    (joined,) = join_by_score([LEFT, RIGHT], 0.0, 100, likes(42))
    assert joined.box == (100, 50, 142, 150)


def test_join_by_score_leaves_digits_that_look_like_one_each():
    assert join_by_score([LEFT, RIGHT], 0.0, 100, likes(12)) == [LEFT, RIGHT]


def test_join_by_score_leaves_what_is_as_likely_one_as_two():
    assert len(join_by_score([LEFT, RIGHT], 0.0, 100, lambda components: np.zeros(len(components)))) == 2


@pytest.mark.parametrize("other", [bar(200, 50, 212, 150), bar(130, 130, 142, 199)])
def test_join_by_score_leaves_what_is_far_away(other):
    assert len(join_by_score([LEFT, other], 0.0, 100, likes(42))) == 2


def test_join_by_score_adds_a_low_piece_if_the_digit_looks_better_with_it():
    piece = bar(146, 50, 160, 70)
    assert len(join_by_score([RIGHT, piece], 0.0, 100, likes(30))) == 1
    assert len(join_by_score([RIGHT, piece], 0.0, 100, likes(12))) == 2


def test_join_pieces_joins_a_bar_over_a_bow():
    bow, above, beside = bar(100, 90, 150, 150), bar(105, 60, 150, 75), bar(190, 50, 202, 150)
    joined = join_pieces([bow, above, beside], 0.0, 100)
    assert [part.box for part in joined] == [(100, 60, 150, 150), beside.box]

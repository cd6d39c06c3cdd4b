"""Exercises of lab 17: a split by whole photos, whether one reader is better, and when to say "I do not know"."""

from __future__ import annotations

import numpy as np

from paddle_mnist.labs.exercises.base import Answer, Exercise, Wrong, call, expect

_SPLIT = '''
def test_digits(photos, share, seed):
    """Return which digits are for the test, so that no photo is on both sides.

    Sort the different names, permute them by numpy.random.default_rng(seed).permutation, and take the first
    round(share * number of photos) of them; all their digits are for the test.
    photos: a list of strings [n], for each digit the name of the photo that it comes from.  share: from 0 to 1.
    Returns: an array of booleans [n].
    """
'''

_BETTER = '''
def better(right, other):
    """Return which of two readers is better, judged by the same test digits: "first", "second" or "cannot tell".

    Take each digit's difference: 1 if only the first reader is right, -1 if only the second is, else 0. The standard
    error of their mean is their standard deviation (numpy.std) divided by the root of n. One reader is better if the
    mean is more than 2 standard errors away from 0.
    right, other: booleans [n], whether the first and the second reader are right.
    Returns: one of the three strings.
    """
'''

_THRESHOLD = '''
def smallest_threshold(confidence, right, wanted):
    """Return the smallest threshold at which a reader's answers are right often enough.

    It answers where confidence >= threshold, and the share of these answers that are right has to be at least wanted.
    Only values that occur in confidence are thresholds.
    confidence: numbers [n].  right: booleans [n].  wanted: from 0 to 1.
    Returns: a number, or None if no threshold will do.
    """
'''


def _check_split(answer: Answer) -> None:
    for photos, share, seed in (
        (["a", "a", "b", "b", "c", "c", "d", "d"], 0.5, 0),
        (["d", "b", "a", "c", "a", "d", "b"], 0.5, 1),
        (["x", "x", "x", "y"], 0.5, 2),
        (list("abcdefghij") * 2, 0.3, 3),
        (["a", "b", "c"], 0.0, 0),
        (["a", "b", "c"], 1.0, 0),
    ):
        on = f"photos = {photos}, share = {share}, seed = {seed}"
        found = call(answer, photos, share, seed, on=on)
        sides: dict[str, set[bool]] = {}
        if np.shape(found) == (len(photos),):
            for photo, side in zip(photos, np.asarray(found), strict=True):
                sides.setdefault(photo, set()).add(bool(side))
        both = sorted(photo for photo, seen in sides.items() if len(seen) == 2)
        if both:
            raise Wrong(
                f"photo {both[0]} is on both sides",
                on,
                "deal out whole photos, not digits: digits of a photo are alike",
            )
        order = np.random.default_rng(seed).permutation(sorted(set(photos)))
        count = round(share * len(order))
        slips = [
            (~np.isin(photos, order[:count]), "this marks the digits that are not for the test"),
            (np.isin(photos, order[len(order) - count :]), "take the first of the permuted names, not the last"),
            (np.isin(photos, sorted(set(photos))[:count]), "permute the names before you take the first"),
            (np.isin(photos, order[: round(share * len(photos))]), "share is of the photos, not of the digits"),
            (np.isin(photos, order[: int(share * len(order))]), "round to the nearest number of photos"),
            (_unsorted(photos, count, seed), "sort the names first: a set has no fixed order"),
        ]
        expect(found, np.isin(photos, order[:count]), on, slips, "one entry for each digit, True for the test")


def _unsorted(photos: list[str], count: int, seed: int) -> np.ndarray:
    return np.isin(photos, np.random.default_rng(seed).permutation(list(dict.fromkeys(photos)))[:count])


def _check_better(answer: Answer) -> None:
    for both, first, second, neither in (
        (5, 3, 2, 0),
        (90, 10, 0, 0),
        (90, 0, 10, 0),
        (80, 6, 5, 9),
        (50, 50, 0, 0),
        (400, 12, 2, 86),
        (900, 40, 20, 40),
        (0, 50, 49, 901),
        (100, 0, 0, 0),
        (95, 3, 0, 2),
    ):
        right = np.repeat([True, True, False, False], (both, first, second, neither))
        other = np.repeat([True, False, True, False], (both, first, second, neither))
        each = right.astype(float) - other
        n, mean = len(each), float(each.mean())
        alone = np.sqrt(right.mean() * (1 - right.mean()) / n + other.mean() * (1 - other.mean()) / n)

        def judge(error: float, mean: float = mean) -> str:
            return "cannot tell" if abs(mean) <= 2 * error else "first" if mean > 0 else "second"

        slips = [
            (judge(alone), "this adds the errors of two separate tests: both read the same digits, so pair them"),
            (judge(each.std()), "divide the standard deviation by the root of n"),
            (judge(each.std() / n), "divide by the root of n, not by n"),
            (judge(each.std() / np.sqrt(n) / 2), "the limit is 2 standard errors, not 1"),
            ("first" if mean > 0 else "second", "a difference within 2 standard errors tells nothing"),
        ]
        on = f"{n} digits: both right {both}, only the first {first}, only the second {second}, neither {neither}"
        expect(call(answer, right, other, on=on), judge(each.std() / np.sqrt(n)), on, slips, "compute mean and error")


def _check_threshold(answer: Answer) -> None:
    for confidence, right, wanted in (
        ([0.9, 0.5, 0.7, 0.6, 0.8], [1, 0, 1, 0, 1], 1.0),
        ([0.9, 0.5, 0.7, 0.6], [1, 0, 1, 1], 1.0),
        ([0.9, 0.5, 0.7, 0.6], [1, 0, 1, 0], 0.6),
        ([0.9, 0.8, 0.7, 0.6], [0, 1, 1, 1], 0.75),
        ([0.9, 0.8, 0.7, 0.6], [0, 1, 1, 1], 0.9),
        ([0.5, 0.5, 0.9], [1, 0, 1], 0.9),
        ([0.5, 0.6], [1, 1], 0.99),
    ):
        c, r = np.array(confidence), np.array(right, bool)
        shares = {float(t): float(r[c >= t].mean()) for t in np.unique(c)}
        good = [t for t, share in shares.items() if share >= wanted]
        strict = [t for t in shares if (c > t).any() and r[c > t].mean() >= wanted]
        falling = None
        for t in sorted(shares, reverse=True):
            if shares[t] < wanted:
                break
            falling = t
        slips = [
            (max(good, default=None), "this is the largest such threshold: the smallest answers most digits"),
            (falling, "the share may rise again further down: try every threshold"),
            (min(shares), "the share of right answers at this threshold is below wanted"),
            (min(strict, default=None), "it answers where confidence >= threshold: equal counts too"),
            (float(c[~r].max()) if (~r).any() else None, "some wrong answers are allowed if wanted is below 1"),
        ]
        on = f"confidence = {confidence}, right = {[bool(x) for x in right]}, wanted = {wanted}"
        found = call(answer, c, r, wanted, on=on)
        expect(found, min(good, default=None), on, slips, "work out the share of right answers for each threshold")


EXERCISES = (
    Exercise(
        _SPLIT,
        _check_split,
        (
            (
                "First choose photos; only then look which digits come from them.",
                "先选照片，然后才看哪些数字来自这些照片。",
            ),
            (
                "order = rng.permutation(sorted(set(photos))); numpy.isin(photos, order[:count]) marks their digits.",
                "order = rng.permutation(sorted(set(photos)))；numpy.isin(photos, order[:count]) 标出它们的数字。",
            ),
        ),
    ),
    Exercise(
        _BETTER,
        _check_better,
        (
            (
                "Booleans become 1 and 0 when you convert them to float; then subtract.",
                "布尔值转成浮点数就是 1 和 0，然后相减。",
            ),
            (
                "error = each.std() / numpy.sqrt(len(each)); compare abs(each.mean()) with 2 * error.",
                "error = each.std() / numpy.sqrt(len(each))；比较 abs(each.mean()) 与 2 * error。",
            ),
        ),
    ),
    Exercise(
        _THRESHOLD,
        _check_threshold,
        (
            (
                "Try every value of confidence, from the smallest up.",
                "从最小的开始，逐个试 confidence 里的每个值。",
            ),
            (
                "for t in numpy.unique(confidence): if right[confidence >= t].mean() >= wanted, return t.",
                "for t in numpy.unique(confidence)：若 right[confidence >= t].mean() >= wanted，就返回 t。",
            ),
        ),
    ),
)

"""Right answers to lab 17."""

import numpy as np


def test_digits(photos, share, seed):
    order = np.random.default_rng(seed).permutation(sorted(set(photos)))
    return np.isin(photos, order[: round(share * len(order))])


def better(right, other):
    each = right.astype(float) - other.astype(float)
    error = each.std() / np.sqrt(len(each))
    if abs(each.mean()) <= 2 * error:
        return "cannot tell"
    return "first" if each.mean() > 0 else "second"


def smallest_threshold(confidence, right, wanted):
    for threshold in np.unique(confidence):
        if right[confidence >= threshold].mean() >= wanted:
            return threshold
    return None

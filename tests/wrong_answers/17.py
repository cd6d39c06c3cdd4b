"""Wrong answers to lab 17, each with a slip that its name tells."""

import numpy as np


def test_digits__deals_out_digits(photos, share, seed):
    """deal out whole photos, not digits"""
    order = np.random.default_rng(seed).permutation(len(photos))
    return np.isin(np.arange(len(photos)), order[: round(share * len(photos))])


def test_digits__marks_the_others(photos, share, seed):
    """this marks the digits that are not for the test"""
    order = np.random.default_rng(seed).permutation(sorted(set(photos)))
    return ~np.isin(photos, order[: round(share * len(order))])


def test_digits__does_not_permute(photos, share, seed):
    """permute the names before you take the first"""
    names = sorted(set(photos))
    return np.isin(photos, names[: round(share * len(names))])


def test_digits__counts_digits(photos, share, seed):
    """share is of the photos, not of the digits"""
    order = np.random.default_rng(seed).permutation(sorted(set(photos)))
    return np.isin(photos, order[: round(share * len(photos))])


def better__takes_any_difference(right, other):
    """a difference within 2 standard errors tells nothing"""
    return "first" if right.mean() > other.mean() else "second"


def better__adds_the_errors_of_two_tests(right, other):
    """both read the same digits, so pair them"""
    error = np.sqrt((right.mean() * (1 - right.mean()) + other.mean() * (1 - other.mean())) / len(right))
    gap = right.mean() - other.mean()
    return "cannot tell" if abs(gap) <= 2 * error else "first" if gap > 0 else "second"


def better__forgets_the_root(right, other):
    """divide by the root of n, not by n"""
    each = right.astype(float) - other
    error = each.std() / len(each)
    return "cannot tell" if abs(each.mean()) <= 2 * error else "first" if each.mean() > 0 else "second"


def better__does_not_divide(right, other):
    """divide the standard deviation by the root of n"""
    each = right.astype(float) - other
    return "cannot tell" if abs(each.mean()) <= 2 * each.std() else "first" if each.mean() > 0 else "second"


def smallest_threshold__takes_the_largest(confidence, right, wanted):
    """this is the largest such threshold"""
    good = [t for t in np.unique(confidence) if right[confidence >= t].mean() >= wanted]
    return max(good, default=None)


def smallest_threshold__leaves_out_equal_confidence(confidence, right, wanted):
    """equal counts too"""
    good = [t for t in np.unique(confidence)[:-1] if right[confidence > t].mean() >= wanted]
    return min(good, default=None)


def smallest_threshold__stops_at_the_first_failure(confidence, right, wanted):
    """the share may rise again further down"""
    found = None
    for t in np.unique(confidence)[::-1]:
        if right[confidence >= t].mean() < wanted:
            break
        found = t
    return found


def smallest_threshold__ignores_what_is_wanted(confidence, right, wanted):
    """below wanted"""
    return confidence.min()

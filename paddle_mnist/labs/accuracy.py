"""How sure an accuracy is: its standard error, and the difference between two nets on the same digits.

Lab 2 derives both. A test of n digits is a sample: another n digits would give another accuracy.
"""

from __future__ import annotations

import numpy as np


def standard_error(right: np.ndarray) -> float:
    """Return the standard error of an accuracy, as a share from 0 to 1.

    Each digit is read right or wrong, so the variance of one is p (1 - p), and that of the mean of n is one n-th of it.

    Args:
        right: booleans [n], whether each digit was read right.
    """
    p = float(np.mean(right))
    return float(np.sqrt(p * (1 - p) / len(right)))


def in_percent(right: np.ndarray) -> str:
    """Return an accuracy with its standard error, such as ``"91.2 ± 1.3 %"``.

    Args:
        right: booleans [n], whether each digit was read right.
    """
    return f"{100 * np.mean(right):.1f} ± {100 * standard_error(right):.1f} %"


def paired_difference(right: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """Return how much more accurate one net is than another on the same digits, and the standard error of that.

    Digits that both read right, or both wrong, tell nothing about which is better. They cancel in the difference of
    each digit, which is 1, 0 or -1, and the error is that of the mean of these.

    Args:
        right: booleans [n], whether the first net read each digit right.
        other: booleans [n], the same for the second net, on the same digits in the same order.

    Returns:
        ``(difference, error)``, both as shares from -1 to 1.
    """
    each = np.asarray(right, dtype=float) - np.asarray(other, dtype=float)  # [n]
    return float(each.mean()), float(each.std() / np.sqrt(len(each)))

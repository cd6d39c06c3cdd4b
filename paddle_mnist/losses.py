"""The loss of each sample from a net's raw outputs, in NumPy: to measure with, not to train by."""

from __future__ import annotations

import numpy as np


def squared_error(outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return ``(output - label)²``, float64 [n], for outputs [n, 1] and labels [n, 1]."""
    with np.errstate(over="ignore", invalid="ignore"):  # what has diverged is reported by whoever measures
        return ((outputs.astype(np.float64) - labels) ** 2)[:, 0]


def cross_entropy(outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return ``-log softmax(outputs)[label]``, float64 [n], for raw scores [n, k] and labels [n, 1]."""
    scores = outputs.astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        largest = scores.max(axis=1, keepdims=True)
        log_sum = np.log(np.exp(scores - largest).sum(axis=1, keepdims=True)) + largest
    return (log_sum - np.take_along_axis(scores, labels, axis=1))[:, 0]


def softmax(outputs: np.ndarray) -> np.ndarray:
    """Return the probabilities that raw scores [n, k] stand for, float64 [n, k], each row summing to 1."""
    scores = outputs.astype(np.float64)
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)

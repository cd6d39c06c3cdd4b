"""The loss of each sample from a net's raw outputs, in float64: to measure with, not to train by."""

from __future__ import annotations

import numpy as np

from paddle_mnist.scratch import layers


def squared_error(outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return ``(output - label)²``, float64 [n], for outputs [n, 1] and labels [n, 1]."""
    with np.errstate(over="ignore", invalid="ignore"):  # what has diverged is reported by whoever measures
        return ((outputs.astype(np.float64) - labels) ** 2)[:, 0]


def cross_entropy(outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return ``-log softmax(outputs)[label]``, float64 [n], for raw scores [n, k] and labels [n, 1]."""
    with np.errstate(over="ignore", invalid="ignore"):
        return layers.cross_entropy(outputs.astype(np.float64), labels[:, 0])


def softmax(outputs: np.ndarray) -> np.ndarray:
    """Return the probabilities that raw scores [n, k] stand for, float64 [n, k]."""
    return layers.softmax(outputs.astype(np.float64))

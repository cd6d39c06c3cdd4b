"""The losses of both tasks: each sample's loss, and the gradient of their sum, times a factor.

``losses`` [n], float64, and ``gradient`` [n, k], float32, are filled in.
"""

from __future__ import annotations

import numpy as np
import paddle
import paddle.nn.functional as F

from paddle_mnist.errors import UserError
from paddle_mnist.fast.compiled.library import library
from paddle_mnist.fast.normalization import LEAST_SCORE


def squared_error(
    outputs: np.ndarray, labels: np.ndarray, losses: np.ndarray, gradient: np.ndarray, scale: float
) -> None:
    """Compute those of outputs [n, k] against labels [n, 1]: means over k."""
    difference = outputs - labels
    count = outputs.shape[1]
    squares = np.square(difference)
    losses[:] = squares[:, 0] if count == 1 else squares.mean(axis=1)
    np.multiply(difference, np.float32(2 / count * scale), out=gradient)


def cross_entropy(
    outputs: np.ndarray,
    labels: np.ndarray,
    losses: np.ndarray,
    gradient: np.ndarray,
    scale: float,
    smoothing: float = 0.0,
) -> None:
    """Compute those of scores [n, k] against classes [n, 1], 0 to k - 1.

    Args:
        smoothing: the share of each target that is spread evenly over all k classes.
    """
    compiled = library()
    if compiled is not None:
        numbers = np.array([smoothing, LEAST_SCORE, scale], np.float32)
        labels = np.ascontiguousarray(labels, np.int64)
        compiled.number("cross_entropy", outputs, labels, losses, gradient, numbers, *outputs.shape)
        return
    rows = np.arange(len(outputs)), labels[:, 0]
    scores = outputs - outputs.max(axis=1, keepdims=True)
    np.maximum(scores, LEAST_SCORE, out=scores)
    powers = np.exp(scores)
    sums = powers.sum(axis=1, keepdims=True)
    logarithms = np.log(sums)
    losses[:] = logarithms[:, 0] - scores[rows]
    powers /= sums
    if smoothing:
        classes = outputs.shape[1]
        spread = (logarithms - scores).mean(axis=1)
        losses[:] = np.float32(1 - smoothing) * losses + np.float32(smoothing) * spread
        powers -= np.float32(smoothing / classes)
        powers[rows] -= np.float32(1 - smoothing)
    else:
        powers[rows] -= 1
    np.multiply(powers, np.float32(scale), out=gradient)


def check_labels(labels: np.ndarray, n: int, task: str, classes: int) -> np.ndarray:
    """Return labels as an array [n, 1].

    Raises:
        UserError: they have another shape, or are no classes.
    """
    labels = np.asarray(labels)
    if labels.shape != (n, 1):
        raise UserError(f"labels must have the shape [{n}, 1], got {list(labels.shape)}")
    if task == "classify" and (labels.min() < 0 or labels.max() >= classes):
        raise UserError(f"labels must be from 0 to {classes - 1}, got {labels.min()} to {labels.max()}")
    return labels


def plain_loss(task: str, outputs: paddle.Tensor, labels: paddle.Tensor, smoothing: float) -> paddle.Tensor:
    """Return the mean loss of a batch, by Paddle."""
    if task == "regress":
        return F.square_error_cost(outputs, labels).mean()
    return F.cross_entropy(outputs, labels.flatten(), label_smoothing=smoothing)

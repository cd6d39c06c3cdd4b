"""What a net takes for what: its predictions of a split, and the table of true against predicted digits."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from paddle_mnist import engine
from paddle_mnist.loader import to_input

BATCH = 100  # digits at a time


def predictions(learner: engine.Learner, images: np.ndarray, pixel_range: str = "01") -> Iterator[np.ndarray]:
    """Yield the predicted digits of images uint8 [n, 28, 28], int64 [batch] at a time."""
    for first in range(0, len(images), BATCH):
        yield engine.predicted_digits(learner.outputs(to_input(images[first : first + BATCH], pixel_range)))


def confusion_matrix(labels: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Return how often each digit, by row, was predicted as each digit, by column: int64 [10, 10].

    Args:
        labels: integers [n], 0 to 9.
        predicted: likewise.
    """
    pairs = labels.astype(np.int64) * 10 + predicted.astype(np.int64)
    return np.bincount(pairs, minlength=100).reshape(10, 10)

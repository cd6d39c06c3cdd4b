"""What a net takes for what: its predictions of a split, and the table of true against predicted digits."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from paddle_mnist.metrics import predicted_digits

BATCH = 100  # digits at a time


def predictions(outputs: Callable[[np.ndarray], np.ndarray], images: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the predicted digits of images uint8 [n, 28, 28], int64 [batch] at a time.

    Args:
        outputs: returns a net's raw outputs [n, 1] or [n, 10] for some of the images.
        images: the digits.
    """
    for first in range(0, len(images), BATCH):
        yield predicted_digits(outputs(images[first : first + BATCH]))


def confusion_matrix(labels: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Return how often each digit, by row, was predicted as each digit, by column: int64 [10, 10].

    Args:
        labels: integers [n], 0 to 9.
        predicted: likewise.
    """
    pairs = labels.astype(np.int64) * 10 + predicted.astype(np.int64)
    return np.bincount(pairs, minlength=100).reshape(10, 10)

"""How well a net does: its raw outputs measured against the labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Metrics:
    """How well a net does on a split; every figure is averaged over samples.

    Attributes:
        samples: the number of digits.
        loss: the mean loss.
        mse: the mean squared error of the predicted number; ``None`` when classifying.
        accuracy: the fraction predicted correctly; when regressing, outputs are rounded and clipped to 0..9.
        constant_answer: the digit that the net answers for every image, or ``None`` if its answers vary.
    """

    samples: int
    loss: float
    mse: float | None
    accuracy: float
    constant_answer: int | None


def measure(outputs: np.ndarray, labels: np.ndarray, loss: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Metrics:
    """Compute the metrics of outputs [n, 1] or [n, 10] against labels [n, 1]; ``loss`` as in ``Learner``."""
    regressing = outputs.shape[1] == 1
    with np.errstate(over="ignore", invalid="ignore"):  # a loss that is not finite is reported by the caller
        squared = (outputs.astype(np.float64) - labels) ** 2
        mean_loss = float(loss(outputs, labels).mean())
    return Metrics(
        samples=len(labels),
        loss=mean_loss,
        mse=float(squared.mean()) if regressing else None,
        accuracy=float((predicted_digits(outputs) == labels.ravel()).mean()),
        constant_answer=_constant_answer(outputs),
    )


def predicted_digits(outputs: np.ndarray) -> np.ndarray:
    """Turn raw outputs into digits, int64 [n].

    Args:
        outputs: [n, 1], a number to be rounded and clipped to 0..9, or [n, 10], scores of which the largest wins.
    """
    if outputs.shape[1] == 1:
        return np.clip(np.rint(np.nan_to_num(outputs[:, 0])), 0, 9).astype(np.int64)
    return outputs.argmax(axis=1)


def _constant_answer(outputs: np.ndarray) -> int | None:
    """Return the digit answered for all of several images, if it is always the same.

    A regression whose outputs differ by less than 0.01 has collapsed too, even if rounding happens to separate them.
    """
    digits = predicted_digits(outputs)
    if len(digits) < 2:
        return None
    same = (digits == digits[0]).all() or (outputs.shape[1] == 1 and np.ptp(outputs) < 0.01)
    return int(digits[0]) if same else None

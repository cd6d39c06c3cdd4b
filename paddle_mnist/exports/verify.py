"""Compares an export with the net that it came from, on every digit of the evaluation split."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from paddle_mnist.errors import UserError
from paddle_mnist.exports.model import Model
from paddle_mnist.loader import to_input
from paddle_mnist.metrics import predicted_digits
from paddle_mnist.splits import Split

BATCH = 500
TOLERANCE = 1e-5  # of the largest raw output
# What int8 may cost, in digits of 10,000: answers that differ from those in float32, and answers that become wrong.
MAX_CHANGED, MAX_LOST = 5, 2


class Answers(NamedTuple):
    """What an export gives for n images.

    Attributes:
        digits: int64 [n]; ``None`` for a raw export.
        outputs: float [n, 10] (probabilities), [n] (values), or [n, k] for a raw export.
    """

    digits: np.ndarray | None
    outputs: np.ndarray


Run = Callable[[np.ndarray], Answers]  # takes uint8 [n, 28, 28], or float32 [n, 1, 28, 28] for a raw export


class DifferentError(UserError):
    """An export does not give what the net gives; it was not written."""


@dataclass(frozen=True)
class Comparison:
    """An export against its net, on the evaluation digits.

    Attributes:
        samples: the digits compared.
        difference: the largest difference of an output, relative to the largest raw output.
        changed: answers that differ.
        accuracy: of the export.
        lost: right answers that the export has fewer; negative if it has more.
    """

    samples: int
    difference: float
    changed: int
    accuracy: float
    lost: int

    def __str__(self) -> str:
        return (
            f"{self.changed} of {self.samples:,} answers differ, outputs by at most {self.difference:.1e} of the "
            f"largest; accuracy {self.accuracy:.2%}"
        )


def compare(model: Model, run: Run, split: Split, raw: bool = False, int8: bool = False) -> Comparison:
    """Run an export on a split and compare it with the net.

    Raises:
        DifferentError: they differ by more than is allowed; the message names a digit, and by how much.
    """
    raw_outputs = np.concatenate([model.raw_outputs(images) for images in _chunks(split.images)])
    answers = [run(to_input(images, model.pixel_range) if raw else images) for images in _chunks(split.images)]
    outputs = np.concatenate([answer.outputs for answer in answers]).astype(np.float64)
    wanted = raw_outputs.astype(np.float64) if raw else expected(model.answer, raw_outputs)
    if outputs.shape != wanted.shape:
        raise DifferentError(f"the export gives outputs of the shape {outputs.shape}, where {wanted.shape} is right")
    digits = predicted_digits(outputs) if raw else np.concatenate([answer.digits for answer in answers])
    return _judged(predicted_digits(raw_outputs), digits, _distances(wanted, outputs, raw_outputs), split.labels, int8)


def expected(answer: str, raw_outputs: np.ndarray) -> np.ndarray:
    """Return what a complete export should give for raw outputs [n, k]: probabilities [n, 10] or values [n]."""
    outputs = raw_outputs.astype(np.float64)
    if answer == "value":
        return outputs.max(axis=1)
    powers = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def _distances(wanted: np.ndarray, outputs: np.ndarray, raw_outputs: np.ndarray) -> np.ndarray:
    """Return the largest difference of each digit, relative to the largest raw output of all, float64 [n]."""
    # A probability differs by at most half of what the scores differ by, so that one scale serves both.
    scale = max(float(np.abs(raw_outputs).max()), 1e-30)
    distances = np.abs(outputs - wanted).reshape(len(outputs), -1).max(axis=1) / scale
    return np.where(np.isfinite(distances), distances, np.inf)


def _judged(
    wanted: np.ndarray, digits: np.ndarray, distances: np.ndarray, labels: np.ndarray, int8: bool
) -> Comparison:
    changed = np.flatnonzero(digits != wanted)
    lost = int((wanted == labels).sum() - (digits == labels).sum())
    result = Comparison(len(labels), float(distances.max()), len(changed), float((digits == labels).mean()), lost)
    if int8:
        allowed = [math.ceil(limit * len(labels) / 10_000) for limit in (MAX_CHANGED, MAX_LOST)]
        if len(changed) > allowed[0] or lost > allowed[1]:
            raise DifferentError(
                f"in int8, {len(changed)} of {len(labels):,} answers change and {lost} right ones are lost, where at "
                f"most {allowed[0]} and {allowed[1]} are allowed; evaluation digit {changed[0]} is "
                f"{digits[changed[0]]} instead of {wanted[changed[0]]}: export in float32"
            )
        return result
    if len(changed):
        first = changed[0]
        raise DifferentError(
            f"the export answers {digits[first]} instead of {wanted[first]} for evaluation digit {first} (outputs "
            f"differ by {distances[first]:.1e} of the largest), and {len(changed)} of {len(labels):,} answers differ"
        )
    if distances.max() > TOLERANCE:
        worst = int(distances.argmax())
        raise DifferentError(
            f"the outputs of evaluation digit {worst} differ by {distances[worst]:.1e} of the largest output, more "
            f"than {TOLERANCE:.0e}"
        )
    return result


def _chunks(images: np.ndarray) -> Iterator[np.ndarray]:
    for first in range(0, len(images), BATCH):
        yield np.ascontiguousarray(images[first : first + BATCH])

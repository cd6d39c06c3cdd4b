"""Digits that look alike to a net: those with the nearest features, which are what its last layer is given."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from paddle_mnist.fast.frozen import Frozen
from paddle_mnist.inspection.activations import Inside
from paddle_mnist.loader import to_input
from paddle_mnist.program import IMAGES


class Neighbours(NamedTuple):
    """The nearest digits, the nearest first.

    Attributes:
        indices: int64 [k].
        distances: Euclidean, between features, float32 [k].
    """

    indices: np.ndarray
    distances: np.ndarray


def feature_extractor(
    inside: Inside, weights: dict[str, np.ndarray], pixel_range: str = "01"
) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function that gives the features, float32 [n, features], of images uint8 [n, 28, 28].

    Args:
        inside: of the net.
        weights: as ``Inside.weights`` returns them.
        pixel_range: what the net was trained on.
    """
    name = inside.last_layer.inputs[0]
    before = None if name == IMAGES else Frozen(inside.graph.until(name), weights)

    def features(images: np.ndarray) -> np.ndarray:
        pixels = to_input(images, pixel_range)
        return (pixels if before is None else before(pixels)).reshape(len(images), -1)

    return features


def nearest(known: np.ndarray, one: np.ndarray, count: int = 10) -> Neighbours:
    """Return which rows of ``known``, float32 [n, features], lie nearest to ``one``, float32 [features]."""
    squares = np.empty(len(known), np.float32)
    for first in range(0, len(known), 1000):  # so that the differences stay in the processor's cache
        difference = known[first : first + 1000] - one
        squares[first : first + 1000] = np.einsum("ij,ij->i", difference, difference)
    order = np.argsort(squares, kind="stable")[:count]
    return Neighbours(order, np.sqrt(squares[order]))

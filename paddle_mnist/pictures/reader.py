"""The reader that comes with the package: a small convolutional net, evaluated with NumPy.

It knows eleven classes, the ten digits and "no single digit", and its probabilities are calibrated. Its weights lie
beside this file in ``reader.npz``; ``tools/train_reader.py`` trains them. No other library is loaded, so that a picture
is read within a second of the command's start.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from paddle_mnist.augment import averaged

WEIGHTS = Path(__file__).with_name("reader.npz")
POOLED = (1, 3)  # the convolutions whose results are halved by 2×2 max pooling
CLASSES, NO_DIGIT = 11, 10
BATCH = 16  # images that go through the net at once: what they need stays in the cache


class Prediction(NamedTuple):
    """What a net predicts for some images.

    Attributes:
        digits: int64 [n]; -1 where the net says that an image shows no single digit.
        values: the winning raw outputs, float32 [n]; the number on the line where the net regresses.
        probabilities: of each digit, float64 [n, 10], or ``None`` from a net that has none. What a row lacks to 1 is
            the probability of no single digit; only the bundled reader has such.
    """

    digits: np.ndarray
    values: np.ndarray
    probabilities: np.ndarray | None


Predictor = Callable[[np.ndarray], Prediction]  # takes images uint8 [n, 28, 28], white ink on black


def bundled_reader(images: np.ndarray) -> Prediction:
    """Predict with the bundled reader; see ``Predictor``."""
    return prediction(_outputs(images))


def averaged_reader(images: np.ndarray) -> Prediction:
    """Predict like ``bundled_reader``, from the mean of the outputs for each image and copies moved by a pixel.

    It takes five times as long, and makes fewer errors.
    """
    return prediction(averaged(_outputs, images))


def prediction(outputs: np.ndarray) -> Prediction:
    """Return what the reader's raw outputs, float32 [n, 11], mean."""
    classes = outputs.argmax(axis=1)
    scaled = outputs.astype(np.float64) / float(weights()["temperature"])
    shares = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    return Prediction(np.where(classes == NO_DIGIT, -1, classes), outputs.max(axis=1), shares[:, :NO_DIGIT])


def with_prior(probabilities: np.ndarray, factor: float) -> np.ndarray:
    """Return probabilities [n, 10] for pictures among which no digit is so many times as frequent as in training."""
    digits = probabilities.sum(axis=1, keepdims=True)
    return probabilities / (digits + factor * (1 - digits).clip(0))


def _outputs(images: np.ndarray) -> np.ndarray:
    """Return the raw outputs, float32 [n, 11]."""
    parts = [_forward(images[first : first + BATCH]) for first in range(0, len(images), BATCH)]
    return np.concatenate(parts) if parts else np.zeros((0, CLASSES), np.float32)


def _forward(images: np.ndarray) -> np.ndarray:
    """Return the raw outputs for one batch: convolutions with ReLU, two 2×2 poolings, one affine layer."""
    net = weights()
    x = images[..., np.newaxis] / np.float32(255)  # [n, h, w, channels]
    for index in range(1, 1 + sum(name.startswith("conv") and name.endswith("weight") for name in net)):
        x = np.maximum(_convolved(x, net[f"conv{index}.weight"]) + net[f"conv{index}.bias"], 0)
        if index in POOLED:
            x = _pooled(x)
    return x.transpose(0, 3, 1, 2).reshape(len(x), -1) @ net["output.weight"] + net["output.bias"]


def _convolved(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Correlate x [n, h, w, c] with filters [filters, c, k, k]; the field keeps its size.

    The k columns that a filter covers are laid side by side once, and each of its rows is one matrix product with
    them, moved by a row: that takes 1/k of the memory of the usual product, and half of its time.
    """
    n, height, width, channels = x.shape
    filters, _, size, _ = weight.shape
    half = size // 2
    # np.pad would take as long as the product.
    around = np.zeros((n, height + 2 * half, width + 2 * half, channels), np.float32)
    around[:, half : half + height, half : half + width] = x
    columns = np.stack([around[:, :, column : column + width] for column in range(size)], axis=3)
    result = np.zeros((n, height * width, filters), np.float32)
    for row in range(size):
        moved = columns[:, row : row + height].reshape(n, height * width, size * channels)
        result += moved @ weight[:, :, row].transpose(2, 1, 0).reshape(size * channels, filters)
    return result.reshape(n, height, width, filters)


def _pooled(x: np.ndarray) -> np.ndarray:
    """Take the largest of each 2×2 pixels of [n, h, w, c]."""
    return np.maximum(np.maximum(x[:, ::2, ::2], x[:, 1::2, ::2]), np.maximum(x[:, ::2, 1::2], x[:, 1::2, 1::2]))


@functools.cache
def weights() -> dict[str, np.ndarray]:
    """Return the net's arrays, float32."""
    with np.load(WEIGHTS) as arrays:
        return {name: arrays[name].astype(np.float32) for name in arrays.files}

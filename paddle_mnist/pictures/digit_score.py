"""How likely a component is one whole digit: a small convolutional net that also sees the ink around it.

A classifier cannot tell. Trained on digits only, it is sure of whatever it is shown. This net was trained on what is
not a digit as well: parts of digits that were cut in wrong places, and pairs of digits that touch.
``tools/fit_digit_score.py`` makes them and trains it; its weights lie beside this file. Two convolutions, each with
ReLU and 2×2 max pooling, and two affine layers: small enough for NumPy, whichever classifier reads the digits.
"""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np

from paddle_mnist.pictures.components import Component

WEIGHTS = Path(__file__).with_name("digit_score.npz")
SIDE = 28  # pixels of a view
DIGIT = 20  # pixels in it that the height of a digit becomes
BATCH = 64  # views that go through the net at once


def views(components: list[Component], ink: np.ndarray, height: float) -> np.ndarray:
    """Draw components as the net sees them: on one scale, centred, with the ink around them in a second channel.

    Args:
        components: what to draw.
        ink: where the page has ink, bool [h, w].
        height: of a digit on this page, in pixels.

    Returns:
        uint8 [n, 2, 28, 28]: the component, and the other ink in the same window.
    """
    page = np.where(ink, np.uint8(255), np.uint8(0))
    return np.array([_view(component, page, SIDE / DIGIT * height) for component in components], np.uint8)


def _view(component: Component, page: np.ndarray, window: float) -> list[np.ndarray]:
    """Draw one component; ``window`` is the side in pixels of the square that is seen of the page."""
    from PIL import Image

    left, top, right, bottom = component.box
    x, y = (left + right - window) / 2, (top + bottom - window) / 2
    first_x, first_y = int(np.floor(x)), int(np.floor(y))
    side = int(np.ceil(window)) + 2
    around = np.zeros((side, side), np.uint8)
    seen = page[max(0, first_y) : max(0, first_y + side), max(0, first_x) : max(0, first_x + side)]
    row, column = max(0, -first_y), max(0, -first_x)
    around[row : row + seen.shape[0], column : column + seen.shape[1]] = seen
    rows, columns = component.y - first_y, component.x - first_x
    inside = (rows >= 0) & (rows < side) & (columns >= 0) & (columns < side)
    own = np.zeros_like(around)
    own[rows[inside], columns[inside]] = 255
    around[own > 0] = 0
    box = (x - first_x, y - first_y, x - first_x + window, y - first_y + window)
    return [
        np.asarray(Image.fromarray(layer).resize((SIDE, SIDE), Image.Resampling.BOX, box=box))
        for layer in (own, around)
    ]


def log_probability(views: np.ndarray) -> np.ndarray:
    """Return the logarithm of the probability that each view shows one whole digit, float32 [n].

    Args:
        views: uint8 [n, 2, 28, 28], as ``views`` draws them.
    """
    parts = [_logits(views[first : first + BATCH]) for first in range(0, len(views), BATCH)]
    return -np.logaddexp(0, -np.concatenate(parts))


def _logits(views: np.ndarray) -> np.ndarray:
    net = _weights()
    x = views / np.float32(255)
    for layer in ("first", "second"):
        x = _pooled(np.maximum(_convolved(x, net[f"{layer}.weight"]) + net[f"{layer}.bias"], 0).transpose(0, 3, 1, 2))
    hidden = np.maximum(x.reshape(len(x), -1) @ net["hidden.weight"] + net["hidden.bias"], 0)
    return (hidden @ net["output.weight"] + net["output.bias"])[:, 0]


def _convolved(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Correlate x [n, c, h, w] with filters [filters, c, k, k], without padding: [n, h', w', filters]."""
    windows = np.lib.stride_tricks.sliding_window_view(x, weight.shape[2:], axis=(2, 3))
    return np.tensordot(windows, weight, axes=((1, 4, 5), (1, 2, 3)))


def _pooled(x: np.ndarray) -> np.ndarray:
    """Take the largest of each 2 x 2 pixels of [n, c, h, w]."""
    n, channels, height, width = x.shape
    return x.reshape(n, channels, height // 2, 2, width // 2, 2).max(axis=(3, 5))


@functools.cache
def _weights() -> dict[str, np.ndarray]:
    """Return the net's arrays, float32, as ``tools/fit_digit_score.py`` names them."""
    with np.load(WEIGHTS) as arrays:
        return {name: arrays[name].astype(np.float32) for name in arrays.files}

"""How much a stroke looks like one whole digit: a small convolutional net that sees what stands around it, too.

A classifier cannot say so. Taught nothing but digits, it is sure of whatever it is shown. This net was taught what is
no digit: parts of digits that were cut at wrong places, and two digits that touch. ``tools/fit_likeness.py`` makes them
up and trains it; its weights lie beside this file. Two convolutions, each with ReLU and 2 x 2 maximum pooling, and two
affine layers: little enough to run in NumPy, whatever net reads the digits afterwards.
"""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np

from paddle_mnist.pictures.components import Stroke

WEIGHTS = Path(__file__).with_name("digit_score.npz")
SIDE = 28  # pixels of a view
DIGIT = 20  # pixels in it that the height of a digit becomes
_TOGETHER = 64  # views that go through the net at once


def views(strokes: list[Stroke], ink: np.ndarray, height: float) -> np.ndarray:
    """Draw strokes as the net sees them: all on one scale, each in the middle, and beside it the ink around.

    Args:
        strokes: what to look at.
        ink: where the page has any, bool [h, w].
        height: of a digit of this page, in pixels.

    Returns:
        uint8 [n, 2, 28, 28]: the stroke, and the other ink in the same window.
    """
    page = np.where(ink, np.uint8(255), np.uint8(0))
    return np.array([_view(stroke, page, SIDE / DIGIT * height) for stroke in strokes], np.uint8)


def _view(stroke: Stroke, page: np.ndarray, window: float) -> list[np.ndarray]:
    """Draw one stroke; ``window`` is the side in pixels of what is seen of the page."""
    from PIL import Image

    left, top, right, bottom = stroke.box
    x, y = (left + right - window) / 2, (top + bottom - window) / 2
    first_x, first_y = int(np.floor(x)), int(np.floor(y))
    side = int(np.ceil(window)) + 2
    around = np.zeros((side, side), np.uint8)
    seen = page[max(0, first_y) : max(0, first_y + side), max(0, first_x) : max(0, first_x + side)]
    row, column = max(0, -first_y), max(0, -first_x)
    around[row : row + seen.shape[0], column : column + seen.shape[1]] = seen
    rows, columns = stroke.y - first_y, stroke.x - first_x
    inside = (rows >= 0) & (rows < side) & (columns >= 0) & (columns < side)
    own = np.zeros_like(around)
    own[rows[inside], columns[inside]] = 255
    around[own > 0] = 0
    box = (x - first_x, y - first_y, x - first_x + window, y - first_y + window)
    return [
        np.asarray(Image.fromarray(layer).resize((SIDE, SIDE), Image.Resampling.BOX, box=box))
        for layer in (own, around)
    ]


def log_likeness(views: np.ndarray) -> np.ndarray:
    """Return the logarithm of the probability that each view shows one whole digit, float32 [n].

    Args:
        views: uint8 [n, 2, 28, 28], as ``views`` draws them.
    """
    parts = [_logits(views[first : first + _TOGETHER]) for first in range(0, len(views), _TOGETHER)]
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
    """Return the net's arrays, float32, as ``tools/fit_likeness.py`` names them."""
    with np.load(WEIGHTS) as arrays:
        return {name: arrays[name].astype(np.float32) for name in arrays.files}

"""Which pixels an answer depends on: by its gradient, and by covering parts of the digit."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import paddle

from paddle_mnist.inspection.activations import Inside
from paddle_mnist.loader import to_input

PATCH = 5  # pixels of the square that is covered


def gradient(
    inside: Inside, weights: dict[str, np.ndarray], image: np.ndarray, output: int, pixel_range: str = "01"
) -> np.ndarray:
    """Return how fast a raw output grows with each pixel, float32 [28, 28], where full ink is 1 and paper 0.

    Args:
        inside: of the net.
        weights: as ``Inside.weights`` returns them.
        image: uint8 [28, 28].
        output: the number of the output.
        pixel_range: what the net was trained on.
    """
    paper, ink = (float(to_input(np.full((1, 28, 28), value, np.uint8), pixel_range).max()) for value in (0, 255))
    pixels = paddle.to_tensor(to_input(image[np.newaxis], pixel_range))
    pixels.stop_gradient = False
    result = inside.run(weights, pixels)[inside.graph.output][0, output]
    (slope,) = paddle.grad(result, pixels)
    return slope.numpy()[0, 0] * np.float32(ink - paper)


def occlusion(outputs: Callable[[np.ndarray], np.ndarray], image: np.ndarray, output: int) -> np.ndarray:
    """Return how much a raw output falls when the patch around each pixel is covered with paper, float32 [28, 28].

    Positive where the ink, or the lack of it elsewhere, speaks for the output. A patch without ink changes nothing.

    Args:
        outputs: returns a net's raw outputs [n, k] for images uint8 [n, 28, 28].
        image: uint8 [28, 28].
        output: the number of the output.
    """
    side, half = len(image), PATCH // 2
    fall = np.zeros((side, side), np.float32)
    padded = np.pad(image, half)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (PATCH, PATCH))
    places = np.argwhere(windows.any(axis=(2, 3)))
    if not len(places):
        return fall
    covered = np.repeat(padded[np.newaxis], len(places), axis=0)
    for number, (row, column) in enumerate(places):
        covered[number, row : row + PATCH, column : column + PATCH] = 0
    covered = covered[:, half : half + side, half : half + side]
    found = outputs(np.concatenate([image[np.newaxis], covered]))[:, output]
    fall[tuple(places.T)] = found[0] - found[1:]
    return fall

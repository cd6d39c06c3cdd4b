"""Exercises of lab 8: what one output sees of the image, max pooling, and a convolution layer in NumPy."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from paddle_mnist.labs.exercises.base import Answer, Exercise, Slip, call, expect

Layers = list[tuple[int, int]]  # kernel and stride of each

_FIELD = '''
def receptive_field(layers):
    """Return how many pixels of the image, along one axis, one output of the last layer depends on.

    layers: a list of (kernel, stride), from the image on; convolutions and poolings alike.
    Returns: an integer. Without a layer it is 1: the pixel itself.
    """
'''

_POOL = '''
def max_pool(x, size):
    """Return the largest number of each square of size × size; the squares do not overlap.

    Rows and columns at the bottom and on the right that do not fill a square are ignored.
    x: numbers [h, w].  size: an integer.
    Returns: an array [h // size, w // size].
    """
'''

_CONVOLVE = '''
def convolve(images, kernels, biases, padding):
    """Return what a convolution layer with stride 1 computes, with NumPy alone.

    images: float64 [n, channels, h, w].  kernels: float64 [outputs, channels, k, k].  biases: float64 [outputs].
    padding: how many rows and columns of zeros are put around every image.
    Returns: an array [n, outputs, h + 2 padding - k + 1, w + 2 padding - k + 1].
    """
'''


def _check_field(answer: Answer) -> None:
    cases: tuple[Layers, ...] = (
        [(5, 1)],
        [(3, 1), (3, 1)],
        [(5, 1), (3, 2)],
        [(5, 1), (2, 2), (5, 1), (2, 2)],
        [(2, 2), (3, 1), (2, 2), (3, 1)],
        [(3, 2), (3, 2), (3, 2)],
        [(5, 3), (2, 1), (3, 2), (4, 1)],
        [(3, 1)] * 10,
        [],
    )
    for layers in cases:
        on = f"layers {layers}"
        strides = [stride for _, stride in layers]
        wanted = _field(layers, _spacings(layers))
        backwards = layers[::-1]
        slips: list[Slip] = [
            (math.prod(kernel for kernel, _ in layers), "sizes do not multiply: neighbouring windows overlap"),
            (sum(kernel for kernel, _ in layers), "a layer adds kernel - 1 steps to what was seen before, not kernel"),
            (wanted - 1, "the pixel itself counts too: begin with 1"),
            (
                _field(layers, [math.prod(strides[: place + 1]) for place in range(len(layers))]),
                "a stride spreads the layers after it: add the layer first, then multiply the spacing",
            ),
            (
                _field(layers, [1 + sum(strides[:place]) for place in range(len(layers))]),
                "strides multiply: after strides of 2 and 2, neighbours lie 4 pixels apart",
            ),
            (
                _field(backwards, _spacings(backwards)),
                "the spacing grows from the image on: begin with the first layer",
            ),
            (
                _field(layers, [1] * len(layers)),
                "the strides are not used: after a stride of 2, neighbours lie 2 pixels apart",
            ),
            (math.prod(strides), "this is the distance between neighbouring outputs, not what one of them sees"),
        ]
        found = call(answer, layers, on=on)
        expect(found, wanted, on, slips, "draw the layers as rows of dots, and mark what one dot of the last row sees")


def _field(layers: Layers, spacings: Sequence[int]) -> int:
    return 1 + sum((kernel - 1) * spacing for (kernel, _), spacing in zip(layers, spacings, strict=True))


def _spacings(layers: Layers) -> list[int]:
    """Return how many pixels of the image lie between neighbouring inputs of each layer."""
    return [math.prod(stride for _, stride in layers[:place]) for place in range(len(layers))]


def _check_pool(answer: Answer) -> None:
    rng = np.random.default_rng(0)
    for x, size, on in (
        (np.array([[2.0, 1.0], [3.0, 4.0]]), 2, "x = [[2, 1], [3, 4]], size 2"),
        (np.arange(24.0).reshape(4, 6), 2, "x = 0 to 23 in 4 rows of 6, size 2"),
        (-np.arange(1.0, 17).reshape(4, 4), 2, "x = -1 to -16 in 4 rows of 4, all negative, size 2"),
        (rng.standard_normal((6, 9)), 3, "random numbers [6, 9], size 3"),
        (rng.standard_normal((5, 7)), 2, "random numbers [5, 7], which 2 does not divide, size 2"),
        (rng.standard_normal((8, 8)), 3, "random numbers [8, 8], which 3 does not divide, size 3"),
    ):
        h, w = x.shape[0] // size, x.shape[1] // size
        squares = x[: h * size, : w * size].reshape(h, size, w, size)
        wanted = squares.max(axis=(1, 3))
        slips = [
            (squares.min(axis=(1, 3)), "this is the smallest: return the largest"),
            (squares.sum(axis=(1, 3)), "this is the sum: return the largest"),
            (squares.mean(axis=(1, 3)), "this is the average: return the largest"),
            (np.maximum(wanted, 0), "the largest of negative numbers is negative: do not begin with 0"),
            (squares[:, 0, :, 0], "this is the first number of each square"),
            (squares.max(axis=(0, 2)), "the squares' own axes are 1 and 3 after the reshape"),
            (
                x[: h * size, : w * size].reshape(h, w, size, size).max(axis=(2, 3)),
                "reshape to [h, size, w, size]: an array is stored row by row",
            ),
            (_slid_maximum(x, size), "the squares do not overlap: move by size, not by 1"),
            (wanted.T, "rows and columns are exchanged"),
        ]
        left = "ignore the rows and columns that do not fill a square: cut them off first"
        found = call(answer, x, size, on=on, fails={ValueError: left, IndexError: left})
        expect(found, wanted, on, slips, left if x.shape != (h * size, w * size) else "")


def _slid_maximum(x: np.ndarray, size: int) -> np.ndarray:
    return np.lib.stride_tricks.sliding_window_view(x, (size, size)).max(axis=(2, 3))


_OWN_KERNEL = "every output uses the first kernel: each has its own"


def _check_convolve(answer: Answer) -> None:
    rng = np.random.default_rng(0)
    step = np.array([[[[1.0, 2.0], [3.0, 4.0]]]])
    for images, kernels, biases, padding, on in (
        (
            np.arange(9.0).reshape(1, 1, 3, 3),
            step,
            np.zeros(1),
            0,
            "an image 0 to 8 in 3 rows, kernel [[1, 2], [3, 4]]",
        ),
        (
            np.arange(9.0).reshape(1, 1, 3, 3),
            step,
            np.array([10.0]),
            0,
            "an image 0 to 8 in 3 rows, kernel [[1, 2], [3, 4]], bias 10",
        ),
        (
            np.arange(9.0).reshape(1, 1, 3, 3),
            step,
            np.zeros(1),
            1,
            "an image 0 to 8 in 3 rows, kernel [[1, 2], [3, 4]], padding 1",
        ),
        (
            rng.standard_normal((2, 3, 5, 6)),
            rng.standard_normal((4, 3, 3, 3)),
            rng.standard_normal(4),
            1,
            "two images of 3 channels [5, 6], 4 kernels 3×3, padding 1",
        ),
    ):
        shapes = {ValueError: "shapes do not fit: add the bias of each output as biases[:, np.newaxis, np.newaxis]"}
        found = call(answer, images, kernels, biases, padding, on=on, fails=shapes if len(biases) > 1 else "")
        wanted = _convolved(images, kernels, biases, padding)
        none = np.zeros_like(biases)
        slips = [
            (
                _convolved(images, kernels[:, :, ::-1, ::-1], biases, padding),
                "the kernel is rotated by 180°: nets use it as it is",
            ),
            (
                _convolved(images, kernels.swapaxes(2, 3), biases, padding),
                "the kernel's rows and columns are exchanged",
            ),
            *(
                [(_convolved(images, np.repeat(kernels[:1], len(kernels), 0), biases, padding), _OWN_KERNEL)]
                if len(kernels) > 1
                else []
            ),
            (_convolved(images, kernels, none, padding), "the bias of each output is not added"),
            (_convolved(images, kernels, biases, 0), "the padding is missing"),
            (wanted[:, :, padding:, padding:], "the padding is on one side only: at the bottom and on the right"),
            (
                wanted[:, :, : wanted.shape[2] - padding, : wanted.shape[3] - padding],
                "the padding is on one side only: at the top and on the left",
            ),
            (wanted.transpose(0, 2, 3, 1), "the outputs are the second axis: [n, outputs, height, width]"),
            (
                _convolved(images[:, :1], kernels[:, :1], biases, padding),
                "only the first channel is used: add up all channels",
            ),
            (_convolved(images, kernels, biases * images.shape[1], padding), "add the bias once, not for each channel"),
        ]
        everywhere = np.zeros((len(images) + 2 * padding, *wanted.shape[1:])) + none[:, np.newaxis, np.newaxis]
        why = "compute the output at [0, 0, 0, 0] by hand"
        if np.shape(found) == everywhere.shape != wanted.shape:
            why = "the batch is padded too: pad the last two axes only"
        expect(found, wanted, on, slips, why)


def _convolved(images: np.ndarray, kernels: np.ndarray, biases: np.ndarray, padding: int) -> np.ndarray:
    framed = np.pad(images, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    windows = np.lib.stride_tricks.sliding_window_view(framed, kernels.shape[2:], axis=(2, 3))  # [n, c, h, w, k, k]
    return np.einsum("nchwij,ocij->nohw", windows, kernels) + biases[:, np.newaxis, np.newaxis]


EXERCISES = (
    Exercise(
        _FIELD,
        _check_field,
        (
            (
                "Draw two layers of kernel 3 as rows of dots: one dot sees 3 dots, and these see 5 pixels. Now let the "
                "first layer have stride 2.",
                "把两个核为 3 的层画成几行点：一个点看到 3 个点，这 3 个点看到 5 个像素。再让第一层的步幅为 2。",
            ),
            (
                "Keep two numbers, size = 1 and spacing = 1. Each layer adds (kernel - 1) * spacing to the size; then "
                "its stride multiplies the spacing.",
                "保存两个数：size = 1，spacing = 1。每一层给 size 加上 (kernel - 1) * spacing，"
                "然后 spacing 乘以这一层的步幅。",
            ),
        ),
    ),
    Exercise(
        _POOL,
        _check_pool,
        (
            ("First cut off what does not fill a square.", "先切掉填不满一个方格的行和列。"),
            (
                "x.reshape(h, size, w, size): the axes 1 and 3 run within a square.",
                "x.reshape(h, size, w, size)：轴 1 和轴 3 在方格内部。",
            ),
        ),
    ),
    Exercise(
        _CONVOLVE,
        _check_convolve,
        (
            (
                "numpy.pad makes the frame; then two loops over the positions of the kernel, i and j.",
                "用 numpy.pad 加边框；然后对核的位置 i 和 j 写两层循环。",
            ),
            (
                "At a position, window = x[:, :, i : i + k, j : j + k] is [n, channels, k, k]; its output is "
                "numpy.einsum('ncij,ocij->no', window, kernels) + biases.",
                "在某个位置，window = x[:, :, i : i + k, j : j + k] 的形状是 [n, channels, k, k]；"
                "它的输出是 numpy.einsum('ncij,ocij->no', window, kernels) + biases。",
            ),
        ),
    ),
)

"""Right answers to lab 8."""

import numpy as np


def receptive_field(layers):
    size, spacing = 1, 1
    for kernel, stride in layers:
        size += (kernel - 1) * spacing
        spacing *= stride
    return size


def max_pool(x, size):
    h, w = x.shape[0] // size, x.shape[1] // size
    return x[: h * size, : w * size].reshape(h, size, w, size).max(axis=(1, 3))


def convolve(images, kernels, biases, padding):
    x = np.pad(images, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    k = kernels.shape[-1]
    y = np.empty((len(x), len(kernels), x.shape[2] - k + 1, x.shape[3] - k + 1))
    for i in range(y.shape[2]):
        for j in range(y.shape[3]):
            y[:, :, i, j] = np.einsum("ncij,ocij->no", x[:, :, i : i + k, j : j + k], kernels) + biases
    return y

"""Right answers to lab 16."""

import numpy as np


def conv_operations(n, channels, height, width, kernels, size):
    return 2 * (n * kernels * height * width) * (channels * size * size)


def smallest_time(work, clock, repeats):
    work()
    times = []
    for _ in range(repeats):
        began = clock()
        work()
        times.append(clock() - began)
    return min(times)


def col2im(patches, shape, size):
    n, channels, height, width = shape
    rows, columns = height - size + 1, width - size + 1
    blocks = patches.reshape(n, rows, columns, channels, size, size)
    images = np.zeros(shape)
    for r in range(rows):
        for c in range(columns):
            images[:, :, r : r + size, c : c + size] += blocks[:, r, c]
    return images

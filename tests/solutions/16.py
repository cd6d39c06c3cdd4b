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


def im2col(images, size):
    windows = np.lib.stride_tricks.sliding_window_view(images, (size, size), axis=(2, 3))
    n, channels, height, width = windows.shape[:4]
    return windows.transpose(0, 2, 3, 1, 4, 5).reshape(n * height * width, channels * size * size)

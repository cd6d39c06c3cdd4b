"""Wrong answers to lab 16, each with a slip that its name tells."""

import numpy as np


def conv_operations__counts_multiplications_only(n, channels, height, width, kernels, size):
    return n * kernels * height * width * channels * size * size


def conv_operations__forgets_the_channels(n, channels, height, width, kernels, size):
    return 2 * n * kernels * height * width * size * size


def conv_operations__forgets_the_padding(n, channels, height, width, kernels, size):
    return 2 * n * kernels * (height - size + 1) * (width - size + 1) * channels * size * size


def conv_operations__takes_size_once(n, channels, height, width, kernels, size):
    return 2 * n * kernels * height * width * channels * size


def _times(work, clock, repeats):
    times = []
    for _ in range(repeats):
        began = clock()
        work()
        times.append(clock() - began)
    return times


def smallest_time__counts_the_first_call(work, clock, repeats):
    return min(_times(work, clock, repeats + 1))


def smallest_time__without_a_first_call(work, clock, repeats):
    return min(_times(work, clock, repeats))


def smallest_time__takes_the_mean(work, clock, repeats):
    work()
    return float(np.mean(_times(work, clock, repeats)))


def smallest_time__measures_all_together(work, clock, repeats):
    work()
    began = clock()
    for _ in range(repeats):
        work()
    return (clock() - began) / repeats


def smallest_time__never_calls_after_the_first(work, clock, repeats):
    work()
    times = []
    for _ in range(repeats):
        began = clock()
        times.append(clock() - began)
    return min(times)


def _rows(images, size, order):
    windows = np.lib.stride_tricks.sliding_window_view(images, (size, size), axis=(2, 3))
    return windows.transpose(order).reshape(-1, images.shape[1] * size * size)


def im2col__without_transpose(images, size):
    return _rows(images, size, (0, 1, 2, 3, 4, 5))


def im2col__channels_last(images, size):
    return _rows(images, size, (0, 2, 3, 4, 5, 1))


def im2col__columns_first(images, size):
    return _rows(images, size, (0, 3, 2, 1, 4, 5))


def im2col__places_before_images(images, size):
    return _rows(images, size, (2, 3, 0, 1, 4, 5))


def im2col__leaves_out_the_last_places(images, size):
    n, _, height, width = images.shape
    return np.stack(
        [
            images[i, :, row : row + size, column : column + size].ravel()
            for i in range(n)
            for row in range(height - size)
            for column in range(width - size)
        ]
    )

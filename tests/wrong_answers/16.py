"""Wrong answers to lab 16, each with a slip that its name tells."""

import numpy as np


def conv_operations__counts_multiplications_only(n, channels, height, width, kernels, size):
    """a multiplication and an addition for each number: two operations"""
    return n * kernels * height * width * channels * size * size


def conv_operations__forgets_the_channels(n, channels, height, width, kernels, size):
    """a kernel covers all channels of the image"""
    return 2 * n * kernels * height * width * size * size


def conv_operations__forgets_the_padding(n, channels, height, width, kernels, size):
    """the images are padded: outputs have their height and width"""
    return 2 * n * kernels * (height - size + 1) * (width - size + 1) * channels * size * size


def conv_operations__takes_size_once(n, channels, height, width, kernels, size):
    """the patch has size × size pixels"""
    return 2 * n * kernels * height * width * channels * size


def _times(work, clock, repeats):
    times = []
    for _ in range(repeats):
        began = clock()
        work()
        times.append(clock() - began)
    return times


def smallest_time__counts_the_first_call(work, clock, repeats):
    """the first call must not count: it loads and prepares"""
    return min(_times(work, clock, repeats + 1))


def smallest_time__without_a_first_call(work, clock, repeats):
    """once unmeasured, then repeats times"""
    return min(_times(work, clock, repeats))


def smallest_time__takes_the_mean(work, clock, repeats):
    """this is the mean: disturbances only add time, so return the smallest"""
    work()
    return float(np.mean(_times(work, clock, repeats)))


def smallest_time__measures_all_together(work, clock, repeats):
    """this measures all calls together: measure each separately and return the smallest"""
    work()
    began = clock()
    for _ in range(repeats):
        work()
    return (clock() - began) / repeats


def smallest_time__never_calls_after_the_first(work, clock, repeats):
    """work is not called between the two readings of the clock"""
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
    """reshape does not exchange axes: transpose first"""
    return _rows(images, size, (0, 1, 2, 3, 4, 5))


def im2col__channels_last(images, size):
    """in a row, one channel follows the other; here they alternate pixel by pixel"""
    return _rows(images, size, (0, 2, 3, 4, 5, 1))


def im2col__columns_first(images, size):
    """the patches go from left to right first, then to the next line"""
    return _rows(images, size, (0, 3, 2, 1, 4, 5))


def im2col__places_before_images(images, size):
    """all patches of one image come before those of the next"""
    return _rows(images, size, (2, 3, 0, 1, 4, 5))


def im2col__leaves_out_the_last_places(images, size):
    """patches at the right or lower edge are missing: there are height - size + 1 rows of them"""
    n, _, height, width = images.shape
    return np.stack(
        [
            images[i, :, row : row + size, column : column + size].ravel()
            for i in range(n)
            for row in range(height - size)
            for column in range(width - size)
        ]
    )

"""Exercises of lab 16: counting operations, measuring a time, and im2col."""

from __future__ import annotations

import numpy as np

from paddle_mnist.labs.exercises.base import Answer, Exercise, Wrong, call, expect

_OPERATIONS = '''
def conv_operations(n, channels, height, width, kernels, size):
    """Return how many operations a convolution does, forward, without the bias.

    For each output, every number of the patch under the kernel is multiplied by a weight, and every product is added:
    two operations for each number. Outputs are as high and wide as the images (padded, stride 1).
    n: images in the batch.  channels: of the images.  kernels: how many; each gives an output channel.
    size: the kernels are size × size.
    Returns: an integer.
    """
'''

_TIME = '''
def smallest_time(work, clock, repeats):
    """Return the smallest time that a call of work takes, measured with clock.

    work is called once before anything is measured, and then repeats times, each call measured by itself.
    work: a function without arguments.  clock: a function without arguments that returns the time in seconds.
    repeats: at least 1.
    Returns: seconds.
    """
'''

_IM2COL = '''
def im2col(images, size):
    """Return all patches of size × size pixels, each laid out as a row.

    The patches lie wholly inside the images (no padding), one pixel apart. Rows: image by image, in each from the top
    down, and in each line from left to right. In a row: channel by channel, and each channel's pixels line by line.
    images: [n, channels, height, width].  size: not larger than height and width.
    Returns: [n * (height - size + 1) * (width - size + 1), channels * size * size], of the images' dtype.
    """
'''


def _check_operations(answer: Answer) -> None:
    for n, channels, height, width, kernels, size in (
        (1, 1, 28, 28, 1, 1),
        (100, 1, 28, 28, 20, 5),
        (100, 20, 14, 14, 20, 5),
        (2, 3, 5, 7, 4, 3),
    ):
        pixels, patch = height * width, channels * size * size
        wanted = 2 * n * kernels * pixels * patch
        inside = (height - size + 1) * (width - size + 1)
        slips = [
            (wanted // 2, "a multiplication and an addition for each number: two operations"),
            (wanted // channels, "a kernel goes through all channels of the image"),
            (wanted // kernels, "each kernel gives outputs of its own"),
            (wanted // n, "there are n images"),
            (wanted // size, "the patch is size high and size wide"),
            (2 * n * kernels * inside * patch, "the images are padded: outputs are as high and wide as they are"),
            (n * kernels * pixels * (2 * patch - 1), "every product is added, the first one too: two for each number"),
        ]
        on = f"n = {n}, channels = {channels}, height = {height}, width = {width}, kernels = {kernels}, size = {size}"
        expect(
            call(answer, n, channels, height, width, kernels, size, on=on),
            wanted,
            on,
            slips,
            "outputs times the numbers in a patch times 2",
            tolerance=1e-9,
        )


def _check_time(answer: Answer) -> None:
    for first, times in ((9.0, [3.0, 2.0, 4.0]), (0.5, [3.0, 2.0, 4.0, 8.0]), (7.0, [5.0]), (1.0, [2.0, 2.5])):
        now, calls, before = [100.0], [0], [0.25]
        every = [first, *times]

        def work(now=now, calls=calls, every=every):
            now[0] += every[calls[0]] if calls[0] < len(every) else 1000.0
            calls[0] += 1

        def clock(now=now, before=before):
            now[0] += before[0]  # looking at a clock takes time too, always the same
            return now[0]

        on = f"a work that takes {first:g} s when it is first called, then {times} s, repeats = {len(times)}"
        found = call(answer, work, clock, len(times), on=on)
        slips = [
            (min(every) + 0.25, "the first call is not to count: it loads and prepares"),
            (float(np.mean(times)) + 0.25, "the mean is asked for by nobody: disturbances only ever add"),
            (float(np.median(times)) + 0.25, "that is the median; the smallest is asked for"),
            (sum(times) + 0.25, "each call is measured by itself"),
            ((sum(times) + 0.25) / len(times), "each call is measured by itself, and the smallest taken"),
            (max(times) + 0.25, "that is the largest"),
        ]
        expect(found, min(times) + 0.25, on, slips, "read the clock right before and right after each call")
        if calls[0] != len(every):
            raise Wrong(
                f"work is called {calls[0]} times, where {len(every)} is right",
                on,
                "once unmeasured, then repeats times",
            )


def _check_im2col(answer: Answer) -> None:
    rng = np.random.default_rng(0)
    for n, channels, height, width, size in ((1, 1, 3, 3, 2), (1, 1, 4, 5, 3), (1, 2, 3, 4, 2), (3, 2, 5, 4, 3)):
        images = rng.permutation(n * channels * height * width).astype(np.float32)
        images = images.reshape(n, channels, height, width)
        windows = np.lib.stride_tricks.sliding_window_view(images, (size, size), axis=(2, 3))  # [n, c, h, w, s, s]

        def rows(*order, windows=windows, patch=channels * size * size):
            return windows.transpose(order).reshape(-1, patch)

        wanted = rows(0, 2, 3, 1, 4, 5)
        slips = [
            (rows(0, 2, 3, 4, 5, 1), "in a row, the channels come one after the other, not pixel by pixel"),
            (rows(0, 3, 2, 1, 4, 5), "from left to right first, then the next line"),
            (rows(0, 2, 3, 1, 5, 4), "each channel's pixels line by line: rows before columns"),
            (rows(2, 3, 0, 1, 4, 5), "all patches of an image come before the next image's"),
            (windows.reshape(-1, channels * size * size), "reshape does not exchange axes: transpose before it"),
            (wanted.T, "each patch is a row: this is transposed"),
        ]
        on = f"images of shape {[n, channels, height, width]}, size = {size}"
        expect(call(answer, images, size, on=on), wanted, on, slips, "follow the first two patches by hand")


EXERCISES = (
    Exercise(
        _OPERATIONS,
        _check_operations,
        (
            (
                "How many outputs are there? How many numbers are in the patch of one?",
                "有多少个输出？一个输出的小块里有多少个数？",
            ),
            (
                "Outputs: n * kernels * height * width. In a patch: channels * size * size.",
                "输出：n * kernels * height * width。小块：channels * size * size。",
            ),
        ),
    ),
    Exercise(
        _TIME,
        _check_time,
        (
            ("One call outside the loop; in the loop, two looks at the clock.", "循环外调用一次；循环内看两次时钟。"),
            (
                "began = clock(); work(); times.append(clock() - began); at the end min(times).",
                "began = clock()；work()；times.append(clock() - began)；最后取 min(times)。",
            ),
        ),
    ),
    Exercise(
        _IM2COL,
        _check_im2col,
        (
            (
                "Loops are fine: for each image, each line, each column, cut out the patch and ravel it.",
                "用循环即可：对每张图像、每一行、每一列，取出小块并展平（ravel）。",
            ),
            (
                "images[i, :, row : row + size, column : column + size].ravel() is a row; numpy.stack joins them.",
                "images[i, :, row : row + size, column : column + size].ravel() 是一行；用 numpy.stack 合并。",
            ),
        ),
    ),
)

"""Exercises of lab 16: counting operations, measuring a time, and im2col."""

from __future__ import annotations

import numpy as np

from paddle_mnist.labs.exercises.base import Answer, Exercise, Wrong, call, expect

_OPERATIONS = '''
def conv_operations(n, channels, height, width, kernels, size):
    """Return how many operations the forward pass of a convolution takes, without the bias.

    For each output, every number of the patch under the kernel is multiplied by a weight, and every product is added:
    two operations for each number. Outputs have the height and width of the images (padded, stride 1).
    n: images in the batch.  channels: of the images.  kernels: their number; each gives an output channel.
    size: the kernels are size × size.
    Returns: an integer.
    """
'''

_TIME = '''
def smallest_time(work, clock, repeats):
    """Return the smallest time that a call of work takes, measured with clock.

    work is called once before anything is measured, and then repeats times; each call is measured separately.
    work: a function without arguments.  clock: a function without arguments that returns the time in seconds.
    repeats: at least 1.
    Returns: seconds.
    """
'''

_IM2COL = '''
def im2col(images, size):
    """Return all patches of size × size pixels, each as a row.

    The patches lie entirely inside the images (no padding), one pixel apart. Order of the rows: image by image, in each
    from top to bottom, and in each line from left to right. In a row: channel by channel, each channel line by line.
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
            (wanted // channels, "a kernel covers all channels of the image"),
            (wanted // kernels, "each kernel has its own outputs"),
            (wanted // n, "there are n images"),
            (wanted // size, "the patch has size × size pixels"),
            (2 * n * kernels * inside * patch, "the images are padded: outputs have their height and width"),
            (
                n * kernels * pixels * (2 * patch - 1),
                "every product is added, the first one too: two operations for each number",
            ),
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
            now[0] += before[0]  # reading the clock takes time too
            return now[0]

        on = f"work takes {first:g} s in its first call, then {times} s, repeats = {len(times)}"
        found = call(answer, work, clock, len(times), on=on)
        slips = [
            (min(every) + 0.25, "the first call must not count: it loads and prepares"),
            (float(np.mean(times)) + 0.25, "this is the mean: disturbances only add time, so return the smallest"),
            (float(np.median(times)) + 0.25, "this is the median: return the smallest"),
            (sum(times) + 0.25, "measure each call separately"),
            (
                (sum(times) + 0.25) / len(times),
                "this measures all calls together: measure each separately and return the smallest",
            ),
            (max(times) + 0.25, "this is the largest: return the smallest"),
            (0.25, "work is not called between the two readings of the clock"),
        ]
        expect(found, min(times) + 0.25, on, slips, "read the clock right before and right after each call")
        if calls[0] != len(every):
            raise Wrong(
                f"work is called {calls[0]} times; expected {len(every)}",
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
            (rows(0, 2, 3, 4, 5, 1), "in a row, one channel follows the other; here they alternate pixel by pixel"),
            (rows(0, 3, 2, 1, 4, 5), "the patches go from left to right first, then to the next line"),
            (rows(0, 2, 3, 1, 5, 4), "within a patch, the pixels go line by line"),
            (rows(2, 3, 0, 1, 4, 5), "all patches of one image come before those of the next"),
            (windows.reshape(-1, channels * size * size), "reshape does not exchange axes: transpose first"),
            (wanted.T, "each patch is a row: this is transposed"),
        ]
        on = f"images of shape {[n, channels, height, width]}, size = {size}"
        found = call(answer, images, size, on=on)
        left_out = "patches at the right or lower edge are missing: there are height - size + 1 rows of them"
        expect(
            found,
            wanted,
            on,
            slips,
            left_out if np.ndim(found) == 2 and len(found) < len(wanted) else "follow the first two patches by hand",
        )


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
            ("One call outside the loop; in the loop, read the clock twice.", "循环外调用一次；循环内看两次时钟。"),
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

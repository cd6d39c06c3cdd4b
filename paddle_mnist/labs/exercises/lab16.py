"""Exercises of lab 16: counting operations, measuring a time, and the way back through im2col."""

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

_COL2IM = '''
def col2im(patches, shape, size):
    """Return the gradient of the images, given that of their patches: the way back through the lab's im2col.

    A pixel lies in several patches, and a value that is used several times adds its gradients (lab 3). Patches lie
    wholly inside the images (no padding), one pixel apart. Rows: image by image, in each from the top down, and in each
    line from left to right. In a row: channel by channel, and each channel's pixels line by line.
    patches: [n * (height - size + 1) * (width - size + 1), channels * size * size].
    shape: (n, channels, height, width) of the images.  size: of a patch.
    Returns: an array of that shape.
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
    for first, times in ((9.0, [3.0, 2.0, 7.0]), (0.5, [3.0, 2.0, 4.0, 8.0]), (7.0, [5.0]), (1.0, [2.0, 2.5])):
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


def _check_col2im(answer: Answer) -> None:
    rng = np.random.default_rng(0)
    for shape, size in (((1, 1, 3, 3), 2), ((1, 1, 4, 5), 3), ((1, 2, 3, 4), 2), ((3, 2, 5, 4), 3)):
        n, channels, height, width = shape
        rows, columns = height - size + 1, width - size + 1
        patches = rng.integers(1, 100, (n * rows * columns, channels * size * size)).astype(float)
        wanted = _col2im(patches, shape, size)
        counts = _col2im(np.ones_like(patches), shape, size)
        slips = [
            (_col2im(patches, shape, size, add=False), "a later patch overwrites: add, since gradients add up"),
            (wanted / counts, "this is the average of the patches: add them up"),
            (
                _col2im(patches, shape, size, order=(0, 1, 3, 2)),
                "each channel's pixels line by line: rows before columns",
            ),
            (_col2im(patches, shape, size, across=False), "from left to right first, then the next line"),
            (
                _col2im(patches, shape, size, last=True),
                "in a row, channel by channel: reshape to [channels, size, size]",
            ),
        ]
        on = f"shape = {shape}, size = {size}"
        expect(call(answer, patches, shape, size, on=on), wanted, on, slips, "follow the first two patches by hand")


def _col2im(patches, shape, size, add=True, order=(0, 1, 2, 3), across=True, last=False):
    """Add the patches up; the other arguments do it wrongly."""
    n, channels, height, width = shape
    rows, columns = height - size + 1, width - size + 1
    if last:
        blocks = patches.reshape(-1, size, size, channels).transpose(0, 3, 1, 2)
    else:
        blocks = patches.reshape(-1, channels, size, size).transpose(order)
    images = np.zeros(shape)
    places = [(i, r, c) for i in range(n) for r in range(rows) for c in range(columns)]
    if not across:
        places = [(i, r, c) for i in range(n) for c in range(columns) for r in range(rows)]
    for (i, r, c), block in zip(places, blocks, strict=True):
        target = images[i, :, r : r + size, c : c + size]
        target[...] = target + block if add else block
    return images


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
        _COL2IM,
        _check_col2im,
        (
            (
                "Begin with zeros, walk over the patches in order, and add each one where it came from.",
                "从全零开始，按顺序遍历小块，把每一块加回它原来的位置。",
            ),
            (
                "images[i, :, row : row + size, column : column + size] += patch.reshape(channels, size, size).",
                "对每个小块：images[i, :, row : row + size, column : column + size] += "
                "patch.reshape(channels, size, size)。",
            ),
        ),
    ),
)

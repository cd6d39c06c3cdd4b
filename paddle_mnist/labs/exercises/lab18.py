"""Exercises of lab 18: the gradient of a divided batch, digits that count once, and a sum in a fixed order."""

from __future__ import annotations

import numpy as np

from paddle_mnist.labs.exercises.base import Answer, Exercise, Slip, call, expect

_COMBINE = '''
def combine(gradients, counts):
    """Return the mean gradient of a batch whose samples were divided among workers.

    gradients: a list of arrays of one shape: of each worker, the mean gradient over its own samples.
    counts: the number of samples of each worker, a list of integers, some of which may be 0; not all are.
    Returns: an array of the same shape.
    """
'''

_SHARES = '''
def shares(samples, workers):
    """Return which samples each worker measures, so that each sample is measured exactly once.

    samples: how many there are, at least 0.  workers: at least 1.
    Returns: a list of (start, stop) for each worker in order: it measures start, start + 1, ..., stop - 1. The first
    starts at 0, and each starts where the one before stops. No worker has more than one sample more than another;
    which ones have more is up to you.
    """
'''

_ORDERED = '''
def ordered_sum(blocks):
    """Return the sum of arrays in an order that only their number decides.

    The sum of one array is the array itself. The sum of several is the sum of the first len(blocks) // 2 of them, plus
    the sum of the others, each computed in the same way.
    blocks: a list of at least one float32 array, all of one shape.  They stay as they are.
    Returns: a float32 array of that shape.
    """
'''


def _check_combine(answer: Answer) -> None:
    rng = np.random.default_rng(0)
    for counts in ([50, 50], [50, 50, 50, 50], [75, 25], [33, 33, 34], [7, 0], [1, 2, 3, 4], [10]):
        gradients = [np.round(rng.standard_normal((2, 3)), 2) for _ in counts]
        total = np.sum(gradients, axis=0)
        weighted = sum(g * n for g, n in zip(gradients, counts, strict=True))
        wanted = weighted / sum(counts)
        slips: list[Slip] = [
            (total, "this is the sum: with n workers the step gets n times as long"),
            (total / len(counts), "workers with fewer samples count as much as the others: weight by counts"),
            (weighted, "divide by the number of samples of the whole batch"),
            (weighted / len(counts), "divide by the number of samples, not of workers"),
            (wanted / len(counts), "divide by the number of samples once; the number of workers does not matter"),
        ]
        expect(call(answer, gradients, counts, on=f"counts {counts}"), wanted, f"counts {counts}", slips)


def _check_shares(answer: Answer) -> None:
    for samples, workers in ((10, 1), (10, 2), (10, 3), (500, 7), (7, 4), (3, 5), (0, 2)):
        on = f"samples = {samples}, workers = {workers}"
        found = call(answer, samples, workers, on=on)
        wanted = [(samples * rank // workers, samples * (rank + 1) // workers) for rank in range(workers)]
        if _is_fair(found, samples, workers):
            continue
        up, down = -(-samples // workers), samples // workers
        slips: list[Slip] = [
            (_equal(up, workers), "samples that do not exist are measured, or some twice: the last worker has fewer"),
            (_equal(down, workers), "the remainder is not measured at all: some workers need one more"),
            (
                [(min(up * i, samples), min(up * i + up, samples)) for i in range(workers)],
                "the last worker has far fewer than the others, or nothing: no more than one of difference",
            ),
            (
                [(down * i, down * i + down if i < workers - 1 else samples) for i in range(workers)],
                "the last worker gets the whole remainder: give one to each of several workers",
            ),
            ([(start, stop - 1) for start, stop in wanted], "stop is the first sample that is no longer measured"),
            ([stop - start for start, stop in wanted], "return (start, stop) for each worker, not how many"),
        ]
        expect(found, wanted, on, slips, "every sample once, and numbers that differ by at most one")


def _is_fair(found: object, samples: int, workers: int) -> bool:
    """Return whether a division is one of the right ones."""
    if not isinstance(found, (list, tuple)) or len(found) != workers:
        return False
    try:
        pairs = [(int(start), int(stop)) for start, stop in found]
    except (TypeError, ValueError):
        return False
    sizes = [stop - start for start, stop in pairs]
    edges = [0, *(stop for _, stop in pairs)]
    in_order = all(start == edge for (start, _), edge in zip(pairs, edges, strict=False))
    return in_order and edges[-1] == samples and min(sizes) >= 0 and max(sizes) - min(sizes) <= 1


def _equal(size: int, workers: int) -> list[tuple[int, int]]:
    return [(size * rank, size * (rank + 1)) for rank in range(workers)]


def _check_ordered(answer: Answer) -> None:
    for numbers in (
        [3.0],
        [1.0, 2.0],
        [1.0, 1.0, 3.0, 1e8, -1e8],
        [1.0, 1.0, 1e8, -1e8, 1.0],
        [1e8, 1.0, -1e8, 1.0],
        [1e8, -1e8, 1.0, 1.0, 1e8, 1.0, -1e8],
        [1, 1e8, 1, -1e8, 1],
    ):
        blocks = [np.array([number, 2 * number], np.float32) for number in numbers]
        on = f"blocks that begin with {', '.join(f'{number:g}' for number in numbers)}"
        found = call(answer, blocks, on=on)
        exact = np.sum(np.array(blocks, np.float64), axis=0).astype(np.float32)
        slips: list[Slip] = [
            (_chain(blocks), "this adds one after the other: with several workers, each would need the one before"),
            (_chain(blocks[::-1]), "this adds one after the other, from the end"),
            (exact, "this is rounded once, at the end: each addition has to be done in float32"),
            (_pairs(blocks), "neighbours are paired from the left; split the list in two halves instead"),
            (_halves(blocks, up=True), "the first half has len(blocks) // 2 arrays, rounded down"),
        ]
        expect(found, _halves(blocks), on, slips, "write it as the docstring does: a function that calls itself")


def _halves(blocks: list[np.ndarray], up: bool = False) -> np.ndarray:
    if len(blocks) == 1:
        return blocks[0]
    middle = (len(blocks) + up) // 2
    return _halves(blocks[:middle], up) + _halves(blocks[middle:], up)


def _chain(blocks: list[np.ndarray]) -> np.ndarray:
    total = blocks[0]
    for block in blocks[1:]:
        total = total + block
    return total


def _pairs(blocks: list[np.ndarray]) -> np.ndarray:
    while len(blocks) > 1:
        blocks = [_chain(blocks[i : i + 2]) for i in range(0, len(blocks), 2)]
    return blocks[0]


EXERCISES = (
    Exercise(
        _COMBINE,
        _check_combine,
        (
            (
                "A mean times its count is a sum; sums may be added. What do you divide by at the end?",
                "平均乘以个数就是和，和可以相加。最后除以什么？",
            ),
            (
                "zip(gradients, counts) goes through both lists at once; sum(counts) is the size of the batch.",
                "zip(gradients, counts) 同时遍历两个列表；sum(counts) 是整批的大小。",
            ),
        ),
    ),
    Exercise(
        _SHARES,
        _check_shares,
        (
            (
                "The border between two workers is a whole number near samples * rank / workers.",
                "两个进程之间的分界是 samples * rank / workers 附近的整数。",
            ),
            (
                "Compute all borders with one formula; worker r has the samples from border r to border r + 1.",
                "用同一个公式算出所有分界；第 r 个进程负责从分界 r 到分界 r + 1 的样本。",
            ),
        ),
    ),
    Exercise(
        _ORDERED,
        _check_ordered,
        (
            (
                "Two cases: one array, or two halves to which the function can be applied again.",
                "两种情况：只有一个数组，或者分成两半，对每一半再用同一个函数。",
            ),
            (
                "blocks[:middle] and blocks[middle:] are the halves; += would change the caller's array.",
                "blocks[:middle] 与 blocks[middle:] 就是两半；+= 会改动调用者的数组。",
            ),
        ),
    ),
)

"""Wrong answers to lab 18, each with a slip that its name tells."""

import numpy as np


def combine__adds(gradients, counts):
    """this is the sum: with n workers the step gets n times as long"""
    return sum(gradients)


def combine__mean_of_means(gradients, counts):
    """workers with fewer samples count as much as the others: weight by counts"""
    return np.mean(gradients, axis=0)


def combine__forgets_to_divide(gradients, counts):
    """divide by the number of samples of the whole batch"""
    return sum(gradient * count for gradient, count in zip(gradients, counts, strict=True))


def combine__divides_by_workers(gradients, counts):
    """divide by the number of samples, not of workers"""
    return sum(gradient * count for gradient, count in zip(gradients, counts, strict=True)) / len(counts)


def combine__divides_twice(gradients, counts):
    """divide by the number of samples once; the number of workers does not matter"""
    return np.average(gradients, axis=0, weights=counts) / len(counts)


def shares__pads(samples, workers):
    """samples that do not exist are measured, or some twice: the last worker has fewer"""
    size = -(-samples // workers)
    return [(size * rank, size * (rank + 1)) for rank in range(workers)]


def shares__drops_the_remainder(samples, workers):
    """the remainder is not measured at all: some workers need one more"""
    size = samples // workers
    return [(size * rank, size * (rank + 1)) for rank in range(workers)]


def shares__last_gets_the_remainder(samples, workers):
    """the last worker gets the whole remainder: give one to each of several workers"""
    size = samples // workers
    return [(size * rank, size * (rank + 1) if rank < workers - 1 else samples) for rank in range(workers)]


def shares__last_has_few(samples, workers):
    """the last worker has far fewer than the others, or nothing: no more than one of difference"""
    size = -(-samples // workers)
    return [(min(size * rank, samples), min(size * (rank + 1), samples)) for rank in range(workers)]


def shares__includes_stop(samples, workers):
    """stop is the first sample that is no longer measured"""
    return [(samples * rank // workers, samples * (rank + 1) // workers - 1) for rank in range(workers)]


def shares__returns_sizes(samples, workers):
    """return (start, stop) for each worker, not how many"""
    return [samples * (rank + 1) // workers - samples * rank // workers for rank in range(workers)]


def ordered_sum__from_left_to_right(blocks):
    """this adds one after the other: with several workers, each would need the one before"""
    total = blocks[0]
    for block in blocks[1:]:
        total = total + block
    return total


def ordered_sum__in_float64(blocks):
    """this is rounded once, at the end: each addition has to be done in float32"""
    return np.sum(np.array(blocks, np.float64), axis=0).astype(np.float32)


def ordered_sum__rounds_up(blocks):
    """the first half has len(blocks) // 2 arrays, rounded down"""
    if len(blocks) == 1:
        return blocks[0]
    middle = (len(blocks) + 1) // 2
    return ordered_sum__rounds_up(blocks[:middle]) + ordered_sum__rounds_up(blocks[middle:])


def ordered_sum__pairs_neighbours(blocks):
    """neighbours are paired from the left; split the list in two halves instead"""
    while len(blocks) > 1:
        blocks = [sum(blocks[i + 1 : i + 2], start=blocks[i]) for i in range(0, len(blocks), 2)]
    return blocks[0]

"""Right answers to lab 18 in other styles."""

import numpy as np


def combine__by_average(gradients, counts):
    return np.average(gradients, axis=0, weights=counts)


def combine__by_shares(gradients, counts):
    total = np.zeros_like(gradients[0])
    for gradient, count in zip(gradients, counts, strict=True):
        total = total + count / sum(counts) * gradient
    return total


def shares__larger_ones_first(samples, workers):
    size, left = divmod(samples, workers)
    found, start = [], 0
    for rank in range(workers):
        stop = start + size + (rank < left)
        found.append((start, stop))
        start = stop
    return found


def shares__by_array_split(samples, workers):
    sizes = [len(part) for part in np.array_split(np.arange(samples), workers)]
    stops = np.cumsum(sizes)
    return [[stop - size, stop] for size, stop in zip(sizes, stops, strict=True)]


def ordered_sum__with_a_helper(blocks):
    def add(first, stop):
        if stop - first == 1:
            return blocks[first].copy()
        middle = first + (stop - first) // 2
        return np.add(add(first, middle), add(middle, stop))

    return add(0, len(blocks))

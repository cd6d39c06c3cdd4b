"""Right answers to lab 18."""

import itertools


def combine(gradients, counts):
    return sum(gradient * count for gradient, count in zip(gradients, counts, strict=True)) / sum(counts)


def shares(samples, workers):
    borders = [samples * rank // workers for rank in range(workers + 1)]
    return list(itertools.pairwise(borders))


def ordered_sum(blocks):
    if len(blocks) == 1:
        return blocks[0]
    middle = len(blocks) // 2
    return ordered_sum(blocks[:middle]) + ordered_sum(blocks[middle:])

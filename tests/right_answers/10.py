"""Right answers to lab 10 in other styles."""

from itertools import pairwise

import numpy as np


def start_weights__uniform(sizes, rng):
    found = []
    for n, m in pairwise(sizes):
        bound = np.sqrt((6 if found else 3) / n)
        found.append(rng.uniform(-bound, bound, (n, m)))
    return found


def start_weights__of_signs(sizes, rng):
    return [rng.choice([-1, 1], (n, m)) * ((2 if n != sizes[0] else 1) / n) ** 0.5 for n, m in pairwise(sizes)]


def batch_norm__in_place(x, running, training):
    if not training:
        return (x - running["mean"]) / (running["variance"] + 1e-5) ** 0.5
    centred = x - x.mean(axis=0)
    variance = np.square(centred).mean(axis=0)
    running["mean"] += 0.1 * (x.mean(axis=0) - running["mean"])
    running["variance"] += 0.1 * (variance - running["variance"])
    return centred / np.sqrt(variance + 1e-5)

"""Right answers to lab 10."""

from itertools import pairwise

import numpy as np


def predictions():
    return {1: "a", 2: "c", 3: "c", 4: "c"}


def start_weights(sizes, rng):
    pairs = enumerate(pairwise(sizes))
    return [rng.normal(0, np.sqrt((1 if place == 0 else 2) / n), (n, m)) for place, (n, m) in pairs]


def batch_norm(x, running, training):
    if training:
        mean, variance = x.mean(axis=0), x.var(axis=0)
        running["mean"] = 0.9 * running["mean"] + 0.1 * mean
        running["variance"] = 0.9 * running["variance"] + 0.1 * variance
    else:
        mean, variance = running["mean"], running["variance"]
    return (x - mean) / np.sqrt(variance + 1e-5)

"""Right answers to lab 13."""

import numpy as np


def clip_by_global_norm(gradients, limit):
    norm = np.sqrt(sum(np.sum(g**2) for g in gradients))
    return [g * (limit / max(norm, limit)) for g in gradients]


def largest_rate(slope, w):
    return 2 / (slope(w + 1) - slope(w))


def rate(step, steps):
    return 3.5 * min(1, (steps - step) / (0.25 * steps))

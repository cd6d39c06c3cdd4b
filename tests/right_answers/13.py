"""Right answers to lab 13 in other styles."""

import math

import numpy as np


def clip_by_global_norm__of_one_vector(gradients, limit):
    norm = np.linalg.norm(np.concatenate([g.ravel() for g in gradients]))
    return [g * limit / norm for g in gradients] if norm > limit else [g.copy() for g in gradients]


def clip_by_global_norm__with_hypot(gradients, limit):
    norm = math.hypot(*(float(number) for g in gradients for number in g.flat))
    scale = min(1.0, limit / norm) if norm else 1.0
    return tuple(scale * g for g in gradients)


def largest_rate__from_two_far_points(slope, w):
    return 2 * 100 / (slope(w + 50) - slope(w - 50))


def largest_rate__by_trying(slope, w):
    low, high = 0.0, 1.0
    while abs(slope(w - high * slope(w))) < abs(slope(w)):
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        smaller = abs(slope(w - middle * slope(w))) < abs(slope(w))
        low, high = (middle, high) if smaller else (low, middle)
    return low

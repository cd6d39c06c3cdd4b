"""Wrong answers to lab 13, each with a slip that its name tells."""

import numpy as np


def clip_by_global_norm__clips_each_array(gradients, limit):
    return [g * (limit / max(np.sqrt(np.sum(g**2)), limit)) for g in gradients]


def clip_by_global_norm__cuts_numbers(gradients, limit):
    return [np.clip(g, -limit, limit) for g in gradients]


def clip_by_global_norm__stretches_short_ones(gradients, limit):
    norm = np.sqrt(sum(np.sum(g**2) for g in gradients))
    return [g * limit / norm if norm else g for g in gradients]


def clip_by_global_norm__without_root(gradients, limit):
    norm = sum(np.sum(g**2) for g in gradients)
    return [g * (limit / max(norm, limit)) for g in gradients]


def clip_by_global_norm__adds_norms(gradients, limit):
    norm = sum(np.sqrt(np.sum(g**2)) for g in gradients)
    return [g * (limit / max(norm, limit)) for g in gradients]


def largest_rate__takes_the_best_rate(slope, w):
    return 1 / (slope(w + 1) - slope(w))


def largest_rate__divides_by_the_slope(slope, w):
    return 2 / abs(slope(w))


def largest_rate__puts_the_lowest_point_at_zero(slope, w):
    return 2 * w / slope(w)


def largest_rate__returns_the_curvature(slope, w):
    return slope(w + 1) - slope(w)


def rate__is_tiny(step, steps):
    return 0.1


def rate__never_falls(step, steps):
    return 3.0


def rate__explodes(step, steps):
    return 200.0 * (1 - step / steps)


def rate__is_negative(step, steps):
    return -1.0


def rate__returns_a_string(step, steps):
    return "3"

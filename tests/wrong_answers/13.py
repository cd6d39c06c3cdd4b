"""Wrong answers to lab 13, each with a slip that its name tells."""

import numpy as np


def clip_by_global_norm__clips_each_array(gradients, limit):
    """each array is clipped by its own norm"""
    return [g * (limit / max(np.sqrt(np.sum(g**2)), limit)) for g in gradients]


def clip_by_global_norm__cuts_numbers(gradients, limit):
    """single numbers are cut off"""
    return [np.clip(g, -limit, limit) for g in gradients]


def clip_by_global_norm__stretches_short_ones(gradients, limit):
    """gradients shorter than the limit are left alone"""
    norm = np.sqrt(sum(np.sum(g**2) for g in gradients))
    return [g * limit / norm if norm else g for g in gradients]


def clip_by_global_norm__without_root(gradients, limit):
    """the root is missing in the norm"""
    norm = sum(np.sum(g**2) for g in gradients)
    return [g * (limit / max(norm, limit)) for g in gradients]


def clip_by_global_norm__adds_norms(gradients, limit):
    """norms do not add up"""
    norm = sum(np.sqrt(np.sum(g**2)) for g in gradients)
    return [g * (limit / max(norm, limit)) for g in gradients]


def largest_rate__takes_the_best_rate(slope, w):
    """this rate reaches the lowest point in one step"""
    return 1 / (slope(w + 1) - slope(w))


def largest_rate__divides_by_the_slope(slope, w):
    """this divides by the slope"""
    return 2 / abs(slope(w))


def largest_rate__puts_the_lowest_point_at_zero(slope, w):
    """the lowest point need not be at 0"""
    return 2 * w / slope(w)


def largest_rate__returns_the_curvature(slope, w):
    """this is the curvature"""
    return slope(w + 1) - slope(w)


def rate__is_tiny(step, steps):
    """the net hardly moves"""
    return 0.1


def rate__never_falls(step, steps):
    """at the end the rate is still large"""
    return 3.0


def rate__explodes(step, steps):
    """the largest rate is too large"""
    return 200.0 * (1 - step / steps)


def rate__is_negative(step, steps):
    """a rate is a finite number"""
    return -1.0


def rate__returns_a_string(step, steps):
    """a rate is a finite number"""
    return "3"


def clip_by_global_norm__in_place(gradients, limit):
    """an operator such as -= or x[...] = works in place; the caller still needs its list: make a new one"""
    n = np.sqrt(sum((g**2).sum() for g in gradients))
    if n > limit:
        for g in gradients:
            g *= limit / n
    return gradients


def clip_by_global_norm__max_abs(gradients, limit):
    """that is the largest number, not the norm"""
    n = max(np.abs(g).max() for g in gradients)
    return [g * min(1, limit / max(n, 1e-09)) for g in gradients]


def largest_rate__1_over_c(slope, w):
    """this rate reaches the lowest point in one step; up to twice of it still goes down"""
    return 1 / (slope(w + 1) - slope(w))


def largest_rate__sign(slope, w):
    """the sign is reversed"""
    return 2 / (slope(w) - slope(w + 1))


def clip_by_global_norm__always_scales(gradients, limit):
    """gradients shorter than the limit are left alone"""
    n = np.sqrt(sum((g**2).sum() for g in gradients))
    return [g * limit / n for g in gradients]

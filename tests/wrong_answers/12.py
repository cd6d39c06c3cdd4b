"""Wrong answers to lab 12, each with a slip that its name tells."""

import numpy as np


def momentum_step__goes_uphill(w, v, gradient, lr, keep):
    """the weights move uphill: subtract the step"""
    v = keep * v + gradient
    return w + lr * v, v


def momentum_step__moves_by_the_old_velocity(w, v, gradient, lr, keep):
    """the weights move by the old velocity: compute the new one first"""
    return w - lr * v, keep * v + gradient


def momentum_step__averages(w, v, gradient, lr, keep):
    """add the whole gradient, not (1 - keep) times the gradient"""
    v = keep * v + (1 - keep) * gradient
    return w - lr * v, v


def momentum_step__changes_its_arguments(w, v, gradient, lr, keep):
    """an operator such as -= or x[...] = works in place; the caller still needs its array: make a new one"""
    v *= keep
    v += gradient
    w -= lr * v
    return w, v


def momentum_step__forgets(w, v, gradient, lr, keep):
    """the old velocity is ignored: v = keep v + gradient"""
    return w - lr * gradient, gradient


def clip_by_global_norm__clips_each_array(gradients, limit):
    """each array is clipped by its own norm: the norm is that of all arrays together"""
    return [g * (limit / max(np.sqrt(np.sum(g**2)), limit)) for g in gradients]


def clip_by_global_norm__cuts_numbers(gradients, limit):
    """each number is clipped separately, which changes the direction: scale all of them"""
    return [np.clip(g, -limit, limit) for g in gradients]


def clip_by_global_norm__stretches_short_ones(gradients, limit):
    """gradients shorter than limit stay unchanged"""
    norm = np.sqrt(sum(np.sum(g**2) for g in gradients))
    return [g * limit / norm if norm else g for g in gradients]


def clip_by_global_norm__without_root(gradients, limit):
    """the norm is not the sum of squares but its square root"""
    norm = sum(np.sum(g**2) for g in gradients)
    return [g * (limit / max(norm, limit)) for g in gradients]


def clip_by_global_norm__divides_by_zero(gradients, limit):
    """it divides by a norm of 0: the factor is limit / max(norm, limit)"""
    norm = np.sqrt(sum(np.sum(g**2) for g in gradients))
    with np.errstate(all="ignore"):
        return [g * np.minimum(1, limit / norm * np.ones(1)) if norm else g / norm for g in gradients]


def _adam(w, m, s, gradient, t, lr, m_power, s_power):
    m = 0.9 * m + 0.1 * gradient
    s = 0.999 * s + 0.001 * gradient**2
    m_part, s_part = (1 - 0.9**m_power if m_power else 1), (1 - 0.999**s_power if s_power else 1)
    return w - lr * m / m_part / (np.sqrt(s / s_part) + 1e-8), m, s


def adam_step__without_corrections(w, m, s, gradient, t, lr):
    """m and s are not corrected: in step t divide by 1 - 0.9^t and 1 - 0.999^t"""
    return _adam(w, m, s, gradient, t, lr, 0, 0)


def adam_step__corrects_one_only(w, m, s, gradient, t, lr):
    """s is not corrected: divide it by 1 - 0.999^t"""
    return _adam(w, m, s, gradient, t, lr, t, 0)


def adam_step__counts_from_zero(w, m, s, gradient, t, lr):
    """t is 1 in the first step already: do not add 1"""
    return _adam(w, m, s, gradient, t, lr, t + 1, t + 1)


def adam_step__returns_the_corrected(w, m, s, gradient, t, lr):
    """it returns the corrected m and s: return them without the correction"""
    w, m, s = _adam(w, m, s, gradient, t, lr, t, t)
    return w, m / (1 - 0.9**t), s / (1 - 0.999**t)


def adam_step__divides_by_the_square(w, m, s, gradient, t, lr):
    """the square root of s is missing"""
    m = 0.9 * m + 0.1 * gradient
    s = 0.999 * s + 0.001 * gradient**2
    return w - lr * m / (1 - 0.9**t) / (s / (1 - 0.999**t) + 1e-8), m, s

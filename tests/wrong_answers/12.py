"""Wrong answers to lab 12, each with a slip that its name tells."""

import numpy as np


def momentum_step__goes_uphill(w, v, gradient, lr, keep):
    v = keep * v + gradient
    return w + lr * v, v


def momentum_step__moves_by_the_old_velocity(w, v, gradient, lr, keep):
    return w - lr * v, keep * v + gradient


def momentum_step__averages(w, v, gradient, lr, keep):
    v = keep * v + (1 - keep) * gradient
    return w - lr * v, v


def momentum_step__changes_its_arguments(w, v, gradient, lr, keep):
    v *= keep
    v += gradient
    w -= lr * v
    return w, v


def momentum_step__forgets(w, v, gradient, lr, keep):
    return w - lr * gradient, gradient


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


def clip_by_global_norm__divides_by_zero(gradients, limit):
    norm = np.sqrt(sum(np.sum(g**2) for g in gradients))
    with np.errstate(all="ignore"):
        return [g * np.minimum(1, limit / norm * np.ones(1)) if norm else g / norm for g in gradients]


def _adam(w, m, s, gradient, t, lr, m_power, s_power):
    m = 0.9 * m + 0.1 * gradient
    s = 0.999 * s + 0.001 * gradient**2
    m_part, s_part = (1 - 0.9**m_power if m_power else 1), (1 - 0.999**s_power if s_power else 1)
    return w - lr * m / m_part / (np.sqrt(s / s_part) + 1e-8), m, s


def adam_step__without_corrections(w, m, s, gradient, t, lr):
    return _adam(w, m, s, gradient, t, lr, 0, 0)


def adam_step__corrects_one_only(w, m, s, gradient, t, lr):
    return _adam(w, m, s, gradient, t, lr, t, 0)


def adam_step__counts_from_zero(w, m, s, gradient, t, lr):
    return _adam(w, m, s, gradient, t, lr, t + 1, t + 1)


def adam_step__returns_the_corrected(w, m, s, gradient, t, lr):
    w, m, s = _adam(w, m, s, gradient, t, lr, t, t)
    return w, m / (1 - 0.9**t), s / (1 - 0.999**t)


def adam_step__divides_by_the_square(w, m, s, gradient, t, lr):
    m = 0.9 * m + 0.1 * gradient
    s = 0.999 * s + 0.001 * gradient**2
    return w - lr * m / (1 - 0.9**t) / (s / (1 - 0.999**t) + 1e-8), m, s

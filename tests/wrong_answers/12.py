"""Wrong answers to lab 12, each with a slip that its name tells."""

import numpy as np


def predictions__scales_adam():
    """m grows 1000 times, and so does the root of s"""
    return {1: "a", 2: "b", 3: "c", 4: "b"}


def predictions__forgets_the_newest_gradient():
    """the newest gradient counts too"""
    return {1: "b", 2: "b", 3: "b", 4: "b"}


def predictions__lets_rmsprop_settle():
    """the gradient is divided by its own usual size"""
    return {1: "b", 2: "b", 3: "c", 4: "a"}


def adagrad_step__forgets_like_rmsprop(w, s, gradient, lr):
    """this is RMSProp: AdaGrad adds up and forgets nothing"""
    s = 0.9 * s + 0.1 * gradient**2
    return w - lr * gradient / (np.sqrt(s) + 1e-6), s


def adagrad_step__uses_the_old_sum(w, s, gradient, lr):
    """the step divides by the new s: compute it first"""
    return w - lr * gradient / (np.sqrt(s) + 1e-6), s + gradient**2


def adagrad_step__goes_uphill(w, s, gradient, lr):
    """the weights move uphill"""
    s = s + gradient**2
    return w + lr * gradient / (np.sqrt(s) + 1e-6), s


def adagrad_step__puts_the_small_number_under_the_root(w, s, gradient, lr):
    """1e-6 is added to the root, not under it"""
    s = s + gradient**2
    return w - lr * gradient / np.sqrt(s + 1e-6), s


def adagrad_step__works_in_place(w, s, gradient, lr):
    """works in place"""
    s += gradient**2
    w -= lr * gradient / (np.sqrt(s) + 1e-6)
    return w, s


def _adam(w, m, s, gradient, t, lr, m_power, s_power):
    m = 0.9 * m + 0.1 * gradient
    s = 0.999 * s + 0.001 * gradient**2
    m_part, s_part = (1 - 0.9**m_power if m_power else 1), (1 - 0.999**s_power if s_power else 1)
    return w - lr * m / m_part / (np.sqrt(s / s_part) + 1e-8), m, s


def adam_step__without_corrections(w, m, s, gradient, t, lr):
    """m and s are not corrected"""
    return _adam(w, m, s, gradient, t, lr, 0, 0)


def adam_step__corrects_one_only(w, m, s, gradient, t, lr):
    """s is not corrected"""
    return _adam(w, m, s, gradient, t, lr, t, 0)


def adam_step__counts_from_zero(w, m, s, gradient, t, lr):
    """t is 1 in the first step already"""
    return _adam(w, m, s, gradient, t, lr, t + 1, t + 1)


def adam_step__returns_the_corrected(w, m, s, gradient, t, lr):
    """the corrected m and s are returned"""
    w, m, s = _adam(w, m, s, gradient, t, lr, t, t)
    return w, m / (1 - 0.9**t), s / (1 - 0.999**t)


def adam_step__averages_the_gradient_twice(w, m, s, gradient, t, lr):
    """a square is missing"""
    m = 0.9 * m + 0.1 * gradient
    s = 0.999 * s + 0.001 * gradient
    return w - lr * m / (1 - 0.9**t) / (np.sqrt(s / (1 - 0.999**t)) + 1e-8), m, s


def adam_step__misplaces_the_small_number(w, m, s, gradient, t, lr):
    """1e-8 belongs to the divisor"""
    m = 0.9 * m + 0.1 * gradient
    s = 0.999 * s + 0.001 * gradient**2
    return w - lr * m / (1 - 0.9**t) / np.sqrt(s / (1 - 0.999**t)) + 1e-8, m, s


def adagrad_step__no_root(w, s, gradient, lr):
    """the root of s is missing"""
    s = s + gradient**2
    return (w - lr * gradient / (s + 1e-06), s)


def adagrad_step__sum_of_g(w, s, gradient, lr):
    """add the square of the gradient"""
    s = s + gradient
    return (w - lr * gradient / (np.sqrt(np.abs(s)) + 1e-06), s)


def adagrad_step__returns_w_only(w, s, gradient, lr):
    """this is the first of 2 values: return all of them"""
    s = s + gradient**2
    return w - lr * gradient / (np.sqrt(s) + 1e-06)


def adam_step__betas_swapped(w, m, s, gradient, t, lr):
    """the shares are exchanged: m keeps 0.9, s keeps 0.999"""
    m = 0.999 * m + 0.001 * gradient
    s = 0.9 * s + 0.1 * gradient**2
    return (w - lr * (m / (1 - 0.999**t)) / (np.sqrt(s / (1 - 0.9**t)) + 1e-08), m, s)


def adam_step__corrects_with_t_1(w, m, s, gradient, t, lr):
    """the correction takes t, not t - 1"""
    m = 0.9 * m + 0.1 * gradient
    s = 0.999 * s + 0.001 * gradient**2
    k = max(t - 1, 1)
    return (w - lr * (m / (1 - 0.9**k)) / (np.sqrt(s / (1 - 0.999**k)) + 1e-08), m, s)


def adam_step__no_root(w, m, s, gradient, t, lr):
    """the root of s is missing"""
    m = 0.9 * m + 0.1 * gradient
    s = 0.999 * s + 0.001 * gradient**2
    return (w - lr * (m / (1 - 0.9**t)) / (s / (1 - 0.999**t) + 1e-08), m, s)


def adagrad_step__subtracts_sign(w, s, gradient, lr):
    """the weights move uphill: the step is subtracted"""
    s = s + gradient**2
    return (w + lr * gradient / (np.sqrt(s) + 1e-06), s)

"""Right answers to lab 12 in other styles."""

import numpy as np


def adagrad_step__element_by_element(w, s, gradient, lr):
    s = np.reshape([a + b * b for a, b in zip(s.ravel(), gradient.ravel())], s.shape)  # noqa: B905
    return w - lr * gradient / (s**0.5 + 1e-6), s


def adagrad_step__on_copies(w, s, gradient, lr):
    s = np.add(s, np.square(gradient))
    step = np.divide(gradient, np.sqrt(s) + 1e-6)
    return np.subtract(w, lr * step), s


def adam_step__corrects_the_rate(w, m, s, gradient, t, lr):
    m = m + 0.1 * (gradient - m)
    s = s + 0.001 * (gradient * gradient - s)
    rate = lr / (1 - 0.9**t)
    return w - rate * m / (np.sqrt(s / (1 - 0.999**t)) + 1e-8), m, s


def adam_step__with_other_names(w, m, s, gradient, t, lr):
    mean, square = 0.9 * m + gradient / 10, 0.999 * s + gradient**2 / 1000
    fair_mean, fair_square = mean / (1 - pow(0.9, t)), square / (1 - pow(0.999, t))
    return w - lr * (fair_mean / (fair_square**0.5 + 1e-8)), mean, square

"""Right answers to lab 12."""

import numpy as np


def predictions():
    return {1: "b", 2: "b", 3: "c", 4: "b"}


def adagrad_step(w, s, gradient, lr):
    s = s + gradient**2
    return w - lr * gradient / (np.sqrt(s) + 1e-6), s


def adam_step(w, m, s, gradient, t, lr):
    m = 0.9 * m + 0.1 * gradient
    s = 0.999 * s + 0.001 * gradient**2
    step = m / (1 - 0.9**t) / (np.sqrt(s / (1 - 0.999**t)) + 1e-8)
    return w - lr * step, m, s

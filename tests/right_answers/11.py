"""Right answers to lab 11 in other styles."""

import numpy as np


def count_parameters__with_numpy(sizes):
    sizes = np.array(sizes)
    return int(sizes[:-1] @ sizes[1:] + sizes[1:].sum())


def count_parameters__by_recursion(sizes):
    return 0 if len(sizes) < 2 else sizes[1] * (1 + sizes[0]) + count_parameters__by_recursion(sizes[1:])


def rmsprop_step__element_by_element(w, g, m, lr, rho, epsilon):
    new_w, new_m = np.empty(w.shape), np.empty(w.shape)
    for place in np.ndindex(w.shape):
        new_m[place] = rho * m[place] + (1 - rho) * g[place] ** 2
        new_w[place] = w[place] - lr * g[place] / (new_m[place] + epsilon) ** 0.5
    return new_w, new_m


def rmsprop_step__on_copies(w, g, m, lr, rho, epsilon):
    w, m = w.copy(), m.copy()
    m *= rho
    m += (1 - rho) * g * g
    w -= lr * g * (m + epsilon) ** -0.5
    return w, m

"""Right answers to lab 4."""

import numpy as np


def sgd_step(params, grads, rate):
    return {name: params[name] - rate * grads[name] for name in params}


def descend(slope, start, rate, steps):
    path = [start]
    for _ in range(steps):
        path.append(path[-1] - rate * slope(path[-1]))
    return np.array(path)


def train_epoch(gradient, params, x, t, batch_size, rate, order):
    for first in range(0, len(order), batch_size):
        chosen = order[first : first + batch_size]
        params = sgd_step(params, gradient(params, x[chosen], t[chosen]), rate)
    return params

"""Right answers to lab 4."""

import numpy as np


def predictions():
    return {1: "c", 2: "a", 3: "a", 4: "b", 5: "b"}


def descend(slope, start, rate, steps):
    path = [start]
    for _ in range(steps):
        path.append(path[-1] - rate * slope(path[-1]))
    return np.array(path)


def train_epoch(gradient, params, x, t, batch_size, rate, order):
    for first in range(0, len(order), batch_size):
        chosen = order[first : first + batch_size]
        slopes = gradient(params, x[chosen], t[chosen])
        params = {name: params[name] - rate * slopes[name] for name in params}
    return params

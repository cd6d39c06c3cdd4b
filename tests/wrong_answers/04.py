"""Wrong answers to lab 4, each with a slip that its name tells."""

import numpy as np


def sgd_step__goes_uphill(params, grads, rate):
    return {name: params[name] + rate * grads[name] for name in params}


def sgd_step__forgets_the_rate(params, grads, rate):
    return {name: params[name] - grads[name] for name in params}


def sgd_step__works_in_place(params, grads, rate):
    for name in params:
        params[name] -= rate * grads[name]
    return params


def sgd_step__leaves_after_the_first(params, grads, rate):
    for name in params:
        return {name: params[name] - rate * grads[name]}


def sgd_step__returns_the_step(params, grads, rate):
    return {name: -rate * grads[name] for name in params}


def descend__forgets_the_start(slope, start, rate, steps):
    path, w = [], start
    for _ in range(steps):
        w = w - rate * slope(w)
        path.append(w)
    return np.array(path)


def descend__keeps_one_array(slope, start, rate, steps):
    w = start.copy()
    path = [w]
    for _ in range(steps):
        w -= rate * slope(w)
        path.append(w)
    return np.array(path)


def descend__takes_the_slope_at_the_start(slope, start, rate, steps):
    return np.array([start - k * rate * slope(start) for k in range(steps + 1)])


def descend__returns_the_end(slope, start, rate, steps):
    w = start
    for _ in range(steps):
        w = w - rate * slope(w)
    return w


def descend__goes_uphill(slope, start, rate, steps):
    path = [start]
    for _ in range(steps):
        path.append(path[-1] + rate * slope(path[-1]))
    return np.array(path)


def _step(params, slopes, rate):
    return {name: params[name] - rate * slopes[name] for name in params}


def train_epoch__ignores_the_order(gradient, params, x, t, batch_size, rate, order):
    for first in range(0, len(t), batch_size):
        rows = slice(first, first + batch_size)
        params = _step(params, gradient(params, x[rows], t[rows]), rate)
    return params


def train_epoch__drops_the_last_batch(gradient, params, x, t, batch_size, rate, order):
    for first in range(0, len(t) - batch_size + 1, batch_size):
        rows = order[first : first + batch_size]
        params = _step(params, gradient(params, x[rows], t[rows]), rate)
    return params


def train_epoch__keeps_the_first_gradient_point(gradient, params, x, t, batch_size, rate, order):
    new = params
    for first in range(0, len(t), batch_size):
        rows = order[first : first + batch_size]
        new = _step(new, gradient(params, x[rows], t[rows]), rate)
    return new


def train_epoch__divides_by_the_batch_again(gradient, params, x, t, batch_size, rate, order):
    for first in range(0, len(t), batch_size):
        rows = order[first : first + batch_size]
        params = _step(params, gradient(params, x[rows], t[rows]), rate / batch_size)
    return params


def train_epoch__orders_x_only(gradient, params, x, t, batch_size, rate, order):
    x = x[order]
    for first in range(0, len(t), batch_size):
        rows = slice(first, first + batch_size)
        params = _step(params, gradient(params, x[rows], t[rows]), rate)
    return params


def train_epoch__works_in_place(gradient, params, x, t, batch_size, rate, order):
    for first in range(0, len(t), batch_size):
        rows = order[first : first + batch_size]
        for name, slope in gradient(params, x[rows], t[rows]).items():
            params[name] -= rate * slope
    return params


def train_epoch__asks_for_an_empty_batch(gradient, params, x, t, batch_size, rate, order):
    for first in range(0, len(t) + 1, batch_size):
        rows = order[first : first + batch_size]
        params = _step(params, gradient(params, x[rows], t[rows]), rate)
    return params

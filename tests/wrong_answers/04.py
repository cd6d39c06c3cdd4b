"""Wrong answers to lab 4, each with a slip that its name tells."""

import numpy as np


def predictions__ignores_the_curvature():
    """the slope is 10 w now: write down the factor by which a step multiplies w, and put in a rate of 0.9"""
    return {1: "b", 2: "a", 3: "a", 4: "b", 5: "b"}


def predictions__takes_the_sum_for_the_mean():
    """a step is rate times gradient, and the sum of 10 gradients is not their mean"""
    return {1: "c", 2: "b", 3: "a", 4: "b", 5: "b"}


def predictions__thinks_that_order_matters_in_a_mean():
    """both nets see one and the same batch: does a mean depend on the order of what is averaged?"""
    return {1: "c", 2: "a", 3: "b", 4: "b", 5: "b"}


def predictions__expects_equal_neurons_to_differ():
    """two hidden neurons with equal weights get equal gradients: what could ever make them differ?"""
    return {1: "c", 2: "a", 3: "a", 4: "a", 5: "b"}


def predictions__makes_the_noise_larger():
    """look at the lab's picture of the cosines: are smaller batches less noisy?"""
    return {1: "c", 2: "a", 3: "a", 4: "b", 5: "a"}


def descend__is_the_stub_with_its_bugs(slope, start, rate, steps):
    """works in place; the caller still needs its array"""
    w = start
    path = []
    for _ in range(steps):
        w -= rate * slope(w)
        path.append(w)
    return np.array(path)


def descend__forgets_the_start(slope, start, rate, steps):
    """the start is missing: it is the first row"""
    path, w = [], start
    for _ in range(steps):
        w = w - rate * slope(w)
        path.append(w)
    return np.array(path)


def descend__keeps_one_array(slope, start, rate, steps):
    """all rows are the same array, changed in place: keep copies"""
    w = start.copy()
    path = [w]
    for _ in range(steps):
        w -= rate * slope(w)
        path.append(w)
    return np.array(path)


def descend__takes_the_slope_at_the_start(slope, start, rate, steps):
    """the slope is taken at the start each time: take it at the current w"""
    return np.array([start - k * rate * slope(start) for k in range(steps + 1)])


def descend__returns_the_end(slope, start, rate, steps):
    """this is the last point: return the whole path"""
    w = start
    for _ in range(steps):
        w = w - rate * slope(w)
    return w


def descend__goes_uphill(slope, start, rate, steps):
    """it goes uphill: subtract the step"""
    path = [start]
    for _ in range(steps):
        path.append(path[-1] + rate * slope(path[-1]))
    return np.array(path)


def _step(params, slopes, rate):
    return {name: params[name] - rate * slopes[name] for name in params}


def train_epoch__ignores_the_order(gradient, params, x, t, batch_size, rate, order):
    """the argument order is not followed"""
    for first in range(0, len(t), batch_size):
        rows = slice(first, first + batch_size)
        params = _step(params, gradient(params, x[rows], t[rows]), rate)
    return params


def train_epoch__drops_the_last_batch(gradient, params, x, t, batch_size, rate, order):
    """the last, smaller batch is missing"""
    for first in range(0, len(t) - batch_size + 1, batch_size):
        rows = order[first : first + batch_size]
        params = _step(params, gradient(params, x[rows], t[rows]), rate)
    return params


def train_epoch__keeps_the_first_gradient_point(gradient, params, x, t, batch_size, rate, order):
    """every gradient is taken at the first parameters: take it at the latest ones"""
    new = params
    for first in range(0, len(t), batch_size):
        rows = order[first : first + batch_size]
        new = _step(new, gradient(params, x[rows], t[rows]), rate)
    return new


def train_epoch__divides_by_the_batch_again(gradient, params, x, t, batch_size, rate, order):
    """the gradient is divided by the batch size again: it is the gradient of a mean already"""
    for first in range(0, len(t), batch_size):
        rows = order[first : first + batch_size]
        params = _step(params, gradient(params, x[rows], t[rows]), rate / batch_size)
    return params


def train_epoch__orders_x_only(gradient, params, x, t, batch_size, rate, order):
    """x and t are not in the same order"""
    x = x[order]
    for first in range(0, len(t), batch_size):
        rows = slice(first, first + batch_size)
        params = _step(params, gradient(params, x[rows], t[rows]), rate)
    return params


def train_epoch__works_in_place(gradient, params, x, t, batch_size, rate, order):
    """an operator such as -= or x[...] = works in place; the caller still needs its dict: make a new one"""
    for first in range(0, len(t), batch_size):
        rows = order[first : first + batch_size]
        for name, slope in gradient(params, x[rows], t[rows]).items():
            params[name] -= rate * slope
    return params


def train_epoch__asks_for_an_empty_batch(gradient, params, x, t, batch_size, rate, order):
    """it asks for the gradient of a batch of 0 samples: count the batches"""
    for first in range(0, len(t) + 1, batch_size):
        rows = order[first : first + batch_size]
        params = _step(params, gradient(params, x[rows], t[rows]), rate)
    return params


def descend__forgets_rate(slope, start, rate, steps):
    """the rate is not used"""
    path = [start]
    for _ in range(steps):
        path.append(path[-1] - slope(path[-1]))
    return np.array(path)


def train_epoch__uphill(gradient, params, x, t, batch_size, rate, order):
    """it goes uphill: subtract the step"""
    for f in range(0, len(order), batch_size):
        c = order[f : f + batch_size]
        s = gradient(params, x[c], t[c])
        params = {k: params[k] + rate * s[k] for k in params}
    return params


def train_epoch__returns_nothing(gradient, params, x, t, batch_size, rate, order):
    """return the new parameters"""
    for f in range(0, len(order), batch_size):
        c = order[f : f + batch_size]
        s = gradient(params, x[c], t[c])
        params = {k: params[k] - rate * s[k] for k in params}


def train_epoch__only_first_batch_return_in_loop(gradient, params, x, t, batch_size, rate, order):
    """return stands inside the loop: it leaves after a batch"""
    for f in range(0, len(order), batch_size):
        c = order[f : f + batch_size]
        s = gradient(params, x[c], t[c])
        params = {k: params[k] - rate * s[k] for k in params}
        return params


def predictions__all_a():
    """the slope is 10 w now: write down the factor by which a step multiplies w, and put in a rate of 2"""
    return {i: "a" for i in range(1, 6)}


def train_epoch__len_x_b_batches_int(gradient, params, x, t, batch_size, rate, order):
    """the last, smaller batch is missing"""
    for k in range(len(order) // batch_size):
        c = order[k * batch_size : (k + 1) * batch_size]
        s = gradient(params, x[c], t[c])
        params = {n: params[n] - rate * s[n] for n in params}
    return params

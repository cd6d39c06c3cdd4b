"""Wrong answers to lab 3, each with a slip that its name tells."""

import numpy as np


def numerical_gradient__divides_by_h(f, x):
    """from x - h to x + h the distance is 2h: divide by 2h, not by h"""
    return 2 * _central(f, x)


def _central(f, x):
    h, parts = 1e-5, []
    for e in np.eye(x.size).reshape(-1, *x.shape):
        parts.append((f(x + h * e) - f(x - h * e)) / (2 * h))
    return np.array(parts).reshape(x.shape)


def numerical_gradient__steps_to_one_side(f, x):
    """step to both sides: f(x + h) - f(x - h)"""
    h, parts = 1e-5, []
    for e in np.eye(x.size).reshape(-1, *x.shape):
        parts.append((f(x + h * e) - f(x)) / h)
    return np.array(parts).reshape(x.shape)


def numerical_gradient__moves_all_at_once(f, x):
    """all elements move together: move one at a time, and move it back"""
    h = 1e-5
    return np.full_like(x, (f(x + h) - f(x - h)) / (2 * h))


def numerical_gradient__does_not_move_back(f, x):
    """move each element back before the next one is moved"""
    gradient, moved, h = np.zeros_like(x), x.copy(), 1e-5
    for place in np.ndindex(x.shape):
        moved[place] += h
        above = f(moved)
        moved[place] -= 2 * h
        gradient[place] = (above - f(moved)) / (2 * h)
    return gradient


def numerical_gradient__changes_x(f, x):
    """an operator such as -= or x[...] = works in place; the caller still needs its array: make a new one"""
    gradient, h = np.zeros_like(x), 1e-5
    for place in np.ndindex(x.shape):
        x[place] += h
        above = f(x)
        x[place] -= 2 * h
        gradient[place] = (above - f(x)) / (2 * h)
    return gradient


def numerical_gradient__takes_too_small_a_step(f, x):
    """the result is inaccurate: h must be 1e-5; a far smaller h drowns in rounding errors"""
    h, parts = 1e-14, []
    for e in np.eye(x.size).reshape(-1, *x.shape):
        parts.append((f(x + h * e) - f(x - h * e)) / (2 * h))
    return np.array(parts).reshape(x.shape)


def tied_backward__counts_the_first_use_only(x, W, dy):
    """only the use in x W is counted; W is used a second time, in the product with Wᵀ"""
    return dy @ W @ W.T, x.T @ (dy @ W)


def tied_backward__counts_the_second_use_only(x, W, dy):
    """only the use in the product with Wᵀ is counted; W is used a first time, in x W"""
    return dy @ W @ W.T, dy.T @ (x @ W)


def tied_backward__doubles_one_use(x, W, dy):
    """the two uses have different gradients: derive that of Wᵀ with one index"""
    return dy @ W @ W.T, 2 * x.T @ (dy @ W)


def tied_backward__takes_means(x, W, dy):
    """do not divide by n: dy contains the 1/n already"""
    return dy @ W @ W.T, (x.T @ (dy @ W) + dy.T @ (x @ W)) / len(x)


def tied_backward__passes_dy_on(x, W, dy):
    """dy must pass back through both products: first through Wᵀ, then through W"""
    return dy, x.T @ (dy @ W) + dy.T @ (x @ W)


def tied_backward__returns_dW_alone(x, W, dy):
    """return dx, dW"""
    return x.T @ (dy @ W) + dy.T @ (x @ W)


def tied_backward__averages_the_uses(x, W, dy):
    """the gradients of the two uses add; no mean is taken"""
    return dy @ W @ W.T, (x.T @ (dy @ W) + dy.T @ (x @ W)) / 2


def _net(params, x, labels, mean=True, label=True, slope=True, sign=1.0):
    a = 1 / (1 + np.exp(-(x @ params["W1"] + params["b1"])))
    powers = np.exp(a @ params["W2"] + params["b2"])
    d = powers / powers.sum(axis=1, keepdims=True)
    if label:
        d[np.arange(len(x)), labels] -= 1
    if mean:
        d /= len(x)
    d *= sign
    da = d @ params["W2"].T
    if slope:
        da = da * a * (1 - a)
    return {"W1": x.T @ da, "b1": da.sum(axis=0), "W2": a.T @ d, "b2": d.sum(axis=0)}


def gradients__sums_over_the_samples(params, x, labels):
    """the loss is a mean over the samples: divide p - one-hot by n"""
    return _net(params, x, labels, mean=False)


def gradients__forgets_the_label(params, x, labels):
    """subtract 1 from p at the label"""
    return _net(params, x, labels, label=False)


def gradients__forgets_the_slope(params, x, labels):
    """the slope of the sigmoid, a (1 - a), is missing"""
    return _net(params, x, labels, slope=False)


def gradients__has_the_wrong_sign(params, x, labels):
    """the sign is wrong: p - one-hot, not one-hot - p"""
    return _net(params, x, labels, sign=-1.0)


def gradients__returns_a_list(params, x, labels):
    """return {'W1': dW1, 'b1': db1, ...}"""
    return list(_net(params, x, labels).values())


def gradients__updates_the_weights(params, x, labels):
    """an operator such as -= or x[...] = works in place; the caller still needs its dict: make a new one"""
    found = _net(params, x, labels)
    for name in params:
        params[name] -= found[name]
    return found


def _stable(z):
    powers = np.exp(z - z.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def _curve(z):
    return 1 / (1 + np.exp(-z))


def _two_layers(params, x, labels, from_sums=False, mean_of_biases=False):
    z = x @ params["W1"] + params["b1"]
    a = _curve(z)
    d = (_stable(a @ params["W2"] + params["b2"]) - np.eye(len(params["b2"]))[labels]) / len(x)
    da = d @ params["W2"].T * (z * (1 - z) if from_sums else a * (1 - a))
    biases = np.mean if mean_of_biases else np.sum
    return {"W1": x.T @ da, "b1": biases(da, axis=0), "W2": a.T @ d, "b2": biases(d, axis=0)}


def numerical_gradient__h_1e_3_one_side(f, x):
    """the result is inaccurate: h must be 1e-5; a far smaller h drowns in rounding errors"""
    g = np.zeros_like(x)
    for p in np.ndindex(x.shape):
        e = np.zeros_like(x)
        e[p] = 0.001
        g[p] = (f(x + e) - f(x)) / 0.001
    return g


def numerical_gradient__h_1e_2_central(f, x):
    """the result is inaccurate: take h = 1e-5 and step to both sides"""
    g = np.zeros_like(x)
    for p in np.ndindex(x.shape):
        e = np.zeros_like(x)
        e[p] = 0.01
        g[p] = (f(x + e) - f(x - e)) / 0.02
    return g


def numerical_gradient__1_d_only(f, x):
    """whole rows move together: np.ndindex(x.shape) goes through single elements"""
    g = np.zeros_like(x)
    for i in range(len(x)):
        a = x.copy()
        a[i] += 1e-05
        b = x.copy()
        b[i] -= 1e-05
        g[i] = (f(a) - f(b)) / 2e-05
    return g


def numerical_gradient__no_divide(f, x):
    """the difference is not divided by 2h"""
    g = np.zeros_like(x)
    for p in np.ndindex(x.shape):
        e = np.zeros_like(x)
        e[p] = 1e-05
        g[p] = f(x + e) - f(x - e)
    return g


def gradients__slope_from_z(params, x, labels):
    """the slope is a (1 - a), with a after the sigmoid, not the sum before it"""
    return _two_layers(params, x, labels, from_sums=True)


def gradients__db_mean(params, x, labels):
    """sum over the samples: p - one-hot contains the 1/n already"""
    return _two_layers(params, x, labels, mean_of_biases=True)


def numerical_gradient__forgets_second_eval_sign(f, x):
    """the two values are added: subtract f(x - h)"""
    g = np.zeros_like(x)
    for p in np.ndindex(x.shape):
        e = np.zeros_like(x)
        e[p] = 1e-05
        g[p] = (f(x + e) + f(x - e)) / 2e-05
    return g


def tied_backward__dx_only_one_product(x, W, dy):
    """name the middle h = x W, and go back through y = h Wᵀ first"""
    return dy @ W.T.T if False else (dy @ W, x.T @ (dy @ W) + dy.T @ (x @ W))

"""Right answers to lab 3."""

import numpy as np


def numerical_gradient(f, x):
    gradient, moved, h = np.zeros_like(x), x.copy(), 1e-5
    for place in np.ndindex(x.shape):
        moved[place] = x[place] + h
        above = f(moved)
        moved[place] = x[place] - h
        gradient[place] = (above - f(moved)) / (2 * h)
        moved[place] = x[place]
    return gradient


def tied_backward(x, W, dy):
    h, dh = x @ W, dy @ W  # y = h Wᵀ
    return dh @ W.T, x.T @ dh + dy.T @ h


def _affine_backward(x, W, dy):
    return dy @ W.T, x.T @ dy, dy.sum(axis=0)


def gradients(params, x, labels):
    a = 1 / (1 + np.exp(-(x @ params["W1"] + params["b1"])))
    powers = np.exp(a @ params["W2"] + params["b2"])
    d = powers / powers.sum(axis=1, keepdims=True)
    d[np.arange(len(x)), labels] -= 1
    d /= len(x)
    da, dW2, db2 = _affine_backward(a, params["W2"], d)
    _, dW1, db1 = _affine_backward(x, params["W1"], da * a * (1 - a))
    return {"W1": dW1, "b1": db1, "W2": dW2, "b2": db2}

"""Wrong answers to lab 2, each with a slip that its name tells."""

import numpy as np


def sigmoid__overflows(z):
    return 1 / (1 + np.exp(-z))


def sigmoid__has_the_wrong_sign(z):
    return 1 / (1 + np.exp(np.clip(z, -700, 700)))


def sigmoid__is_tanh(z):
    return np.tanh(z)


def sigmoid__does_not_halve_z(z):
    return 0.5 * np.tanh(z) + 0.5


def sigmoid__works_in_place(z):
    z *= 0.5
    np.tanh(z, out=z)
    return 0.5 * z + 0.5


def softmax__overflows(z):
    powers = np.exp(z)
    return powers / powers.sum(axis=1, keepdims=True)


def softmax__sums_over_everything(z):
    powers = np.exp(z - z.max())
    return powers / powers.sum()


def softmax__sums_down_the_columns(z):
    powers = np.exp(z - z.max(axis=0))
    return powers / powers.sum(axis=0)


def softmax__takes_off_one_maximum_for_all(z):
    powers = np.exp(z - z.max())
    return powers / powers.sum(axis=1, keepdims=True)


def softmax__forgets_to_divide(z):
    return np.exp(z - z.max(axis=1, keepdims=True))


def _sigmoid(z):
    return 0.5 * np.tanh(0.5 * z) + 0.5


def forward__has_a_sigmoid_at_the_end(weights, biases, x):
    for w, b in zip(weights, biases, strict=True):
        x = _sigmoid(x @ w + b)
    return x


def forward__has_no_sigmoid(weights, biases, x):
    for w, b in zip(weights, biases, strict=True):
        x = x @ w + b
    return x


def forward__forgets_the_biases(weights, biases, x):
    for w in weights[:-1]:
        x = _sigmoid(x @ w)
    return x @ weights[-1]


def forward__has_two_layers_only(weights, biases, x):
    return _sigmoid(x @ weights[0] + biases[0]) @ weights[1] + biases[1]


def forward__multiplies_the_wrong_way_round(weights, biases, x):
    for w, b in zip(weights[:-1], biases[:-1], strict=True):
        x = _sigmoid(w @ x + b)
    return weights[-1] @ x + biases[-1]


def forward__always_returns_a_batch(weights, biases, x):
    x = np.atleast_2d(x)
    for w, b in zip(weights[:-1], biases[:-1], strict=True):
        x = _sigmoid(x @ w + b)
    return x @ weights[-1] + biases[-1]

"""Wrong answers to lab 2, each with a slip that its name tells."""

import numpy as np


def predictions__takes_z_for_the_answer():
    return {1: "a", 2: "b", 3: "a", 4: "c", 5: "b", 6: "c"}


def predictions__does_not_know_broadcasting():
    return {1: "b", 2: "c", 3: "a", 4: "c", 5: "b", 6: "c"}


def predictions__takes_halving_for_a_shift():
    return {1: "b", 2: "b", 3: "b", 4: "c", 5: "b", 6: "c"}


def predictions__counts_layers_without_curves():
    return {1: "b", 2: "b", 3: "a", 4: "a", 5: "b", 6: "c"}


def predictions__forgets_the_root():
    return {1: "b", 2: "b", 3: "a", 4: "c", 5: "a", 6: "c"}


def predictions__believes_three_digits():
    return {1: "b", 2: "b", 3: "a", 4: "c", 5: "b", 6: "a"}


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

"""Right answers to lab 2 in other styles."""

import math

import numpy as np


def softmax__row_by_row(z):
    rows = []
    for row in z:
        powers = [math.exp(score - max(row)) for score in row]
        rows.append([power / sum(powers) for power in powers])
    return np.array(rows)


def softmax__by_logarithms(z):
    top = z.max(axis=1, keepdims=True)
    return np.exp(z - top - np.log(np.exp(z - top).sum(axis=1, keepdims=True)))


def softmax__with_logaddexp(z):
    return np.exp(z - np.logaddexp.reduce(z, axis=1)[:, None])


def softmax__transposed(z):
    z = z.T - z.T.max(axis=0)
    return (np.exp(z) / np.exp(z).sum(axis=0)).T


def softmax__returns_lists(z):
    powers = np.exp(z - np.max(z, 1)[:, np.newaxis])
    return (powers / np.sum(powers, 1)[:, np.newaxis]).tolist()


def forward__by_recursion(weights, biases, x):
    x = np.dot(x, weights[0]) + biases[0]
    return x if len(weights) == 1 else forward__by_recursion(weights[1:], biases[1:], 1 / (1 + np.exp(-x)))


def forward__with_einsum(weights, biases, x):
    for layer, (w, b) in enumerate(zip(weights, biases)):  # noqa: B905
        x = np.einsum("...i,ij->...j", x, w) + b
        if layer < len(weights) - 1:
            x = 0.5 + 0.5 * np.tanh(x / 2)
    return x


def forward__pops_layers(weights, biases, x):
    weights, biases = list(weights), list(biases)
    while len(weights) > 1:
        x = 1 / (1 + np.exp(-(x @ weights.pop(0) + biases.pop(0))))
    return x @ weights[0] + biases[0]

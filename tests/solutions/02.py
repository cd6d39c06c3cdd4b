"""Right answers to lab 2."""

import numpy as np


def predictions():
    return {1: "b", 2: "b", 3: "a", 4: "c", 5: "b", 6: "c"}


def softmax(z):
    powers = np.exp(z - z.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def forward(weights, biases, x):
    for w, b in zip(weights[:-1], biases[:-1], strict=True):
        x = 1 / (1 + np.exp(-(x @ w + b)))
    return x @ weights[-1] + biases[-1]

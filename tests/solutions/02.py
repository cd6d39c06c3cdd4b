"""Right answers to lab 2."""

import numpy as np


def sigmoid(z):
    return 0.5 * np.tanh(0.5 * z) + 0.5


def softmax(z):
    powers = np.exp(z - z.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def forward(weights, biases, x):
    for w, b in zip(weights[:-1], biases[:-1], strict=True):
        x = sigmoid(x @ w + b)
    return x @ weights[-1] + biases[-1]

"""Right answers to lab 9."""

import numpy as np


def predictions():
    return {1: "b", 2: "a", 3: "b", 4: "a"}


def _softmax(scores):
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def cross_entropy(scores, labels):
    above = scores - scores.max(axis=1, keepdims=True)
    return (np.log(np.exp(above).sum(axis=1)) - above[np.arange(len(labels)), labels]).mean()


def score_gradient(scores, labels, twice):
    p = _softmax(scores)
    truth = np.eye(scores.shape[1])[labels]
    if not twice:
        return (p - truth) / len(labels)
    g = (_softmax(p) - truth) / len(labels)
    return p * (g - (g * p).sum(axis=1, keepdims=True))

"""Right answers to lab 9 in other styles."""

import math

import numpy as np


def cross_entropy__with_logaddexp(scores, labels):
    return np.mean(np.logaddexp.reduce(scores, axis=1) - np.take_along_axis(scores, labels[:, None], 1)[:, 0])


def cross_entropy__in_plain_python(scores, labels):
    total = 0.0
    for row, label in zip(scores.tolist(), labels.tolist()):  # noqa: B905
        total += max(row) + math.log(sum(math.exp(s - max(row)) for s in row)) - row[label]
    return total / len(labels)


def cross_entropy__with_one_hot(scores, labels):
    above = scores - scores.max(axis=1, keepdims=True)
    logs = above - np.log(np.exp(above).sum(axis=1, keepdims=True))
    return -(np.eye(scores.shape[1])[labels] * logs).sum() / len(labels)


def score_gradient__with_the_jacobian(scores, labels, twice):
    def softmax(s):
        powers = np.exp(s - s.max())
        return powers / powers.sum()

    rows = []
    for s, label in zip(scores, labels):  # noqa: B905
        p = softmax(s)
        g = (softmax(p) if twice else p) - np.eye(len(s))[label]
        rows.append((np.diag(p) - np.outer(p, p)) @ g if twice else g)
    return np.array(rows) / len(labels)


def score_gradient__by_measuring(scores, labels, twice):
    def loss(s):
        for _ in range(1 + twice):
            s = s - s.max(axis=1, keepdims=True)
            last, s = s - np.log(np.exp(s).sum(axis=1, keepdims=True)), np.exp(s)
            s = s / s.sum(axis=1, keepdims=True)
        return -last[np.arange(len(labels)), labels].mean()

    gradient = np.zeros_like(scores)
    for place in np.ndindex(scores.shape):
        moved = np.zeros_like(scores)
        moved[place] = 1e-5
        gradient[place] = (loss(scores + moved) - loss(scores - moved)) / 2e-5
    return gradient

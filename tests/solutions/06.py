"""Right answers to lab 6."""

import numpy as np


def predictions():
    return {1: "c", 2: "b", 3: "b", 4: "b", 5: "c"}


def backward(graph, last):
    ordered = []

    def visit(name):
        if name not in ordered:
            for used, _ in graph.get(name, []):
                visit(used)
            ordered.append(name)

    visit(last)
    gradients = {name: 0.0 for name in ordered}
    gradients[last] = 1.0
    for name in reversed(ordered):
        for used, slope in graph.get(name, []):
            gradients[used] += slope * gradients[name]
    return gradients


def normalise_backward(x, dy):
    r = np.sqrt((x**2).mean(axis=1, keepdims=True))
    dr = (dy * -x / r**2).sum(axis=1, keepdims=True)
    return dy / r + dr * x / (x.shape[1] * r)

"""Right answers to lab 6 in other styles."""

import numpy as np


def backward__counts_uses_that_are_open(graph, last):
    needed, waiting = set(), [last]
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            waiting += [used for used, _ in graph.get(name, ())]
    open_uses = dict.fromkeys(needed, 0)
    for name in needed:
        for used, _ in graph.get(name, ()):
            open_uses[used] += 1
    gradients = dict.fromkeys(needed, 0.0) | {last: 1.0}
    ready = [last]
    while ready:
        name = ready.pop()
        for used, slope in graph.get(name, ()):
            gradients[used] += gradients[name] * slope
            open_uses[used] -= 1
            if not open_uses[used]:
                ready.append(used)
    return gradients


def backward__along_every_path(graph, last):
    gradients = {}

    def push(name, gradient):
        gradients[name] = gradients.get(name, 0.0) + gradient
        for used, slope in graph.get(name, []):
            push(used, gradient * slope)

    push(last, 1)
    return gradients


def backward__asks_the_users(graph, last):
    needed = {last}
    for _ in graph:
        needed |= {used for name in needed for used, _ in graph.get(name, [])}

    def gradient(wanted):
        uses = [(name, slope) for name in needed for used, slope in graph.get(name, []) if used == wanted]
        return float(wanted == last) + sum(slope * gradient(name) for name, slope in uses)

    return {name: gradient(name) for name in needed}


def normalise_backward__with_jacobian_matrices(x, dy):
    dx = np.empty_like(x)
    k = x.shape[1]
    for s, row in enumerate(x):
        r = np.sqrt(np.mean(row**2))
        dx[s] = dy[s] @ (np.eye(k) / r - np.outer(row, row) / (k * r**3))
    return dx


def normalise_backward__by_measuring(x, dy):
    def loss(x):
        return np.sum(dy * x / np.sqrt(np.mean(x**2, axis=1, keepdims=True)))

    dx, h = np.zeros_like(x), 1e-6
    for place in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[place] = h
        dx[place] = (loss(x + step) - loss(x - step)) / (2 * h)
    return dx


def normalise_backward__returns_lists(x, dy):
    rows = []
    for row, d in zip(x.tolist(), dy.tolist(), strict=True):
        k = len(row)
        r = (sum(v * v for v in row) / k) ** 0.5
        through = sum(a * b for a, b in zip(d, row, strict=True)) / (k * r**3)
        rows.append([a / r - through * v for a, v in zip(d, row, strict=True)])
    return rows

"""Wrong answers to lab 6, each with a slip that its name tells."""

import numpy as np


def predictions__counts_one_use():
    """x is used three times, and the gradients of all uses add up; this is one of them"""
    return {1: "a", 2: "b", 3: "b", 4: "b", 5: "c"}


def predictions__does_not_sum_over_rows():
    """each element of b is used once for every row of x: how many rows are there?"""
    return {1: "c", 2: "a", 3: "b", 4: "b", 5: "c"}


def predictions__trusts_any_order():
    """the value has passed on what it had by then, and passes it on only once"""
    return {1: "c", 2: "b", 3: "c", 4: "b", 5: "c"}


def predictions__counts_paths():
    """that is one call for each path, as in the first attempt; the engine visits every value once"""
    return {1: "c", 2: "b", 3: "b", 4: "c", 5: "c"}


def predictions__expects_the_last_gradient():
    """the lab runs this: compare tensors['W1'].grad after one and after two calls"""
    return {1: "c", 2: "b", 3: "b", 4: "b", 5: "a"}


def backward__is_the_stub_with_its_bugs(graph, last):
    """a later use overwrites an earlier one: the gradients of all uses add"""
    gradients = {last: 1.0}
    waiting = [last]
    while waiting:
        name = waiting.pop(0)
        for used, slope in graph.get(name, []):
            gradients[used] = slope * gradients[name]
            waiting.append(used)
    return gradients


def backward__adds_without_an_order(graph, last):
    """a value passes its gradient on before all its uses have reported: order"""
    gradients = {last: 1.0}
    waiting = [last]
    while waiting:
        name = waiting.pop(0)
        for used, slope in graph.get(name, []):
            gradients[used] = gradients.get(used, 0.0) + slope * gradients[name]
            waiting.append(used)
    return gradients


def _ordered(graph, last):
    ordered = []

    def visit(name):
        if name not in ordered:
            for used, _ in graph.get(name, []):
                visit(used)
            ordered.append(name)

    visit(last)
    return ordered[::-1]


def backward__orders_without_adding(graph, last):
    """a later use overwrites an earlier one: the gradients of all uses add"""
    gradients = {last: 1.0}
    for name in _ordered(graph, last):
        for used, slope in graph.get(name, []):
            gradients[used] = slope * gradients[name]
    return gradients


def backward__forgets_the_slopes(graph, last):
    """the slopes are not used"""
    gradients = dict.fromkeys(_ordered(graph, last), 0.0) | {last: 1.0}
    for name in _ordered(graph, last):
        for used, _ in graph.get(name, []):
            gradients[used] += gradients[name]
    return gradients


def backward__returns_values_that_do_not_matter(graph, last):
    """return only values that L depends on"""
    gradients = {used: 0.0 for uses in graph.values() for used, _ in uses} | dict.fromkeys(graph, 0.0) | {last: 1.0}
    for name in _ordered(graph, last):
        for used, slope in graph.get(name, []):
            gradients[used] += slope * gradients[name]
    return gradients


def backward__leaves_out_the_last(graph, last):
    """start with L itself, at 1.0"""
    gradients = dict.fromkeys(_ordered(graph, last), 0.0) | {last: 1.0}
    for name in _ordered(graph, last):
        for used, slope in graph.get(name, []):
            gradients[used] += slope * gradients[name]
    del gradients[last]
    return gradients


def _parts(x, dy):
    r = np.sqrt((x**2).mean(axis=1, keepdims=True))
    return r, x / r, dy * x / r


def normalise_backward__takes_r_for_a_constant(x, dy):
    """r depends on x too: x is used twice, and the gradients of both uses add"""
    return dy / _parts(x, dy)[0]


def normalise_backward__has_the_wrong_sign(x, dy):
    """a larger r makes y smaller: the part through r has a minus"""
    r, y, product = _parts(x, dy)
    return (dy + y * product.mean(axis=1, keepdims=True)) / r


def normalise_backward__sums_instead_of_the_mean(x, dy):
    """r holds the mean of the squares, not their sum"""
    r, y, product = _parts(x, dy)
    return (dy - y * product.sum(axis=1, keepdims=True)) / r


def normalise_backward__takes_the_mean_of_everything(x, dy):
    """each row has its own r: take the mean along axis 1, with keepdims=True"""
    r, y, product = _parts(x, dy)
    return (dy - y * product.mean()) / r


def normalise_backward__takes_the_mean_down_the_columns(x, dy):
    """each row has its own r: take the mean along axis 1"""
    r, y, product = _parts(x, dy)
    return (dy - y * product.mean(axis=0)) / r


def normalise_backward__forgets_to_divide(x, dy):
    """divide by r: y is x / r"""
    _, y, product = _parts(x, dy)
    return dy - y * product.mean(axis=1, keepdims=True)


def backward__no_seed(graph, last):
    """start with L itself, at 1.0"""
    gr = {last: 0.0}
    for u, s in graph.get(last, []):
        gr[u] = gr.get(u, 0) + s * gr[last]
    return gr


def backward__only_direct_inputs(graph, last):
    """start with L itself, at 1.0"""
    gr = {last: 1.0}
    for u, s in graph.get(last, []):
        gr[u] = gr.get(u, 0) + s
    return gr

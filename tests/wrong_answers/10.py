"""Wrong answers to lab 10, each with a slip that its name tells."""

from itertools import pairwise

import numpy as np


def predictions__thinks_biases_do_not_matter():
    """every layer adds 1 to each sum before the ReLU: the mean square grows layer by layer"""
    return {1: "b", 2: "c", 3: "c", 4: "c"}


def predictions__adds_where_layers_multiply():
    """layers multiply, they do not add: compute 1.1 to the power of 50"""
    return {1: "a", 2: "c", 3: "b", 4: "c"}


def predictions__leaves_the_last_open():
    """return a letter for each question, such as {1: 'a', 2: 'b'}"""
    return {1: "a", 2: "c", 3: "c", 4: "?"}


def predictions__returns_a_list():
    """return a letter for each question, such as {1: 'a', 2: 'b'}"""
    return ["a", "c", "c", "c"]


def start_weights__are_all_zero(sizes, rng):
    """equal units stay equal: draw every weight"""
    return [np.zeros(pair) for pair in pairwise(sizes)]


def start_weights__forget_the_relu(sizes, rng):
    """each ReLU halves the mean square: σ² is 2 / n from the second layer on"""
    return [rng.normal(0, np.sqrt(1 / n), (n, m)) for n, m in pairwise(sizes)]


def start_weights__count_outputs(sizes, rng):
    """n is the number of inputs of a unit, not of outputs"""
    return [rng.normal(0, np.sqrt((2 if i else 1) / m), (n, m)) for i, (n, m) in enumerate(pairwise(sizes))]


def start_weights__are_too_small(sizes, rng):
    """compute n σ² for this layer: how much of the mean square does it keep?"""
    return [rng.normal(0, 0.01, pair) for pair in pairwise(sizes)]


def start_weights__use_the_deviation_as_bound(sizes, rng):
    """uniform numbers from -a to a have the standard deviation a / √3"""
    return [rng.uniform(-1, 1, (n, m)) * np.sqrt((2 if i else 1) / n) for i, (n, m) in enumerate(pairwise(sizes))]


def start_weights__are_transposed(sizes, rng):
    """one array [inputs, outputs] for each pair of neighbours in sizes"""
    return [rng.normal(0, np.sqrt(2 / n), (m, n)) for n, m in pairwise(sizes)]


def _norm(x, running, training, axis=0, power=0.5, keep=0.9, always_update=False, always_batch=False):
    mean, variance = x.mean(axis=axis, keepdims=axis == 1), x.var(axis=0)
    if training or always_update:
        running["mean"] = keep * running["mean"] + (1 - keep) * mean
        running["variance"] = keep * running["variance"] + (1 - keep) * variance
    if not training and not always_batch:
        mean, variance = running["mean"], running["variance"]
    return (x - mean) / (variance + 1e-5) ** power


def batch_norm__takes_means_of_samples(x, running, training):
    """each unit has its own mean: over the batch, axis 0"""
    return _norm(x, running, training, axis=1)


def batch_norm__divides_by_the_variance(x, running, training):
    """divide by the square root of the variance"""
    return _norm(x, running, training, power=1)


def batch_norm__exchanges_the_shares(x, running, training):
    """0.9 belongs to the old value, 0.1 to the new one"""
    return _norm(x, running, training, keep=0.1)


def batch_norm__goes_on_updating(x, running, training):
    """after training the running values must not change"""
    return _norm(x, running, training, always_update=True)


def batch_norm__uses_the_batch_afterwards(x, running, training):
    """after training the running values are used, not the batch's"""
    return _norm(x, running, training, always_batch=True)


def batch_norm__keeps_nothing(x, running, training):
    """the running values are not updated: assign to running[...]"""
    return _norm(x, dict(running), training)


def batch_norm__eps_outside_root(x, running, training):
    """1e-5 is added to the variance, under the root"""
    if training:
        m, v = (x.mean(0), x.var(0))
        running["mean"] = 0.9 * running["mean"] + 0.1 * m
        running["variance"] = 0.9 * running["variance"] + 0.1 * v
    else:
        m, v = (running["mean"], running["variance"])
    return (x - m) / (np.sqrt(v) + 1e-05)


def batch_norm__ddof_1(x, running, training):
    """divide the variance by n, not by n - 1"""
    if training:
        m, v = (x.mean(0), x.var(0, ddof=1))
        running["mean"] = 0.9 * running["mean"] + 0.1 * m
        running["variance"] = 0.9 * running["variance"] + 0.1 * v
    else:
        m, v = (running["mean"], running["variance"])
    return (x - m) / np.sqrt(v + 1e-05)


def batch_norm__std_into_running_variance(x, running, training):
    """the running variance gets the variance of the batch, not its square root"""
    if training:
        m, v = (x.mean(0), x.var(0))
        running["mean"] = 0.9 * running["mean"] + 0.1 * m
        running["variance"] = 0.9 * running["variance"] + 0.1 * x.std(0)
    else:
        m, v = (running["mean"], running["variance"])
    return (x - m) / np.sqrt(v + 1e-05)


def batch_norm__replaces_dict_locally(x, running, training):
    """the running values are not updated: assign to running[...]"""
    if training:
        m, v = (x.mean(0), x.var(0))
        running = {"mean": 0.9 * running["mean"] + 0.1 * m, "variance": 0.9 * running["variance"] + 0.1 * v}
    else:
        m, v = (running["mean"], running["variance"])
    return (x - m) / np.sqrt(v + 1e-05)


def start_weights__variance_as_sd(sizes, rng):
    """σ is a standard deviation: take the square root of the variance"""
    return [rng.normal(0, (2 if i else 1) / a, (a, b)) for i, (a, b) in enumerate(pairwise(sizes))]


def start_weights__standard_normal(sizes, rng):
    """the weights have a standard deviation of 1: multiply them by σ"""
    return [rng.standard_normal((a, b)) for a, b in pairwise(sizes)]


def start_weights__own_generator(sizes, rng):
    """draw from the argument rng, not from your own"""
    g = np.random.default_rng(0)
    return [g.normal(0, np.sqrt((2 if i else 1) / a), (a, b)) for i, (a, b) in enumerate(pairwise(sizes))]

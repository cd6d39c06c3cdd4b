"""Wrong answers to lab 2, each with a slip that its name tells."""

import math

import numpy as np


def predictions__takes_z_for_the_answer():
    """z is 0, but the answer is sigmoid(z): look at the curve at 0"""
    return {1: "a", 2: "b", 3: "a", 4: "c", 5: "b", 6: "c"}


def predictions__does_not_know_broadcasting():
    """NumPy adds a row to each row of a matrix: run np.zeros((32, 50)) + np.ones(50)"""
    return {1: "b", 2: "c", 3: "a", 4: "c", 5: "b", 6: "c"}


def predictions__takes_halving_for_a_shift():
    """only adding the same number to all scores changes nothing: try softmax of [2, 0] and [1, 0]"""
    return {1: "b", 2: "b", 3: "b", 4: "c", 5: "b", 6: "c"}


def predictions__counts_layers_without_curves():
    """multiply W1, W2 and W3 first: what shape has the product, and what does x times it give?"""
    return {1: "b", 2: "b", 3: "a", 4: "a", 5: "b", 6: "c"}


def predictions__forgets_the_root():
    """put n = 5,000 into √(p (1 - p) / n): the error shrinks with the root of n"""
    return {1: "b", 2: "b", 3: "a", 4: "c", 5: "a", 6: "c"}


def predictions__believes_three_digits():
    """compute the paired difference and its standard error: 25 numbers are +1, 22 are -1, the rest 0"""
    return {1: "b", 2: "b", 3: "a", 4: "c", 5: "b", 6: "a"}


def softmax__overflows(z):
    """subtract the largest score of each row before exp"""
    powers = np.exp(z)
    return powers / powers.sum(axis=1, keepdims=True)


def softmax__sums_over_everything(z):
    """the whole array has sum 1: sum along axis 1, with keepdims=True"""
    powers = np.exp(z - z.max())
    return powers / powers.sum()


def softmax__sums_down_the_columns(z):
    """the columns have sum 1: each sample is a row, so sum along axis 1"""
    powers = np.exp(z - z.max(axis=0))
    return powers / powers.sum(axis=0)


def softmax__takes_off_one_maximum_for_all(z):
    """subtract the largest score of each row before exp"""
    powers = np.exp(z - z.max())
    return powers / powers.sum(axis=1, keepdims=True)


def softmax__forgets_to_divide(z):
    """the powers are not divided by their sum, row by row"""
    return np.exp(z - z.max(axis=1, keepdims=True))


def _sigmoid(z):
    return 0.5 * np.tanh(0.5 * z) + 0.5


def forward__has_a_sigmoid_at_the_end(weights, biases, x):
    """the last layer has no sigmoid: its sums are the scores"""
    for w, b in zip(weights, biases, strict=True):
        x = _sigmoid(x @ w + b)
    return x


def forward__has_no_sigmoid(weights, biases, x):
    """the sigmoid between the layers is missing"""
    for w, b in zip(weights, biases, strict=True):
        x = x @ w + b
    return x


def forward__forgets_the_biases(weights, biases, x):
    """the biases are not added"""
    for w in weights[:-1]:
        x = _sigmoid(x @ w)
    return x @ weights[-1]


def forward__has_two_layers_only(weights, biases, x):
    """it handles a fixed number of layers: loop over all of them"""
    return _sigmoid(x @ weights[0] + biases[0]) @ weights[1] + biases[1]


def forward__multiplies_the_wrong_way_round(weights, biases, x):
    """x stands on the left of the weights: x @ W + b"""
    for w, b in zip(weights[:-1], biases[:-1], strict=True):
        x = _sigmoid(w @ x + b)
    return weights[-1] @ x + biases[-1]


def forward__always_returns_a_batch(weights, biases, x):
    """one sample gives scores of shape [k], without an axis of size 1"""
    x = np.atleast_2d(x)
    for w, b in zip(weights[:-1], biases[:-1], strict=True):
        x = _sigmoid(x @ w + b)
    return x @ weights[-1] + biases[-1]


def softmax__subtracts_the_mean(z):
    """subtract the largest score of each row before exp"""
    powers = np.exp(z - z.mean(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def softmax__calls_math_exp(z):
    """functions of math take one number: use those of numpy"""
    return math.exp(z) / np.sum(math.exp(z), axis=1, keepdims=True)


def softmax__misspells_numpy(z):
    """this name is not defined: a typing mistake, or a missing import"""
    powers = nump.exp(z - z.max(axis=1, keepdims=True))  # noqa: F821
    return powers / powers.sum(axis=1, keepdims=True)


def _curve(z):
    return 1 / (1 + np.exp(-z))


def softmax__no_keepdims(z):
    """max and sum along axis 1 need keepdims=True, so that their result is [n, 1]"""
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1)


def softmax__max_axis0(z):
    """subtract the largest score of each row, not of each column"""
    e = np.exp(z - z.max(axis=0))
    return e / e.sum(axis=1, keepdims=True)


def softmax__not_exp(z):
    """exp is missing: divide exp of the scores by its sum"""
    return z / z.sum(axis=1, keepdims=True)


def forward__sigmoid_on_input(weights, biases, x):
    """the input passes through a sigmoid: it must not"""
    for W, B in zip(weights, biases, strict=False):
        x = _curve(x) @ W + B
    return x


def forward__forgets_last_layer(weights, biases, x):
    """the last layer is missing"""
    for W, B in zip(weights[:-1], biases[:-1], strict=False):
        x = _curve(x @ W + B)
    return x


def forward__bias_before_product(weights, biases, x):
    """tanh is used in place of the sigmoid"""
    for i, (W, B) in enumerate(zip(weights, biases, strict=False)):
        x = x @ W + B
        if i < len(weights) - 1:
            x = np.tanh(x)
    return x


def forward__relu_between(weights, biases, x):
    """a ReLU is used in place of the sigmoid"""
    for i, (W, B) in enumerate(zip(weights, biases, strict=False)):
        x = x @ W + B
        if i < len(weights) - 1:
            x = np.maximum(x, 0)
    return x


def softmax__log_softmax(z):
    """these are logarithms of the probabilities"""
    return z - np.log(np.exp(z - z.max(1, keepdims=True)).sum(1, keepdims=True)) - z.max(1, keepdims=True)

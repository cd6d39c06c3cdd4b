"""Exercises of lab 2: a safe sigmoid, softmax by rows, and the forward pass of a net of any depth."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from paddle_mnist.labs.exercises.base import Answer, Exercise, call, expect
from paddle_mnist.scratch.layers import sigmoid, softmax

_SIGMOID = '''
def sigmoid(z):
    """Return 1 / (1 + exp(-z)), element by element, without overflow for any z.

    z: floats, of any shape.
    Returns: floats of the same shape, from 0 to 1.
    """
'''

_SOFTMAX = '''
def softmax(z):
    """Return the probabilities that scores stand for, without overflow.

    z: floats [n, k]: in each row the k scores of one sample.
    Returns: floats [n, k], none below 0, each row with sum 1.
    """
'''

_FORWARD = '''
def forward(weights, biases, x):
    """Return the scores of a net of any number of layers.

    A sigmoid follows each layer but the last, whose sums are the scores. No softmax.
    weights: a list of arrays; that of layer l is [inputs of l, outputs of l].
    biases: a list of arrays [outputs of l].
    x: one sample [inputs of the first layer], or a batch [n, inputs of the first layer].
    Returns: [outputs of the last layer], or [n, outputs of the last layer].
    """
'''

_OVERFLOW = "exp of a number above 709 is too large for a float64; exp of a negative one never is"


def _check_sigmoid(answer: Answer) -> None:
    for given in (
        np.array([0.0, 1.0, -1.0, 3.0]),
        np.array([[0.5, -2.0], [4.0, -4.0]]),
        np.array([-1000.0, 1000.0, -30.0]),
        np.array([]),
    ):
        on = f"z = {given.tolist()}"
        with np.errstate(over="raise", invalid="raise", divide="raise"):
            found = call(answer, given, on=on, fails=_OVERFLOW)
        wanted = sigmoid(given)
        slips = [
            (sigmoid(-given), "the sign of z is turned: exp(-z), not exp(z), stands below"),
            (np.tanh(given), "tanh goes from -1 to 1; halve z, halve the result, and add 1/2"),
            (0.5 * np.tanh(given) + 0.5, "z itself must be halved as well: tanh(z / 2)"),
            (wanted * (1 - wanted), "this is the slope of the sigmoid"),
            (np.clip(given, 0, None), "this is a rectifier"),
        ]
        expect(found, wanted, on, slips)


def _check_softmax(answer: Answer) -> None:
    for on, given in (
        ("z = [[1, 3, 0]]", np.array([[1.0, 3.0, 0.0]])),
        ("z = [[0, 0], [1, 2], [5, -5]]", np.array([[0.0, 0.0], [1.0, 2.0], [5.0, -5.0]])),
        ("z = [[1000, 1001], [-1001, -1000]]", np.array([[1000.0, 1001.0], [-1001.0, -1000.0]])),
        ("three rows, one of them 2000 above the others", np.array([[0.0, 1.0], [2000.0, 2001.0], [3.0, 2.0]])),
    ):
        with np.errstate(over="raise", invalid="raise", divide="raise"):
            found = call(answer, given, on=on, fails="take the largest score of each row off before exp")
        wanted = softmax(given)
        down = np.exp(given - given.max(axis=0))
        powers = np.exp(given - given.max())
        slips = [
            (powers / powers.sum(), "all rows together have sum 1 here: sum along axis 1, with keepdims=True"),
            (down / down.sum(axis=0), "the columns have sum 1: each sample is a row, so sum along axis 1"),
            (wanted / wanted.max(axis=1, keepdims=True), "divided by the largest instead of the sum"),
        ]
        expect(found, wanted, on, slips)


def _check_forward(answer: Answer) -> None:
    rng = np.random.default_rng(0)
    for sizes, n in (((3, 2), None), ((4, 3, 2), None), ((4, 3, 2), 5), ((6, 5, 4, 3), 4), ((3, 3, 3, 3, 3), 3)):
        weights = [rng.standard_normal(pair) for pair in pairwise(sizes)]
        biases = [rng.standard_normal(size) for size in sizes[1:]]
        x = rng.standard_normal(sizes[0] if n is None else (n, sizes[0]))
        on = f"layer sizes {', '.join(map(str, sizes))} and {'one sample' if n is None else f'a batch of {n}'}"
        wanted = _forward(weights, biases, x)
        slips = [
            (sigmoid(wanted), "the last layer has no sigmoid: its sums are the scores"),
            (_forward(weights, biases, x, curve=lambda z: z), "the sigmoid between the layers is missing"),
            (_forward(weights, [0 * b for b in biases], x), "the biases are not added"),
            (softmax(np.atleast_2d(wanted)).reshape(wanted.shape), "scores are asked for, without softmax"),
            (_forward(weights, biases, x, curve=lambda z: np.maximum(z, 0)), "a rectifier stands for the sigmoid"),
            (np.atleast_2d(wanted), "one sample gives one row of scores, without an axis of size 1"),
            (_forward(weights[:2], biases[:2], x), "it stops after two layers: loop over all of them"),
        ]
        expect(call(answer, weights, biases, x, on=on), wanted, on, slips, "compare the shapes layer by layer")


def _forward(weights, biases, x, curve=sigmoid):
    for place, (w, b) in enumerate(zip(weights, biases, strict=True)):
        x = (curve(x) if place else x) @ w + b
    return x


EXERCISES = (
    Exercise(
        _SIGMOID,
        _check_sigmoid,
        (
            (
                "Which of exp(z) and exp(-z) overflows depends on the sign of z.",
                "exp(z) 与 exp(-z) 哪个会溢出，取决于 z 的符号。",
            ),
            (
                "The sigmoid is tanh, moved and stretched; numpy.tanh never overflows. Try z = 0 and z = 2.",
                "Sigmoid 就是平移并缩放后的 tanh，而 numpy.tanh 永不溢出。用 z = 0 和 z = 2 试一试。",
            ),
        ),
    ),
    Exercise(
        _SOFTMAX,
        _check_softmax,
        (
            (
                "Each row for itself: its own largest score, its own sum.",
                "每一行各算各的：用本行的最大得分和本行的总和。",
            ),
            (
                "z.max(axis=1, keepdims=True) has shape [n, 1] and can be taken off z directly.",
                "z.max(axis=1, keepdims=True) 的形状是 [n, 1]，可以直接从 z 中减去。",
            ),
        ),
    ),
    Exercise(
        _FORWARD,
        _check_forward,
        (
            ("x @ w works for one row and for many.", "x @ w 对一行和多行都适用。"),
            (
                "Loop over the layers; apply the sigmoid to x before each layer but the first.",
                "对各层循环；除第一层外，在每一层之前先对 x 做 sigmoid。",
            ),
        ),
    ),
)

"""Exercises of lab 2: predictions, a softmax with bugs to find, and the forward pass of a net of any depth."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from paddle_mnist.labs.exercises.base import Answer, Exercise, call, expect
from paddle_mnist.labs.exercises.choices import Question, body, check_choices
from paddle_mnist.scratch.layers import sigmoid, softmax

_PREDICTIONS = '''
def predictions():
    """Answer six questions before you run anything. 先猜答案，不要先运行。

    1. A neuron's weights are all 0, and its bias is 0. What does it answer, after the sigmoid?
       神经元的权重全为 0，偏置也是 0。经过 Sigmoid，它的输出是
       a) 0   b) 1/2   c) 1
    2. x has shape [32, 784], W1 [784, 50], b1 [50]. Then x @ W1 + b1
       x 的形状是 [32, 784]，W1 是 [784, 50]，b1 是 [50]。x @ W1 + b1
       a) has shape [784, 50].  形状是 [784, 50]。
       b) has shape [32, 50].  形状是 [32, 50]。
       c) raises an error, because b1 has another shape than x @ W1.  报错，因为 b1 与 x @ W1 形状不同。
    3. All ten scores are halved. The largest probability
       十个得分都减半。最大的概率
       a) becomes smaller.  变小。
       b) stays as it is.  不变。
       c) becomes larger.  变大。
    4. The sigmoids are taken out of a net of three layers. Then it can do
       从三层网络中去掉 Sigmoid。它能做的事
       a) as much as three layers.  与三层一样多。
       b) as much as two.  与两层一样多。
       c) as much as a single one.  只与一层一样多。
    5. A test of 500 digits gives 90.0 ± 1.3 %. For an error ten times smaller you need
       用 500 个数字测试，得到 90.0 ± 1.3 %。要让误差缩小到十分之一，需要
       a) 5,000 digits.  5,000 个数字。
       b) 50,000 digits.  50,000 个数字。
       c) a net that is ten times better.  好十倍的网络。
    6. Of the same 500 digits net A reads 460 right and net B 457. There are 25 that only A reads right, and 22 that
       only B reads right.
       在同样的 500 个数字中，网络 A 读对 460 个，网络 B 读对 457 个。有 25 个只有 A 读对，22 个只有 B 读对。
       a) A is better.  A 更好。
       b) Both are equally good.  两者一样好。
       c) The test cannot tell which is better.  这个测试看不出谁更好。
    Returns: a dict from the number of each question to a letter.
    """
'''

_SOFTMAX = '''
def softmax(z):
    """Return the softmax of scores, without overflow.

    z: floats [n, k]: in each row the k scores of one sample.
    Returns: floats [n, k], none below 0, each row with sum 1. The lines below do something else: find the bugs.
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

_QUESTIONS = (
    Question(
        "a neuron with weights and bias 0",
        "b",
        {
            "a": "z is 0, but the answer is sigmoid(z): look at the curve at 0",
            "c": "z is 0; look at the curve of the sigmoid at 0",
        },
    ),
    Question(
        "the shape of x @ W1 + b1",
        "b",
        {
            "a": "[784, 50] is the shape of W1; the product has a row for each row of x",
            "c": "NumPy adds a row to each row of a matrix: run np.zeros((32, 50)) + np.ones(50)",
        },
    ),
    Question(
        "all scores are halved",
        "a",
        {
            "b": "only adding the same number to all scores changes nothing: try softmax of [2, 0] and [1, 0]",
            "c": "halved scores lie closer together: try softmax of [2, 0] and [1, 0]",
        },
    ),
    Question(
        "three layers without sigmoids",
        "c",
        {
            "a": "multiply W1, W2 and W3 first: what shape has the product, and what does x times it give?",
            "b": "multiply W1, W2 and W3 first: how many matrices are left?",
        },
    ),
    Question(
        "an error ten times smaller",
        "b",
        {
            "a": "put n = 5,000 into √(p (1 - p) / n): the error shrinks with the root of n",
            "c": "the error comes from the number of digits: put p = 0.99 and n = 500 into √(p (1 - p) / n)",
        },
    ),
    Question(
        "25 digits for A, 22 for B",
        "c",
        {
            "a": "compute the paired difference and its standard error: 25 numbers are +1, 22 are -1, the rest 0",
            "b": "a difference that may be luck is no proof that there is none: how large is its standard error?",
        },
    ),
)


def _check_predictions(answer: Answer) -> None:
    check_choices(answer, _QUESTIONS)


_OVERFLOW = "subtract the largest score of each row before exp"
_SOFTMAX_FAILS = {
    FloatingPointError: _OVERFLOW,
    OverflowError: _OVERFLOW,
    ValueError: "max and sum along axis 1 need keepdims=True, so that their result is [n, 1]",
}


def _check_softmax(answer: Answer) -> None:
    for on, given in (
        ("z = [[1, 3, 0]]", np.array([[1.0, 3.0, 0.0]])),
        ("z = [[0, 0], [1, 2], [5, -5]]", np.array([[0.0, 0.0], [1.0, 2.0], [5.0, -5.0]])),
        ("z = [[1000, 1001], [-1001, -1000]]", np.array([[1000.0, 1001.0], [-1001.0, -1000.0]])),
        ("three rows, one of them 2000 above the others", np.array([[0.0, 1.0], [2000.0, 2001.0], [3.0, 2.0]])),
        ("z = [[2000, 0, 0, 0]]", np.array([[2000.0, 0.0, 0.0, 0.0]])),
    ):
        with np.errstate(over="raise", invalid="raise", divide="raise"):
            found = call(answer, given, on=on, fails=_SOFTMAX_FAILS)
        wanted = softmax(given)
        down = np.exp(given - given.max(axis=0))
        powers = np.exp(given - given.max())
        mixed = np.exp(given - given.max(axis=0))
        mixed_total = np.maximum(mixed.sum(axis=1, keepdims=True), 1e-300)  # a row may underflow
        total = np.where(given.sum(axis=1) == 0, np.nan, given.sum(axis=1))[:, np.newaxis]
        slips = [
            (np.log(np.maximum(wanted, 1e-300)), "these are logarithms of the probabilities"),
            (given / total, "exp is missing: divide exp of the scores by its sum"),
            (mixed / mixed_total, "subtract the largest score of each row, not of each column"),
            (powers / powers.sum(), "the whole array has sum 1: sum along axis 1, with keepdims=True"),
            (down / down.sum(axis=0), "the columns have sum 1: each sample is a row, so sum along axis 1"),
            (wanted / wanted.max(axis=1, keepdims=True), "the powers are not divided by their sum, row by row"),
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
            (_forward(weights, [*biases[:-1], 0 * biases[-1]], x), "the bias of the last layer is not added"),
            (_forward(weights, biases, sigmoid(x)), "the input passes through a sigmoid: it must not"),
            (_forward(weights, biases, x, curve=np.tanh), "tanh is used in place of the sigmoid"),
            (_without_last(weights, biases, x), "the last layer is missing"),
            (softmax(np.atleast_2d(wanted)).reshape(wanted.shape), "return the scores, without softmax"),
            (_forward(weights, biases, x, curve=lambda z: np.maximum(z, 0)), "a ReLU is used in place of the sigmoid"),
            (np.atleast_2d(wanted), "one sample gives scores of shape [k], without an axis of size 1"),
            (_forward(weights[:2], biases[:2], x), "it handles a fixed number of layers: loop over all of them"),
        ]
        fixed = {
            IndexError: "it handles a fixed number of layers: loop over all of them",
            ValueError: "x stands on the left of the weights: x @ W + b",
        }
        expect(call(answer, weights, biases, x, on=on, fails=fixed), wanted, on, slips)


def _forward(weights, biases, x, curve=sigmoid):
    for place, (w, b) in enumerate(zip(weights, biases, strict=True)):
        x = (curve(x) if place else x) @ w + b
    return x


def _without_last(weights, biases, x):
    return sigmoid(_forward(weights[:-1], biases[:-1], x)) if len(weights) > 1 else x


_BUGS = """\
    raise NotImplementedError  # delete this line; the rest is right for one sample and wrong for a batch
    powers = np.exp(z - z.max())
    return powers / powers.sum()
"""

EXERCISES = (
    Exercise(
        _PREDICTIONS,
        _check_predictions,
        (
            (
                "Each choice can be tried in two or three lines of Python. Guess first.",
                "每个选项都可以用两三行 Python 试出来。先猜。",
            ),
            (
                "For questions 5 and 6 use the two formulas of the lab: the standard error, and the paired difference.",
                "第 5、6 题用实验里的两个公式：标准误差和配对比较。",
            ),
        ),
        body(6),
    ),
    Exercise(
        _SOFTMAX,
        _check_softmax,
        (
            (
                "Handle each row separately: its own largest score, its own sum.",
                "每一行各算各的：用本行的最大得分和本行的总和。",
            ),
            (
                "z.max(axis=1, keepdims=True) has shape [n, 1] and can be subtracted from z directly.",
                "z.max(axis=1, keepdims=True) 的形状是 [n, 1]，可以直接从 z 中减去。",
            ),
        ),
        _BUGS,
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

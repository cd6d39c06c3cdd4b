"""Exercises of lab 4: predictions, a descent with bugs to find, and an epoch of mini-batches."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from paddle_mnist.labs.exercises.base import Answer, Exercise, Wrong, call, expect
from paddle_mnist.labs.exercises.choices import Question, body, check_choices

_PREDICTIONS = '''
def predictions():
    """Change one thing, and say what happens before you try it. 改变一处，先说出结果，再去试。

    1. In the valley of the lab the loss is w², and rates below 1 arrive. Now the loss is 5 w². The largest rate that
       arrives is
       实验中的山谷损失是 w²，小于 1 的学习率都能到达谷底。现在损失是 5 w²。能到达谷底的最大学习率
       a) five times larger.  是原来的五倍。
       b) the same.  不变。
       c) five times smaller.  是原来的五分之一。
    2. The gradient of a batch of 10 is taken as the sum of the samples' gradients instead of their mean. For the same
       steps as before, the rate must be
       每批 10 个，梯度不取各样本的平均，而取总和。要走出与原来同样的步子，学习率必须
       a) ten times smaller.  缩小到十分之一。
       b) the same.  不变。
       c) ten times larger.  增大到十倍。
    3. A batch holds all training digits. Two nets start from the same weights, and their orders of the digits have
       different seeds. After training they
       每批包含全部训练数字。两个网络从相同的权重开始，数字的顺序用不同的随机种子。训练之后，它们
       a) are the same, but for rounding.  除舍入外完全相同。
       b) differ a little, as nets do that saw other batches.  略有不同，就像看过不同批次的网络那样。
       c) read different digits right, with equal accuracy.  读对的数字不同，准确率相同。
    4. All weights and biases start at 0. After training the 30 hidden neurons
       所有权重和偏置都从 0 开始。训练之后，30 个隐藏神经元
       a) have learned different things.  学到了不同的东西。
       b) are all equal to each other.  彼此完全相同。
       c) are still at 0.  仍然是 0。
    5. Late in training the accuracy jumps up and down from epoch to epoch. It becomes calmer with
       训练后期，准确率一轮高一轮低。要让它平稳一些，应该用
       a) smaller batches.  更小的批次。
       b) a smaller rate.  更小的学习率。
       c) a larger rate.  更大的学习率。
    Returns: a dict from the number of each question to a letter.
    """
'''

_DESCEND = '''
def descend(slope, start, rate, steps):
    """Return the path of gradient descent: the start, and where each step leads.

    slope: a function; slope(w) is the gradient at w, an array of w's shape.
    start: float64 [d].
    Returns: float64 [steps + 1, d]; the first row is start. The lines below do something else: find the bugs.
    """
'''

_EPOCH = '''
def train_epoch(gradient, params, x, t, batch_size, rate, order):
    """Return the parameters after an epoch of mini-batch gradient descent; the arguments must not change.

    gradient: a function; gradient(params, x, t) is a dict: the gradient of the batch's mean loss for each parameter.
    params: a dict of arrays.  x: [n, i].  t: [n].
    order: integers [n]: the order in which to take the samples. The last batch holds the rest.
    Returns: a new dict with the same names.
    """
'''


_QUESTIONS = (
    Question(
        "the largest rate for 5 w²",
        "c",
        {
            "a": "the slope is 10 w now: write down the factor by which a step multiplies w, and put in a rate of 2",
            "b": "the slope is 10 w now: write down the factor by which a step multiplies w, and put in a rate of 0.9",
        },
    ),
    Question(
        "the sum instead of the mean",
        "a",
        {
            "b": "a step is rate times gradient, and the sum of 10 gradients is not their mean",
            "c": "the sum is 10 times the mean: what must the rate be for the product to stay?",
        },
    ),
    Question(
        "one batch of all digits, in another order",
        "a",
        {
            "b": "both nets see one and the same batch: does a mean depend on the order of what is averaged?",
            "c": "the gradient is a mean over all digits: does a mean depend on the order of what is averaged?",
        },
    ),
    Question(
        "all weights start at 0",
        "b",
        {
            "a": "two hidden neurons with equal weights get equal gradients: what could ever make them differ?",
            "c": "the hidden neurons answer 1/2 at first, so the gradient of the last W is not 0: try a few steps",
        },
    ),
    Question(
        "a calmer end",
        "b",
        {
            "a": "look at the lab's picture of the cosines: are smaller batches less noisy?",
            "c": "the noise of a batch moves the weights by rate times noise",
        },
    ),
)


def _check_predictions(answer: Answer) -> None:
    check_choices(answer, _QUESTIONS)


def _check_descend(answer: Answer) -> None:
    for on, slope, start, rate, steps in (
        ("slope 2w from [1], rate 0.25, 3 steps", lambda w: 2 * w, [1.0], 0.25, 3),
        ("slope 2w from [1], rate 1.05, 4 steps", lambda w: 2 * w, [1.0], 1.05, 4),
        ("slope [w0, 10 w1] from [3, 1], rate 0.1, 5 steps", lambda w: w * [1.0, 10.0], [3.0, 1.0], 0.1, 5),
        ("no steps from [2, 5]", lambda w: w, [2.0, 5.0], 0.1, 0),
    ):
        first = np.array(start)
        wanted = _path(slope, first, rate, steps)
        fixed = np.array([first - k * rate * slope(first) for k in range(steps + 1)])
        slips = [
            (wanted[1:], "the start is missing: it is the first row"),
            (wanted[:-1], "the last point is missing: there are steps + 1"),
            (wanted[-1], "this is the last point: return the whole path"),
            (_path(slope, first, -rate, steps), "it goes uphill: subtract the step"),
            (_path(slope, first, 1.0, steps), "the rate is not used"),
            (fixed, "the slope is taken at the start each time: take it at the current w"),
            (
                np.repeat(wanted[-1:], steps + 1, axis=0),
                "all rows are the same array, changed in place: keep copies",
            ),
            (wanted.ravel(), "each point is a row: [steps + 1, d]"),
        ]
        found = call(answer, slope, first, rate, steps, on=on)
        if isinstance(found, list):
            found = np.array(found)
        expect(found, wanted, on, slips)


def _path(slope: Callable[[np.ndarray], np.ndarray], start: np.ndarray, rate: float, steps: int) -> np.ndarray:
    path = [start]
    for _ in range(steps):
        path.append(path[-1] - rate * slope(path[-1]))
    return np.array(path)


def _check_epoch(answer: Answer) -> None:
    rng = np.random.default_rng(0)
    for n, size in ((6, 2), (7, 3), (5, 5), (4, 10), (3, 1)):
        x, t = rng.standard_normal((n, 2)), rng.standard_normal(n)
        params = {"w": rng.standard_normal(2), "b": np.array(0.5)}
        order = rng.permutation(n)
        while n > size and np.array_equal(np.sort(order[:size]), np.arange(size)):
            order = rng.permutation(n)
        on = f"{n} samples in batches of {size}, order {order.tolist()}"
        sizes: list[int] = []

        def gradient(params, x, t, seen=sizes):
            seen.append(len(t))
            if len(t) == 0:
                raise ValueError("a batch must have at least 1 sample, got 0")
            return _gradient(params, x, t)

        wanted = _epoch(params, x, t, size, 0.1, order)
        empty = {ValueError: "it asks for the gradient of a batch of 0 samples: count the batches"}
        found = call(answer, gradient, params, x, t, size, 0.1, order, on=on, fails=empty)
        whole = n // size * size
        unmoved = {name: params[name].copy() for name in params}
        frozen = {name: params[name].copy() for name in params}
        for first in range(0, n, size):
            chosen = order[first : first + size]
            for name, slope in _gradient(unmoved, x[chosen], t[chosen]).items():
                frozen[name] = frozen[name] - 0.1 * slope
        halved = dict(params)
        for first in range(0, n, size):
            chosen = order[first : first + size]
            slopes = _gradient(halved, x[chosen], t[chosen])
            halved = {name: halved[name] - 0.1 * slopes[name] / len(chosen) for name in halved}
        slips = [
            (_epoch(params, x, t, size, 0.1, np.arange(n)), "the argument order is not followed"),
            (_epoch(params, x, t, size, 0.1, order[:whole]), "the last, smaller batch is missing"),
            (frozen, "every gradient is taken at the first parameters: take it at the latest ones"),
            (_epoch(params, x, t, n, 0.1, order), "all samples are taken at once"),
            (
                _epoch(params, x[order], t, size, 0.1, np.arange(n)),
                "x and t are not in the same order",
            ),
            (halved, "the gradient is divided by the batch size again: it is the gradient of a mean already"),
            (
                _epoch(params, x, t[order], size, 0.1, order),
                "x and t are not in the same order",
            ),
            (_epoch(params, x, t, size, -0.1, order), "it goes uphill: subtract the step"),
            (_epoch(params, x, t, size, 1.0, order), "the rate is not used"),
            (_epoch(params, x, t, size, 0.1, order[:size]), "return stands inside the loop: it leaves after a batch"),
            (params, "the parameters have not changed"),
        ]
        if not isinstance(found, dict):
            kind = "nothing (None)" if found is None else f"a {type(found).__name__}"
            raise Wrong(f"it returns {kind}; expected a dict", on, "return the new parameters")
        expect(found, wanted, on, slips, f"gradient was called with batches of {sizes} samples")


def _gradient(params, x, t):
    error = x @ params["w"] + params["b"] - t
    return {"w": x.T @ error / len(t), "b": np.array(error.mean())}


def _epoch(params, x, t, size, rate, order):
    params = dict(params)
    for first in range(0, len(order), size):
        chosen = order[first : first + size]
        slopes = _gradient(params, x[chosen], t[chosen])
        params = {name: params[name] - rate * slopes[name] for name in params}
    return params


_BUGS = """\
    raise NotImplementedError  # delete this line; the rest runs, and has two bugs
    w = start
    path = []
    for _ in range(steps):
        w -= rate * slope(w)
        path.append(w)
    return np.array(path)
"""

EXERCISES = (
    Exercise(
        _PREDICTIONS,
        _check_predictions,
        (
            (
                "For question 1 write down one step, w minus rate times slope, and look at the factor of w.",
                "第 1 题：写出一步，即 w 减去学习率乘以斜率，看 w 前面的因子。",
            ),
            (
                "For question 4 ask what makes one hidden neuron differ from its neighbour.",
                "第 4 题：问一问，是什么让一个隐藏神经元与旁边的不同。",
            ),
        ),
        body(5),
    ),
    Exercise(
        _DESCEND,
        _check_descend,
        (
            (
                "Print path with start = np.array([1.0]): how many rows has it, and how do they differ?",
                "用 start = np.array([1.0]) 打印 path：它有几行？各行有什么不同？",
            ),
            (
                "w -= ... changes the array that you have kept already, and the caller's; w = w - ... makes a new one.",
                "w -= ... 会改动你已经保存的那个数组，以及调用者的数组；w = w - ... 生成新数组。",
            ),
        ),
        _BUGS,
    ),
    Exercise(
        _EPOCH,
        _check_epoch,
        (
            (
                "chosen = order[first : first + batch_size] picks a batch.",
                "chosen = order[first : first + batch_size] 取出一批。",
            ),
            (
                "Make a new dict at each batch: {name: params[name] - rate * slopes[name] for name in params}.",
                "每一批都生成一个新字典：{name: params[name] - rate * slopes[name] for name in params}。",
            ),
        ),
    ),
)

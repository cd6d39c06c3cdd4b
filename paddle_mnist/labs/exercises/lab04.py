"""Exercises of lab 4: a step of gradient descent, a path of steps, and an epoch of mini-batches."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from paddle_mnist.labs.exercises.base import Answer, Exercise, Wrong, call, expect

_STEP = '''
def sgd_step(params, grads, rate):
    """Return the parameters after one step of gradient descent; the arguments must not change.

    params, grads: dicts with the same names; each pair of arrays has one shape.
    rate: the learning rate.
    Returns: a new dict with the same names.
    """
'''

_DESCEND = '''
def descend(slope, start, rate, steps):
    """Return the path of gradient descent: the start, and where each step leads.

    slope: a function; slope(w) is the gradient at w, an array of w's shape.
    start: float64 [d].
    Returns: float64 [steps + 1, d]; the first row is start.
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


def _check_step(answer: Answer) -> None:
    rng = np.random.default_rng(0)
    for names, rate in ((["w"], 0.1), (["W1", "b1", "W2"], 0.5), (["w"], 0.0), (["a", "b"], 3.0)):
        params = {name: rng.standard_normal((2, 3)) for name in names}
        grads = {name: rng.standard_normal((2, 3)) for name in names}
        on = f"parameters {', '.join(names)}, rate {rate}"
        wanted = {name: params[name] - rate * grads[name] for name in names}
        slips = [
            ({name: params[name] + rate * grads[name] for name in names}, "it goes uphill: subtract the step"),
            ({name: params[name] - grads[name] for name in names}, "the rate is not used"),
            ({name: -rate * grads[name] for name in names}, "this is the step: return the parameters after it"),
            ({names[0]: wanted[names[0]]}, "return stands inside the loop: it leaves after the first parameter"),
            ({name: params[name] * (1 - rate) for name in names}, "the gradient is not used"),
        ]
        expect(call(answer, params, grads, rate, on=on), wanted, on, slips)


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
            (params, "the parameters have not changed"),
        ]
        if not isinstance(found, dict):
            raise Wrong(f"it returns a {type(found).__name__}; expected a dict", on, "return the new parameters")
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


EXERCISES = (
    Exercise(
        _STEP,
        _check_step,
        (
            ("Downhill is against the gradient.", "下坡就是沿梯度的反方向。"),
            (
                "A dict comprehension makes the new dict: {name: ... for name in params}.",
                "用字典推导式生成新字典：{name: ... for name in params}。",
            ),
        ),
    ),
    Exercise(
        _DESCEND,
        _check_descend,
        (
            ("Take the slope at the current point, not at the start.", "斜率要在当前位置取，而不是在起点取。"),
            (
                "w = w - rate * slope(w) makes a new array; w -= ... changes the one that you have stored.",
                "w = w - rate * slope(w) 生成新数组；w -= ... 会改动你已经保存的那个数组。",
            ),
        ),
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
                "Your sgd_step does the rest: params = sgd_step(params, gradient(params, x[chosen], t[chosen]), rate).",
                "其余的交给你的 sgd_step：params = sgd_step(params, gradient(params, x[chosen], t[chosen]), rate)。",
            ),
        ),
    ),
)

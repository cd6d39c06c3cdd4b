"""Exercises of lab 3: gradients by measuring, of a layer that uses its weights twice, and of a whole net."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from paddle_mnist.labs.exercises.base import Answer, Exercise, Wrong, call, expect, plural
from paddle_mnist.scratch.layers import Affine, Sigmoid, SoftmaxWithLoss

_NUMERICAL = '''
def numerical_gradient(f, x):
    """Return the gradient of f at x by measuring: (f(x + h) - f(x - h)) / 2h, one element at a time.

    f: a function that takes an array of x's shape and returns one number.
    x: float64, of any shape; it must not change.
    Returns: float64, of x's shape. Take h = 1e-5.
    """
'''

_TIED = '''
def tied_backward(x, W, dy):
    """Return the gradients of a layer that uses its weights twice: y = (x W) Wᵀ.

    x: [n, i].  W: [i, h].  dy: [n, i], the gradient of the loss with respect to y.
    Returns: (dx, dW), of shapes [n, i] and [i, h].
    """
'''

_NET = '''
def gradients(params, x, labels):
    """Return the gradients of a net: Affine, sigmoid, Affine, then the mean cross entropy of the softmax.

    params: {"W1": [i, h], "b1": [h], "W2": [h, k], "b2": [k]}.  x: [n, i].  labels: integers [n], from 0 to k - 1.
    Returns: a dict of the same names and shapes: the gradient of the loss with respect to each.
    """
'''


def _check_numerical(answer: Answer) -> None:
    rng = np.random.default_rng(0)
    a = rng.standard_normal((2, 3))
    cases = (
        (
            "f(x) = sum of x², x = [1, -2, 3]",
            lambda x: float((x**2).sum()),
            np.array([1.0, -2.0, 3.0]),
            lambda x: 2 * x,
        ),
        ("f(x) = sum of x³, x = [0, 1]", lambda x: float((x**3).sum()), np.array([0.0, 1.0]), lambda x: 3 * x**2),
        ("f(x) = x[0] x[1], x = [2, 5]", lambda x: float(x[0] * x[1]), np.array([2.0, 5.0]), lambda x: x[::-1]),
        ("f(x) = sum of sin(x), x of shape [2, 3]", lambda x: float(np.sin(x).sum()), a, np.cos),
    )
    for on, f, x, slope in cases:
        wanted = slope(x)
        found = call(answer, f, x, on=on)
        forward = np.array([(f(x + 1e-5 * e) - f(x)) / 1e-5 for e in np.eye(x.size).reshape(-1, *x.shape)])
        slips = [
            (2 * wanted, "from x - h to x + h the distance is 2h: divide by 2h, not by h"),
            (wanted / 2, "a step of h is divided by 2h"),
            (-wanted, "the difference has the wrong sign: f(x + h) comes first"),
            (_added(f, x), "the two values are added: subtract f(x - h)"),
            (wanted * 2e-5, "the difference is not divided by 2h"),
            (np.full_like(x, wanted.sum()), "all elements move together: move one at a time, and move it back"),
        ]
        why = "move one element, measure, and move it back before the next"
        if np.shape(found) == x.shape and np.allclose(found, wanted, rtol=0.1, atol=0.1):
            why = "the result is inaccurate: h must be 1e-5; a far smaller h drowns in rounding errors"
            slips.append((found, why))
        if x.ndim > 1:
            rows = np.broadcast_to(wanted.sum(axis=1, keepdims=True), x.shape)
            slips.append((rows, "whole rows move together: np.ndindex(x.shape) goes through single elements"))
        expect(found, wanted, on, slips, why, 1e-4)
        if np.shape(found) == x.shape and np.allclose(found, forward.reshape(x.shape), rtol=0, atol=1e-9):
            gap = np.abs(forward.reshape(x.shape) - wanted).max()
            if gap > 1e-6:
                raise Wrong(
                    f"the error is {gap:.0e}; expected about 1e-9", on, "step to both sides: f(x + h) - f(x - h)"
                )
        drifted = [(_without_moving_back(f, x), "move each element back before the next one is moved")]
        drifted.append((found, "the result is inaccurate: take h = 1e-5 and step to both sides"))
        expect(found, wanted, on, drifted, tolerance=1e-7)


def _added(f: Callable[[np.ndarray], float], x: np.ndarray) -> np.ndarray:
    steps = 1e-5 * np.eye(x.size).reshape(-1, *x.shape)
    return np.array([(f(x + step) + f(x - step)) / 2e-5 for step in steps]).reshape(x.shape)


def _without_moving_back(f: Callable[[np.ndarray], float], x: np.ndarray) -> np.ndarray:
    gradient, moved = np.zeros_like(x), x.copy()
    for place in np.ndindex(x.shape):
        moved[place] += 1e-5
        above = f(moved)
        moved[place] -= 2e-5
        gradient[place] = (above - f(moved)) / 2e-5
    return gradient


def _check_tied(answer: Answer) -> None:
    rng = np.random.default_rng(0)
    # In the square case shapes alone do not help, and a batch of one hides a missing sum.
    for n, i, h in ((1, 3, 2), (4, 3, 2), (5, 2, 4), (3, 3, 3)):
        x, W, dy = rng.standard_normal((n, i)), rng.standard_normal((i, h)), rng.standard_normal((n, i))
        on = f"x [{n}, {i}], W [{i}, {h}], dy [{n}, {i}]"
        transposed = {ValueError: "a factor is not transposed: dx = dy Wᵀ, dW = xᵀ dy"}
        found = call(answer, x, W, dy, on=on, fails=transposed)
        if not isinstance(found, (tuple, list)) or len(found) != 2:
            raise Wrong("it does not return two arrays", on, "return dx, dW")
        dx = dy @ W @ W.T
        first, second = x.T @ dy @ W, dy.T @ x @ W  # through x W, and through the product with Wᵀ
        slips = [(dy, "dy must pass back through both products: first through Wᵀ, then through W")]
        slips += [(dx / n, "do not divide by n: dy contains the 1/n already")]
        slips += [(dx.T, "this is dx transposed: dx has the shape of x")] if n == i else []
        expect(found[0], dx, f"dx for {on}", slips, "name the middle h = x W, and go back through y = h Wᵀ first")
        dW = first + second
        slips = [
            (first, "only the use in x W is counted; W is used a second time, in the product with Wᵀ"),
            (second, "only the use in the product with Wᵀ is counted; W is used a first time, in x W"),
            (2 * first, "the two uses have different gradients: derive that of Wᵀ with one index"),
            (2 * second, "the two uses have different gradients: derive that of W in x W with one index"),
            (first - second, "the gradients of the two uses add"),
            (dW / 2, "the gradients of the two uses add; no mean is taken"),
            (dW / n, "do not divide by n: dy contains the 1/n already"),
        ]
        slips += [(first + second.T, "the gradient of Wᵀ must be transposed to become one of W")] if i == h else []
        expect(found[1], dW, f"dW for {on}", slips, "W is used twice: find the gradient of each use, then add them")


def _check_net(answer: Answer) -> None:
    rng = np.random.default_rng(0)
    for n, i, h, k in ((1, 3, 2, 2), (6, 4, 5, 3), (4, 3, 3, 3)):
        params = {
            "W1": rng.standard_normal((i, h)),
            "b1": rng.standard_normal(h),
            "W2": rng.standard_normal((h, k)),
            "b2": rng.standard_normal(k),
        }
        x, labels = rng.standard_normal((n, i)), rng.integers(0, k, n)
        on = f"{plural(n, 'sample')}, layer sizes {i}, {h}, {k}, labels {labels.tolist()}"
        found = call(answer, params, x, labels, on=on)
        wanted = _gradients(params, x, labels)
        if not isinstance(found, dict) or found.keys() != wanted.keys():
            raise Wrong("it does not return a dict with W1, b1, W2, b2", on, "return {'W1': dW1, 'b1': db1, ...}")
        flat = _gradients(params, x, labels, slope=lambda y: 1.0)
        plain = _gradients(params, x, labels, slope=lambda y: (y > 0) * 1.0)
        logit = _gradients(params, x, labels, slope=lambda y: np.log(y / (1 - y)) * (1 - np.log(y / (1 - y))))
        summed = {name: n * value for name, value in wanted.items()}
        no_label = _gradients(params, x, labels, hot=0.0)
        for name in ("b2", "W2", "b1", "W1"):  # in the order of the backward pass: the first wrong one is the cause
            slips = [
                (summed[name], "the loss is a mean over the samples: divide p - one-hot by n"),
                (no_label[name], "subtract 1 from p at the label"),
                (-wanted[name], "the sign is wrong: p - one-hot, not one-hot - p"),
                (logit[name], "the slope is a (1 - a), with a after the sigmoid, not the sum before it"),
                (wanted[name] / n, "sum over the samples: p - one-hot contains the 1/n already"),
                (flat[name], "the slope of the sigmoid, a (1 - a), is missing"),
                (plain[name], "this is the slope of a ReLU; the sigmoid's is a (1 - a)"),
            ]
            expect(found[name], wanted[name], f"the gradient {name} for {on}", slips, "check this step by measuring")


def _gradients(params, x, labels, slope=None, hot=1.0):
    first, second = Affine(params["W1"], params["b1"]), Affine(params["W2"], params["b2"])
    curve, last = Sigmoid(), SoftmaxWithLoss()
    last.forward(second.forward(curve.forward(first.forward(x))), labels)
    d = last.backward()
    d[np.arange(len(d)), labels] += (1 - hot) / len(d)
    d = second.backward(d)
    first.backward(curve.backward(d) if slope is None else d * slope(curve.y))
    return {"W1": first.dW, "b1": first.db, "W2": second.dW, "b2": second.db}


EXERCISES = (
    Exercise(
        _NUMERICAL,
        _check_numerical,
        (
            (
                "Work on x.copy(); move one element, measure, and put it back.",
                "在 x.copy() 上操作：移动一个元素，测量，再放回去。",
            ),
            (
                "for place in np.ndindex(x.shape) goes through an array of any shape.",
                "for place in np.ndindex(x.shape) 可以遍历任意形状的数组。",
            ),
        ),
    ),
    Exercise(
        _TIED,
        _check_tied,
        (
            (
                "Name the middle: h = x W, then y is h times W transposed. Go back through the second step first.",
                "给中间结果起个名字：h = x W，然后 y = h Wᵀ。先反向通过第二步。",
            ),
            (
                "y[s, i] = sum over k of h[s, k] W[i, k], so here W[i, k] gets the sum over s of dy[s, i] h[s, k].",
                "y[s, i] = Σ_k h[s, k] W[i, k]，所以 W[i, k] 的这次使用得到 Σ_s dy[s, i] h[s, k]。",
            ),
            (
                "The other use, in h = x W, is that of the Affine layer with dh = dy W. Add both.",
                "另一次使用在 h = x W 中，与 Affine 层相同，其中 dh = dy W。把两者相加。",
            ),
        ),
    ),
    Exercise(
        _NET,
        _check_net,
        (
            (
                "Forward: keep a1 = sigmoid(x W1 + b1) and p. Backward: begin with (p - one-hot) / n.",
                "先前向计算，保留 a1 = sigmoid(x W1 + b1) 和 p。反向从 (p - one-hot) / n 开始。",
            ),
            (
                "Between the two layers multiply by the sigmoid's slope, a1 (1 - a1), element by element.",
                "在两层之间逐元素乘以 Sigmoid 的斜率 a1 (1 - a1)。",
            ),
        ),
    ),
)

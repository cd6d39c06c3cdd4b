"""Exercises of lab 7: the squared error, a clipped step of descent, and training by Paddle's autograd."""

from __future__ import annotations

import numpy as np

from paddle_mnist import cpu
from paddle_mnist.labs.exercises.base import Answer, Exercise, Wrong, call, expect

_ERROR = '''
def square_error(outputs, labels):
    """Return the mean over the samples of (output - label)².

    outputs: float32 [n, 1].  labels: uint8 [n], or any numbers of shape [n] or [n, 1].
    Returns: one number.
    """
'''

_STEP = '''
def sgd_step(parameters, gradients, lr, clip_norm):
    """Return the parameters after one step of gradient descent: p - lr * g for each.

    If the global norm of the gradients (the square root of the sum of all squares, over all arrays) is above clip_norm,
    all gradients are first multiplied by clip_norm / norm. Shorter gradients stay unchanged; 0 means no clipping.
    parameters, gradients: lists of arrays, in pairs of the same shape.  lr, clip_norm: numbers.
    Returns: a list of new arrays.
    """
'''

_FIT = '''
def fit_line(x, t, lr, steps):
    """Train y = x w + b by gradient descent on the mean square error, with gradients from Paddle.

    w and b begin at 0; every step takes all samples at once.
    x: float64 [n, k].  t: float64 [n, 1].  lr: the learning rate.  steps: how many.
    Returns: w [k, 1] and b [1], as NumPy arrays.
    """
    import paddle
'''


def _check_error(answer: Answer) -> None:
    for outputs, labels, on in (
        ([[7.0]], [7], "one output, 7, and its label 7"),
        ([[1.0], [2.0], [4.0]], [[1], [4], [4]], "outputs 1, 2, 4 and labels 1, 4, 4, both of shape [3, 1]"),
        ([[1.0], [2.0], [4.0]], [1, 5, 4], "outputs 1, 2, 4 of shape [3, 1] and labels 1, 5, 4 of shape [3]"),
        ([[2.5], [-1.0]], [0, 9], "outputs 2.5 and -1 and labels 0 and 9"),
    ):
        y = np.array(outputs, np.float32)
        t = np.array(labels, np.float32 if np.ndim(labels) == 2 else np.uint8)
        gap = y.astype(float).ravel() - t.astype(float).ravel()
        across = y.astype(float).ravel()[:, np.newaxis] - t.astype(float).ravel()
        slips = [
            (float((gap**2).sum()), "this is the sum: divide by the number of samples"),
            (float((across**2).mean()), "[n, 1] minus [n] is broadcast to [n, n]: reshape labels to [n, 1] first"),
            (float((gap**2).mean() / 2), "no factor 1/2 is asked for"),
            (float(np.abs(gap).mean()), "these are absolute errors: square them"),
            (float(gap.mean() ** 2), "square first, then take the mean"),
            (float(np.sqrt((gap**2).mean())), "no root is asked for"),
            (gap**2, "return one number: the mean of these"),
            (gap[:, np.newaxis] ** 2, "return one number: the mean of these"),
        ]
        expect(call(answer, y, t, on=on), float((gap**2).mean()), on, slips)


def _check_step(answer: Answer) -> None:
    parameters = [np.array([[1.0, -2.0], [0.5, 3.0]]), np.array([0.0, 1.0])]
    gradients = [np.array([[2.0, 0.0], [-4.0, 4.0]]), np.array([-8.0, 0.0])]  # norms 6 and 8, together 10
    for lr, clip_norm, on in (
        (0.1, 0.0, "gradients of global norm 10, no clipping"),
        (0.1, 20.0, "gradients of global norm 10, clip_norm 20"),
        (0.1, 5.0, "gradients of global norm 10 (6 and 8 by array), clip_norm 5"),
        (0.5, 7.0, "gradients of global norm 10 (6 and 8 by array), clip_norm 7"),
    ):
        where = f"{on}, lr {lr}"
        found = call(answer, parameters, gradients, lr, clip_norm, on=where)
        if isinstance(found, (list, tuple)) and any(a is b for a in found for b in parameters):
            raise Wrong("it returns the arrays that it was given", where, "make new arrays: p - lr * g")
        slips = [
            (_stepped(parameters, gradients, -lr, clip_norm), "it goes uphill: subtract lr times the gradient"),
            (_stepped(parameters, gradients, lr, 0), "the gradients are not clipped"),
            (
                _stepped_by_array(parameters, gradients, lr, clip_norm),
                "each array is clipped by its own norm: the norm is that of all arrays together",
            ),
            (
                [p - lr * g * clip_norm / 10 for p, g in zip(parameters, gradients, strict=True)],
                "gradients shorter than clip_norm stay unchanged, and 0 means no clipping",
            ),
            (
                [
                    p - lr * (np.clip(g, -clip_norm, clip_norm) if clip_norm else g)
                    for p, g in zip(parameters, gradients, strict=True)
                ],
                "each element is clipped separately, which changes the direction: scale the whole gradient",
            ),
            (
                [p - lr * g * (clip_norm / 14 if clip_norm else 1) for p, g in zip(parameters, gradients, strict=True)],
                "norms do not add up; their squares do",
            ),
            (
                [
                    p - lr * g * (clip_norm / 100 if clip_norm else 1)
                    for p, g in zip(parameters, gradients, strict=True)
                ],
                "the norm is the square root of the sum of squares",
            ),
        ]
        expect(
            list(found) if isinstance(found, tuple) else found,
            _stepped(parameters, gradients, lr, clip_norm),
            where,
            slips,
        )
    zeros = [np.zeros(3)]
    on = "gradients that are all 0, clip_norm 5"
    expect(call(answer, [np.ones(3)], zeros, 0.1, 5.0, on=on), [np.ones(3)], on, why="it divides by a norm of 0")


def _stepped(
    parameters: list[np.ndarray], gradients: list[np.ndarray], lr: float, clip_norm: float
) -> list[np.ndarray]:
    norm = np.sqrt(sum(float((g**2).sum()) for g in gradients))
    scale = clip_norm / norm if 0 < clip_norm < norm else 1.0
    return [p - lr * scale * g for p, g in zip(parameters, gradients, strict=True)]


def _stepped_by_array(
    parameters: list[np.ndarray], gradients: list[np.ndarray], lr: float, clip_norm: float
) -> list[np.ndarray]:
    return [_stepped([p], [g], lr, clip_norm)[0] for p, g in zip(parameters, gradients, strict=True)]


def _check_fit(answer: Answer) -> None:
    cpu.tune()  # the answer is about to import Paddle
    rng = np.random.default_rng(0)
    two = rng.standard_normal((8, 2))
    for x, t, lr, steps, on in (
        (np.array([[1.0], [2.0]]), np.array([[3.0], [5.0]]), 0.1, 0, "x = 1, 2, t = 3, 5, no steps"),
        (np.array([[1.0], [2.0]]), np.array([[3.0], [5.0]]), 0.1, 1, "x = 1, 2, t = 3, 5, one step of lr 0.1"),
        (np.array([[1.0], [2.0]]), np.array([[3.0], [5.0]]), 0.1, 3, "x = 1, 2, t = 3, 5, three steps of lr 0.1"),
        (two, two @ [[2.0], [-1.0]] + 0.5, 0.1, 60, "eight samples of two numbers, t = 2 x₀ - x₁ + 0.5, 60 steps"),
    ):
        found = call(answer, x, t, lr, steps, on=on)
        if not isinstance(found, tuple) or len(found) != 2:
            raise Wrong(f"it returns a {type(found).__name__}; expected a pair", on, "return w, b")
        found = tuple(np.asarray(part) for part in found)
        slips = [
            (_descend(x, t, lr, steps, keep=True), "the gradients are not cleared: they add up from step to step"),
            (_descend(x, t, lr * len(x), steps), "the loss is the mean over the samples, not the sum"),
            (_descend(x, t, lr, max(steps - 1, 0)), "there is one step too few"),
            (_descend(x, t, lr, steps + 1), "there is one step too many"),
            (_descend(x, t, -lr, steps), "it goes uphill: subtract lr times the gradient"),
            (_descend(x, t, lr / 2, steps), "the loss has no factor 1/2"),
            (_descend(x, t, lr, steps, with_bias=False), "b is not trained"),
        ]
        why = "w and b begin at 0, w has shape [k, 1]; compute one step by hand and compare"
        expect(found, _descend(x, t, lr, steps), on, slips, why, tolerance=1e-4)


def _descend(
    x: np.ndarray, t: np.ndarray, lr: float, steps: int, keep: bool = False, with_bias: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Do by hand what the exercise asks of Paddle; ``keep`` and ``with_bias`` do it wrongly."""
    w, b = np.zeros((x.shape[1], 1)), np.zeros(1)
    dw, db = np.zeros_like(w), np.zeros_like(b)
    for _ in range(steps):
        dy = 2 * (x @ w + b - t) / len(x)
        dw, db = dw * keep + x.T @ dy, db * keep + dy.sum(axis=0)
        w, b = w - lr * dw, b - lr * db * with_bias
    return w, b


EXERCISES = (
    Exercise(
        _ERROR,
        _check_error,
        (
            ("Print the shape of outputs - labels.", "打印 outputs - labels 的形状。"),
            (
                "labels.reshape(-1, 1) always has shape [n, 1]; convert it to float before you subtract.",
                "labels.reshape(-1, 1) 无论原来如何都得到 [n, 1]；相减之前先转成浮点数。",
            ),
        ),
    ),
    Exercise(
        _STEP,
        _check_step,
        (
            (
                "First compute one number, the norm over all arrays; then the steps.",
                "先算一个数：所有数组的总范数；再更新。",
            ),
            (
                "norm is the square root of the sum of all (g ** 2).sum(); scale is min(1, clip_norm / norm).",
                "norm 是所有 (g ** 2).sum() 之和的平方根；"
                "当 0 < clip_norm < norm 时 scale = clip_norm / norm，否则为 1。",
            ),
        ),
    ),
    Exercise(
        _FIT,
        _check_fit,
        (
            (
                "It is the loop of the lab with one batch: forward, loss, backward, step, clear.",
                "就是实验里的循环，只是每次只有一批：前向、损失、反向、更新、清零。",
            ),
            (
                "Begin with w = paddle.zeros([k, 1], 'float64') and w.stop_gradient = False, likewise b; step by "
                "w = (w - lr * w.grad).detach(), and set stop_gradient = False again.",
                "用 paddle.zeros([k, 1], 'float64') 建 w，设 stop_gradient = False，b 也一样；"
                "然后手动更新：w = (w - lr * w.grad).detach()，再设 stop_gradient = False。",
            ),
        ),
    ),
)

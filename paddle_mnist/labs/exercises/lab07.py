"""Exercises of lab 7: the square error, a loop to correct, and training by Paddle's autograd."""

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

_EPOCH = '''
def train_epoch(net, optimizer, batches):
    """Train a Paddle net on every batch once; correct the three mistakes in the lines below.

    The loss of a batch is the mean of (output - label)². Gradients are zero at first, and must be zero at the end.
    net: maps a tensor [n, k] to outputs [n, 1].  optimizer: one of Paddle's, for the net's parameters.
    batches: a list of pairs (x, t): float32 [n, k] and float32 [n].
    Returns: a list with the loss of each batch before its step, as floats.
    """
    import paddle
    import paddle.nn.functional as F
'''

_EPOCH_BODY = """    raise NotImplementedError  # delete this line, and correct those below
    losses = []
    for x, t in batches:
        loss = F.square_error_cost(net(paddle.to_tensor(x)), paddle.to_tensor(t)).mean()
        optimizer.step()
        loss.backward()
        losses.append(float(loss))
    return losses
"""

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
        ([[1.0], [2.0], [4.0]], [[1], [5], [3]], "outputs 1, 2, 4 and labels 1, 5, 3, both of shape [3, 1]"),
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


def _check_epoch(answer: Answer) -> None:
    cpu.tune()  # the answer is about to import Paddle
    import paddle

    rng = np.random.default_rng(0)
    w0, b0 = np.array([[0.5], [-1.0]], np.float32), np.array([0.25], np.float32)
    for count, samples in ((1, 1), (1, 3), (2, 3), (5, 4)):
        batches = [
            (rng.standard_normal((samples, 2)).astype(np.float32), rng.standard_normal(samples).astype(np.float32))
            for _ in range(count)
        ]
        net = paddle.nn.Linear(2, 1)
        net.weight.set_value(w0)
        net.bias.set_value(b0)
        optimizer = paddle.optimizer.SGD(0.1, parameters=net.parameters())
        on = f"a Linear layer, SGD of rate 0.1, batches: {count}, samples in each: {samples}"
        losses = call(lambda net=net, o=optimizer, b=batches: answer(net, o, b), on=on)
        if losses is None:
            raise Wrong("it returns nothing (None)", on, "return the list of losses")
        if not all(isinstance(loss, float) for loss in losses):
            raise Wrong(
                f"the losses are of type {type(losses[0]).__name__}", on, "keep float(loss): a tensor keeps its graph"
            )
        found = (list(losses), net.weight.numpy(), net.bias.numpy())
        slips = [
            (_epoch(w0, b0, batches, **slip), why)
            for slip, why in (
                ({"broadcast": True}, "[n, 1] minus [n] is broadcast to [n, n]: bring labels to [n, 1] first"),
                ({"keep": True}, "the gradients are not cleared, so they add up from batch to batch"),
                ({"late": True}, "the step comes before backward: it uses the gradient of the batch before, or none"),
                ({"late": True, "keep": True}, "the step comes before backward, and the gradients are not cleared"),
                ({"broadcast": True, "keep": True}, "labels are broadcast, and the gradients are not cleared"),
                ({"broadcast": True, "late": True, "keep": True}, "all three mistakes are still there"),
            )
        ]
        expect(found, _epoch(w0, b0, batches), f"{on}; losses, weights, bias", slips, "follow one batch", 1e-4)
        if any(p.grad is not None and float(p.grad.abs().sum()) for p in net.parameters()):
            raise Wrong("gradients are left at the end", on, "clear them after each step")


def _epoch(w, b, batches, broadcast=False, keep=False, late=False):
    """Do by hand what the exercise asks of Paddle; the other arguments do it wrongly."""
    dw, db, losses = 0 * w, 0 * b, []
    for x, t in batches:
        y = x @ w + b  # [n, 1]
        gap = y - (t[np.newaxis] if broadcast else t[:, np.newaxis])
        losses.append(float((gap**2).mean()))
        dy = 2 * gap.sum(axis=1, keepdims=True) / gap.size
        gradient = x.T @ dy, dy.sum(axis=0)
        if not late:
            dw, db = dw + gradient[0], db + gradient[1]
        w, b = w - 0.1 * dw, b - 0.1 * db
        if not keep:
            dw, db = 0 * dw, 0 * db
        if late:
            dw, db = dw + gradient[0], db + gradient[1]
    return losses, w, b


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
        why = (
            "with no steps, w and b stay at 0"
            if not steps
            else "w and b begin at 0, w has shape [k, 1]; compute one step by hand and compare"
        )
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
        _EPOCH,
        _check_epoch,
        (
            (
                "Compare the order of the lines with the loop of the lab, and print the shape of outputs - labels.",
                "把各行的顺序与实验里的循环对照，并打印损失中差的形状。",
            ),
            (
                "labels.reshape(-1, 1) before the loss; then backward, step, clear_grad; and keep float(loss).",
                "先用 labels.reshape(-1, 1)；然后 backward、step、clear_grad；保存 float(loss)。",
            ),
        ),
        _EPOCH_BODY,
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

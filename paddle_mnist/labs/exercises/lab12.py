"""Exercises of lab 12: what an optimizer does, a step of AdaGrad, and an Adam to correct."""

from __future__ import annotations

import numpy as np

from paddle_mnist.labs.exercises.base import Answer, Exercise, call, expect
from paddle_mnist.labs.exercises.choices import Question, body, check_choices

_PREDICTIONS = '''
def predictions():
    """Return a letter for each question. Answer first, then change the lab in that one place and run it.

    1. All gradients are multiplied by 1000. Adam's steps become
       a) 1000 times as long   b) about as long as before   c) 1000 times shorter
    2. The valley is made equally steep in both directions, curvature 1 and 1. Each rule at its best rate: SGD
       a) still ends last   b) reaches the lowest point in one step   c) diverges
    3. Momentum keeps 0.99 of its velocity in place of 0.9. With a gradient that stays the same, its steps grow to
       a) 10 times lr g   b) 99 times lr g   c) 100 times lr g
    4. RMSProp at a constant rate is close to the lowest point, and the gradient has become tiny. Its steps
       a) become tiny too   b) stay about as long as before   c) grow without limit
    """
'''

_ADAGRAD = '''
def adagrad_step(w, s, gradient, lr):
    """Return the weights and the memory after one step of AdaGrad, as paddle.optimizer.Adagrad does it.

    Like RMSProp, but s is the plain sum of all squared gradients so far, so it never forgets and only grows. The step
    is lr times the gradient, divided by the root of the new s; 1e-6 is added to the root, outside of it.
    w, s, gradient: arrays of one shape.  lr: the learning rate.
    Returns: (new w, new s). The arguments must not change.
    """
'''

_ADAM = '''
def adam_step(w, m, s, gradient, t, lr):
    """Return the weights and the two memories after step t of Adam; correct the three mistakes in the lines below.

    m (the mean gradient) keeps 0.9 of its old value, s (the mean squared gradient) 0.999. Both begin at 0 and are
    corrected for that before they are used. 1e-8 is added to the square root.
    w, m, s, gradient: arrays of one shape.  t: 1 in the first step.  lr: the learning rate.
    Returns: (new w, new m, new s), where m and s are not corrected: the next step needs them so.
    """
'''

_ADAM_BODY = """    raise NotImplementedError  # delete this line, and correct those below
    m = 0.9 * m + 0.1 * gradient
    s = 0.999 * s + 0.001 * gradient
    m = m / (1 - 0.9**t)
    s = s / (1 - 0.999**t)
    return w - lr * m / np.sqrt(s) + 1e-8, m, s
"""

_QUESTIONS = (
    Question(
        "gradients times 1000",
        "b",
        {
            "a": "m grows 1000 times, and so does the root of s, by which it is divided: try it in a few lines",
            "c": "m grows 1000 times, and so does the root of s, by which it is divided: try it in a few lines",
        },
    ),
    Question(
        "a round valley",
        "b",
        {
            "a": "both directions now bear the same rate: what does the rate 1 / curvature do?",
            "c": "it is each rule's best rate, and the rate 1 / curvature is allowed",
        },
    ),
    Question(
        "keep 0.99",
        "c",
        {"a": "that is the sum for 0.9; now it is 1 + 0.99 + 0.99² + …", "b": "the newest gradient counts too: 1 + …"},
    ),
    Question(
        "RMSProp near the lowest point",
        "b",
        {
            "a": "the gradient is divided by its own usual size, which has become tiny as well",
            "c": "the memory follows the gradient, so the two stay in proportion",
        },
    ),
)


def _check_adagrad(answer: Answer) -> None:
    rng = np.random.default_rng(0)
    w, g = rng.normal(size=(2, 2, 3))
    s = rng.uniform(0.5, 2, (2, 3))
    for on, s0, g0, lr in (
        ("a first step: s = 0, lr = 0.1", np.zeros_like(s), g, 0.1),
        ("a later step: s not 0, lr = 0.1", s, g, 0.1),
        ("a first step with gradients of 0, lr = 0.1", np.zeros_like(s), 0 * g, 0.1),
        ("tiny gradients of about 1e-6, s = 0, lr = 1", np.zeros_like(s), 1e-6 * g, 1.0),
    ):
        new = s0 + g0**2
        with np.errstate(all="ignore"):
            inside = w - lr * g0 / np.sqrt(new + 1e-6)
            old = w - lr * g0 / (np.sqrt(s0) + 1e-6)
            mean = 0.9 * s0 + 0.1 * g0**2
        step = lr * g0 / (np.sqrt(new) + 1e-6)
        slips = [
            ((w + step, new), "the weights move uphill: the step is subtracted"),
            ((inside, new), "1e-6 is added to the root, not under it"),
            ((old, new), "the step divides by the new s: compute it first"),
            ((w - lr * g0 / (np.sqrt(mean) + 1e-6), mean), "this is RMSProp: AdaGrad adds up and forgets nothing"),
            ((w - lr * g0 / (new + 1e-6), new), "the root of s is missing"),
            ((w - lr * g0 / (np.sqrt(s0 + np.abs(g0)) + 1e-6), s0 + np.abs(g0)), "add the square of the gradient"),
            ((w - lr * g0 / (np.sqrt(np.abs(s0 + g0)) + 1e-6), s0 + g0), "add the square of the gradient"),
            ((new, w - step), "the weights come first, then the memory"),
        ]
        expect(call(answer, w, s0, g0, lr, on=on), (w - step, new), on, slips)


def _check_adam(answer: Answer) -> None:
    rng = np.random.default_rng(2)
    w, m, g = rng.normal(size=(3, 5))
    s = rng.uniform(0.1, 2, 5)
    none = np.zeros(5)
    for on, m0, s0, g0, t, lr in (
        ("the first step: t = 1, m = s = 0, positive gradients, lr = 0.01", none, none, np.abs(g), 1, 0.01),
        ("the first step: t = 1, m = s = 0, lr = 0.01", none, none, g, 1, 0.01),
        ("a later step: t = 7, lr = 0.01", m, s, g, 7, 0.01),
        ("t = 3, lr = 0.5", m, s, -2 * g, 3, 0.5),
        ("a first step with gradients of 0", none, none, none, 1, 0.01),
    ):

        def step(m0=m0, s0=s0, g0=g0, t=t, lr=lr, tm=True, ts=True, sign=-1, root=True, square=2, tiny="right"):
            m1, s1 = 0.9 * m0 + 0.1 * g0, 0.999 * s0 + 0.001 * g0**square
            mean = m1 / (1 - 0.9**t) if tm else m1
            usual = s1 / (1 - 0.999**t) if ts else s1
            with np.errstate(all="ignore"):
                divisor = (np.sqrt(usual) if root else usual) + (1e-8 if tiny == "right" else 0)
                return w + sign * lr * mean / divisor + (1e-8 if tiny == "outside" else 0), m1, s1

        right, m1, s1 = step()
        kept = (m1 / (1 - 0.9**t), s1 / (1 - 0.999**t))
        slow, fast = 0.999 * m0 + 0.001 * g0, 0.9 * s0 + 0.1 * g0**2
        fair = lr * slow / (1 - 0.999**t) / (np.sqrt(fast / (1 - 0.9**t)) + 1e-8)
        swapped = (w - fair, slow, fast)
        slips = [
            (step(tm=False, ts=False), "m and s are not corrected: in step t divide by 1 - 0.9^t and 1 - 0.999^t"),
            (step(ts=False), "s is not corrected: divide it by 1 - 0.999^t"),
            (step(tm=False), "m is not corrected: divide it by 1 - 0.9^t"),
            (step(sign=1), "the weights move uphill: the step is subtracted"),
            (step(root=False), "the root of s is missing"),
            (step(t=max(t - 1, 1)), "the correction takes t, not t - 1"),
            (swapped, "the shares are exchanged: m keeps 0.9, s keeps 0.999"),
            (step(t=t + 1), "t is 1 in the first step already"),
            (step(square=1), "s is the mean of the squared gradient: a square is missing"),
            (step(tiny="outside"), "1e-8 belongs to the divisor: put it in parentheses with the root"),
            ((right, *kept), "the corrected m and s are returned; the next step needs them as they were before"),
        ]
        with np.errstate(all="ignore"):  # a root of a negative number shows as nan in the answer
            found = call(answer, w, m0, s0, g0, t, lr, on=on)
        why = "compare line by line: what is averaged, what is corrected, what is returned, and where is the 1e-8?"
        expect(found, (right, m1, s1), on, slips, why, tolerance=1e-9)


EXERCISES = (
    Exercise(
        _PREDICTIONS,
        lambda answer: check_choices(answer, _QUESTIONS),
        (
            (
                "Multiply g by 1000 in the rule, and see what becomes of m and of the root of s.",
                "在规则中把 g 乘以 1000，看看 m 和 s 的平方根各变成什么。",
            ),
            (
                "1 + k + k² + … = 1 / (1 - k). On a parabola of curvature c, one step of rate 1 / c is enough.",
                "1 + k + k² + …… = 1 / (1 - k)。曲率为 c 的抛物线，用学习率 1 / c 一步就到谷底。",
            ),
        ),
        body(4),
    ),
    Exercise(
        _ADAGRAD,
        _check_adagrad,
        (
            ("Two lines: first the new s, then the weights.", "两行就够：先算新的 s，再更新权重。"),
            (
                "s = s + gradient**2 makes a new array; the divisor is np.sqrt(s) + 1e-6.",
                "s = s + gradient**2 会产生新数组；除数是 np.sqrt(s) + 1e-6。",
            ),
        ),
    ),
    Exercise(
        _ADAM,
        _check_adam,
        (
            (
                "One mistake is in what is averaged, one in what is returned, one is a pair of parentheses.",
                "一个错误在求平均的量上，一个在返回值上，一个是少了一对括号。",
            ),
            (
                "Keep two pairs of names: m and s for the memory, and their corrected values for this step only.",
                "准备两组名字：m 和 s 是要保留的记忆，修正后的值只在这一步使用。",
            ),
        ),
        _ADAM_BODY,
    ),
)

"""Exercises of lab 12: a step of Momentum, clipping by the global norm, and a step of Adam."""

from __future__ import annotations

import numpy as np

from paddle_mnist.labs.exercises.base import Answer, Exercise, call, expect

_MOMENTUM = '''
def momentum_step(w, v, gradient, lr, keep):
    """Return the weights and the velocity after one step of Momentum.

    The new velocity is keep times the old one plus the gradient; then the weights move downhill by lr times the new
    velocity.
    w, v, gradient: arrays of one shape.  lr: the learning rate.  keep: from 0 to 1, often 0.9.
    Returns: (new w, new v). The arguments must not change.
    """
'''

_CLIP = '''
def clip_by_global_norm(gradients, limit):
    """Return the gradients, scaled by one common factor so that their global norm is at most limit.

    The global norm is the square root of the sum of the squares of all numbers in all arrays.
    gradients: a list of arrays of different shapes.  limit: a number above 0.
    Returns: a list of new arrays; equal to the given ones if the norm is at most limit.
    """
'''

_ADAM = '''
def adam_step(w, m, s, gradient, t, lr):
    """Return the weights and the two memories after step t of Adam.

    m (the mean gradient) keeps 0.9 of its old value, s (the mean squared gradient) 0.999. Both begin at 0 and are
    corrected for that before they are used. 1e-8 is added to the square root.
    w, m, s, gradient: arrays of one shape.  t: 1 in the first step.  lr: the learning rate.
    Returns: (new w, new m, new s), where m and s are not corrected: the next step needs them so.
    """
'''


def _check_momentum(answer: Answer) -> None:
    rng = np.random.default_rng(0)
    w, v, g = rng.normal(size=(3, 2, 4))
    for on, v0, lr, keep in (
        ("a first step: v = 0, lr = 0.5, keep = 0.9", np.zeros_like(v), 0.5, 0.9),
        ("a later step: v not 0, lr = 0.1, keep = 0.9", v, 0.1, 0.9),
        ("keep = 0, which is plain SGD, lr = 0.2", v, 0.2, 0.0),
        ("keep = 0.5, lr = 0.01", v, 0.01, 0.5),
    ):
        new = keep * v0 + g
        scaled = keep * v0 + lr * g
        mean = keep * v0 + (1 - keep) * g
        slips = [
            ((w - lr * g, g), "the old velocity is ignored: v = keep v + gradient"),
            ((w + lr * new, new), "the weights move uphill: subtract the step"),
            ((w - lr * v0, new), "the weights move by the old velocity: compute the new one first"),
            ((w - lr * g, new), "the weights move by the gradient alone: move them by the velocity"),
            ((w - scaled, scaled), "lr belongs to the step, not to the velocity: v = keep v + gradient"),
            ((w - lr * mean, mean), "add the whole gradient, not (1 - keep) times the gradient"),
            ((new, w - lr * new), "return the weights first, then the velocity"),
        ]
        expect(call(answer, w, v0, g, lr, keep, on=on), (w - lr * new, new), on, slips)


def _check_clip(answer: Answer) -> None:
    rng = np.random.default_rng(1)
    mixed = [rng.normal(size=shape) * size for shape, size in (((3, 2), 4), ((5,), 0.1), ((2, 2, 2), 7))]
    for on, gradients, limit in (
        ("[3, 4] and [[12]], whose norm is 13, limit 2", [np.array([3.0, 4]), np.array([[12.0]])], 2.0),
        ("[3, 0] and [[0], [4]], whose norm is 5, limit 2", [np.array([3.0, 0]), np.array([[0.0], [4]])], 2.0),
        ("[3, 0] and [[0], [4]], whose norm is 5, limit 10", [np.array([3.0, 0]), np.array([[0.0], [4]])], 10.0),
        ("[3, 0] and [[0], [4]], whose norm is 5, limit 4.5", [np.array([3.0, 0]), np.array([[0.0], [4]])], 4.5),
        ("three arrays of different sizes, limit 5", mixed, 5.0),
        ("gradients that are all 0, limit 5", [np.zeros(3), np.zeros((2, 2))], 5.0),
    ):
        norms = [float(np.sqrt(np.sum(g**2))) for g in gradients]
        norm = float(np.sqrt(np.sum(np.square(norms))))
        one_by_one = [g * min(1, limit / max(n, 1e-300)) for g, n in zip(gradients, norms, strict=True)]
        most = max(float(np.abs(g).max()) for g in gradients)
        slips = [
            (one_by_one, "each array is clipped by its own norm: the norm is that of all arrays together"),
            (
                [np.clip(g, -limit, limit) for g in gradients],
                "each number is clipped separately, which changes the direction: scale all of them",
            ),
            ([g * limit / max(norm, 1e-300) for g in gradients], "gradients shorter than limit stay unchanged"),
            (
                [g * min(1, limit / max(norm**2, 1e-300)) for g in gradients],
                "the norm is not the sum of squares but its square root",
            ),
            (
                [g * min(1, limit / max(sum(norms), 1e-300)) for g in gradients],
                "norms do not add up; their squares do",
            ),
            (
                [g * min(1, limit / max(most, 1e-300)) for g in gradients],
                "this uses the largest number in place of the norm",
            ),
        ]
        wanted = [g * limit / max(norm, limit) for g in gradients]
        expect(
            call(answer, gradients, limit, on=on),
            wanted,
            on,
            slips,
            "it divides by a norm of 0: the factor is limit / max(norm, limit)"
            if norm == 0
            else "the factor is limit / norm, at most 1",
        )


def _check_adam(answer: Answer) -> None:
    rng = np.random.default_rng(2)
    w, m, g = rng.normal(size=(3, 5))
    s = rng.uniform(0.1, 2, 5)
    none = np.zeros(5)
    for on, m0, s0, g0, t, lr in (
        ("the first step: t = 1, m = s = 0, lr = 0.01", none, none, g, 1, 0.01),
        ("a later step: t = 7, lr = 0.01", m, s, g, 7, 0.01),
        ("t = 3, lr = 0.5", m, s, -2 * g, 3, 0.5),
        ("a first step with gradients of 0", none, none, none, 1, 0.01),
    ):

        def step(m0=m0, s0=s0, g0=g0, t=t, lr=lr, tm=True, ts=True, sign=-1, root=True):
            m1, s1 = 0.9 * m0 + 0.1 * g0, 0.999 * s0 + 0.001 * g0**2
            mean = m1 / (1 - 0.9**t) if tm else m1
            square = s1 / (1 - 0.999**t) if ts else s1
            return w + sign * lr * mean / ((np.sqrt(square) if root else square) + 1e-8), m1, s1

        right, m1, s1 = step()
        slips = [
            (step(tm=False, ts=False), "m and s are not corrected: in step t divide by 1 - 0.9^t and 1 - 0.999^t"),
            (step(ts=False), "s is not corrected: divide it by 1 - 0.999^t"),
            (step(tm=False), "m is not corrected: divide it by 1 - 0.9^t"),
            (step(sign=1), "the weights move uphill: subtract the step"),
            (step(root=False), "the square root of s is missing"),
            (step(t=t + 1), "t is 1 in the first step already: do not add 1"),
            (
                (right, m1 / (1 - 0.9**t), s1 / (1 - 0.999**t)),
                "it returns the corrected m and s: return them without the correction",
            ),
        ]
        expect(call(answer, w, m0, s0, g0, t, lr, on=on), (right, m1, s1), on, slips)


EXERCISES = (
    Exercise(
        _MOMENTUM,
        _check_momentum,
        (
            ("Two lines: first the new velocity, then the weights.", "两行就够：先算新的速度，再更新权重。"),
            (
                "v = keep * v + gradient makes a new array; v *= keep changes the caller's.",
                "v = keep * v + gradient 会产生新数组；v *= keep 则会改动调用者的数组。",
            ),
        ),
    ),
    Exercise(
        _CLIP,
        _check_clip,
        (
            ("First compute one number for all arrays: their global norm.", "先为所有数组算出一个数：全局范数。"),
            (
                "Multiply every array by limit / max(norm, limit): it is 1 where nothing must be clipped.",
                "把每个数组乘以 limit / max(norm, limit)：不需要裁剪时它等于 1。",
            ),
        ),
    ),
    Exercise(
        _ADAM,
        _check_adam,
        (
            (
                "Use two pairs of names: m and s, which you return, and their corrected values, for this step only.",
                "准备两组名字：m 和 s 是要保留的记忆，修正后的值只在这一步使用。",
            ),
            (
                "w - lr * (m / (1 - 0.9**t)) / (np.sqrt(s / (1 - 0.999**t)) + 1e-8), with the new m and s.",
                "w - lr * (m / (1 - 0.9**t)) / (np.sqrt(s / (1 - 0.999**t)) + 1e-8)，其中 m 和 s 是新值。",
            ),
        ),
    ),
)

"""Exercises of lab 13: clipping by the global norm, the largest rate that is stable, and a schedule for a mark."""

from __future__ import annotations

import functools

import numpy as np

from paddle_mnist import dataset
from paddle_mnist.labs.exercises.base import Answer, Exercise, Wrong, call, expect

_CLIP = '''
def clip_by_global_norm(gradients, limit):
    """Return the gradients, scaled by one common factor so that their global norm is at most limit.

    The global norm is the square root of the sum of the squares of all numbers in all arrays.
    gradients: a list of arrays of different shapes.  limit: a number above 0.
    Returns: a list of new arrays; equal to the given ones if the norm is at most limit.
    """
'''

_EDGE = '''
def largest_rate(slope, w):
    """Return the largest learning rate at which gradient descent still goes down, for a loss that is a parabola.

    The loss has its lowest point where slope is 0, at a place that you are not told. Measure: you may call slope.
    slope: a function that returns the derivative of the loss at a number.  w: where to start; slope(w) is not 0.
    Returns: a number, the edge of stability, to 1 part in 1000.
    """
'''

_RATE = '''
def rate(step, steps):
    """Return the learning rate of a step, so that a small net reaches the mark with each of five seeds.

    The net has one hidden layer of 20 sigmoids and is trained by plain SGD on 1,000 digits, 100 at a time. With your
    rates, the mean loss over these digits has to be below 0.5 after 40 steps. No constant rate reaches it with all
    five seeds.
    step: from 0 to steps - 1.  steps: how many there will be.
    Returns: a number, at least 0.
    """
'''

MARK, STEPS = 0.5, 40


def _check_clip(answer: Answer) -> None:
    rng = np.random.default_rng(1)
    mixed = [rng.normal(size=shape) * size for shape, size in (((3, 2), 4), ((5,), 0.1), ((2, 2, 2), 7))]
    for on, gradients, limit in (
        ("[3, 4] and [[0], [12]], whose norm is 13, limit 1", [np.array([3.0, 4]), np.array([[0.0], [12]])], 1.0),
        ("the same two, limit 20: short enough", [np.array([3.0, 4]), np.array([[0.0], [12]])], 20.0),
        ("the same two, limit 12.5: each alone is short enough", [np.array([3.0, 4]), np.array([[0.0], [12]])], 12.5),
        ("three arrays of different sizes, limit 5", mixed, 5.0),
        ("gradients that are all 0, limit 5", [np.zeros(3), np.zeros((2, 2))], 5.0),
    ):
        norms = [float(np.sqrt(np.sum(g**2))) for g in gradients]
        norm = float(np.sqrt(np.sum(np.square(norms))))
        one_by_one = [g * min(1, limit / max(n, 1e-300)) for g, n in zip(gradients, norms, strict=True)]
        most = max(float(np.abs(g).max()) for g in gradients)
        slips = [
            (one_by_one, "each array is clipped by its own norm: the norm is that of all arrays together"),
            ([np.clip(g, -limit, limit) for g in gradients], "single numbers are cut off: the direction changes"),
            ([g * limit / max(norm, 1e-300) for g in gradients], "gradients shorter than the limit are left alone"),
            ([g * min(1, limit / max(norm**2, 1e-300)) for g in gradients], "the root is missing in the norm"),
            (
                [g * min(1, limit / max(sum(norms), 1e-300)) for g in gradients],
                "norms do not add up, their squares do",
            ),
            ([g * min(1, limit / max(most, 1e-300)) for g in gradients], "that is the largest number, not the norm"),
        ]
        wanted = [g * limit / max(norm, limit) for g in gradients]
        expect(
            call(answer, gradients, limit, on=on), wanted, on, slips, "the factor is limit / norm, or 1 if that is more"
        )


def _check_edge(answer: Answer) -> None:
    for curvature, lowest, w in ((2.0, 0.0, 1.0), (100.0, 3.0, -4.0), (0.05, -7.0, 2.0), (1e4, 0.5, 0.6)):
        on = f"a parabola of curvature {curvature:g} with its lowest point at {lowest:g}, w = {w:g}"

        def slope(x, curvature=curvature, lowest=lowest):
            return curvature * (x - lowest)

        found = call(answer, slope, w, on=on)
        slips = [
            (1 / curvature, "this rate reaches the lowest point in one step; up to twice of it still goes down"),
            (2 * curvature, "the edge is 2 divided by the curvature"),
            (curvature, "this is the curvature; the edge is 2 divided by it"),
            (2 / abs(slope(w)), "this divides by the slope; the curvature is how fast the slope changes"),
            (2 * abs(w / slope(w)), "the lowest point need not be at 0: measure the slope at two places"),
        ]
        expect(found, 2 / curvature, on, slips, "curvature: (slope(w + e) - slope(w)) / e, then 2 over it", 1e-3)


def _check_rate(answer: Answer) -> None:
    steps = STEPS
    rates = [call(answer, step, steps, on=f"step {step} of {steps}") for step in range(steps)]
    for step, value in enumerate(rates):
        if not isinstance(value, (int, float, np.floating, np.integer)) or not np.isfinite(value) or value < 0:
            raise Wrong(f"it returns {value!r}", f"step {step} of {steps}", "a rate is a finite number, at least 0")
    losses = [_final_loss(rates, seed) for seed in range(5)]
    missed = [seed for seed, loss in enumerate(losses) if not loss < MARK]
    if missed:
        ends = ", ".join(f"{loss:.3f}" for loss in losses)
        shape = "it never changes" if np.ptp(rates) == 0 else f"it goes from {rates[0]:.3g} to {rates[-1]:.3g}"
        why = "go on at a large rate for most of the steps, and let it fall to 0 towards the end"
        if max(rates) < 0.5:
            why = "the net hardly moves: its sigmoids bear far larger rates than 0.1; " + why
        elif rates[-1] > 0.5 * max(rates):
            why = "at the end the rate is still large, so that the weights jump about: let it fall"
        elif losses[missed[0]] > 2:
            why = "the largest rate is too large: the loss has exploded"
        raise Wrong(f"the losses end at {ends}: not all below {MARK}", f"five seeds; {shape}", why)


@functools.cache
def _digits() -> tuple[np.ndarray, np.ndarray]:
    """Return the first 1,000 training digits of the sample: float32 [1000, 784] in [0, 1], and their labels."""
    split = dataset.open_dataset("sample").train
    return split.images[:1000].reshape(1000, 784).astype(np.float32) / 255, split.labels[:1000]


prepare = _digits  # before the answers run, which may not read files


def _final_loss(rates: list[float], seed: int) -> float:
    """Train a net of 20 sigmoids by these rates; return the mean loss over its 1,000 digits."""
    images, labels = _digits()
    target = np.eye(10, dtype=np.float32)[labels]
    rng = np.random.default_rng(seed)
    w1, w2 = (rng.normal(0, n**-0.5, (n, m)).astype(np.float32) for n, m in ((784, 20), (20, 10)))
    b1, b2 = np.zeros(20, np.float32), np.zeros(10, np.float32)

    def forward(x):
        hidden = 1 / (1 + np.exp(-np.clip(x @ w1 + b1, -60, 60)))
        scores = hidden @ w2 + b2
        powers = np.exp(scores - scores.max(axis=1, keepdims=True))
        return hidden, powers / powers.sum(axis=1, keepdims=True)

    with np.errstate(all="ignore"):
        for step, value in enumerate(rates):
            if step % 10 == 0:
                order = rng.permutation(1000)
            chosen = order[100 * (step % 10) : 100 * (step % 10 + 1)]
            hidden, p = forward(images[chosen])
            d2 = (p - target[chosen]) / 100
            d1 = d2 @ w2.T * hidden * (1 - hidden)
            w2, b2 = w2 - value * hidden.T @ d2, b2 - value * d2.sum(axis=0)
            w1, b1 = w1 - value * images[chosen].T @ d1, b1 - value * d1.sum(axis=0)
        return float(-np.log(np.maximum((forward(images)[1] * target).sum(axis=1), 1e-30)).mean())


EXERCISES = (
    Exercise(
        _CLIP,
        _check_clip,
        (
            ("First one number for all arrays: their global norm.", "先为所有数组算出一个数：全局范数。"),
            (
                "Multiply every array by limit / max(norm, limit): it is 1 where nothing must be clipped.",
                "把每个数组乘以 limit / max(norm, limit)：不需要裁剪时它等于 1。",
            ),
        ),
    ),
    Exercise(
        _EDGE,
        _check_edge,
        (
            (
                "How fast does the slope change? Measure it at two places.",
                "斜率变化得多快？在两个地方测量。",
            ),
            (
                "The curvature is (slope(w + 1) - slope(w)) / 1 for a parabola; the edge is 2 / curvature.",
                "对抛物线，曲率是 (slope(w + 1) - slope(w)) / 1；边缘是 2 / 曲率。",
            ),
        ),
    ),
    Exercise(
        _RATE,
        _check_rate,
        (
            (
                "Find a good constant rate first; then let it fall at the end.",
                "先找一个好的常数学习率，再让它在最后下降。",
            ),
            (
                "Stay near 3 for three quarters of the steps, then go down to 0 along a straight line.",
                "前四分之三的步数保持在 3 左右，然后沿直线降到 0。",
            ),
        ),
    ),
)

"""Exercises of lab 11: counting parameters, a step of RMSProp, and a callback that stops early."""

from __future__ import annotations

import math
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np

from paddle_mnist import cpu
from paddle_mnist.labs.exercises.base import Answer, Exercise, Wrong, call, expect

_COUNT = '''
def count_parameters(sizes):
    """Return how many parameters a chain of Linear layers has, weights and biases together.

    sizes: the layer sizes: [784, 512, 10] stands for two layers, 784 to 512 and 512 to 10.
    Returns: an integer.
    """
'''

_STEP = '''
def rmsprop_step(w, g, m, lr, rho, epsilon):
    """Return the weights and the running mean after one step of RMSProp.

    First m becomes rho m + (1 - rho) g², then w becomes w - lr g / sqrt(m + epsilon), with the new m.
    w, g, m: arrays of the same shape: weights, gradient, running mean of its squares.  lr, rho, epsilon: numbers.
    Returns: the new w and the new m, as new arrays.
    """
'''

_EARLY = '''
def early_stopping(patience):
    """Return a paddle.callbacks.Callback that stops training when the validation loss stops falling.

    After each evaluation Paddle calls the callback's on_eval_end(logs); logs["loss"][0] is the validation loss. After
    `patience` evaluations in a row without a loss below the smallest so far, set self.model.stop_training = True.
    patience: an integer, at least 1.
    """
    import paddle
'''


def _check_count(answer: Answer) -> None:
    for sizes in ([784, 512, 10], [784, 10, 10, 1], [3, 1], [1, 1, 1, 1, 1]):
        on = f"sizes = {sizes}"
        pairs = list(pairwise(sizes))
        weights, biases = sum(a * b for a, b in pairs), sum(sizes[1:])
        slips = [
            (sum(sizes), "this adds the sizes: multiply the two sizes of each layer"),
            (weights, "each output has a bias as well"),
            (weights + sum(sizes), "the input has no biases: begin with the second size"),
            (weights + len(pairs), "a layer has a bias for each of its outputs, not one in all"),
            (weights + sum(sizes[:-1]), "there is a bias for each output, not for each input"),
            (math.prod(sizes), "layers add up: multiply only the two sizes of one layer"),
            ((sizes[0] + 1) * sizes[1], "this is the first layer alone"),
            ((sizes[-2] + 1) * sizes[-1], "this is the last layer alone"),
            (weights + sum(sizes[1:-1]), "the last layer has biases too"),
        ]
        expect(call(answer, sizes, on=on), weights + biases, on, slips)


def _check_step(answer: Answer) -> None:
    rng = np.random.default_rng(0)
    random = (*rng.standard_normal((2, 3, 2)), rng.random((3, 2)))
    for (w, g, m), lr, rho, epsilon in (
        ((1, 2, 0), 0.1, 0.9, 1e-8),
        ((1, 2, 9), 0.1, 0.75, 0.0),
        ((1, 0, 0), 0.1, 0.9, 1e-6),
        ((5, -3, 1), 0.1, 0.5, 4.0),
        (random, 0.01, 0.9, 0.1),
    ):
        start = "random w, g, m [3, 2]" if np.ndim(w) else f"w [{w}], g [{g}], m [{m}]"
        on = f"{start}, lr {lr}, rho {rho}, epsilon {epsilon}"
        w, g, m = (np.atleast_1d(np.asarray(array, np.float64)) for array in (w, g, m))
        found = call(answer, w, g, m, lr, rho, epsilon, on=on)
        new = rho * m + (1 - rho) * g**2
        inside = rho * m + (1 - rho) * (lr * g) ** 2
        plain = rho * m + (1 - rho) * g
        mean = rho * m + (1 - rho) * np.mean(g**2)
        turned = (1 - rho) * m + rho * g**2
        slips: list[Any] = [
            ((w - lr * g / (np.sqrt(new) + epsilon), new), "epsilon belongs under the root"),
            ((w - lr * g / np.sqrt(m + epsilon), new), "the step uses the old m: use the new one"),
            ((w - lr * g / np.sqrt(m + g**2 + epsilon), m + g**2), "the old m keeps rho, the new square gets 1 - rho"),
            ((w - lr * g / np.sqrt(np.abs(plain) + epsilon), plain), "the gradient is not squared"),
            ((w - lr * g / np.sqrt(inside + epsilon), inside), "lr belongs to the step, not to the running mean"),
            ((w - lr * g / (new + epsilon), new), "the root is missing"),
            ((w + lr * g / np.sqrt(new + epsilon), new), "it goes uphill: subtract the step"),
            (
                (w - lr * g / np.sqrt(turned + epsilon), turned),
                "rho belongs to the old m, 1 - rho to the new square",
            ),
            (
                (w - lr * g / np.sqrt(mean + epsilon), mean),
                "m holds one number for each weight: do not average over the array",
            ),
            ((w - lr * g, new), "the gradient is not divided by the root of m"),
            ((w - lr * g / np.sqrt(new + epsilon), m), "it returns the old m: return the new one"),
            ((new, w - lr * g / np.sqrt(new + epsilon)), "first w, then m"),
            (w - lr * g / np.sqrt(new + epsilon), "it returns w only: return w, m"),
        ]
        expect(found, (w - lr * g / np.sqrt(new + epsilon), new), on, slips, "compute m first, then w, by hand")


def _check_early(answer: Answer) -> None:
    cpu.tune()
    import paddle

    for place, (patience, losses) in enumerate(
        (
            (1, [0.5, 0.6, 0.7, 0.8]),
            (1, [0.5, 0.4, 0.3, 0.2]),
            (1, [0.5, 0.4, 0.45, 0.3]),
            (2, [0.5, 0.9, 0.8, 0.7]),
            (2, [0.5, 0.6, 0.4, 0.5, 0.3, 0.4, 0.35]),
            (3, [0.5, 0.5, 0.5, 0.5, 0.5]),
            (2, [3.0, 2.0, 2.5, 1.0, 1.5]),
        )
    ):
        on = f"patience {patience}, validation losses {losses}"
        callback = call(answer, patience, on=on)
        if isinstance(callback, type):
            raise Wrong("it returns a class", on, "return an instance of it: put parentheses after its name")
        if not isinstance(callback, paddle.callbacks.Callback):
            raise Wrong(
                f"it returns {'nothing' if callback is None else type(callback).__name__}",
                on,
                "define a class that inherits from paddle.callbacks.Callback, and return an instance of it",
            )
        found, wanted = _stopped_after(callback, losses, on), _stops(losses, patience)
        if found == wanted:
            continue
        if found is None:
            what = f"it never stops training; expected a stop after evaluation {wanted}"
        else:
            what = f"it stops training after evaluation {found}; expected " + (
                "no stop" if wanted is None else f"a stop after evaluation {wanted}"
            )
        slips = [
            (None, "it never sets self.model.stop_training = True") if place == 0 else (wanted, ""),
            (
                _stops(losses, patience, against_last=True),
                "compare with the smallest loss so far, not the previous one",
            ),
            (_stops(losses, 1), "it stops at the first loss that is not smaller: patience is ignored"),
            (
                _stops(losses, patience, in_a_row=False),
                "count evaluations in a row: a new smallest loss resets the count to 0",
            ),
            (
                _stops([0.1] * len(losses), patience),
                "it watches the training loss: the validation loss comes with on_eval_end",
            ),
            (_stops(losses, patience + 1), "it is one evaluation too patient"),
            (_stops(losses, max(1, patience - 1)), "it is one evaluation too impatient"),
            (_stops(losses, patience, equal_is_better=True), "an equal loss is not below the smallest"),
        ]
        why = next((slip for stop, slip in slips if stop == found), "")
        raise Wrong(what, on, why or "write down the smallest loss so far and the count after each evaluation")


def _stopped_after(callback: Any, losses: list[float], on: str) -> int | None:
    """Show the losses to the callback as ``Model.fit`` does; return after how many it stopped the training."""
    model = SimpleNamespace(stop_training=False)

    def evaluate(place: int) -> bool:
        callback.on_eval_begin({})
        callback.on_eval_end({"loss": [losses[place]], "acc": 0.5, "batch_size": 100})
        callback.on_epoch_end(place, {"loss": [0.1], "acc": 0.9})
        return bool(model.stop_training)

    callback.set_model(model)
    call(lambda: callback.on_train_begin({}), on=on)
    for place in range(len(losses)):
        if call(lambda place=place: evaluate(place), on=on):
            return place + 1
    return None


def _stops(
    losses: list[float],
    patience: int,
    in_a_row: bool = True,
    against_last: bool = False,
    equal_is_better: bool = False,
) -> int | None:
    """Return after how many losses training stops; the other arguments make it go wrong."""
    best, count = math.inf, 0
    for place, loss in enumerate(losses, start=1):
        better = loss <= best if equal_is_better else loss < best
        count = (0 if in_a_row else count) if better else count + 1
        best = loss if better or against_last else best
        if count >= patience:
            return place
    return None


EXERCISES = (
    Exercise(
        _COUNT,
        _check_count,
        (
            ("One layer from a to b: how many weights, how many biases?", "从 a 到 b 的一层：多少权重，多少偏置？"),
            (
                "A layer from a to b has a b + b parameters; zip(sizes[:-1], sizes[1:]) gives all the pairs.",
                "从 a 到 b 的一层有 a b + b 个参数；zip(sizes[:-1], sizes[1:]) 给出所有的对。",
            ),
        ),
    ),
    Exercise(
        _STEP,
        _check_step,
        (
            ("Two lines, m first. Neither works in place.", "两行代码，先算 m。都不要原地修改。"),
            (
                "m = rho * m + (1 - rho) * g**2; then the step with numpy.sqrt(m + epsilon).",
                "m = rho * m + (1 - rho) * g**2；然后用 numpy.sqrt(m + epsilon) 更新。",
            ),
        ),
    ),
    Exercise(
        _EARLY,
        _check_early,
        (
            (
                "The callback needs two attributes: the smallest loss so far, and how many evaluations ago it was.",
                "回调需要两个属性：目前最小的损失，以及那是几次评估之前。",
            ),
            (
                "Define the class in the function. In on_eval_end a smaller loss sets best and count = 0; otherwise "
                "count += 1, and from count == patience on self.model.stop_training = True.",
                "在函数里定义类。在 on_eval_end 中：损失更小就更新 best，并令 count = 0；"
                "否则 count += 1，若 count >= patience，则 self.model.stop_training = True。",
            ),
        ),
    ),
)

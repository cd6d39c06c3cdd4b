"""Exercises of lab 10: what a start leads to, starting weights for any sizes, and a normalising layer to correct."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from paddle_mnist.labs.exercises.base import Answer, Exercise, Wrong, call, expect
from paddle_mnist.labs.exercises.choices import Question, body, check_choices

_PREDICTIONS = '''
def predictions():
    """Return a letter for each question. Answer first, then change the lab in that one place and run it.

    1. The weights of lab 10's deep net begin at He's σ, and all biases at 1 in place of 0. After ten layers the outputs
       are   a) larger   b) as large   c) all 0
    2. The net has ten layers of 400 units in place of 100, with He's rule for these sizes. From layer 1 to layer 10 the
       outputs   a) grow about fourfold   b) shrink about fourfold   c) keep their size
    3. σ is 10 % above He's in each layer, and the net has 50 hidden layers. From first to last the outputs grow about
       a) 10 %   b) fivefold   c) hundredfold
    4. All weights begin at 0, the biases are random. The hidden units of one layer of 20   a) all learn alike
       b) learn, each something else   c) learn nothing in the first step
    """
'''

_START = '''
def start_weights(sizes, rng):
    """Return random weights for a chain of Linear layers with a ReLU after each.

    Standard normal inputs, sent through the layers (without biases), must keep a root mean square of about 1 after the
    first layer's product, and about the same after that of each later layer. The check tries five seeds.
    sizes: how many numbers pass between the layers: [784, 300, 100] are two layers.  rng: a numpy.random.Generator.
    Returns: a list of arrays [inputs, outputs], one for each layer.
    """
'''

_NORM = '''
def batch_norm(x, running, training):
    """Normalise each unit over the batch; correct the four mistakes in the lines below.

    While training: subtract each unit's mean over the batch, divide by the root of its variance plus 1e-5, and move the
    running values to 0.9 of the old ones plus 0.1 of the batch's. Afterwards: use the running values, change nothing.
    x: float64 [n, units].  running: a dict with "mean" and "variance", arrays [units]; it is updated in place.
    training: True or False.
    Returns: an array [n, units].
    """
'''

_NORM_BODY = """    raise NotImplementedError  # delete this line, and correct those below
    mean = x.mean(axis=1, keepdims=True)
    variance = x.var(axis=0)
    running["mean"] = 0.9 * running["mean"] + 0.1 * mean
    running["variance"] = 0.1 * running["variance"] + 0.9 * variance
    return (x - mean) / (variance + 1e-5)
"""

_QUESTIONS = (
    Question(
        "biases of 1",
        "a",
        {
            "b": "every layer adds 1 to each sum before the ReLU: the mean square grows layer by layer",
            "c": "a bias of 1 moves the sums up, so the ReLU lets more through, not less",
        },
    ),
    Question(
        "400 units a layer",
        "c",
        {
            "a": "n is four times as large, but He's σ² is 2 / n: look at n σ² / 2 again",
            "b": "n is four times as large, but He's σ² is 2 / n: look at n σ² / 2 again",
        },
    ),
    Question(
        "10 % too much in each of 50 layers",
        "c",
        {
            "a": "the factor 1.1 applies once in each layer: it is taken to the power of the layers",
            "b": "layers multiply, they do not add: compute 1.1 to the power of 50",
        },
    ),
    Question(
        "weights of 0 with random biases",
        "c",
        {
            "a": "the gradient of the hidden layer passes through the weights of the last one, which are 0: compute it",
            "b": "the gradient of the hidden layer passes through the weights of the last one, which are 0: compute it",
        },
    ),
)


def _check_start(answer: Answer) -> None:
    before: dict[str, np.ndarray] = {}
    for seed in range(5):
        for sizes in ([784, 100, 100, 100, 10], [20, 500, 30, 400, 400], [64, 64]):
            rng = np.random.default_rng(seed)
            on = f"sizes = {sizes}, seed {seed}"
            found = call(lambda sizes=sizes, rng=rng: answer(list(sizes), rng), on=on)
            shapes = list(pairwise(sizes))
            if not isinstance(found, (list, tuple)) or [np.shape(w) for w in found] != shapes:
                given = [list(np.shape(w)) for w in found] if isinstance(found, (list, tuple)) else type(found).__name__
                raise Wrong(
                    f"the shapes are {given}, not {[list(shape) for shape in shapes]}",
                    on,
                    "one array [inputs, outputs] for each pair of neighbours in sizes",
                )
            if seed and np.array_equal(found[0], before.get(str(sizes), 0)):
                raise Wrong("two seeds give the same weights", on, "draw from the argument rng, not from your own")
            before[str(sizes)] = found[0]
            _check_sizes([np.asarray(w, float) for w in found], seed, on)


def _check_sizes(weights: list[np.ndarray], seed: int, on: str) -> None:
    x = np.random.default_rng(100 + seed).standard_normal((400, len(weights[0])))
    for place, w in enumerate(weights):
        if len(np.unique(w, axis=1).T) < w.shape[1]:
            raise Wrong(
                f"layer {place + 1} has units with equal weights", on, "equal units stay equal: draw every weight"
            )
        wanted = 1 / np.sqrt(len(w)) if place == 0 else np.sqrt(2 / len(w))
        u = x @ w
        found = np.sqrt(np.mean(u**2))
        if not 0.7 < found < 1.45:
            spread = w.std()
            slips = (
                (wanted, "σ is a standard deviation: take the square root of the variance"),
                (1 / wanted, "the weights have a standard deviation of 1: multiply them by σ"),
                (1 / np.sqrt(3), "uniform numbers from -a to a have the standard deviation a / √3"),
                (1 / np.sqrt(2), "each ReLU halves the mean square: σ² is 2 / n from the second layer on"),
                (np.sqrt(2), "the first layer's inputs have not passed a ReLU: its σ² is 1 / n"),
                (np.sqrt(len(w) / w.shape[1]), "n is the number of inputs of a unit, not of outputs"),
            )
            near = [(abs(np.log(spread / wanted / factor)), why) for factor, why in slips]
            distance, why = min(near)
            raise Wrong(
                f"the root mean square after the product of layer {place + 1} is {found:.3g}, not about 1",
                on,
                why if distance < 0.15 else "compute n σ² for this layer: how much of the mean square does it keep?",
            )
        x = np.maximum(u, 0)


def _norm(x, running, training, mean_axis=0, root=True, swapped=False, always=False, batch=False):
    """Do what is asked for; the other arguments do it wrongly."""
    running = dict(running)
    mean, variance = x.mean(axis=mean_axis, keepdims=mean_axis == 1), x.var(axis=0)
    if training or always:
        old, new = (0.1, 0.9) if swapped else (0.9, 0.1)
        running["mean"] = old * running["mean"] + new * mean
        running["variance"] = old * running["variance"] + new * variance
    if not training and not batch:
        mean, variance = running["mean"], running["variance"]
    scale = variance + 1e-5
    return (x - mean) / (np.sqrt(scale) if root else scale), running


def _check_norm(answer: Answer) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(3, 4, (6, 3))
    start = {"mean": np.array([0.0, 1.0, 2.0]), "variance": np.array([1.0, 4.0, 0.25])}
    for training in (True, False):
        on = f"x [6, 3] with mean 3, deviation 4, training = {training}"
        running = {name: value.copy() for name, value in start.items()}

        def run(running=running, training=training):
            return answer(x.copy(), running, training)

        found = call(run, on=on)
        wanted, after = _norm(x, start, training)
        slips = [
            (_norm(x, start, training, mean_axis=1)[0], "each unit has its own mean: over the batch, axis 0"),
            (
                _norm(x, start, training, root=False)[0],
                "divide by the square root of the variance",
            ),
            (_norm(x, start, training, batch=True)[0], "after training the running values are used, not the batch's"),
            ((x - x.mean(axis=0)) / (x.std(axis=0) + 1e-5), "1e-5 is added to the variance, under the root"),
            ((x - x.mean(axis=0)) / np.sqrt(x.var(axis=0, ddof=1) + 1e-5), "divide the variance by n, not by n - 1"),
            (_norm(x, start, training, always=True)[0], "after training the running values must not change"),
            (
                _norm(x, start, training, batch=True, root=False)[0],
                "the root is missing, and it uses the batch's values",
            ),
        ]
        expect(found, wanted, on, slips, "compute one unit by hand")
        slips = [
            (_norm(x, start, training, swapped=True)[1], "0.9 belongs to the old value, 0.1 to the new one"),
            (_norm(x, start, training, always=True)[1], "after training the running values must not change"),
            (
                {**after, "variance": 0.9 * start["variance"] + 0.1 * x.std(axis=0)},
                "the running variance gets the variance of the batch, not its square root",
            ),
            (start, "the running values are not updated: assign to running[...]"),
        ]
        expect(running, after, f"{on}: the running values afterwards", slips, "each is 0.9 old + 0.1 new, unit by unit")


EXERCISES = (
    Exercise(
        _PREDICTIONS,
        lambda answer: check_choices(answer, _QUESTIONS),
        (
            (
                "Write down by what one layer multiplies the mean square, and take it to the power of the layers.",
                "先写出一层把平方的平均值乘以多少，再按层数取幂。",
            ),
            (
                "1.1 to the power of 50 is about 117. The gradient of a hidden unit is a sum over the next weights.",
                "1.1 的 50 次方约为 117。隐藏单元的梯度是对下一层权重的求和。",
            ),
        ),
        body(4),
    ),
    Exercise(
        _START,
        _check_start,
        (
            (
                "The first layer's inputs have not passed a ReLU, those of the others have.",
                "第一层的输入没有经过 ReLU，其余各层的输入都经过了。",
            ),
            (
                "rng.normal(0, sigma, (n, m)) with sigma the root of 1 / n in the first layer, of 2 / n in the others.",
                "用 rng.normal(0, sigma, (n, m))，第一层的 sigma 是 1 / n 的平方根，其余各层是 2 / n 的平方根。",
            ),
        ),
    ),
    Exercise(
        _NORM,
        _check_norm,
        (
            (
                "Compare each line with the docstring: over which axis, which share, when, and of what the root.",
                "逐行与说明对照：对哪个轴、占多少、什么时候、对什么开方。",
            ),
            (
                "Begin with if training: and compute and store the batch's values there; else take the running ones.",
                "先写 if training：在其中计算并保存这一批的值；否则使用滑动平均值。",
            ),
        ),
        _NORM_BODY,
    ),
)

"""Exercises of lab 9: what changes a loss, cross-entropy, and its gradient, with one softmax and with two."""

from __future__ import annotations

import numpy as np

from paddle_mnist.labs.exercises.base import Answer, Exercise, Slip, Wrong, call, expect
from paddle_mnist.labs.exercises.choices import Question, body, check_choices

_PREDICTIONS = '''
def predictions():
    """Return a letter for each question. Answer first, then try it.

    1. All ten scores of every sample grow by 5. The cross-entropy   a) grows   b) stays the same   c) gets smaller
    2. A net reads every digit right. All its scores are multiplied by 10. The cross-entropy
       a) gets smaller   b) stays the same   c) gets larger
    3. A net that knows nothing chooses between 100 classes. Its first loss is about   a) 2.3   b) 4.6   c) 23
    4. The net ends in a softmax, and the loss is F.cross_entropy(..., use_softmax=False). It learns ten digits by
       heart. The loss comes close to   a) 0   b) 1.46   c) 2.3
    """
'''

_QUESTIONS = (
    Question(
        "5 added to all scores",
        "b",
        {
            "a": "exp(s + 5) is exp(s) times exp(5), above and below the fraction line: what becomes of p?",
            "c": "exp(s + 5) is exp(s) times exp(5), above and below the fraction line: what becomes of p?",
        },
    ),
    Question(
        "scores times 10, all digits right",
        "a",
        {
            "b": "adding changes nothing, but multiplying makes the leads ten times as large",
            "c": "the label's score leads in every sample: with ten times the lead, what is p[label]?",
        },
    ),
    Question(
        "100 classes",
        "b",
        {"a": "that is log 10, for ten classes", "c": "the loss is a logarithm: ten times the classes add log 10"},
    ),
    Question(
        "softmax in the net, none in the loss",
        "a",
        {
            "b": "that floor comes from a second softmax; use_softmax=False leaves it out",
            "c": "that is the loss of knowing nothing: this net learns",
        },
    ),
)

_ENTROPY = '''
def cross_entropy(scores, labels):
    """Return the mean over the samples of -log p[label], p being the softmax of the sample's scores.

    scores: float64 [n, k], raw, of any size.  labels: integers [n].
    Returns: one number, finite for any finite scores.
    """
'''

_GRADIENT = '''
def score_gradient(scores, labels, twice):
    """Return the gradient of the mean cross-entropy with respect to the scores.

    The loss is cross_entropy(scores, labels); if twice is true, it is cross_entropy(softmax(scores), labels), which
    treats the probabilities as scores and applies softmax once more.
    scores: float64 [n, k].  labels: integers [n].  twice: True or False.
    Returns: an array [n, k].
    """
'''


_LOG = "log p = s[label] - log(sum of exp(s)) needs neither"


def _check_entropy(answer: Answer) -> None:
    rng = np.random.default_rng(0)
    for scores, labels, on in (
        (np.zeros((1, 10)), [3], "ten equal scores"),
        (np.array([[2.0, 1.0, 0.0], [0.0, 1.0, 5.0]]), [0, 1], "scores [[2, 1, 0], [0, 1, 5]], labels [0, 1]"),
        (rng.standard_normal((7, 10)), [9, 0, 3, 3, 5, 1, 9], "seven samples with random scores"),
        (np.array([[1000.0, 0.0], [0.0, 1.0]]), [1, 1], "scores [[1000, 0], [0, 1]], labels [1, 1]"),
    ):
        t = np.array(labels)
        with np.errstate(all="ignore"):
            found = call(answer, scores, t, on=on)
        losses = _losses(scores, t)
        if np.ndim(found) == 0 and isinstance(found, (float, np.floating)) and not np.isfinite(found):
            raise Wrong(
                f"it returns {found}; expected {losses.mean():.6g}",
                on,
                "the probability underflows to 0, and its log is infinite: log p = s[label] - log(sum of exp(s))",
            )
        logs = -np.log(np.maximum(_softmax(scores), 1e-300))
        slips: list[Slip] = [
            (losses.sum(), "this is the sum: divide by the number of samples"),
            (losses, "return one number: the mean of these"),
            (losses.mean() / np.log(2), "take the natural logarithm"),
            (losses.mean() / np.log(10), "take the natural logarithm"),
            (-losses.mean(), "the sign is wrong: a loss is never negative"),
            (logs.mean(), "only the label's probability counts, not all of them"),
            (logs.mean(axis=1).sum(), "only the label's probability counts, not all of them"),
            (_losses(_softmax(scores), t).mean(), "softmax is applied twice: the bug of this lab"),
        ]
        p = _softmax(scores)
        down = np.exp(scores - scores.max(axis=0))
        slips += [
            (_mean_log((down / down.sum(axis=0))[np.arange(len(t)), t]), "the softmax is taken down the columns"),
            (_mean_log(p[:, t]), "p[:, labels] picks columns for all samples: pick one number in each row"),
            (((p - np.eye(scores.shape[1])[t]) ** 2).sum(axis=1).mean(), "this is the squared error, not -log p"),
            (-p[np.arange(len(t)), t].mean(), "the log is missing: -log p[label]"),
        ]
        p = p[np.arange(len(t)), t]
        for small in (1e-7, 1e-8, 1e-9, 1e-10, 1e-12, 1e-15, 1e-300):
            slips += [
                (
                    -np.log(np.clip(p, small, 1)).mean(),
                    "p is clipped at a small number, which changes the loss: " + _LOG,
                ),
                (-np.log(p + small).mean(), "a small number is added to p, which changes the loss: " + _LOG),
            ]
        expect(found, float(losses.mean()), on, slips)


def _mean_log(p: np.ndarray) -> float:
    return float(-np.log(np.maximum(p, 1e-300)).mean())


def _check_gradient(answer: Answer) -> None:
    rng = np.random.default_rng(0)
    random, labels = rng.standard_normal((5, 4)), np.array([0, 3, 1, 1, 2])
    sure = np.array([[8.0, 0.0, 0.0]])
    for scores, t, twice, on in (
        (np.zeros((1, 2)), np.array([0]), False, "scores [[0, 0]], label 0, one softmax"),
        (sure, np.array([1]), False, "scores [[8, 0, 0]], label 1: confident and wrong, one softmax"),
        (random, labels, False, "five samples with random scores, one softmax"),
        (np.array([[1.0, 0.0]]), np.array([0]), True, "scores [[1, 0]], label 0, two softmaxes"),
        (sure, np.array([1]), True, "scores [[8, 0, 0]], label 1: confident and wrong, two softmaxes"),
        (random, labels, True, "five samples with random scores, two softmaxes"),
    ):
        found = call(answer, scores, t, twice, on=on)
        n, p, truth = len(t), _softmax(scores), np.eye(scores.shape[1])[t]
        wanted = _gradient(scores, t, twice)
        slips = [
            (wanted * n, "the loss is a mean: divide by the number of samples"),
            (-wanted, "the sign is wrong: it is p minus the one-hot label"),
            (p / n, "the one-hot label is not subtracted"),
        ]
        if twice:
            q = _softmax(p)
            through = p * (q - truth) / n
            slips += [
                (_gradient(scores, t, False), "the second softmax is left out"),
                (
                    (q - truth) / n,
                    "this is the gradient with respect to p: propagate it through the first softmax",
                ),
                (through, "each p depends on all scores: p * (g - sum of g p); the sum is missing"),
                (
                    p * (1 - p) * (q - truth) / n,
                    "p (1 - p) is the derivative for its own score only; the other scores count too",
                ),
            ]
        slips.append((wanted * n / scores.size, "divide by the number of samples, not of all scores"))
        expect(found, wanted, on, slips, "check it with finite differences, as in lab 3", tolerance=1e-6)


def _softmax(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def _losses(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    above = scores - scores.max(axis=1, keepdims=True)
    return np.log(np.exp(above).sum(axis=1)) - above[np.arange(len(labels)), labels]


def _gradient(scores: np.ndarray, labels: np.ndarray, twice: bool) -> np.ndarray:
    truth = np.eye(scores.shape[1])[labels]
    p = _softmax(scores)
    if not twice:
        return (p - truth) / len(labels)
    g = (_softmax(p) - truth) / len(labels)
    return p * (g - (g * p).sum(axis=1, keepdims=True))


EXERCISES = (
    Exercise(
        _PREDICTIONS,
        lambda answer: check_choices(answer, _QUESTIONS),
        (
            (
                "Try each with F.cross_entropy on a few random scores; it takes three lines.",
                "用几个随机得分试 F.cross_entropy，每题只要三行。",
            ),
            (
                "Only differences of scores count. Knowing nothing costs the log of the number of classes.",
                "只有得分之差起作用。什么都不懂时，损失是类别数的对数。",
            ),
        ),
        body(4),
    ),
    Exercise(
        _ENTROPY,
        _check_entropy,
        (
            (
                "scores[numpy.arange(n), labels] picks one score from each row.",
                "scores[numpy.arange(n), labels] 从每行取一个得分。",
            ),
            (
                "-log p[label] = log(sum of exp(s)) - s[label]; subtract the largest from all s, and it stays finite.",
                "-log p[label] 等于 log(所有 exp(s) 之和) - s[label]；先从所有 s 中减去最大的，就不会溢出。",
            ),
        ),
    ),
    Exercise(
        _GRADIENT,
        _check_gradient,
        (
            (
                "With one softmax it is p minus the one-hot label, divided by n.",
                "只有一个 softmax 时，梯度是 p 减真值（one-hot），再除以 n。",
            ),
            (
                "With two, g = (softmax(p) - one-hot) / n is the gradient with respect to p; back through the "
                "first softmax it becomes p * (g - the row's sum of g * p).",
                "有两个时：g = (softmax(p) - truth) / n 是对 p 的梯度；"
                "再经过前一个 softmax 传回去，变成 p * (g - 该行 g * p 之和)。",
            ),
        ),
    ),
)

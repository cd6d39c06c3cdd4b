"""Wrong answers to lab 9, each with a slip that its name tells."""

import numpy as np


def _softmax(scores):
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def _label_probabilities(scores, labels):
    return _softmax(scores)[np.arange(len(labels)), labels]


def cross_entropy__takes_the_log_of_zero(scores, labels):
    """the probability underflows to 0, and its log is infinite: log p = s[label] - log(sum of exp(s))"""
    return -np.log(_label_probabilities(scores, labels)).mean()


def cross_entropy__adds_a_small_number(scores, labels):
    """a small number is added to p, which changes the loss: log p = s[label] - log(sum of exp(s)) needs neither"""
    return -np.log(_label_probabilities(scores, labels) + 1e-7).mean()


def cross_entropy__sums(scores, labels):
    """this is the sum: divide by the number of samples"""
    return -np.log(np.maximum(_label_probabilities(scores, labels), 1e-300)).sum()


def cross_entropy__counts_all_classes(scores, labels):
    """only the label's probability counts, not all of them"""
    return -np.log(np.maximum(_softmax(scores), 1e-300)).mean()


def cross_entropy__applies_softmax_twice(scores, labels):
    """softmax is applied twice: the bug of this lab"""
    return -np.log(_label_probabilities(_softmax(scores), labels)).mean()


def cross_entropy__has_the_sign_turned(scores, labels):
    """the sign is wrong: a loss is never negative"""
    return np.log(np.maximum(_label_probabilities(scores, labels), 1e-300)).mean()


def _truth(scores, labels):
    return np.eye(scores.shape[1])[labels]


def score_gradient__ignores_the_second_softmax(scores, labels, twice):
    """the second softmax is left out"""
    return (_softmax(scores) - _truth(scores, labels)) / len(labels)


def score_gradient__stops_at_the_probabilities(scores, labels, twice):
    """this is the gradient with respect to p: propagate it through the first softmax"""
    p = _softmax(_softmax(scores) if twice else scores)
    return (p - _truth(scores, labels)) / len(labels)


def score_gradient__takes_the_slope_of_its_own_score_alone(scores, labels, twice):
    """p (1 - p) is the derivative for its own score only; the other scores count too"""
    p = _softmax(scores)
    if not twice:
        return (p - _truth(scores, labels)) / len(labels)
    return p * (1 - p) * (_softmax(p) - _truth(scores, labels)) / len(labels)


def score_gradient__does_not_divide(scores, labels, twice):
    """the loss is a mean: divide by the number of samples"""
    p, truth = _softmax(scores), _truth(scores, labels)
    if not twice:
        return p - truth
    g = _softmax(p) - truth
    return p * (g - (g * p).sum(axis=1, keepdims=True))


def score_gradient__has_the_sign_turned(scores, labels, twice):
    """the sign is wrong: it is p minus the one-hot label"""
    return -score_gradient__does_not_divide(scores, labels, twice) / len(labels)


def cross_entropy__clips_the_probability(scores, labels):
    """p is clipped at a small number, which changes the loss"""
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    p = powers / powers.sum(axis=1, keepdims=True)
    return -np.log(np.clip(p[np.arange(len(labels)), labels], 1e-12, 1)).mean()


def predictions__thinks_that_scores_have_a_zero():
    """exp(s + 5) is exp(s) times exp(5)"""
    return {1: "a", 2: "a", 3: "b", 4: "a"}


def predictions__multiplies_without_effect():
    """multiplying makes the leads ten times as large"""
    return {1: "b", 2: "b", 3: "b", 4: "a"}


def predictions__sees_two_softmaxes():
    """that floor comes from a second softmax"""
    return {1: "b", 2: "a", 3: "b", 4: "b"}


def _stable(z):
    powers = np.exp(z - z.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def cross_entropy__log10(scores, labels):
    """take the natural logarithm"""
    return -np.log10(_stable(scores)[np.arange(len(labels)), labels] + 0).mean()


def cross_entropy__softmax_axis_0(scores, labels):
    """the softmax is taken down the columns"""
    e = np.exp(scores - scores.max(0))
    p = e / e.sum(0)
    return -np.log(p[np.arange(len(labels)), labels]).mean()


def cross_entropy__p_l(scores, labels):
    """p[:, labels] picks columns for all samples: pick one number in each row"""
    return -np.log(_stable(scores)[:, labels]).mean()


def cross_entropy__squared_error(scores, labels):
    """this is the squared error, not -log p"""
    return ((_stable(scores) - np.eye(scores.shape[1])[labels]) ** 2).sum(1).mean()


def cross_entropy__no_log(scores, labels):
    """the log is missing: -log p[label]"""
    return -_stable(scores)[np.arange(len(labels)), labels].mean()


def score_gradient__divides_by_size(scores, labels, twice):
    """divide by the number of samples, not of all scores"""
    return (_stable(scores) - np.eye(scores.shape[1])[labels]) / scores.size


def cross_entropy__sum_over_classes_mean(scores, labels):
    """only the label's probability counts, not all of them"""
    e = np.exp(scores - scores.max(1, keepdims=True))
    p = e / e.sum(1, keepdims=True)
    return -np.log(p).mean()


def score_gradient__one_hot_minus_p(scores, labels, twice):
    """the sign is wrong: it is p minus the one-hot label"""
    e = np.exp(scores - scores.max(1, keepdims=True))
    p = e / e.sum(1, keepdims=True)
    return (np.eye(scores.shape[1])[labels] - p) / len(labels)

"""Wrong answers to lab 9, each with a slip that its name tells."""

import numpy as np


def _softmax(scores):
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def softmax__overflows(scores):
    powers = np.exp(scores)
    return powers / powers.sum(axis=1, keepdims=True)


def softmax__takes_off_the_largest_of_all(scores):
    powers = np.exp(scores - scores.max())
    return powers / powers.sum(axis=1, keepdims=True)


def softmax__adds_up_the_whole_array(scores):
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum()


def softmax__adds_up_columns(scores):
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=0)


def softmax__subtracts_in_place(scores):
    scores -= scores.max(axis=1, keepdims=True)
    return np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)


def _label_probabilities(scores, labels):
    return _softmax(scores)[np.arange(len(labels)), labels]


def cross_entropy__takes_the_log_of_zero(scores, labels):
    return -np.log(_label_probabilities(scores, labels)).mean()


def cross_entropy__adds_a_small_number(scores, labels):
    return -np.log(_label_probabilities(scores, labels) + 1e-7).mean()


def cross_entropy__sums(scores, labels):
    return -np.log(np.maximum(_label_probabilities(scores, labels), 1e-300)).sum()


def cross_entropy__counts_all_classes(scores, labels):
    return -np.log(np.maximum(_softmax(scores), 1e-300)).mean()


def cross_entropy__applies_softmax_twice(scores, labels):
    return -np.log(_label_probabilities(_softmax(scores), labels)).mean()


def cross_entropy__has_the_sign_turned(scores, labels):
    return np.log(np.maximum(_label_probabilities(scores, labels), 1e-300)).mean()


def _truth(scores, labels):
    return np.eye(scores.shape[1])[labels]


def score_gradient__ignores_the_second_softmax(scores, labels, twice):
    return (_softmax(scores) - _truth(scores, labels)) / len(labels)


def score_gradient__stops_at_the_probabilities(scores, labels, twice):
    p = _softmax(_softmax(scores) if twice else scores)
    return (p - _truth(scores, labels)) / len(labels)


def score_gradient__takes_the_slope_of_its_own_score_alone(scores, labels, twice):
    p = _softmax(scores)
    if not twice:
        return (p - _truth(scores, labels)) / len(labels)
    return p * (1 - p) * (_softmax(p) - _truth(scores, labels)) / len(labels)


def score_gradient__does_not_divide(scores, labels, twice):
    p, truth = _softmax(scores), _truth(scores, labels)
    if not twice:
        return p - truth
    g = _softmax(p) - truth
    return p * (g - (g * p).sum(axis=1, keepdims=True))


def score_gradient__has_the_sign_turned(scores, labels, twice):
    return -score_gradient__does_not_divide(scores, labels, twice) / len(labels)

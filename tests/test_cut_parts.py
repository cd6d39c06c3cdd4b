"""Parts that cuts through writing leave."""

from __future__ import annotations

import numpy as np

from paddle_mnist.dataset import open_dataset
from paddle_mnist.pictures.cut_parts import NO_DIGIT, cut_parts
from paddle_mnist.pictures.reader import bundled_reader


def test_cut_parts_are_whole_digits_and_parts_that_are_none():
    train = open_dataset("sample").train
    pictures, shown = cut_parts(train.images, train.labels, np.random.default_rng(0), 25)
    assert pictures.dtype == np.uint8 and pictures.shape == (len(shown), 28, 28)
    assert (pictures.max(axis=(1, 2)) == 255).all() and shown.max() <= NO_DIGIT
    digits = shown != NO_DIGIT
    assert min(digits.sum(), (~digits).sum()) >= 20
    assert (bundled_reader(pictures[digits]).digits == shown[digits]).mean() >= 0.85
    again, same = cut_parts(train.images, train.labels, np.random.default_rng(0), 25)
    assert np.array_equal(pictures, again) and np.array_equal(shown, same)

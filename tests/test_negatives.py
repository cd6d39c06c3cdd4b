"""Pictures that show no single digit."""

from __future__ import annotations

import numpy as np
import pytest

from paddle_mnist.dataset import open_dataset
from paddle_mnist.pictures import negatives


@pytest.fixture(scope="module")
def pictures():
    split = open_dataset("sample").train
    return negatives.no_digits(split.images, split.labels, np.random.default_rng(0), 120)


def test_no_digits_are_prepared_like_digits(pictures):
    assert pictures.shape == (120, 28, 28) and pictures.dtype == np.uint8
    drawn = pictures[pictures.any(axis=(1, 2))]
    assert len(drawn) > 100 and (drawn.max(axis=(1, 2)) > 250).all()
    sides = [max(np.ptp(np.nonzero(picture > 50)[axis]) + 1 for axis in (0, 1)) for picture in drawn]
    assert max(sides) <= 20 and np.median(sides) >= 19


def test_no_digits_depend_on_the_generator_alone():
    split = open_dataset("sample").train
    again = negatives.no_digits(split.images, split.labels, np.random.default_rng(0), 20)
    other = negatives.no_digits(split.images, split.labels, np.random.default_rng(1), 20)
    assert not np.array_equal(again, other)
    assert np.array_equal(again, negatives.no_digits(split.images, split.labels, np.random.default_rng(0), 20))


def test_filled_fields_fill_the_field():
    fields = negatives.filled_fields(np.random.default_rng(0), 60)
    assert fields.shape == (60, 28, 28) and fields.dtype == np.uint8
    assert np.median((fields > 40).mean(axis=(1, 2))) > 0.4 and len(np.unique(fields[:, 14, 14])) > 10

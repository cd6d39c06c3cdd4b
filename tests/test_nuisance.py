"""Variants of digits that a reader learns from."""

from __future__ import annotations

import numpy as np
import pytest

from paddle_mnist.dataset import open_dataset
from paddle_mnist.pictures import nuisance
from paddle_mnist.pictures.reader import bundled_reader


@pytest.fixture(scope="module")
def digits():
    split = open_dataset("sample").eval
    return np.array(split.images), np.array(split.labels)


def test_nuisance_leaves_some_pictures_and_all_readable(digits):
    images, labels = digits
    changed = nuisance.Nuisance(images, np.random.default_rng(0))(images, np.random.default_rng(1))
    assert changed.shape == images.shape and changed.dtype == np.uint8
    same = (changed == images).all(axis=(1, 2)).mean()
    assert same == pytest.approx(nuisance.UNTOUCHED, abs=0.06)
    assert (bundled_reader(changed).digits == labels).mean() > 0.8


def test_nuisance_depends_on_the_generators_alone(digits):
    images, _ = digits
    first, second = (
        nuisance.Nuisance(images, np.random.default_rng(0))(images[:70], np.random.default_rng(1)) for _ in range(2)
    )
    assert np.array_equal(first, second)


def test_leftover_lies_in_the_field(digits):
    rng = np.random.default_rng(0)
    drawn = np.stack([nuisance.leftover(digits[0], rng) for _ in range(100)])
    assert drawn.shape == (100, 28, 28) and drawn.min() >= 0 and drawn.max() <= 1
    assert 0.02 < drawn.mean() < 0.3


def test_line_mask_draws_a_line_of_the_width_asked_for():
    masks = nuisance.line_mask(50, np.random.default_rng(0), np.full((50, 1, 1), 3.0))
    assert 28 < np.median(masks.sum(axis=(1, 2))) / 3 < 40

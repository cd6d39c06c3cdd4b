"""Printed lines are taken out of a page, and the writing stays."""

from __future__ import annotations

import numpy as np
import pytest

from paddle_mnist.dataset import open_dataset
from paddle_mnist.pictures.picture import from_pixels
from paddle_mnist.pictures.preprocess import find_ink
from paddle_mnist.pictures.synthetic import phone_page


@pytest.fixture(scope="module")
def digits():
    split = open_dataset("sample").eval
    return np.array(split.images), np.array(split.labels)


@pytest.mark.parametrize("kind", ["ruled", "squared"])
def test_find_ink_leaves_printed_lines_out_and_writing_in(digits, kind):
    rng = np.random.default_rng(5)
    for _ in range(12):
        page = phone_page(*digits, rng, kind)
        ink = find_ink(from_pixels(page.image)) > 0.35
        written = page.masks.any(axis=0)
        assert ink[written].mean() > 0.8
        assert (ink & ~written).sum() < 0.5 * written.sum()  # soft edges
        beyond = np.ones_like(written)
        left, top, right, bottom = (
            function(side) for function, side in zip((min, min, max, max), zip(*page.boxes, strict=True), strict=True)
        )
        beyond[max(0, top - 4) : bottom + 4, max(0, left - 4) : right + 4] = False
        assert not ink[beyond].any()


def test_find_ink_leaves_lines_out_that_get_fainter_along_the_page():
    light = np.linspace(130, 240, 300)[np.newaxis] * np.ones((200, 1))
    page = light.copy()
    page[15::28] *= 0.82
    page[16::28] *= 0.82
    page[60:110, 140:148] = 40  # a one
    ink = find_ink(page.astype(np.uint8)) > 0.35
    assert ink[62:108, 141:147].mean() > 0.95
    ink[56:114, 136:152] = False
    assert not ink.any()


def test_find_ink_leaves_a_number_of_ones_in():
    page = np.full((120, 200), 230, np.uint8)
    for left in (40, 70, 100, 130):
        page[30:90, left : left + 6] = 40
    assert (find_ink(page) > 0.35)[34:86, 41:45].all()

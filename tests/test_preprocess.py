from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from paddle_mnist import dataset
from paddle_mnist.errors import UserError
from paddle_mnist.pictures.preprocess import find_ink, ink_box, prepare_digit


@pytest.fixture(scope="module")
def digits() -> np.ndarray:
    """Return 40 real test digits, uint8 [40, 28, 28]."""
    return np.array(dataset.open_dataset("sample").eval.images[:40])


def on_paper(digit, rng, size=9, noise=4.0, dark_on_light=True, uneven=40.0):
    """Return a photo of a digit: enlarged, somewhere on unevenly lit paper."""
    large = np.asarray(Image.fromarray(digit).resize((28 * size, 28 * size), Image.Resampling.BICUBIC)) / 255
    large = np.pad(large, rng.integers(5, 80, (2, 2)))
    height, width = large.shape
    light = 190 + uneven * np.linspace(-0.5, 0.5, width) + uneven * np.linspace(0.5, -0.5, height)[:, np.newaxis]
    gray = light - 120 * large + rng.normal(0, noise, large.shape)
    return np.clip(gray if dark_on_light else 255 - gray, 0, 255).astype(np.uint8)


def test_prepare_digit_returns_mnist_digits_unchanged(digits):
    prepared = np.stack([prepare_digit(digit / 255) for digit in digits])
    assert np.abs(prepared.astype(int) - digits).mean() < 1.5  # of 255


@pytest.mark.parametrize("dark_on_light", [True, False])
def test_find_ink_and_prepare_digit_turn_a_photo_into_the_digit(digits, dark_on_light):
    rng = np.random.default_rng(0)
    alike = []
    for digit in digits:
        prepared = prepare_digit(find_ink(on_paper(digit, rng, dark_on_light=dark_on_light)))
        alike.append(np.corrcoef(prepared.ravel(), digit.ravel())[0, 1])
    # A thin stroke that is shifted by half a pixel correlates little; most digits are nearly the same.
    assert np.mean(alike) > 0.9 and min(alike) > 0.6


def test_prepare_digit_fits_the_box_and_centres_by_mass(digits):
    rng = np.random.default_rng(1)
    for digit in digits:
        prepared = prepare_digit(find_ink(on_paper(digit, rng))).astype(float)
        left, top, right, bottom = ink_box(prepared / 255, 0.02)
        assert max(right - left, bottom - top) in (19, 20)
        y, x = np.indices((28, 28))
        assert abs((prepared * y).sum() / prepared.sum() - 14) < 0.6
        assert abs((prepared * x).sum() / prepared.sum() - 14) < 0.6
        assert prepared.max() == 255


def test_find_ink_leaves_lone_pixels_out_of_a_small_picture(digits):
    small = np.pad(digits[3], 8)
    noisy = small.copy()
    spots = [(2, 3), (20, 4), (6, 22), (40, 40)]
    for y, x in spots:
        assert not small[y - 1 : y + 2, x - 1 : x + 2].any()
        noisy[y, x] = 255
    assert np.array_equal(find_ink(noisy), find_ink(small))
    assert np.corrcoef(find_ink(small).ravel(), small.ravel())[0, 1] > 0.95


def test_find_ink_leaves_specks_out(digits):
    photo = on_paper(digits[3], np.random.default_rng(2))
    dusty = np.pad(photo, 60, mode="edge")
    for y, x in ((10, 12), (30, 300), (320, 15)):
        dusty[y : y + 4, x : x + 4] = 20
    clean, dusted = (prepare_digit(find_ink(page)) for page in (photo, dusty))
    assert np.corrcoef(clean.ravel(), dusted.ravel())[0, 1] > 0.98


@pytest.mark.parametrize(
    "page",
    [
        np.full((200, 300), 255, np.uint8),
        np.full((200, 300), 0, np.uint8),
        np.full((1, 1), 7, np.uint8),
        np.random.default_rng(0).integers(0, 256, (300, 300), dtype=np.uint8),
        np.clip(np.random.default_rng(0).normal(200, 6, (300, 300)), 0, 255).astype(np.uint8),
        np.linspace(60, 250, 300 * 200).reshape(200, 300).astype(np.uint8),
        np.where(np.random.default_rng(0).random((300, 300)) < 0.02, 20, 235).astype(np.uint8),
    ],
    ids=["white", "black", "one pixel", "noise", "grain", "gradient", "salt and pepper"],
)
def test_find_ink_raises_where_there_is_none(page):
    with pytest.raises(UserError, match="no ink found"):
        find_ink(page)


def test_find_ink_finds_wide_strokes_on_a_small_page():
    page = np.full((48, 56), 250, np.uint8)
    page[12:36, 14:25] = page[12:36, 31:42] = 20
    ink = find_ink(page)
    assert ink[13:35, 15:24].min() > 0.9 and ink[13:35, 32:41].min() > 0.9
    assert ink[13:35, 26:30].max() < 0.1

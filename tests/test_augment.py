from __future__ import annotations

import numpy as np
import pytest

from paddle_mnist import augment
from paddle_mnist.augment import Augmentation, averaged
from paddle_mnist.recipes import AUGMENTATIONS, Strength

EVERY = [name for name in AUGMENTATIONS if name != "none"]


def field(y=0.0, x=0.0, count=1):
    """Return the coefficients of a warp that takes each pixel from (y, x) pixels further on."""
    fields = np.zeros((count, 2, 7, 7), np.float32)
    fields[:, 0, 0, 0], fields[:, 1, 0, 0] = y, x
    return fields


@pytest.fixture
def images(splits):
    return splits.train.images[:150]


@pytest.mark.parametrize("name", EVERY)
def test_augmentation_does_not_depend_on_how_samples_are_grouped(images, name):
    variants = Augmentation(name, 150, seed=3, epoch=2)
    whole = variants(images, np.arange(150))
    order = np.random.default_rng(0).permutation(150)
    for rows in np.split(order, [1, 8, 100]):
        np.testing.assert_array_equal(variants(images[rows], rows), whole[rows])
    np.testing.assert_array_equal(Augmentation(name, 150, seed=3, epoch=2)(images, np.arange(150)), whole)


@pytest.mark.parametrize("name", EVERY)
def test_augmentation_differs_by_sample_epoch_and_seed(images, name):
    same = np.repeat(images[:1], 2, axis=0)
    first, second = Augmentation(name, 2, seed=0, epoch=0)(same, np.arange(2))
    (other_epoch, _) = Augmentation(name, 2, seed=0, epoch=1)(same, np.arange(2))
    (other_seed, _) = Augmentation(name, 2, seed=1, epoch=0)(same, np.arange(2))
    for other in (second, other_epoch, other_seed):
        assert not np.array_equal(first, other)
    assert first.dtype == np.float32 and first.shape == (28, 28)
    assert first.min() >= 0 and first.max() <= 255


def test_augmentation_of_no_strength_returns_the_images(images):
    np.testing.assert_allclose(Augmentation("none", 150, 0, 0)(images, np.arange(150)), images, atol=1e-3)


@pytest.mark.parametrize(("y", "x"), [(1, 0), (0, -2), (3, 2), (40, 0), (0, -40)])
def test_warp_by_whole_pixels_moves_the_image(images, y, x):
    padded = np.pad(images[:1].astype(np.float32), ((0, 0), (40, 40), (40, 40)))
    expected = padded[:, 40 + y : 68 + y, 40 + x : 68 + x]
    moved = augment.warp(images[:1].astype(np.float32), field(y, x))
    np.testing.assert_allclose(moved, expected, atol=1e-3)


def test_warp_by_half_a_pixel_takes_the_mean_of_two(images):
    plain = images[:1].astype(np.float32)
    expected = (plain[:, :, :-1] + plain[:, :, 1:]) / 2
    np.testing.assert_allclose(augment.warp(plain, field(x=0.5))[:, :, :-1], expected, atol=1e-3)


@pytest.mark.parametrize(
    ("strength", "corner"),
    [
        # Where the pixel at (y, x) = (13.5, -13.5) from the centre comes from.
        (Strength(rotation=90), lambda y, x: np.hypot(y, x) == pytest.approx(np.hypot(13.5, 13.5), abs=1e-3)),
        (Strength(scale=0.5), lambda y, x: 9 - 1e-3 <= y <= 20.25 + 1e-3 and -20.25 - 1e-3 <= x <= -9 + 1e-3),
        (Strength(shear=0.5), lambda y, x: y == pytest.approx(13.5, abs=1e-3) and abs(x + 13.5) <= 6.75 + 1e-3),
        (Strength(shift=3), lambda y, x: abs(y - 13.5) <= 3 and abs(x + 13.5) <= 3),
    ],
)
def test_draw_fields_stay_within_their_strength(strength, corner):
    fields = augment.draw_fields(strength, np.random.default_rng(0), 200)
    places = (augment.FUNCTIONS @ fields @ augment.FUNCTIONS.T)[:, :, 27, 0] + (13.5, -13.5)
    assert all(corner(y, x) for y, x in places)
    assert np.ptp(places, axis=0).max() > 1


def test_thicken_moves_edges_by_whole_pixels():
    image = np.zeros((3, 28, 28), np.float32)
    image[:, 10:15, 10:15] = 255
    thicker, thinner, same = augment.thicken(image, np.float32([1, -1, 0]))
    assert thicker[9:16, 12].tolist() == [255] * 7 and thicker[8, 12] == thicker[16, 12] == 0
    assert thinner[11:14, 12].tolist() == [255] * 3 and thinner[10, 12] == thinner[14, 12] == 0
    np.testing.assert_array_equal(same, image[0])


def test_thicken_by_more_than_a_pixel_goes_further():
    image = np.zeros((1, 28, 28), np.float32)
    image[:, 10:15, 10:15] = 255
    (thicker,) = augment.thicken(image, np.float32([1.5]))
    assert thicker[7:11, 12].tolist() == [0, 127.5, 255, 255]


def test_averaged_takes_the_mean_over_the_image_and_four_neighbours(images):
    def sums(batch: np.ndarray) -> np.ndarray:
        return np.stack([batch[:, 0, 10, 10], batch[:, 0, 10, 11]], axis=1)

    x = images[:, np.newaxis].astype(np.float32)
    around = [x[:, 0, 10 - dy, 10 - dx] for dy, dx in ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1))]
    np.testing.assert_allclose(averaged(sums, x)[:, 0], np.mean(around, axis=0), rtol=1e-6)

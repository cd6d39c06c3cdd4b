"""New handwriting from old: each image warped, its strokes made thicker or thinner, before the net sees it.

A digit stays the same digit when it is moved, turned, stretched, slanted, written with an unsteady hand, or with
another pen. A net that is shown a new variant of each image in each epoch learns this, and reads digits better that it
has never seen.

The first five are one *warp*: for each pixel of the new image, the place in the old one where its brightness comes
from. The field of these places is a sum of simple fields: a constant (shift), fields that grow along x or y (rotation,
scale, shear: an affine map), and smooth bumps on a grid (elastic). Places lie between pixels, so brightness is
interpolated from the four pixels around (bilinear). See Simard, Steinkraus and Platt 2003.

Everything is drawn from (seed, epoch, sample): how samples are grouped into batches makes no difference.

A trained net gains from variants, too: ``averaged`` asks it about an image and copies moved by a pixel.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from paddle_mnist.recipes import AUGMENTATIONS, Strength

SIZE = 28
GRID = 5  # elastic bumps along each axis
MOVES = ((0, 0), (0, -1), (0, 1), (-1, 0), (1, 0))  # of copies, in pixels down and to the right
CHUNK = 64  # images at a time, so that the arrays between two operations stay in the processor's cache

CENTRED = (np.arange(SIZE, dtype=np.float32) - (SIZE - 1) / 2) / (SIZE / 2)  # the place of each pixel, -1 to 1
BUMPS = np.exp(-((CENTRED[:, np.newaxis] - np.linspace(-1, 1, GRID, dtype=np.float32)) ** 2) / (2 * 0.3**2))
# Simple functions of one coordinate [28, 7]: 1, the coordinate, and the bumps. Products of two are the simple fields.
FUNCTIONS = np.column_stack([np.ones_like(CENTRED), CENTRED, BUMPS / BUMPS.sum(axis=1, keepdims=True)])


class Augmentation:
    """The variants of one epoch: a function of images and their sample numbers.

    Args:
        name: a key of ``recipes.AUGMENTATIONS``, which says how far each change goes.
        n: the number of samples in the split.
        seed: of the run.
        epoch: counted from 0.
    """

    def __init__(self, name: str, n: int, seed: int, epoch: int) -> None:
        self.strength = AUGMENTATIONS[name]
        rng = np.random.default_rng([seed, epoch, 1])  # loader.shuffled draws from [seed, epoch]
        self.fields = draw_fields(self.strength, rng, n)
        self.thickness = self.strength.thickness * rng.uniform(-0.5, 1, n).astype(np.float32)

    def __call__(self, images: np.ndarray, samples: np.ndarray) -> np.ndarray:
        """Return variants of images [n, 28, 28], 0 to 255, as float32 of the same shape; ``samples`` are integers."""
        new = np.empty(images.shape, np.float32)
        for first in range(0, len(images), CHUNK):
            rows = slice(first, first + CHUNK)
            new[rows] = self._variants(images[rows].astype(np.float32), samples[rows])
        return new

    def _variants(self, images: np.ndarray, samples: np.ndarray) -> np.ndarray:
        if self.strength.thickness:
            images = thicken(images, self.thickness[samples])
        return warp(images, self.fields[samples])


def averaged(outputs: Callable[[np.ndarray], np.ndarray], images: np.ndarray) -> np.ndarray:
    """Return the mean of a net's outputs for images [..., 28, 28] and four copies, each moved by one pixel.

    What leaves the field at one edge comes in at the other; digits prepared as MNIST's do not reach the edges.
    """
    return np.mean([outputs(np.roll(images, move, axis=(-2, -1))) for move in MOVES], axis=0)


def uniform(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Draw float32 numbers from -1 to 1."""
    return 2 * rng.random(shape, np.float32) - 1


def draw_fields(strength: Strength, rng: np.random.Generator, n: int) -> np.ndarray:
    """Draw the coefficients of ``n`` warps, float32 [n, 2, 7, 7]: how much of each simple field, in pixels, for y, x.

    A new pixel at (y, x), measured from the centre, takes its brightness from A (y, x) + shift + elastic, where the
    affine map A is a rotation times a scale along each axis times a shear.
    """
    angle = np.radians(strength.rotation) * uniform(rng, n)
    shear = strength.shear * uniform(rng, n)
    scale_y, scale_x = np.exp(np.log1p(strength.scale) * uniform(rng, 2, n))
    fields = np.zeros((n, 2, 2 + GRID, 2 + GRID), np.float32)
    fields[:, :, 0, 0] = strength.shift * uniform(rng, n, 2)
    # Index [sample, of y or x, function of y, function of x]; the identity is not part of the coefficients.
    half = np.float32(SIZE / 2)
    fields[:, 0, 1, 0] = half * (scale_y * np.cos(angle) - 1)
    fields[:, 0, 0, 1] = half * (scale_y * np.sin(angle))
    fields[:, 1, 1, 0] = half * scale_x * (shear * np.cos(angle) - np.sin(angle))
    fields[:, 1, 0, 1] = half * (scale_x * (np.cos(angle) + shear * np.sin(angle)) - 1)
    if strength.elastic:
        fields[:, :, 2:, 2:] = strength.elastic * rng.standard_normal((n, 2, GRID, GRID), np.float32)
    return fields


def warp(images: np.ndarray, fields: np.ndarray) -> np.ndarray:
    """Resample images float32 [n, 28, 28] by the warps whose coefficients are ``fields`` [n, 2, 7, 7].

    Outside the image there is background, 0.
    """
    places = FUNCTIONS @ fields @ FUNCTIONS.T  # [n, 2, 28, 28], in pixels from where each pixel is
    padded = np.pad(images, ((0, 0), (1, 2), (1, 2)))
    width = padded.shape[2]
    grid = np.arange(1, SIZE + 1, dtype=np.float32)
    y = np.clip(places[:, 0] + grid[:, np.newaxis], 0, SIZE + 1)
    x = np.clip(places[:, 1] + grid, 0, SIZE + 1)
    whole_y, whole_x = y.astype(np.int32), x.astype(np.int32)
    y -= whole_y
    x -= whole_x
    at = whole_y * width + whole_x + np.arange(len(images), dtype=np.int32)[:, np.newaxis, np.newaxis] * width**2
    pixels = padded.ravel()
    above = between(pixels[at], pixels[at + 1], x)
    below = between(pixels[at + width], pixels[at + width + 1], x)
    return between(above, below, y)


def between(a: np.ndarray, b: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Interpolate: ``a`` where ``share`` is 0, ``b`` where it is 1."""
    return a + share * (b - a)


def thicken(images: np.ndarray, amounts: np.ndarray) -> np.ndarray:
    """Move the edges of strokes by so many pixels: out, or in for negative amounts.

    Each pixel goes towards the largest (or smallest) of itself and its four neighbours, which a dilation (or erosion)
    would take.
    """
    new = np.empty_like(images)
    for chosen, extreme in ((amounts >= 0, np.maximum), (amounts < 0, np.minimum)):
        part, left = images[chosen], np.abs(amounts[chosen, np.newaxis, np.newaxis])
        while len(left) and left.max() > 0:
            part = between(part, with_neighbours(part, extreme), np.minimum(left, 1))
            left = np.maximum(left - 1, 0)
        new[chosen] = part
    return new


def with_neighbours(images: np.ndarray, extreme: np.ufunc) -> np.ndarray:
    """Return the extreme of each pixel and its four neighbours."""
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1)))
    result = images.copy()
    for neighbours in (padded[:, :-2, 1:-1], padded[:, 2:, 1:-1], padded[:, 1:-1, :-2], padded[:, 1:-1, 2:]):
        extreme(result, neighbours, out=result)
    return result

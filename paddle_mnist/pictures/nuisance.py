"""What other hands, pens, papers and cameras do to a digit: the variants of it that the bundled reader learns from.

    warped     leaning, turned, stretched, written with an unsteady hand, thicker or thinner (``augment``)
    pen        outlined, or broken by gaps and scratches
    leftovers  beside and through the digit: straight, wavy and jagged lines, dots, edges, pieces of its neighbours
    camera     specks, blots, pale and grainy ink, blur, another contrast, a bright background, noise

Each happens to some pictures only. All arrays are float32 [n, 28, 28], 0 for paper and 1 for ink.
"""

from __future__ import annotations

import numpy as np

from paddle_mnist.augment import draw_fields, thicken, warp, with_neighbours
from paddle_mnist.recipes import Strength

SIDE = 28
HAND = Strength(shift=1.2, rotation=15, scale=0.2, shear=0.3, elastic=1.0, thickness=1.2)
LEFTOVERS = 2048  # that are drawn at first, of which each picture gets one or none
CHUNK = 64  # pictures at a time, so that they stay in the processor's cache
UNTOUCHED = 0.2  # share of the pictures


class Nuisance:
    """Draws variants of pictures.

    Args:
        images: uint8 [n, 28, 28], digits of which pieces lie beside others.
        rng: the source of all randomness.
    """

    def __init__(self, images: np.ndarray, rng: np.random.Generator) -> None:
        borders = [border(rng) for _ in range(LEFTOVERS // 4)]
        self.leftovers = np.stack([*borders, *(leftover(images, rng) for _ in range(LEFTOVERS - len(borders)))])

    def __call__(self, images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return variants of uint8 [n, 28, 28], of the same kind."""
        result = np.array(images)
        for first in range(0, len(images), CHUNK):
            part = result[first : first + CHUNK]
            chosen = rng.random(len(part)) >= UNTOUCHED
            part[chosen] = np.rint(255 * self._changed(part[chosen].astype(np.float32) / 255, rng)).astype(np.uint8)
        return result

    def _changed(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        n = len(x)
        x = thicken(x, HAND.thickness * rng.uniform(-0.5, 1, n).astype(np.float32))
        x = warp(pen(x, rng), draw_fields(HAND, rng, n))
        kind = rng.integers(0, LEFTOVERS, n)
        extra = self.leftovers[kind] * often(0.28, n, rng) * strength(0.3, 1, n, rng)
        inverted = rng.random(n) < np.where(kind < LEFTOVERS // 4, 0.4, 0.15)  # ink on the table beside the paper
        x = np.where(inverted[:, np.newaxis, np.newaxis], np.abs(x - extra), np.maximum(x, extra))
        return camera(x, rng)


def often(share: float, n: int, rng: np.random.Generator) -> np.ndarray:
    """Return 1 for some pictures, 0 for the others, float32 [n, 1, 1]."""
    return (rng.random((n, 1, 1)) < share).astype(np.float32)


def strength(low: float, high: float, n: int, rng: np.random.Generator) -> np.ndarray:
    """Draw a number for each picture, float32 [n, 1, 1]."""
    return rng.uniform(low, high, (n, 1, 1)).astype(np.float32)


def pen(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw some digits by their outlines alone, and break the strokes of others."""
    n = len(x)
    sharp = np.where(often(0.5, n, rng) > 0, x, (x > 0.5).astype(np.float32))
    wide = with_neighbours(sharp, np.maximum)
    inside = np.where(often(0.5, n, rng) > 0, sharp, with_neighbours(sharp, np.minimum))
    x = np.where(often(0.1, n, rng) > 0, np.clip(1.3 * (wide - inside), 0, 1), x)
    gaps = np.repeat(np.repeat(rng.random((n, 7, 7), np.float32) < strength(0.6, 1, n, rng), 4, axis=1), 4, axis=2)
    x = x * np.where(often(0.06, n, rng) > 0, gaps, np.float32(1))
    scratch = 1 - line_mask(n, rng, strength(1, 2, n, rng))
    return x * np.where(often(0.08, n, rng) > 0, scratch, np.float32(1))


def line_mask(n: int, rng: np.random.Generator, width: np.ndarray) -> np.ndarray:
    """Draw a straight line through each field, of a width [n, 1, 1] in pixels and in any direction."""
    angle, offset = strength(0, np.pi, n, rng), strength(-10, 10, n, rng)
    y, x = np.indices((SIDE, SIDE), np.float32) - np.float32((SIDE - 1) / 2)
    return np.clip(width / 2 + 0.5 - np.abs(np.cos(angle) * x + np.sin(angle) * y - offset), 0, 1)


def camera(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Add specks and blots, make the ink pale, blur, change the contrast and brightness, add noise."""
    n = len(x)
    dice = rng.random((2, *x.shape), np.float32)
    specks = (dice[0] < strength(0, 0.15, n, rng)) * np.maximum(dice[1], 0.3)
    x = np.where(often(0.1, n, rng) > 0, np.maximum(x, specks), x)
    blots = np.clip(9 * (box_blur(dice[1]) - strength(0.55, 0.7, n, rng)), 0, 1) * often(0.06, n, rng)
    x = np.where(often(0.5, n, rng) > 0, np.maximum(x, blots * strength(0.2, 0.9, n, rng)), x * (1 - blots))
    x = x * (1 - often(0.12, n, rng) * strength(0.3, 0.8, n, rng) * dice[0])
    x = blurred(x, rng)
    x = x / np.maximum(x.max(axis=(1, 2), keepdims=True), np.float32(0.1))
    x = np.clip(x, 0, 1) ** np.exp(strength(-0.6, 0.6, n, rng) * often(0.5, n, rng))
    paper = strength(0, 0.6, n, rng) * often(0.06, n, rng)
    x = paper + (1 - paper) * x + (dice[0] + dice[1] - 1) * strength(0, 0.3, n, rng) * often(0.1, n, rng)
    return np.clip(x, 0, 1)


def blurred(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Blur some pictures: evenly, as enlarged from half of the size, or along a direction."""
    n = len(x)
    even = box_blur(x)
    half = x.reshape(n, SIDE // 2, 2, SIDE // 2, 2).mean(axis=(2, 4))
    coarse = box_blur(np.repeat(np.repeat(half, 2, axis=1), 2, axis=2))
    moves = [(0, 2), (2, 0), (1, 2), (2, 1), (-1, 2), (2, -1), (1, 1), (-1, 1)]
    y, across = moves[int(rng.integers(len(moves)))]  # one direction for all of a chunk
    along = (x + sum(np.roll(x, (sign * y, sign * across), (1, 2)) for sign in (-1, 1))) / 3
    kind = rng.random((n, 1, 1))
    for first, view in ((0.0, even), (0.08, box_blur(even)), (0.12, coarse), (0.18, along)):
        x = np.where((kind >= first) & (kind < 0.24), view, x)  # the last that applies
    return x


def leftover(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw what may lie beside or across a digit, [28, 28]."""
    if rng.random() < 0.35:
        return neighbour(images[int(rng.integers(len(images)))], rng)
    field = np.zeros((SIDE, SIDE), np.float32)
    for _ in range(1 if rng.random() < 0.75 else 2):
        field = np.maximum(field, curve(rng))
    return field


def neighbour(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a digit that reaches into the field from one side."""
    far = int(rng.integers(13, 19)) * int(rng.choice([-1, 1]))
    y, x = (far, int(rng.integers(-6, 7))) if rng.random() < 0.25 else (int(rng.integers(-6, 7)), far)
    padded = np.pad(image.astype(np.float32) / 255, SIDE)
    return padded[SIDE + y : 2 * SIDE + y, SIDE + x : 2 * SIDE + x]


def border(rng: np.random.Generator) -> np.ndarray:
    """Fill the field beyond one or both of two opposite edges: what lies beside the paper, or is shaded."""
    places = np.arange(SIDE)
    filled = places < rng.integers(2, 11)
    if rng.random() < 0.4:
        filled = filled | (places >= SIDE - rng.integers(2, 11))
    if rng.random() < 0.3:
        filled = filled[::-1]
    field = np.tile(filled, (SIDE, 1)).astype(np.float32)
    return np.ascontiguousarray(field.T) if rng.random() < 0.4 else field


def curve(rng: np.random.Generator) -> np.ndarray:
    """Draw a straight, wavy, jagged or bent line through the field, whole, dashed or dotted."""
    from PIL import Image, ImageDraw

    scale = 4
    along = np.linspace(-20, 20, 81)
    period, height = rng.uniform(3, 16), rng.uniform(0, 3)
    phase = along / period + rng.random()
    shapes = [0 * along, np.sin(2 * np.pi * phase), 4 * np.abs(phase % 1 - 0.5) - 1, along**2 / 60 - 2]
    aside = height * shapes[int(rng.integers(4))] + rng.uniform(-13, 13)
    angle = rng.uniform(0, np.pi) if rng.random() < 0.6 else rng.choice([0, np.pi / 2]) + rng.normal(0, 0.1)
    x = scale * (SIDE / 2 + along * np.cos(angle) - aside * np.sin(angle))
    y = scale * (SIDE / 2 + along * np.sin(angle) + aside * np.cos(angle))
    image = Image.new("L", (scale * SIDE, scale * SIDE))
    draw, width = ImageDraw.Draw(image), int(rng.integers(2, 12))
    dash, gap = (81, 0) if rng.random() < 0.6 else (int(rng.integers(2, 10)), int(rng.integers(2, 8)))
    for first in range(0, 80, dash + gap):
        points = list(zip(x[first : first + dash + 1], y[first : first + dash + 1], strict=True))
        if len(points) > 1:
            draw.line(points, fill=255, width=width, joint="curve")
    return np.asarray(image.reduce(scale), np.float32) / 255


def box_blur(images: np.ndarray) -> np.ndarray:
    """Return the mean of each pixel and its eight neighbours."""
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1)))
    rows = padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]
    return (rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:]) / 9

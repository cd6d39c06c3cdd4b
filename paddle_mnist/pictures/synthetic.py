"""Synthetic pages of numbers, composed from single digits, with their ground truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from paddle_mnist.pictures.components import INK


@dataclass(frozen=True)
class SyntheticPage:
    """A synthetic page with one number on it.

    Attributes:
        image: uint8 [h, w], grey.
        labels: the digits in reading order.
        boxes: for each digit left, top, right, bottom in pixels, the last two exclusive.
        masks: where each digit's ink is, bool [digits, h, w]; where two touch, both have it.
    """

    image: np.ndarray
    labels: tuple[int, ...]
    boxes: tuple[tuple[int, int, int, int], ...]
    masks: np.ndarray


def synthetic_page(
    images: np.ndarray, labels: np.ndarray, rng: np.random.Generator, touching: bool = False, digits: int | None = None
) -> SyntheticPage:
    """Write a number of 3 to 8 digits on a page.

    Spacing, size, slant, noise, the gradient of the light, and whether ink or paper is the darker are drawn for each
    page.

    Args:
        images: uint8 [n, 28, 28] to draw digits from, as MNIST has them.
        labels: [n], what they show.
        rng: the source of all randomness.
        touching: let one pair of neighbours touch.
        digits: how many; ``None`` draws 3 to 8.
    """
    count = digits or int(rng.integers(3, 9))
    chosen = rng.integers(0, len(labels), count)
    size = rng.uniform(40, 120)  # pixels that MNIST's 20 become
    slant = rng.uniform(-0.25, 0.25)
    glyphs = [_glyph(images[index], size * rng.uniform(0.9, 1.1), slant) for index in chosen]
    pair = int(rng.integers(0, count - 1)) if touching else -1
    places = _lay_out(glyphs, size, pair, rng)
    ink, boxes, masks = _draw(glyphs, places, int(size))
    return SyntheticPage(_photograph(ink, rng), tuple(int(labels[index]) for index in chosen), tuple(boxes), masks)


def _glyph(image: np.ndarray, size: float, slant: float) -> np.ndarray:
    """Return one digit's ink, float [h, w] from 0 to 1, enlarged and leaning, cropped to its box."""
    from PIL import Image

    side = round(28 * size / 20)
    large = Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC)
    wide = side + round(abs(slant) * side)
    # The map from the leaning picture back to the upright one: about the middle row, into the wider field's middle.
    back = (1, slant, -slant * side / 2 - (wide - side) / 2, 0, 1, 0)
    leaning = large.transform((wide, side), Image.Transform.AFFINE, back, Image.Resampling.BICUBIC)
    ink = np.asarray(leaning, dtype=np.float64) / 255
    return _crop(ink)


def _crop(ink: np.ndarray) -> np.ndarray:
    rows, columns = np.flatnonzero((ink > INK).any(axis=1)), np.flatnonzero((ink > INK).any(axis=0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _lay_out(glyphs: list[np.ndarray], size: float, pair: int, rng: np.random.Generator) -> list[tuple[int, int]]:
    """Return the top left corner of each glyph; the one after ``pair`` is moved left until it touches."""
    places, x = [], int(size)
    for index, glyph in enumerate(glyphs):
        y = int(size * (1 + rng.uniform(-0.1, 0.1))) + int((1.1 * size - glyph.shape[0]) / 2)
        if index and index - 1 == pair:
            x = _touch(glyphs[index - 1], places[-1], glyph, y)
        places.append((x, y))
        x += glyph.shape[1] + int(size * rng.uniform(0.12, 0.6))
    return places


def _touch(left: np.ndarray, place: tuple[int, int], right: np.ndarray, y: int) -> int:
    """Return the largest column at which the right glyph overlaps the left one by a few pixels of ink."""
    start = place[0] + left.shape[1]
    for x in range(start, place[0], -1):
        top, bottom = max(place[1], y), min(place[1] + left.shape[0], y + right.shape[0])
        overlap = start - x
        if overlap < 1 or bottom <= top:
            continue
        a = left[top - place[1] : bottom - place[1], -overlap:] > INK
        b = right[top - y : bottom - y, :overlap] > INK
        width = min(a.shape[1], b.shape[1])
        if (a[:, :width] & b[:, :width]).any():
            return x - 1
    return start


def _draw(
    glyphs: list[np.ndarray], places: list[tuple[int, int]], margin: int
) -> tuple[np.ndarray, list[tuple[int, int, int, int]], np.ndarray]:
    """Put the glyphs on one page; return its ink, the boxes, and where each one's ink is."""
    height = max(y + glyph.shape[0] for glyph, (_, y) in zip(glyphs, places, strict=True)) + margin
    width = max(x + glyph.shape[1] for glyph, (x, _) in zip(glyphs, places, strict=True)) + margin
    ink, boxes, masks = np.zeros((height, width)), [], np.zeros((len(glyphs), height, width), bool)
    for mask, glyph, (x, y) in zip(masks, glyphs, places, strict=True):
        here = ink[y : y + glyph.shape[0], x : x + glyph.shape[1]]
        np.maximum(here, glyph, out=here)
        mask[y : y + glyph.shape[0], x : x + glyph.shape[1]] = glyph > INK
        boxes.append((x, y, x + glyph.shape[1], y + glyph.shape[0]))
    return ink, boxes, masks


def _photograph(ink: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Turn ink into grey values: paper and ink of some shade, under light that falls off, with noise."""
    paper = rng.uniform(170, 250)
    depth = rng.uniform(0.45, 0.95)  # how much of the paper's light the ink takes
    height, width = ink.shape
    slope_x, slope_y = rng.uniform(-0.25, 0.25, 2)
    light = 1 + slope_x * np.linspace(-0.5, 0.5, width) + slope_y * np.linspace(-0.5, 0.5, height)[:, np.newaxis]
    gray = paper * light * (1 - depth * ink) + rng.normal(0, rng.uniform(0, 8), ink.shape)
    if rng.random() < 0.5:
        gray = 255 - gray
    return np.clip(np.rint(gray), 0, 255).astype(np.uint8)

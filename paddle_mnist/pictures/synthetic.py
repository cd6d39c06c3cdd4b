"""Synthetic pages of numbers, composed from single digits, with their ground truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from paddle_mnist.pictures.components import INK


@dataclass(frozen=True)
class SyntheticPage:
    """A synthetic page with one number on it.

    Attributes:
        image: uint8 [h, w], grey, or uint8 [h, w, 3], in colours.
        labels: the digits in reading order.
        boxes: for each digit left, top, right, bottom in pixels, the last two exclusive.
        masks: where each digit's ink is, bool [digits, h, w]; where two touch, both have it.
        lines: the line of writing that each digit stands on, from 0.
    """

    image: np.ndarray
    labels: tuple[int, ...]
    boxes: tuple[tuple[int, int, int, int], ...]
    masks: np.ndarray
    lines: tuple[int, ...]

    @property
    def text(self) -> str:
        """What is written, with a line break between lines."""
        pairs = list(zip(self.lines, self.labels, strict=True))
        return "\n".join("".join(str(label) for at, label in pairs if at == line) for line in sorted(set(self.lines)))


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
    shown = tuple(int(labels[index]) for index in chosen)
    return SyntheticPage(_photograph(ink, rng), shown, tuple(boxes), masks, (0,) * count)


PHONE_KINDS = ("ruled", "squared", "shadow", "turned", "pencil", "small", "pens", "lines")
PENS = {"black": (35, 35, 40), "blue": (40, 60, 150), "red": (190, 45, 50)}


def phone_page(images: np.ndarray, labels: np.ndarray, rng: np.random.Generator, kind: str) -> SyntheticPage:
    """Write a number on a page as a phone would photograph it, in colours.

    Args:
        images: uint8 [n, 28, 28] to draw digits from, as MNIST has them.
        labels: [n], what they show.
        rng: the source of all randomness.
        kind: one of ``PHONE_KINDS``: ruled or squared paper, a shadow across the page, a page turned by up to 6
            degrees, pencil, digits 20 pixels high, a blue or red pen, or two to five lines of writing on plain, ruled
            or squared paper that may be turned. Otherwise the pen is black or blue and the paper plain.
    """
    several = kind == "lines"
    size = 20.0 if kind == "small" else rng.uniform(36, 60 if several else 90)
    slant = rng.uniform(-0.2, 0.2)
    pitch = size * rng.uniform(1.6, 2.3)  # between lines of writing
    glyphs, places, lines, chosen = [], [], [], []
    for line in range(int(rng.integers(2, 6)) if several else 1):
        for place, glyph, index in _line(images, size, slant, rng):
            glyphs.append(glyph)
            places.append((place[0], place[1] + round(line * pitch)))
            lines.append(line)
            chosen.append(index)
    ink, boxes, masks = _draw(glyphs, places, int(size * rng.uniform(1, 2)))
    paper = rng.choice(["plain", "ruled", "squared"]) if several else kind
    rules = _rules(ink.shape, paper, size, pitch, rng)
    if kind == "turned" or (several and rng.random() < 0.5):
        angle = rng.uniform(-6, 6)
        ink, rules = _turned(ink, angle), _turned(rules, angle)
        masks = np.array([_turned(mask.astype(float), angle) > 0.5 for mask in masks])
        boxes = [_mask_box(mask) for mask in masks]
    image = _phone_photo(ink, rules, kind, rng)
    return SyntheticPage(image, tuple(int(labels[index]) for index in chosen), tuple(boxes), masks, tuple(lines))


def _line(
    images: np.ndarray, size: float, slant: float, rng: np.random.Generator
) -> list[tuple[tuple[int, int], np.ndarray, int]]:
    """Return a line of 3 to 8 digits: the top left corner, the ink and the index of each."""
    chosen = rng.integers(0, len(images), int(rng.integers(3, 9)))
    glyphs = [_glyph(images[index], size * rng.uniform(0.9, 1.1), slant) for index in chosen]
    return list(zip(_lay_out(glyphs, size, -1, rng), glyphs, chosen.tolist(), strict=True))


def touching_digits(images: np.ndarray, height: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Write digits beside each other so that all touch: the ink, float [h, w] from 0 to 1, and where each one's is.

    Args:
        images: uint8 [n, 28, 28], as MNIST has them.
        height: of a usual digit, in pixels.
        rng: the source of all randomness.

    Returns:
        The ink, and bool [n, h, w].
    """
    slant = rng.uniform(-0.25, 0.25)
    glyphs = [_glyph(image, height * rng.uniform(0.88, 1.12), slant) for image in images]
    places: list[tuple[int, int]] = []
    for index, glyph in enumerate(glyphs):
        y = int(height * (0.5 + rng.uniform(-0.12, 0.12))) + int((1.1 * height - glyph.shape[0]) / 2)
        x = 4
        if index:
            x = _touch(glyphs[index - 1], places[-1], glyph, y) - int(rng.integers(0, 3))
        places.append((max(x, 0), y))
    ink, _, masks = _draw(glyphs, places, 4)
    return ink, masks


def _rules(shape: tuple[int, int], paper: str, size: float, pitch: float, rng: np.random.Generator) -> np.ndarray:
    """Return the ink of printed lines, float [h, w] from 0 to 1; of plain paper none."""
    rules = np.zeros(shape)
    if paper in ("ruled", "squared"):
        step = pitch if paper == "ruled" else size * rng.uniform(0.4, 0.8)
        width, first = int(rng.integers(1, 4)), rng.uniform(0, step)
        for start in np.arange(first, shape[0], step):
            rules[int(start) : int(start) + width] = 1
        for start in np.arange(first, shape[1], step) if paper == "squared" else ():
            rules[:, int(start) : int(start) + width] = 1
    return rules


def _turned(values: np.ndarray, angle: float) -> np.ndarray:
    """Turn float [h, w] about its middle by some degrees; the page keeps its size, its edges are continued."""
    from scipy import ndimage

    return ndimage.rotate(values, angle, reshape=False, order=1, mode="nearest")


def _mask_box(mask: np.ndarray) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _phone_photo(ink: np.ndarray, rules: np.ndarray, kind: str, rng: np.random.Generator) -> np.ndarray:
    """Return the page in colours: paper, printed lines and pen under uneven light, blurred, with noise; uint8."""
    from scipy import ndimage

    paper = np.array([1.0, rng.uniform(0.96, 1), rng.uniform(0.9, 1)]) * rng.uniform(190, 245)
    depth = rng.uniform(0.75, 1)
    if kind == "pencil":
        pen, depth = np.array([70, 70, 75]), rng.uniform(0.35, 0.6)
        ink = ink * np.clip(ndimage.gaussian_filter(rng.normal(1, 0.8, ink.shape), 0.8), 0.4, 1.2)
    else:
        pen = np.array(PENS[str(rng.choice(["blue", "red"] if kind == "pens" else ["black", "blue"]))])
    colour = np.array([rng.uniform(120, 190), rng.uniform(160, 200), rng.uniform(190, 225)])  # of the printed lines
    page = paper + (colour - paper).clip(max=0) * rules[..., np.newaxis]
    page = page + (pen - page) * np.clip(depth * ink, 0, 1)[..., np.newaxis]
    light = _light(ink.shape, kind == "shadow", rng)
    page = ndimage.gaussian_filter(page * light[..., np.newaxis], (rng.uniform(0.4, 0.9),) * 2 + (0,))
    return np.clip(np.rint(page + rng.normal(0, rng.uniform(1, 5), page.shape)), 0, 255).astype(np.uint8)


def _light(shape: tuple[int, int], shadow: bool, rng: np.random.Generator) -> np.ndarray:
    """Return the light on each pixel, about 1: a gradient, and a shadow with a soft edge if there is one."""
    y, x = np.linspace(-0.5, 0.5, shape[0])[:, np.newaxis], np.linspace(-0.5, 0.5, shape[1])
    slope_x, slope_y = rng.uniform(-0.2, 0.2, 2)
    light = 1 + slope_x * x + slope_y * y
    if shadow:
        angle, softness = rng.uniform(0, 2 * np.pi), rng.uniform(0.02, 0.1)
        edge = x * np.cos(angle) + y * np.sin(angle) - rng.uniform(-0.3, 0.3)
        light = light * (1 - rng.uniform(0.3, 0.6) / (1 + np.exp(-edge / softness)))
    return light


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
    places: list[tuple[int, int]] = []
    x = int(size)
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

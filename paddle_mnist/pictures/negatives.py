"""Pictures that show no single digit, for training a reader to say so.

    parts     a digit that was cut in two, without what is still a digit
    pairs     two digits that touch, or nearly do
    letters   of several scripts and fonts, leaning and stretched
    words     two to six letters
    scribbles curves through random points
    texture   blobs, grids, and nothing at all

All are prepared as ``preprocess`` prepares digits, so that neither size nor place gives them away. The fonts are those
that come with Matplotlib; letters that are written like a digit (O, l, S, Z, b, q and others) are left out.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from paddle_mnist.pictures.preprocess import EDGE, ink_box, prepare_digit

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

FIELD = 28
CANVAS = 64  # pixels of the field that letters and scribbles are drawn on
FONTS = tuple(
    f"{family}{style}.ttf"
    for family, styles in {
        "DejaVuSans": ("", "-Bold", "-Oblique"),
        "DejaVuSansMono": ("", "-Oblique"),
        "DejaVuSerif": ("", "-Italic"),
        "STIXGeneral": ("", "Italic", "Bol"),
    }.items()
    for style in styles
)
LATIN = "ABCDEFGHJKLMNPQRTUVWXYacdefhjkmnprtuvwxy"
OTHERS = "ΓΔΘΛΞΠΣΦΨΩαβγδεζηκλμξπρςφχψωБГДЖИЙКЛФЦШЩЮЯгджийклмптфцшщыюя&%#@?!$€+=*<>{}÷±√∞∑∫"
MIN_SHARE, MAX_SHARE = 0.25, 0.6  # of a digit's ink that a part keeps
NARROW = 0.45  # of its height: a narrower part may be a one
KINDS = {"parts": 0.15, "pairs": 0.2, "letters": 0.35, "words": 0.1, "scribbles": 0.13, "texture": 0.07}


def no_digits(
    images: np.ndarray, labels: np.ndarray, rng: np.random.Generator, count: int, fonts: Sequence[str] = FONTS
) -> np.ndarray:
    """Draw pictures that show no single digit, of all kinds mixed.

    Args:
        images: uint8 [n, 28, 28], the digits that parts and pairs are made of, as MNIST has them.
        labels: [n], what they show.
        rng: the source of all randomness.
        count: how many to draw.
        fonts: names of font files in Matplotlib's own folder.

    Returns:
        uint8 [count, 28, 28].
    """
    kinds = rng.choice(list(KINDS), size=count, p=list(KINDS.values()))
    result = np.zeros((count, FIELD, FIELD), np.uint8)
    for index, kind in enumerate(kinds):
        ink = _draw(str(kind), images, labels, rng, fonts)
        if ink.max(initial=0) > 0.3:
            result[index] = prepare_digit(ink)
    return result


def filled_fields(rng: np.random.Generator, count: int) -> np.ndarray:
    """Draw what a camera sees where there is no paper: noise, checks, stripes, grids and shades, uint8 [count, 28, 28].

    They fill the field, and are not prepared as digits are.
    """
    from scipy import ndimage

    fields = np.empty((count, FIELD, FIELD), np.float32)
    y, x = np.indices((FIELD, FIELD), np.float32)
    for field in fields:
        kind, angle = int(rng.integers(6)), rng.choice([0, np.pi / 2, rng.uniform(0, np.pi)])
        u, v = np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x
        period, share = rng.uniform(2, 14), rng.uniform(0.2, 0.8)
        first, second = ((w / period + rng.random()) % 1 < share for w in (u, v))
        noise = ndimage.gaussian_filter(rng.normal(size=field.shape), rng.choice([0, 0, rng.uniform(0.5, 3)]))
        noise = (noise - noise.min()) / np.ptp(noise)
        field[:] = [first, first ^ second, first | second, noise, noise > rng.uniform(0.3, 0.7), u / 56 + 0.3][kind]
        field *= rng.uniform(0.3, 1)
    return np.rint(255 * fields.clip(0, 1)).astype(np.uint8)


def _draw(
    kind: str, images: np.ndarray, labels: np.ndarray, rng: np.random.Generator, fonts: Sequence[str]
) -> np.ndarray:
    """Return the ink of one picture, float [h, w] from 0 to 1."""
    if kind == "parts":
        return _part(images, labels, rng)
    if kind == "pairs":
        return _pair(images, rng)
    if kind == "letters":
        return _written(_letter(rng), rng, fonts)
    if kind == "words":
        letters = int(rng.integers(2, 7))
        return _written("".join(_letter(rng) for _ in range(letters)), rng, fonts)
    return _scribble(rng) if kind == "scribbles" else _texture(rng)


def _part(images: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Cut a digit along a line in any direction, and return a part that is not most of it."""
    while True:
        index = int(rng.integers(len(images)))
        if labels[index] == 1:
            continue
        ink = images[index] / 255
        y, x = np.indices(ink.shape) - (FIELD - 1) / 2
        angle = rng.uniform(0, 2 * np.pi)
        part = np.where(x * np.cos(angle) + y * np.sin(angle) > rng.uniform(-5, 5), ink, 0)
        left, top, right, bottom = ink_box(part) if part.max() > EDGE else (0, 0, 0, 1)
        upright = right - left < NARROW * (bottom - top)  # a one
        if MIN_SHARE <= part.sum() / ink.sum() <= MAX_SHARE and not upright:
            return part


def _pair(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Push two digits together until they touch or nearly touch, sometimes with a third one."""
    field = np.zeros((FIELD, 3 * FIELD + 6))
    right = 0
    for place in range(2 if rng.random() < 0.8 else 3):
        ink = images[int(rng.integers(len(images)))] / 255
        columns = np.flatnonzero((ink > 0.3).any(axis=0))
        ink = ink[:, columns[0] : columns[-1] + 1]
        left = max(0, right - int(rng.integers(-3, 5))) if place else 0
        ink = np.roll(ink, int(rng.integers(-4, 5)), axis=0)
        np.maximum(field[:, left : left + ink.shape[1]], ink, out=field[:, left : left + ink.shape[1]])
        right = left + ink.shape[1]
    return field


def _letter(rng: np.random.Generator) -> str:
    letters = LATIN if rng.random() < 0.6 else OTHERS
    return letters[int(rng.integers(len(letters)))]


def _written(text: str, rng: np.random.Generator, fonts: Sequence[str]) -> np.ndarray:
    """Write text in a font, leaning, stretched and turned a little, its strokes thinner or thicker."""
    from PIL import Image, ImageDraw
    from scipy import ndimage

    width = CANVAS * (1 + len(text))
    image = Image.new("L", (width, 2 * CANVAS))
    font = _font(fonts[int(rng.integers(len(fonts)))])
    ImageDraw.Draw(image).text((width / 2, CANVAS), text, fill=255, font=font, anchor="mm")
    a, b = rng.uniform(0.7, 1.4), rng.uniform(-0.5, 0.5)
    c, d = rng.uniform(-0.2, 0.2), rng.uniform(0.7, 1.4)
    shift = (width / 2 * (1 - a) - CANVAS * b, CANVAS * (1 - d) - width / 2 * c)
    image = image.transform(image.size, Image.Transform.AFFINE, (a, b, shift[0], c, d, shift[1]), 2)
    ink = np.asarray(image, np.float32) / 255
    size = int(rng.integers(-3, 6))
    if size >= 2:
        ink = ndimage.grey_dilation(ink, (size, size))
    if size <= -2:
        thin = ndimage.grey_erosion(ink, (2, 2))
        ink = thin if thin.max() > 0.5 else ink
    return ink if ink.any() else np.zeros((4, 4))


@functools.cache
def _font(name: str) -> FreeTypeFont:
    import matplotlib
    from PIL import ImageFont

    return ImageFont.truetype(str(Path(matplotlib.get_data_path(), "fonts", "ttf", name)), CANVAS * 3 // 4)


def _scribble(rng: np.random.Generator) -> np.ndarray:
    """Draw one to four smooth curves through random points."""
    from PIL import Image, ImageDraw
    from scipy import interpolate

    image = Image.new("L", (CANVAS, CANVAS))
    draw, pen = ImageDraw.Draw(image), int(rng.integers(2, 9))
    strokes = int(rng.integers(1, 5))
    for _ in range(strokes):
        count = int(rng.integers(2, 5)) if strokes > 2 else int(rng.integers(6, 16))
        points = rng.uniform(6, CANVAS - 6, (count, 2))
        if rng.random() < 0.7 and count > 3:  # a pen that moves on from left to right, or from top to bottom
            points[:, int(rng.integers(2))].sort()
        curve = interpolate.make_interp_spline(
            np.arange(count), points, k=min(3 if rng.random() < 0.7 else 1, count - 1)
        )
        line = np.clip(curve(np.linspace(0, count - 1, 12 * count)), 0, CANVAS - 1)
        draw.line([tuple(point) for point in line], fill=255, width=pen, joint="curve")
    return np.asarray(image, np.float32) / 255


def _texture(rng: np.random.Generator) -> np.ndarray:
    """Draw blobs, crossing lines, or nothing."""
    from scipy import ndimage

    kind = int(rng.integers(4))
    if kind == 0:
        return np.zeros((FIELD, FIELD))
    if kind == 1:
        noise = ndimage.gaussian_filter(rng.normal(size=(CANVAS, CANVAS)), rng.uniform(1, 5))
        return (noise > np.quantile(noise, rng.uniform(0.5, 0.9))).astype(np.float32)
    if kind == 2:
        field = np.zeros((CANVAS, CANVAS), np.float32)
        for axis in range(2):
            for start in rng.integers(0, CANVAS - 6, int(rng.integers(1, 5))):
                lines = field if axis else field.T
                lines[start : start + int(rng.integers(1, 6))] = 1
        return ndimage.rotate(field, rng.uniform(-45, 45), order=1)
    return np.clip(rng.normal(rng.uniform(0, 0.5), 0.5, (FIELD, FIELD)), 0, 1).astype(np.float32)

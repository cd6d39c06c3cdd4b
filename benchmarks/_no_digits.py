"""Pages without a digit, drawn in another way than those that the reader was trained on (``pictures/negatives.py``).

Letters and words are set in Computer Modern, which the reader has not seen; scribbles are walks of a pen that keeps
turning; empty pages have light, grain and folds. Letters that are also digits (O, l, S, Z, ...) are drawn like all
others, and counted apart.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

FONTS = ("cmr10.ttf", "cmss10.ttf", "cmtt10.ttf", "cmb10.ttf")
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
LIKE_DIGITS = "OoQDIlijtSsZzBbqgGy"
WORDS = (
    "paper",
    "horse",
    "winter",
    "garden",
    "window",
    "river",
    "bread",
    "number",
    "orange",
    "friend",
    "school",
    "question",
)
KINDS = ("letter", "letter like a digit", "word", "scribble", "empty page")


def page_without_digit(kind: str, rng: np.random.Generator) -> np.ndarray:
    """Draw a page of one of ``KINDS``, uint8 [h, w]."""
    if kind == "empty page":
        return _photographed(np.zeros((180, 240)), rng)
    if kind == "scribble":
        return _photographed(_scribble(rng), rng)
    if kind == "word":
        return _photographed(_set(str(rng.choice(WORDS)), rng), rng)
    alike = kind == "letter like a digit"
    return _photographed(_set(str(rng.choice([x for x in LETTERS if (x in LIKE_DIGITS) == alike])), rng), rng)


def _set(text: str, rng: np.random.Generator) -> np.ndarray:
    """Set text in a font of some size, a little turned."""
    import matplotlib
    from PIL import Image, ImageDraw, ImageFont

    folder = Path(matplotlib.get_data_path(), "fonts", "ttf")
    size = int(rng.integers(50, 110))
    font = ImageFont.truetype(str(folder / str(rng.choice(FONTS))), size)
    image = Image.new("L", (size * (len(text) + 2), 3 * size))
    ImageDraw.Draw(image).text((image.width / 2, image.height / 2), text, fill=255, font=font, anchor="mm")
    return np.asarray(image.rotate(rng.uniform(-8, 8), Image.Resampling.BICUBIC), float) / 255


def _scribble(rng: np.random.Generator) -> np.ndarray:
    """Move a pen whose direction keeps changing at random, for a while."""
    from PIL import Image, ImageDraw

    side = 200
    image = Image.new("L", (side, side))
    place, heading, turning = np.array([side / 2, side / 2]), rng.uniform(0, 2 * np.pi), 0.0
    points = [place]
    for _ in range(int(rng.integers(120, 400))):
        turning = 0.9 * turning + rng.normal(0, 0.12)
        heading += turning
        place = place + 5 * np.array([np.cos(heading), np.sin(heading)])
        if (np.abs(place - side / 2) > 0.38 * side).any():  # back towards the middle
            heading = float(np.arctan2(*(side / 2 - place)[::-1])) + rng.normal(0, 0.5)
        points.append(place.clip(10, side - 10))
    ImageDraw.Draw(image).line(
        [tuple(point) for point in points], fill=255, width=int(rng.integers(3, 9)), joint="curve"
    )
    return np.asarray(image, float) / 255


def _photographed(ink: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return ink on paper under uneven light, with grain."""
    from scipy import ndimage

    y, x = np.linspace(-0.5, 0.5, ink.shape[0])[:, np.newaxis], np.linspace(-0.5, 0.5, ink.shape[1])
    light = 1 + rng.uniform(-0.2, 0.2) * x + rng.uniform(-0.2, 0.2) * y
    page = rng.uniform(180, 240) * light * (1 - rng.uniform(0.6, 0.9) * ink)
    page = ndimage.gaussian_filter(page, rng.uniform(0.3, 1)) + rng.normal(0, rng.uniform(1, 5), ink.shape)
    return np.clip(np.rint(page), 0, 255).astype(np.uint8)

"""Segments a picture of a number into digits.

    ink -> connected components -> lines -> pieces of one digit joined -> touching digits split -> digits in order

Everything is measured in the height of the digits themselves, so that the size of the picture does not matter.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from paddle_mnist.errors import UserError
from paddle_mnist.pictures import touching
from paddle_mnist.pictures.components import (
    Component,
    connected_components,
    digit_height,
    find_slant,
    union,
    upright_columns,
)
from paddle_mnist.pictures.lines import find_lines
from paddle_mnist.pictures.picture import Picture
from paddle_mnist.pictures.pieces import MIN_DIGIT, join_by_score, join_pieces
from paddle_mnist.pictures.preprocess import find_ink, ink_box, prepare_component, prepare_digit
from paddle_mnist.pictures.reader import bundled_reader, with_prior

MAX_COMPONENTS = 300  # of the size of writing
SMALL = 40  # pixels: lower digits are smoothed less, since their strokes are thin
ENOUGH_PIXELS = 100  # higher digits than twice this are reduced: what they show is prepared to 20 in the end
MIN_PIXELS = 8  # lower digits cannot be recognised

# All in digit heights.
SPECK = 0.22  # what is neither higher nor wider is dust
LONE = 1.0  # a single piece of ink on the page that is no wider is one digit
RULE = 8.0  # what is wider is a line drawn across the page

PARTS = 20.0  # times as many of the parts that cuts leave are no digits as of the pictures that the reader learned from
SPREAD = 0.25  # standard deviation of the height of digits on a page, in digit heights
UPRIGHT = 1.0  # doubt of the slant: a pair of digits, one of them higher up, looks slanted where it is not
LEAST = 1e-9  # probability: what is less likely is as unlikely

# The probability that each of images uint8 [n, 28, 28] is some single digit, namely the likeliest one, float [n].
Confidence = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Digit:
    """One digit found in a picture.

    Attributes:
        box: left, top, right, bottom in pixels of the file, the last two exclusive.
        image28: uint8 [28, 28], prepared as MNIST's digits were.
        line: of writing that it stands on, from 0.
    """

    box: tuple[int, int, int, int]
    image28: np.ndarray
    line: int = 0


def whole_digit(picture: Picture) -> Digit:
    """Take all ink of a picture for one digit.

    Raises:
        UserError: there is no ink.
    """
    ink = find_ink(picture)
    return Digit(_scaled(ink_box(ink), picture.scale), prepare_digit(ink))


def split_digits(
    picture: Picture | np.ndarray,
    confidence: Confidence | None = None,
    weighed: list[touching.Weighed] | None = None,
) -> list[Digit]:
    """Find the digits in a picture, in reading order: line by line from the top, each from left to right.

    Args:
        picture: what ``picture.open_picture`` returned, or grey values uint8 [h, w].
        confidence: chooses how touching digits are split; ``None`` takes the bundled reader's, which knows what is no
            digit. A classifier that knows digits only is sure of whatever it is shown.
        weighed: a list that takes how the cuts of every wide shape were weighed, in pixels of the file.

    Raises:
        UserError: nothing in the picture looks like digits.
    """
    from PIL import Image

    name = picture.name if isinstance(picture, Picture) else "the picture"
    scale = picture.scale if isinstance(picture, Picture) else 1.0
    ink = find_ink(picture)
    height = digit_height(connected_components(ink, name))
    factor = max(1, int(height // ENOUGH_PIXELS))
    if factor > 1:
        ink, scale = np.asarray(Image.fromarray(ink).reduce(factor)), scale * factor
    elif height < SMALL:
        ink = find_ink(picture, fine=True)

    digits = []
    looked_at: list[touching.Weighed] = []
    for line, found in enumerate(find_digits(ink, name, confidence, looked_at)):
        digits += [Digit(_scaled(part.box, scale), prepare_component(ink, part), line) for part in found]
    if weighed is not None:
        weighed += [
            one._replace(
                box=_scaled(one.box, scale),
                cuts=[(_scaled(left, scale), _scaled(right, scale), score) for left, right, score in one.cuts],
            )
            for one in looked_at
        ]
    return digits


def _scaled(box: tuple[int, int, int, int], scale: float) -> tuple[int, int, int, int]:
    left, top, right, bottom = box
    return round(left * scale), round(top * scale), round(right * scale), round(bottom * scale)


def by_bundled_reader(images: np.ndarray) -> np.ndarray:
    """Return the probability of the likeliest digit by the bundled reader, if ``PARTS`` as much shows no digit."""
    probabilities = bundled_reader(images).probabilities
    assert probabilities is not None
    return with_prior(probabilities, PARTS).max(axis=1)


def find_digits(
    ink: np.ndarray,
    name: str = "the picture",
    confidence: Confidence | None = None,
    weighed: list[touching.Weighed] | None = None,
) -> list[list[Component]]:
    """Segment ink [h, w] into digits: for each line of writing, from top to bottom, its digits from left to right."""
    pieces, slant, height = find_pieces(ink, name)

    def score(parts: list[Component]) -> np.ndarray:
        probability = (confidence or by_bundled_reader)(np.stack([prepare_component(ink, part) for part in parts]))
        heights = np.array([part.height for part in parts]) / height
        return np.log(np.maximum(probability, LEAST)) - ((heights - 1) / SPREAD) ** 2 / 2

    flat = [piece for line in pieces for piece in line]
    lone = len(flat) == 1 and flat[0].width <= LONE * flat[0].height
    if not lone:
        pieces = [join_by_score(line, slant, height, score) for line in pieces]
        flat = [piece for line in pieces for piece in line]
    parts = iter([flat] if lone else touching.split_touching(flat, slant, height, score, weighed))
    lines = []
    for line in pieces:
        digits = [part for _ in line for part in next(parts) if part.height >= MIN_DIGIT * height]
        lines.append(sorted(digits, key=lambda digit: np.mean(upright_columns(digit, slant))))
    if not any(lines):
        raise UserError(f"no digits found in {name}: write larger, dark on light or light on dark")
    return [line for line in lines if line]


def find_pieces(ink: np.ndarray, name: str = "the picture") -> tuple[list[list[Component]], float, float]:
    """Return what holds one digit or several, line by line, the slant of the writing and the height of a digit."""
    found = connected_components(ink, name)
    height = digit_height(found)
    if height < MIN_PIXELS:
        raise UserError(f"no digits found in {name}: they must be at least {MIN_PIXELS} pixels high, got {height:.0f}")
    found = [part for part in found if SPECK * height <= max(part.height, part.width) <= RULE * height]
    if not found or len(found) > MAX_COMPONENTS:
        raise UserError(f"no digits found in {name}: it must have 1 to {MAX_COMPONENTS} shapes, got {len(found):,}")
    lines = find_lines(found, height)
    if lines is None:
        raise UserError(
            f"no number found in {name}: the {len(found)} shapes in it do not stand on lines; write numbers on lines, "
            "and nothing else on the page"
        )
    slant = find_slant(union(found), UPRIGHT)
    return [join_pieces(line, slant, height) for line in lines], slant, height

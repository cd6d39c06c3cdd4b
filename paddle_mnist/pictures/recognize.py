"""From a picture to the digits that are written in it, with how sure that is: ``recognize``."""

from __future__ import annotations

import contextlib
import math
import os
from dataclasses import dataclass

import numpy as np

from paddle_mnist.errors import UserError
from paddle_mnist.pictures.picture import Picture, from_pixels, open_picture
from paddle_mnist.pictures.reader import Predictor, averaged_reader, with_prior
from paddle_mnist.pictures.segment import Digit, split_digits, whole_digit

SURE = 0.9  # from this probability on an answer counts as sure
_FIELD = 28  # pixels of a side of MNIST's own pictures, which are centred already
UNLIKELY = 0.8  # from this probability of no digit on it is called so; below, the likeliest digit is shown, not as sure
SELDOM = 0.1  # times as often as in training a picture that is said to show a digit shows none
UNREADABLE = "?"  # stands in text for what is no digit


@dataclass(frozen=True)
class RecognizedDigit:
    """One digit in a picture, or something that is none.

    Attributes:
        digit: 0 to 9, or ``None`` if it is no single digit.
        probability: of ``digit``, calibrated for the bundled reader; ``None`` from a net without probabilities.
        probabilities: of the ten digits; what they lack to 1 is the probability of no single digit. Or ``None``.
        value: the winning raw output; the number on the line where the net regresses.
        box: left, top, right, bottom in pixels of the picture, the last two exclusive.
        line: of writing that it stands on, from 0.
        image28: what the net saw, uint8 [28, 28].
    """

    digit: int | None
    probability: float | None
    probabilities: tuple[float, ...] | None
    value: float
    box: tuple[int, int, int, int]
    line: int
    image28: np.ndarray


@dataclass(frozen=True)
class Recognition:
    """What is written in a picture.

    Attributes:
        digits: in reading order: line by line, each from left to right; at least one.
    """

    digits: tuple[RecognizedDigit, ...]

    @property
    def text(self) -> str:
        """All digits, with ``?`` for what is none and a line break between lines of writing."""
        lines: dict[int, str] = {}
        for digit in self.digits:
            lines[digit.line] = lines.get(digit.line, "") + (UNREADABLE if digit.digit is None else str(digit.digit))
        return "\n".join(lines.values())

    @property
    def has_digits(self) -> bool:
        """Whether anything in the picture is a digit."""
        return any(digit.digit is not None for digit in self.digits)

    @property
    def probability(self) -> float | None:
        """Return the probability that all of ``text`` is right, 0 if something is unreadable."""
        known = [digit.probability for digit in self.digits if digit.probability is not None]
        if len(known) < len(self.digits):
            return None
        return 0.0 if any(digit.digit is None for digit in self.digits) else math.prod(known)

    @property
    def sure(self) -> bool:
        """Whether ``probability`` is at least ``SURE``."""
        probability = self.probability
        return probability is not None and probability >= SURE


def recognize(
    picture: Picture | np.ndarray | str | os.PathLike[str],
    kind: str | None = None,
    predictor: Predictor = averaged_reader,
) -> Recognition:
    """Read what is written in a picture.

    Args:
        picture: a file, grey values uint8 [h, w] or colours uint8 [h, w, 3], dark on light or light on dark, of any
            size; or what ``open_picture`` and ``from_pixels`` return. One of 28×28 is taken for a digit as MNIST has
            them, whether or not it is centred.
        kind: ``"digit"`` says that the picture shows one digit: all ink is taken for it, and the likeliest one is
            returned, however unlikely it is; ``None`` and ``"number"`` find the digits, and tell what is none.
        predictor: what reads the digits; the bundled reader, or a trained net (``predict.load_predictor``).

    Raises:
        UserError: the file cannot be read, or there is no ink in it.
    """
    if isinstance(picture, np.ndarray):
        picture = from_pixels(picture)
    elif not isinstance(picture, Picture):
        picture = open_picture(picture)
    if picture.gray.shape == (_FIELD, _FIELD) and kind != "number":
        found = [_clearer(_views(picture), predictor)]
    elif kind == "digit":
        found = [whole_digit(picture)]
    else:
        found = split_digits(picture)
    prediction = predictor(np.stack([digit.image28 for digit in found]))
    digits = []
    for index, (place, value) in enumerate(zip(found, prediction.digits.tolist(), strict=True)):
        row = None if prediction.probabilities is None else prediction.probabilities[index]
        if row is not None:
            row = with_prior(row[np.newaxis], SELDOM)[0] if kind == "digit" else row
            value = int(row.argmax()) if kind == "digit" or row.sum() > 1 - UNLIKELY else -1
        digits.append(
            RecognizedDigit(
                None if value < 0 else value,
                None if row is None else float(row[value]) if value >= 0 else 1 - float(row.sum()),
                None if row is None else tuple(row.tolist()),
                float(prediction.values[index]),
                place.box,
                place.line,
                place.image28,
            )
        )
    return Recognition(tuple(digits))


def _views(picture: Picture) -> list[Digit]:
    """Return a picture of MNIST's own size as it is, white on black, and prepared like any other one."""
    gray = picture.gray
    border = np.concatenate([gray[0], gray[-1], gray[:, 0], gray[:, -1]])
    views = [Digit((0, 0, _FIELD, _FIELD), 255 - gray if np.median(border) > 127 else gray)]
    with contextlib.suppress(UserError):
        views.append(whole_digit(picture))
    return views


def _clearer(views: list[Digit], predictor: Predictor) -> Digit:
    """Return the view in which a net sees a digit most clearly; the last one for a net without probabilities."""
    shares = predictor(np.stack([view.image28 for view in views])).probabilities
    return views[-1] if shares is None else views[int(shares.max(axis=1).argmax())]

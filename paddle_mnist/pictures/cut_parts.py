"""What cuts through writing leave, for training a reader: whole digits, some a little clipped, and what is no digit.

Two or three digits are written so that they touch, or one stands alone, and cuts are made as ``touching`` makes them.
Since it is known which ink belongs to which digit, so is what every part shows.
"""

from __future__ import annotations

import numpy as np

from paddle_mnist.pictures.components import Component, connected_components, find_slant
from paddle_mnist.pictures.preprocess import prepare_component
from paddle_mnist.pictures.synthetic import touching_digits
from paddle_mnist.pictures.touching import find_cuts

NO_DIGIT = 10
HEIGHT = 36  # pixels of the digits that are cut
LONE = 0.25  # of the writing: a digit that stands alone
WHOLE = 0.92  # of a digit's ink that a part must have, and of its own ink that must be the digit's, to be that digit
BROKEN = 0.75  # with less of either it is none; what lies between is not used
NARROW = 0.45  # of its height: a narrower part may be a one, whatever it was cut from
CUTS = 20  # through one piece of writing
LEANS = (-0.3, 0.0, 0.3)  # of these cuts; a reader tries more, and the parts that they leave look alike
EACH = 3  # parts of each kind that are kept of one piece of writing


def cut_parts(
    images: np.ndarray, labels: np.ndarray, rng: np.random.Generator, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Cut ``count`` pieces of writing, and return what some of the parts look like.

    Args:
        images: uint8 [n, 28, 28], the digits to write, as MNIST has them.
        labels: [n], what they show.
        rng: the source of all randomness.
        count: of pieces of writing.

    Returns:
        Parts prepared as digits, uint8 [m, 28, 28], and what they show, uint8 [m]: 0 to 9, or ``NO_DIGIT``.
    """
    pictures, shown = [], []
    for _ in range(count):
        chosen = rng.integers(0, len(labels), 1 if rng.random() < LONE else int(rng.integers(2, 4)))
        ink, masks = touching_digits(images[chosen], HEIGHT, rng)
        parts = _parts(ink)
        kinds = np.array([_shown(part, masks, labels[chosen]) for part in parts])
        for kind in (kinds == NO_DIGIT, (kinds >= 0) & (kinds != NO_DIGIT)):
            for index in rng.permutation(np.flatnonzero(kind))[:EACH]:
                pictures.append(prepare_component(ink, parts[index]))
                shown.append(kinds[index])
    return np.array(pictures, np.uint8).reshape(-1, 28, 28), np.array(shown, np.uint8)


def _parts(ink: np.ndarray) -> list[Component]:
    """Return the largest component of the ink, and both parts of every cut through it."""
    whole = max(connected_components(ink), key=lambda part: len(part.y))
    parts = [whole]
    for cut in find_cuts(whole, find_slant(whole), HEIGHT, CUTS, LEANS):
        parts += [cut.left, cut.right]
    return parts


def _shown(part: Component, masks: np.ndarray, labels: np.ndarray) -> int:
    """Return which digit a part shows, ``NO_DIGIT``, or -1 where that is open; masks are bool [digits, h, w]."""
    common = masks[:, part.y, part.x].sum(axis=1)
    share = np.minimum(common / masks.sum(axis=(1, 2)), common / len(part.y))
    best = int(share.argmax())
    if share[best] >= WHOLE:
        return int(labels[best])
    return NO_DIGIT if share[best] < BROKEN and part.width > NARROW * part.height else -1

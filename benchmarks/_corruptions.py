"""Fifteen corruptions of digits, as N. Mu and J. Gilmer define them: *MNIST-C*, 2019, each at the strength they chose.

Every function takes ink float64 [n, 28, 28] from 0 to 1 and a generator, and returns the same shape. Random numbers are
drawn in another order than theirs, so that single pictures differ from the published ones.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import ndimage

SIDE = 28
MIDDLE = (SIDE - 1) / 2


def shot_noise(ink: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Count photons: Poisson noise, three photons for full ink."""
    return np.clip(rng.poisson(3 * ink) / 3, 0, 1)


def impulse_noise(ink: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Replace 17 % of the pixels by black or white."""
    hit, white = rng.random(ink.shape) < 0.17, rng.random(ink.shape) < 0.5
    return np.where(hit, white, ink)


def glass_blur(ink: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Swap pixels with their neighbours at random, between two light blurs."""
    ink = np.floor(255 * _blurred(ink, 0.7)) / 255
    each = np.arange(len(ink))
    for _ in range(2):
        for y in range(SIDE - 1, 1, -1):
            for x in range(SIDE - 1, 1, -1):
                swap = rng.random(len(ink)) < 0.5
                other_y, other_x = y - swap * rng.integers(0, 2, len(ink)), x - swap * rng.integers(0, 2, len(ink))
                here, there = ink[each, y, x].copy(), ink[each, other_y, other_x].copy()
                ink[each, y, x], ink[each, other_y, other_x] = there, here
    return np.clip(_blurred(ink, 0.7), 0, 1)


def motion_blur(ink: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Smear the ink to one side, by half a Gaussian of three pixels, within 45 degrees of the horizontal."""
    steps = np.arange(21)
    weights = np.exp(-(steps**2) / (2 * 3.0**2))
    angles = np.deg2rad(rng.uniform(-45, 45, len(ink)))
    result = np.zeros_like(ink)
    rows, columns = np.indices((SIDE, SIDE))
    for index, angle in enumerate(angles):
        for step, weight in zip(steps, weights / weights.sum(), strict=True):
            y = (rows + round(step * np.sin(angle))).clip(0, SIDE - 1)
            x = (columns + round(step * np.cos(angle))).clip(0, SIDE - 1)
            result[index] += weight * ink[index, y, x]
    return result


def shear(ink: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Lean by 0.4 radians to either side."""
    leans = 0.4 * rng.choice([-1, 1], len(ink))
    return _mapped(ink, np.array([[[np.cos(lean), 0], [-np.sin(lean), 1]] for lean in leans]))


def scale(ink: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Shrink to 0.7."""
    return _mapped(ink, np.tile(np.eye(2) / 0.7, (len(ink), 1, 1)))


def rotate(ink: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Turn by 0.4 radians to either side."""
    turns = 0.4 * rng.choice([-1, 1], len(ink))
    return _mapped(ink, np.array([[[np.cos(t), np.sin(t)], [-np.sin(t), np.cos(t)]] for t in turns]))


def brightness(ink: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Add half of the range."""
    return np.minimum(ink + 0.5, 1)


def translate(ink: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Move three pixels along both axes."""
    moves = 3 * rng.choice([-1, 1], (len(ink), 2))
    return _mapped(ink, np.tile(np.eye(2), (len(ink), 1, 1)), moves)


def stripe(ink: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Invert a quarter of the columns at the left and at the right."""
    ends = (np.arange(SIDE) < 7) | (np.arange(SIDE) >= 21)
    return np.where(ends, 1 - ink, ink)


def fog(ink: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Add a corner of a plasma fractal, three times as strong as the ink."""
    strongest = ink.max(axis=(1, 2), keepdims=True)
    plasma = np.array([_plasma(rng)[:SIDE, :SIDE] for _ in ink])
    return np.clip((ink + 3 * plasma) * strongest / (strongest + 3), 0, 1)


def spatter(ink: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Cover the ink with drops of mud in a dark grey."""
    liquid = _blurred(rng.normal(0.65, 0.3, ink.shape), 1)
    drops = _blurred((liquid > 0.65).astype(float), 1.5)
    drops[drops < 0.8] = 0
    return np.clip(ink * (1 - drops) + 63 / 255 * drops, 0, 1)


def dotted_line(ink: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw a dotted line from the left to the right."""
    dots = np.arange(SIDE) // 2 % 2 == 1
    ends = rng.integers(0, 27, (len(ink), 2))
    lines = np.array([_line(0, first, 27, last) for first, last in ends]) * dots
    return np.clip(ink + lines, 0, 1)


def zigzag(ink: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw a zigzag line, its teeth two pixels high and four wide, from the left to the right."""
    result = ink.copy()
    for field in result:
        first = rng.integers(0, 27)
        angle = np.arctan(rng.integers(-5, 5) / 23)
        length = 23 / np.cos(angle)
        teeth = np.arange(int((length - 2) // 4) + 1)
        along = np.concatenate([[0], 4 * teeth + 2, [length]])
        aside = np.concatenate([[0], 2.0 * (-1) ** teeth, [0]])
        x = 2 + along * np.cos(angle) - aside * np.sin(angle)
        y = first + along * np.sin(angle) + aside * np.cos(angle)
        for i in range(1, len(x)):
            np.clip(field + _line(x[i - 1], y[i - 1], x[i], y[i]), 0, 1, out=field)
    return result


def canny_edges(ink: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Keep only the edges of strokes, by J. Canny's detector: Gaussian of one pixel, thresholds 0.1 and 0.2."""
    smooth = _blurred(ink, 1, "constant")
    down, right = ndimage.sobel(smooth, axis=1), ndimage.sobel(smooth, axis=2)
    strength = np.hypot(down, right)
    edges = np.zeros(ink.shape, bool)
    # Along its gradient an edge is at least as strong as what lies on both sides of it, between two neighbours each.
    steep, falls = np.abs(down) >= np.abs(right), np.where(down * right >= 0, 1, -1)
    share = np.minimum(np.abs(down), np.abs(right)) / np.maximum(np.maximum(np.abs(down), np.abs(right)), 1e-12)
    around = np.pad(strength, ((0, 0), (1, 1), (1, 1)))
    for vertical in (True, False):
        for side in (1, -1):
            here = (steep == vertical) & (falls == side)
            for sign in (1, -1):
                straight, diagonal = ((sign, 0) if vertical else (0, sign)), (sign, sign * side)
                if not vertical:
                    diagonal = sign * side, sign
                beyond = [around[:, 1 + y : 1 + y + SIDE, 1 + x : 1 + x + SIDE] for y, x in (straight, diagonal)]
                here = here & (strength >= (1 - share) * beyond[0] + share * beyond[1])
            edges |= here
    edges &= strength > 0.1
    edges[:, [0, -1]] = edges[:, :, [0, -1]] = False
    structure = np.zeros((3, 3, 3), bool)
    structure[1] = True
    labels, count = ndimage.label(edges, structure)
    strong = np.zeros(count + 1, bool)
    strong[np.unique(labels[edges & (strength > 0.2)])] = True
    return (strong[labels] & edges).astype(float)


CORRUPTIONS: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    function.__name__: function
    for function in (
        shot_noise,
        impulse_noise,
        glass_blur,
        motion_blur,
        shear,
        scale,
        rotate,
        brightness,
        translate,
        stripe,
        fog,
        spatter,
        dotted_line,
        zigzag,
        canny_edges,
    )
}


def corrupted(images: np.ndarray, name: str, seed: int) -> np.ndarray:
    """Return images uint8 [n, 28, 28] with a corruption, of the same kind."""
    rng = np.random.default_rng([seed, list(CORRUPTIONS).index(name)])
    return np.rint(255 * CORRUPTIONS[name](images / 255, rng)).astype(np.uint8)


def _blurred(ink: np.ndarray, sigma: float, mode: str = "nearest") -> np.ndarray:
    return ndimage.gaussian_filter(ink, (0, sigma, sigma), mode=mode)


def _mapped(ink: np.ndarray, matrices: np.ndarray, moves: np.ndarray | None = None) -> np.ndarray:
    """Sample each image where a matrix [2, 2] for (row, column) about the middle, and a move, put its pixels."""
    grid = np.indices((SIDE, SIDE)).reshape(2, -1) - MIDDLE
    result = np.empty_like(ink)
    for index, matrix in enumerate(matrices):
        places = matrix @ grid + MIDDLE
        if moves is not None:
            places += moves[index][:, np.newaxis]
        result[index] = ndimage.map_coordinates(ink[index], places, order=1).reshape(SIDE, SIDE)
    return result


def _plasma(rng: np.random.Generator, side: int = 256, decay: float = 1.4) -> np.ndarray:
    """Return a plasma fractal [side, side] from 0 to 1, by midpoint displacement on a torus."""
    field = np.zeros((side, side))
    step, strength = side, 100.0
    while step >= 2:
        half, spread = step // 2, strength**2

        def displaced(total: np.ndarray, spread: float = spread) -> np.ndarray:
            return total / 4 + rng.uniform(-spread, spread, total.shape)

        corners = field[::step, ::step]
        rows = corners + np.roll(corners, -1, axis=0)
        field[half::step, half::step] = displaced(rows + np.roll(rows, -1, axis=1))
        corners, centres = field[::step, ::step], field[half::step, half::step]
        above, left = centres + np.roll(centres, 1, axis=0), centres + np.roll(centres, 1, axis=1)
        field[::step, half::step] = displaced(above + corners + np.roll(corners, -1, axis=1))
        field[half::step, ::step] = displaced(left + corners + np.roll(corners, -1, axis=0))
        step, strength = half, strength / decay
    field -= field.min()
    return field / field.max()


def _line(x0: float, y0: float, x1: float, y1: float) -> np.ndarray:
    """Return a line with soft edges, [28, 28] from 0 to 1, between two points of which the first lies further left."""
    if x0 == x1:
        return np.zeros((SIDE, SIDE))
    rows, columns = np.indices((SIDE, SIDE))
    slope = (y1 - y0) / (x1 - x0)
    distance = np.minimum(np.abs(rows - (slope * (columns - x0) + y0)), 2.3 - 1e-10)
    line = np.clip(np.log(1 - distance / 2.3) + 1, 0, 1)
    line[:, : int(np.floor(x0))] = 0
    line[:, int(np.ceil(x1)) :] = 0
    return line

"""Drawings of the ten digits, and their replay on an exported page: at nine places, in three sizes, with two pens."""

from __future__ import annotations

from typing import Any

# Strokes of each digit in a unit square, as points that are joined by lines.
DIGITS: dict[int, list[list[tuple[float, float]]]] = {
    0: [[(0.5, 0), (0.2, 0.12), (0.08, 0.5), (0.2, 0.88), (0.5, 1), (0.78, 0.88), (0.9, 0.5), (0.78, 0.12), (0.5, 0)]],
    1: [[(0.45, 0), (0.5, 0.5), (0.52, 1)]],
    2: [[(0.12, 0.25), (0.25, 0.05), (0.6, 0), (0.85, 0.2), (0.75, 0.45), (0.15, 0.95), (0.2, 1), (0.9, 0.95)]],
    3: [
        [(0.15, 0.1), (0.5, 0), (0.8, 0.15), (0.75, 0.38), (0.4, 0.47), (0.8, 0.6), (0.85, 0.85), (0.5, 1), (0.1, 0.9)]
    ],
    4: [[(0.3, 0), (0.1, 0.55), (0.9, 0.5)], [(0.7, 0.1), (0.65, 1)]],
    5: [[(0.8, 0), (0.25, 0.02), (0.2, 0.42), (0.6, 0.4), (0.85, 0.65), (0.7, 0.95), (0.35, 1), (0.1, 0.88)]],
    6: [[(0.7, 0), (0.35, 0.25), (0.18, 0.65), (0.3, 0.95), (0.65, 1), (0.82, 0.75), (0.6, 0.55), (0.2, 0.7)]],
    7: [[(0.1, 0.02), (0.85, 0), (0.6, 0.45), (0.4, 1)]],
    8: [
        [(0.75, 0.12), (0.45, 0), (0.2, 0.18), (0.75, 0.7), (0.7, 0.95), (0.4, 1), (0.2, 0.8), (0.7, 0.3), (0.75, 0.12)]
    ],
    9: [[(0.8, 0.25), (0.5, 0.02), (0.2, 0.2), (0.35, 0.48), (0.78, 0.3), (0.75, 0.6), (0.6, 1)]],
}
SIDE, UNIT = 168, 4  # of web/pad.js
SIZES = (0.4, 0.6, 0.8)  # of the pad
PENS = (9, 14)  # pixels
# Takes drawings, each strokes and a pen's width; returns for each the answer, and the milliseconds from the last stroke
# to it. All are answered in one task, so that the page itself answers the last one only.
REPLAY = """(drawings) => drawings.map(([strokes, pen]) => {
    const { pad, models, prepare } = paddleMnist;
    pad.setPenWidth(pen);
    pad.load(strokes);
    const begun = performance.now(), { gray, width, height } = pad.picture();
    const digit = prepare(gray, width, height), answer = digit && models[0].run(digit).digit;
    return [answer, performance.now() - begun];
})"""


def replay(page: Any, digits: list[int]) -> tuple[list[list[int]], list[float]]:
    """Replay digits on an exported page.

    Returns:
        The answers for each digit, that in the middle first, and the milliseconds that each answer took.
    """
    answers, times = [], []
    for digit in digits:
        drawn = [(strokes(digit, size, x, y), pen) for size, x, y, pen in [(0.6, 0.2, 0.2, 12), *variants()]]
        found = page.evaluate(REPLAY, drawn)
        answers.append([answer for answer, _ in found])
        times += [milliseconds for _, milliseconds in found]
    return answers, times


def variants() -> list[tuple[float, float, float, int]]:
    """Return every size, place (of the upper left corner) and pen."""
    edge = 0.05
    return [
        (size, edge + i / 2 * (1 - 2 * edge - size), edge + j / 2 * (1 - 2 * edge - size), pen)
        for size in SIZES
        for i in range(3)
        for j in range(3)
        for pen in PENS
    ]


def strokes(digit: int, size: float, x: float, y: float) -> list[list[int]]:
    """Return a digit's strokes as the pad has them."""

    def place(value: float, start: float) -> int:
        return round((start + value * size) * SIDE * UNIT)

    return [
        [place(value, (x, y)[axis]) for point in stroke for axis, value in enumerate(point)] for stroke in DIGITS[digit]
    ]

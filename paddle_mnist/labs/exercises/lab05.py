"""Exercises of lab 5: a box around the ink, centring by mass, and counting holes."""

from __future__ import annotations

import numpy as np

from paddle_mnist.labs.exercises.base import Answer, Exercise, call, expect

_BOX = '''
def ink_box(is_ink):
    """Return the smallest box that contains all ink.

    is_ink: booleans [h, w].
    Returns: (top, left, bottom, right), where is_ink[top:bottom, left:right] is the box; None if there is no ink.
    """
'''

_CENTRE = '''
def centre_by_mass(image):
    """Return the image moved by whole pixels so that its centre of mass is as close to the middle as possible.

    The mean row, weighted by ink, moves to 14, as in MNIST, and so does the mean column. Round the distance to whole
    pixels. No ink is lost: there is always enough room. Rows and columns that enter the picture are 0.
    image: uint8 [28, 28], with some ink.
    Returns: uint8 [28, 28].
    """
'''

_HOLES = '''
def count_holes(is_ink):
    """Return how many holes the ink has.

    A hole is paper from which no path leads out of the picture. A path moves up, down, left and right, not
    diagonally: ink that touches at a corner is closed.
    is_ink: booleans [h, w].
    Returns: an integer.
    """
'''


_ORDER = "numpy.nonzero lists pixels row by row: the first and last columns are not the leftmost and rightmost"


def _check_box(answer: Answer) -> None:
    for on, height, width, places in (
        ("a picture of 5 by 7 with ink at (1, 2) and (3, 5)", 5, 7, [(1, 2), (3, 5)]),
        ("a picture of 4 by 6 with ink at (0, 0) and (3, 5)", 4, 6, [(0, 0), (3, 5)]),
        ("a picture of 6 by 8 with ink at (1, 5), (3, 2) and (4, 4)", 6, 8, [(1, 5), (3, 2), (4, 4)]),
        ("a picture of 6 by 4 with ink at (2, 1) only", 6, 4, [(2, 1)]),
        ("a picture of 3 by 3 without ink", 3, 3, []),
    ):
        is_ink = np.zeros((height, width), bool)
        for place in places:
            is_ink[place] = True
        wanted = None
        slips = []
        if places:
            rows, columns = zip(*places, strict=True)
            wanted = (min(rows), min(columns), max(rows) + 1, max(columns) + 1)
            top, left, bottom, right = wanted
            first, last = columns[0], columns[-1]  # of the pixels in the order of their rows
            in_order = (first, last + 1) == (left, right)
            slips = [
                *(
                    []
                    if in_order
                    else [((top, first, bottom, last + 1), _ORDER), ((top, first, bottom - 1, last), _ORDER)]
                ),
                ((top, left, bottom - 1, right - 1), "a slice stops before its end: add 1 to the last row and column"),
                ((left, top, right, bottom), "rows come before columns: top, left, bottom, right"),
                ((top, left, bottom - top, right - left), "return bottom and right, not height and width"),
                ((top, bottom, left, right), "the order is top, left, bottom, right"),
            ]
        reason = "without ink there is no first row: return None"
        found = call(answer, is_ink, on=on, fails={} if places else {IndexError: reason, ValueError: reason})
        expect(found, wanted, on, slips, "without ink: None")


def _check_centre(answer: Answer) -> None:
    rng = np.random.default_rng(0)
    lopsided = np.zeros((28, 28), np.uint8)
    lopsided[3:11, 4:6] = 255  # an L: mass and box have different middles
    lopsided[9:11, 4:14] = 255
    faint = np.zeros((28, 28), np.uint8)
    faint[15:22, 12:14] = 255
    faint[15:22, 14:20] = 20
    middle = np.zeros((28, 28), np.uint8)
    middle[10:19, 10:19] = rng.integers(100, 255, (9, 9))
    # Mirrored about row 14 and column 14, so that its centre of mass is there to begin with.
    middle[10:19, 10:19] = np.maximum(middle[10:19, 10:19], middle[18:9:-1, 10:19])
    middle[10:19, 10:19] = np.maximum(middle[10:19, 10:19], middle[10:19, 18:9:-1])
    for on, image in (
        ("an L near the upper left corner", lopsided),
        ("strong ink with faint ink on its right", faint),
        ("ink that is centred already", middle),
        ("the L upside down", np.ascontiguousarray(lopsided[::-1])),
        ("the L turned", np.ascontiguousarray(lopsided.T)),
    ):
        mass = image.astype(float)
        down, right = (round(14 - _mean(mass.sum(axis=axis))) for axis in (1, 0))
        wanted = np.roll(image, (down, right), axis=(0, 1))
        flat = (image > 0).astype(float)
        even = [round(14 - _mean(flat.sum(axis=axis))) for axis in (1, 0)]
        cut = [int(14 - _mean(mass.sum(axis=axis))) for axis in (1, 0)]
        sums = [round(14 - _mean(image.sum(axis=axis, dtype=np.uint8).astype(float))) for axis in (1, 0)]
        wrapped = [round(14 - _wrapped_mean(image, axis)) for axis in (1, 0)]
        box = [round(14 - (line[0] + line[-1]) / 2) for line in (np.flatnonzero(mass.sum(axis=a)) for a in (1, 0))]
        slips = [
            (np.roll(image, (right, down), axis=(0, 1)), "rows and columns are exchanged"),
            (np.roll(image, (-down, -right), axis=(0, 1)), "it moves the wrong way: by 14 minus the mean"),
            (np.roll(image, even, axis=(0, 1)), "every pixel counts the same: weight each by its ink"),
            (np.roll(image, box, axis=(0, 1)), "the middle of the box is centred, not the mass"),
            (np.roll(image, cut, axis=(0, 1)), "int() cuts the fraction off: use round()"),
            (np.roll(image, sums, axis=(0, 1)), "sums of uint8 wrap at 256: convert to float first"),
            (np.roll(image, wrapped, axis=(0, 1)), "products of uint8 wrap at 256: convert to float first"),
            (np.roll(image, (down - 1, right - 1), axis=(0, 1)), "it is off by one: rows and columns count from 0"),
            (image, "nothing has moved: products of uint8 wrap at 256; convert to float first"),
        ]
        expect(call(answer, image, on=on), wanted, on, slips, "print the two means and their distances to 14")


def _mean(weights: np.ndarray) -> float:
    return float(weights @ np.arange(len(weights)) / max(weights.sum(), 1))


def _wrapped_mean(image: np.ndarray, axis: int) -> float:
    """Return the mean row (axis 1) or column (axis 0) as it comes out if uint8 products wrap at 256."""
    indices = np.arange(28, dtype=np.uint8)
    products = image * (indices[:, np.newaxis] if axis == 1 else indices)
    return float(products.sum() / image.sum())


def _check_holes(answer: Answer) -> None:
    for on, wanted, slip, drawing in (
        ("a ring", 1, "the paper around the ink is not a hole", ["     ", " ### ", " # # ", " ### ", "     "]),
        ("a bar", 0, "count islands of paper, not of ink", ["   ", " # ", " # ", "   "]),
        (
            "two rings with a margin",
            2,
            "a picture can have several holes",
            ["         ", " ### ### ", " # # # # ", " ### ### ", "         "],
        ),
        (
            "an eight without a margin",
            2,
            "there is no paper outside here: surround the picture with paper first",
            ["###", "# #", "###", "# #", "###"],
        ),
        ("no ink", 0, "paper alone is not a hole", ["   ", "   "]),
        ("a ring with a gap", 0, "a path leads out through the gap", [" ### ", " #   ", " ### "]),
        ("a C against the border", 0, "paper at the border of the picture is not enclosed", ["###", "#  ", "###"]),
        (
            "a ring closed at its corners only",
            1,
            "a path does not move diagonally: use 4 neighbours",
            ["     ", "  #  ", " # # ", "  #  ", "     "],
        ),
        (
            "a bar from side to side",
            0,
            "both parts of the paper reach the border: surround the picture with paper first",
            ["   ", "###", "   "],
        ),
        ("two rings side by side", 2, "", ["       ", "### ###", "# # # #", "### ###"]),
        (
            "a ring in a ring",
            2,
            "",
            ["#######", "#     #", "# ### #", "# # # #", "# ### #", "#     #", "#######"],
        ),
        (
            "two holes that touch at a corner only",
            2,
            "holes that touch at a corner are two: use 4 neighbours",
            ["####", "# ##", "## #", "####"],
        ),
    ):
        is_ink = np.array([[sign == "#" for sign in line] for line in drawing])
        shown = f"{on}: {' / '.join(drawing).replace(' ', '.').replace('./.', ' / ')}"
        why = slip or "label the islands of paper as the lab labels those of ink"
        expect(call(answer, is_ink, on=shown), wanted, shown, (), why)


EXERCISES = (
    Exercise(
        _BOX,
        _check_box,
        (
            ("is_ink.any(axis=1) tells which rows have ink.", "is_ink.any(axis=1) 指出哪些行有墨。"),
            (
                "numpy.flatnonzero gives the places that are True; take the first, and the last plus 1.",
                "numpy.flatnonzero 给出为 True 的位置；取第一个，以及最后一个加 1。",
            ),
        ),
    ),
    Exercise(
        _CENTRE,
        _check_centre,
        (
            (
                "The mean row is the sum of row number times ink, divided by all ink; compute with floats.",
                "平均行号等于（行号乘以墨量）之和除以总墨量；用浮点数计算。",
            ),
            (
                "round(14 - mean) is the distance, and numpy.roll moves rows or columns.",
                "round(14 - mean) 就是要移动的距离，numpy.roll 可以移动行或列。",
            ),
        ),
    ),
    Exercise(
        _HOLES,
        _check_holes,
        (
            ("Count islands of paper. Which of them are holes?", "数一数纸的岛。其中哪些是洞？"),
            (
                "Surround the picture with a frame of paper: then all paper outside is one island. Use 4 neighbours.",
                "在图片外面加一圈纸：这样外面的纸就连成一个岛。每个像素只看 4 个邻居。",
            ),
        ),
    ),
)

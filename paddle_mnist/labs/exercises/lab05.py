"""Exercises of lab 5: boxes in reading order, centring by mass, and counting holes."""

from __future__ import annotations

import math

import numpy as np

from paddle_mnist.labs.exercises.base import Answer, Exercise, call, expect

_READING_ORDER = '''
def reading_order(boxes):
    """Return the boxes of a page in reading order: line by line from the top, and each line from left to right.

    Boxes of one line share rows of pixels, directly or by way of other boxes of the line, because a line may slant.
    Boxes of different lines share none.
    boxes: a list of (top, left, bottom, right) in any order; bottom and right are one past the last row and column.
    Returns: a new list of the same boxes.
    """
'''

_CENTRE = '''
def centre_by_mass(image):
    """Return the image moved by whole pixels so that its centre of mass is as close to the middle as possible.

    The mean row, weighted by ink, moves to 14, as in MNIST, and so does the mean column. Round the distance to whole
    pixels. No ink is lost: there is always enough room. Rows and columns that enter the picture are 0.
    image: uint8 [28, 28], with some ink.
    Returns: uint8 [28, 28]. The lines below do something else: find the bugs.
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


def _check_reading_order(answer: Answer) -> None:
    for on, boxes in (
        ("three boxes of one line", [(2, 30, 12, 38), (0, 2, 11, 9), (3, 15, 10, 21)]),
        ("two lines of two boxes", [(20, 1, 30, 8), (1, 20, 9, 27), (0, 3, 10, 11), (22, 15, 31, 21)]),
        ("a line that falls from left to right", [(12, 20, 22, 28), (0, 0, 10, 8), (6, 10, 16, 18)]),
        ("a line that rises from left to right", [(0, 20, 10, 28), (12, 0, 22, 8), (6, 10, 16, 18)]),
        (
            "a line that ends where the next one begins",
            [(10, 0, 20, 8), (0, 12, 10, 20), (0, 1, 9, 9), (11, 10, 19, 17)],
        ),
        (
            "a small box beside a tall one, and a line below",
            [(9, 12, 12, 15), (0, 20, 6, 28), (0, 0, 14, 8), (15, 3, 24, 9)],
        ),
        ("one box", [(4, 5, 6, 7)]),
        ("no boxes", []),
    ):
        wanted = _reading_order(boxes)
        slips = [
            (
                _reading_order(boxes, inclusive=True),
                "bottom is one past the last row: a box that begins there shares none",
            ),
            (
                _reading_order(boxes, first_only=True),
                "it compares with the first box of a line alone: a line may slant",
            ),
            (
                _reading_order(boxes, last_only=True),
                "it compares with the last box alone: keep the line's lowest bottom",
            ),
            (
                sorted(boxes, key=lambda box: box[1]),
                "it sorts by the left side alone: first split the boxes into lines",
            ),
            (sorted(boxes), "it sorts by the top: boxes of one line begin in different rows; split them into lines"),
            (sorted(boxes, key=lambda box: box[0]), "it sorts by the top alone: sort each line by the left side"),
            (wanted[::-1], "the order is reversed"),
            (_lines(boxes), "it returns a list of lines: put the boxes of all lines into one list"),
        ]
        reason = "a page may have no boxes: return an empty list"
        on = f"{on}: {boxes}"
        found = call(answer, boxes, on=on, fails={} if boxes else {IndexError: reason, ValueError: reason})
        expect(found, wanted, on, slips, "print the lines that you find")


def _lines(boxes, first_only=False, last_only=False, inclusive=False):
    lines: list[list[tuple[int, ...]]] = []
    for box in sorted(boxes):
        line = lines[-1] if lines else []
        seen = line[:1] if first_only else line[-1:] if last_only else line
        end = max((other[2] for other in seen), default=-1)
        if box[0] < end or (inclusive and box[0] == end):
            line.append(box)
        else:
            lines.append([box])
    return [sorted(line, key=lambda box: box[1]) for line in lines]


def _reading_order(boxes, **slip):
    return [box for line in _lines(boxes, **slip) for box in line]


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
    three = np.zeros((28, 28), np.uint8)
    three[[3, 4, 4], [20, 20, 21]] = 255
    for on, image in (
        ("an L near the upper left corner", lopsided),
        ("strong ink with faint ink on its right", faint),
        ("ink that is centred already", middle),
        ("three pixels at (3, 20), (4, 20) and (4, 21)", three),
        ("the L upside down", np.ascontiguousarray(lopsided[::-1])),
        ("the L turned", np.ascontiguousarray(lopsided.T)),
    ):
        mass = image.astype(float)
        down, right = (round(14 - _mean(mass.sum(axis=axis))) for axis in (1, 0))
        wanted = np.roll(image, (down, right), axis=(0, 1))
        flat = (image > 0).astype(float)
        even = [round(14 - _mean(flat.sum(axis=axis))) for axis in (1, 0)]
        up, floor, half = (
            [rounded(middle - _mean(mass.sum(axis=axis))) for axis in (1, 0)]
            for rounded, middle in ((math.ceil, 14), (math.floor, 14), (round, 13.5))
        )
        cut = [int(14 - _mean(mass.sum(axis=axis))) for axis in (1, 0)]
        sums = [round(14 - _mean(image.sum(axis=axis, dtype=np.uint8).astype(float))) for axis in (1, 0)]
        wrapped = [round(14 - _wrapped_mean(image, axis)) for axis in (1, 0)]
        as_given = [int(14 - _wrapped_mean(image, axis)) for axis in (1, 0)]
        box = [round(14 - (line[0] + line[-1]) / 2) for line in (np.flatnonzero(mass.sum(axis=a)) for a in (1, 0))]
        slips = [
            (np.roll(image, (right, down), axis=(0, 1)), "rows and columns are exchanged"),
            (np.roll(image, (-down, -right), axis=(0, 1)), "it moves the wrong way: by 14 minus the mean"),
            (np.roll(image, even, axis=(0, 1)), "every pixel counts the same: weight each by its ink"),
            (np.roll(image, box, axis=(0, 1)), "the middle of the box is centred, not the mass"),
            (np.roll(image, up, axis=(0, 1)), "it rounds up: use round()"),
            (np.roll(image, floor, axis=(0, 1)), "it cuts the fraction off: use round()"),
            (np.roll(image, half, axis=(0, 1)), "the middle is 14, not 13.5"),
            (np.roll(image, down, axis=0), "only the rows are moved: move the columns too"),
            (np.roll(image, right, axis=1), "only the columns are moved: move the rows too"),
            (np.roll(image, cut, axis=(0, 1)), "it cuts the fraction off: use round()"),
            (np.roll(image, sums, axis=(0, 1)), "sums of uint8 wrap at 256: convert to float first"),
            (np.roll(image, wrapped, axis=(0, 1)), "products of uint8 wrap at 256: convert to float first"),
            (np.roll(image, as_given, axis=(0, 1)), "products of uint8 wrap at 256: convert to float first"),
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


_BUGS = """\
    raise NotImplementedError  # delete this line; the rest runs, and has two bugs
    places = np.arange(28, dtype=np.uint8)
    row = (image * places[:, np.newaxis]).sum() / image.sum()
    column = (image * places).sum() / image.sum()
    return np.roll(image, (int(14 - row), int(14 - column)), axis=(0, 1))
"""

EXERCISES = (
    Exercise(
        _READING_ORDER,
        _check_reading_order,
        (
            (
                "Go through the boxes from the top. When does a box begin a new line?",
                "从上到下逐个看框。什么时候一个框开始新的一行？",
            ),
            (
                "Keep the lowest bottom of the current line. A box whose top is there or below begins a new line.",
                "记住当前行最低的下边界。上边界在它处或在它之下的框，开始新的一行。",
            ),
            (
                "At the end sort each line by the left side, box[1], and put the lines one after the other.",
                "最后把每一行按左边 box[1] 排序，再一行接一行地放在一起。",
            ),
        ),
    ),
    Exercise(
        _CENTRE,
        _check_centre,
        (
            (
                "Print row and column for ink in one corner. Can they be right? Which dtype has image * places?",
                "对只在一个角上有墨的图像打印 row 和 column。它们可能对吗？image * places 的 dtype 是什么？",
            ),
            (
                "A uint8 ends at 255, and begins again at 0: compute with floats. And int() does not round.",
                "uint8 到 255 为止，然后又从 0 开始：用浮点数计算。另外，int() 并不四舍五入。",
            ),
        ),
        _BUGS,
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

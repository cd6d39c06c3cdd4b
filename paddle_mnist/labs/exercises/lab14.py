"""Exercises of lab 14: the confusion matrix, early stopping, and shifting images."""

from __future__ import annotations

import numpy as np

from paddle_mnist.labs.exercises.base import Answer, Exercise, call, expect

_CONFUSION = '''
def confusion_matrix(labels, answers):
    """Return how often each digit was predicted as each digit.

    labels: integers from 0 to 9, [n], the true digits.  answers: integers from 0 to 9, [n], the predictions.
    Returns: integers [10, 10]; element [t, p] is the number of images of digit t predicted as p.
    """
'''

_STOP = '''
def stop_early(losses, patience):
    """Return after which epoch training stops, and which epoch's weights are kept.

    It stops after the first epoch at which the lowest loss so far is patience epochs old, or after the last epoch. A
    loss equal to the lowest so far is no improvement.
    losses: the validation loss of each epoch, a list of at least one number.  patience: at least 1.
    Returns: (stopped, best), two epochs, counted from 0. Losses after the stop are never seen.
    """
'''

_SHIFT = '''
def shift(images, down, right):
    """Return the images moved by down rows and right columns; pixels that leave the picture are lost.

    images: uint8 [n, height, width].  down, right: integers; negative ones move up and left. If they are larger than
    the picture, it is empty afterwards.
    Returns: uint8 [n, height, width], a new array, with 0 (paper) where pixels are missing.
    """
'''


def _check_confusion(answer: Answer) -> None:
    for labels, answers in (
        ([3, 3, 5], [3, 5, 5]),
        ([7, 7, 7, 7, 1], [1, 1, 7, 1, 7]),
        ([0, 9], [0, 9]),
        ([], []),
        ([4] * 300, [9] * 300),
    ):
        t, r = np.array(labels, dtype=np.int64), np.array(answers, dtype=np.int64)
        wanted, once = np.zeros((10, 10), int), np.zeros((10, 10), int)
        for pair in zip(labels, answers, strict=True):
            wanted[pair] += 1
            once[pair] = 1
        rows = np.maximum(wanted.sum(axis=1, keepdims=True), 1)
        mistakes = wanted - np.diag(np.diag(wanted))
        slips = [
            (wanted.T, "rows are labels and columns are predictions: here they are exchanged"),
            (once, "confusion[labels, answers] += 1 counts a repeated pair once: see numpy.add.at, or use a loop"),
            (wanted - mistakes, "mistakes count too: this is the diagonal alone"),
            (wanted + 1, "the counts begin at 1: begin with zeros"),
            (mistakes, "correct predictions count too, on the diagonal"),
            (wanted % 256, "the counts wrap at 256: use a larger type than uint8"),
            (wanted / rows, "these are fractions: return counts"),
        ]
        on = f"labels = {labels}, answers = {answers}" if len(labels) < 9 else "300 images of a 4, each predicted as 9"
        expect(
            call(answer, t, r, on=on), wanted, on, slips, "there are ten rows and ten columns, whichever digits occur"
        )


def _check_stop(answer: Answer) -> None:
    for losses, patience, wanted, slips in (
        (
            [5.0, 3.0, 4.0, 4.5, 6.0, 1.0],
            2,
            (3, 1),
            [
                ((5, 5), "losses after the stop are never seen: stop the loop there"),
                ((4, 1), "it stops an epoch too late: stop when the lowest loss is patience epochs old"),
            ],
        ),
        ([5.0, 4.0, 3.0, 2.0], 2, (3, 3), [((4, 3), "epochs count from 0"), ((4, 4), "epochs count from 0")]),
        (
            [5.0, 3.0, 4.0, 4.5, 1.0],
            2,
            (3, 1),
            [
                ((4, 4), "losses after the stop are never seen: stop the loop there"),
                ((3, 4), "losses after the stop are never seen: stop the loop there"),
            ],
        ),
        (
            [5.0, 3.0, 4.0, 3.5, 3.2, 2.0],
            3,
            (4, 1),
            [((5, 5), "compare with the lowest loss so far, not with the previous one")],
        ),
        ([5.0, 3.0, 4.0, 2.0, 2.5, 2.6], 2, (5, 3), [((3, 1), "a new lowest loss restarts the waiting")]),
        ([3.0, 3.0, 3.0, 1.0], 2, (2, 0), [((3, 3), "an equal loss is no improvement"), ((2, 2), "the first counts")]),
        ([2.0, 1.0, 1.5], 5, (2, 1), []),
        (
            [1.0, 2.0, 0.5],
            1,
            (1, 0),
            [((2, 2), "with a patience of 1 the first epoch without a new lowest loss stops training")],
        ),
        ([4.0], 3, (0, 0), []),
    ):
        stopped, best = wanted
        general = [
            ((stopped + 1, best + 1), "epochs count from 0"),
            ((best, stopped), "return the epoch of the stop first"),
            ((stopped, losses[best]), "return the epoch, not its loss")
            if losses[best] != stopped
            else ((None, None), ""),
            ((stopped + 1, best), "it stops an epoch too late: stop when the lowest loss is patience epochs old"),
            (_impatient(losses), "it stops at the first loss that does not fall: patience is ignored"),
            ((stopped - 1, best), "it stops an epoch too early: stop when the lowest loss is patience epochs old"),
            ((stopped, stopped), "keep the epoch with the lowest loss, not the last one"),
        ]
        on = f"losses = {losses}, patience = {patience}"
        found = call(answer, losses, patience, on=on)
        expect(tuple(found) if isinstance(found, list) else found, wanted, on, slips + general)


def _impatient(losses: list[float]) -> tuple[int, int]:
    """Return what stopping at the first loss that does not fall gives."""
    for epoch in range(1, len(losses)):
        if losses[epoch] >= losses[epoch - 1]:
            return epoch, epoch - 1
    return len(losses) - 1, len(losses) - 1


def _check_shift(answer: Answer) -> None:
    images = np.arange(1, 2 * 5 * 6 + 1, dtype=np.uint8).reshape(2, 5, 6)
    for down, right in ((1, 0), (0, 2), (-1, 0), (0, -2), (2, -1), (-3, 3), (0, 0), (5, 0), (0, -9), (7, 7)):
        wanted = np.zeros_like(images)
        for row in range(5):
            for column in range(6):
                if 0 <= row - down < 5 and 0 <= column - right < 6:
                    wanted[:, row, column] = images[:, row - down, column - right]
        rolled = np.roll(images, (down, right), axis=(1, 2))
        slips = [
            *([(_moved(images, down, 0), "the columns do not move")] if right else []),
            *([(_moved(images, 0, right), "the rows do not move")] if down else []),
            (rolled, "pixels that leave the picture come back on the other side: numpy.roll does that"),
            (_moved(images, -down, -right), "it moves the wrong way: down and right are positive"),
            (_moved(images, right, down), "down and right are exchanged: axis 1 holds the rows"),
            (images, "nothing has moved: a slice that ends at -0 is empty"),
        ]
        on = f"two images of 5 rows and 6 columns, down = {down}, right = {right}"
        negative = "slices differ for negative shifts: treat them separately, or pad and cut"
        found = call(answer, images, down, right, on=on, fails={ValueError: negative})
        if isinstance(found, np.ndarray) and found.dtype != np.uint8:
            found = {"dtype": str(found.dtype)}
            expect(found, {"dtype": "uint8"}, on, why="pixels are uint8: make the new array with numpy.zeros_like")
        why = "for each direction, write down which rows are read and where they are written"
        if np.shape(found) != wanted.shape:
            why = "the picture keeps its size: cut off what lies outside"
        expect(found, wanted, on, slips, why)


def _moved(images: np.ndarray, down: int, right: int) -> np.ndarray:
    """Shift by way of a picture with wide margins."""
    margin = max(images.shape[1:]) + max(abs(down), abs(right))
    wide = np.pad(images, ((0, 0), (margin, margin), (margin, margin)))
    top, left = margin - down, margin - right
    return wide[:, top : top + images.shape[1], left : left + images.shape[2]]


EXERCISES = (
    Exercise(
        _CONFUSION,
        _check_confusion,
        (
            ("Begin with ten rows of ten zeros, and add 1 for each image.", "先准备十行十列的零，每张图像加 1。"),
            (
                "numpy.add.at(confusion, (labels, answers), 1) counts repeated pairs as often as they occur.",
                "numpy.add.at(confusion, (labels, answers), 1) 会把重复的数对逐个计数。",
            ),
        ),
    ),
    Exercise(
        _STOP,
        _check_stop,
        (
            (
                "One loop over the epochs that remembers the best one so far.",
                "用一个循环遍历各轮，记住目前最好的一轮。",
            ),
            (
                "In each epoch: if losses[epoch] < losses[best], best = epoch; else if epoch - best >= patience, stop.",
                "如果 losses[epoch] < losses[best]，则 best = epoch；否则若 epoch - best >= patience 就停。",
            ),
        ),
    ),
    Exercise(
        _SHIFT,
        _check_shift,
        (
            (
                "Put the images into a larger picture with a margin of paper, and cut a window out of it.",
                "把图像放进四周留有空白的大图里，再从中截取一个窗口。",
            ),
            (
                "numpy.pad with a margin m, at least the shift: the window begins at row m - down, column m - right.",
                "用 numpy.pad 加上不小于位移的边距 m，窗口从第 m - down 行、第 m - right 列开始。",
            ),
        ),
    ),
)

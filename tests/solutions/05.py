"""Right answers to lab 5."""

import numpy as np


def ink_box(is_ink):
    if not is_ink.any():
        return None
    rows, columns = np.flatnonzero(is_ink.any(axis=1)), np.flatnonzero(is_ink.any(axis=0))
    return rows[0], columns[0], rows[-1] + 1, columns[-1] + 1


def centre_by_mass(image):
    ink = image.astype(float)
    row = ink.sum(axis=1) @ np.arange(28) / ink.sum()
    column = ink.sum(axis=0) @ np.arange(28) / ink.sum()
    return np.roll(image, (round(14 - row), round(14 - column)), axis=(0, 1))


def count_holes(is_ink):
    paper = ~np.pad(is_ink, 1)
    islands = 0
    for start in zip(*np.nonzero(paper), strict=True):
        if not paper[start]:
            continue
        islands += 1
        waiting = [start]
        while waiting:
            row, column = waiting.pop()
            if 0 <= row < paper.shape[0] and 0 <= column < paper.shape[1] and paper[row, column]:
                paper[row, column] = False
                waiting += [(row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)]
    return islands - 1

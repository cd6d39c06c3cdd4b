"""Right answers to lab 5."""

import numpy as np


def reading_order(boxes):
    lines, lowest = [], -1
    for box in sorted(boxes):
        if box[0] >= lowest:
            lines.append([])
        lines[-1].append(box)
        lowest = max(lowest, box[2])
    return [box for line in lines for box in sorted(line, key=lambda box: box[1])]


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

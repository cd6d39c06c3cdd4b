"""Right answers to lab 14."""

import numpy as np


def confusion_matrix(labels, answers):
    confusion = np.zeros((10, 10), int)
    np.add.at(confusion, (labels, answers), 1)
    return confusion


def stop_early(losses, patience):
    best = 0
    for epoch, loss in enumerate(losses):
        if loss < losses[best]:
            best = epoch
        elif epoch - best >= patience:
            return epoch, best
    return len(losses) - 1, best


def shift(images, down, right):
    margin = max(abs(down), abs(right))
    wide = np.pad(images, ((0, 0), (margin, margin), (margin, margin)))
    _, height, width = images.shape
    return wide[:, margin - down : margin - down + height, margin - right : margin - right + width].copy()

"""Right answers to lab 14 in other styles."""

from collections import Counter

import numpy as np


def confusion_matrix__of_a_counter(labels, answers):
    counts = Counter(zip(labels.tolist(), answers.tolist()))  # noqa: B905
    return [[counts[t, p] for p in range(10)] for t in range(10)]


def confusion_matrix__with_bincount(labels, answers):
    return np.bincount(labels * 10 + answers, minlength=100).reshape(10, 10)


def confusion_matrix__as_a_product(labels, answers):
    one_hot = np.eye(10, dtype=int)
    return one_hot[labels].T @ one_hot[answers]


def stop_early__with_a_counter(losses, patience):
    lowest, best, waited = float("inf"), 0, 0
    for epoch, loss in enumerate(losses):
        if loss < lowest:
            lowest, best, waited = loss, epoch, 0
        else:
            waited += 1
            if waited == patience:
                return epoch, best
    return len(losses) - 1, best


def stop_early__with_argmin(losses, patience):
    for epoch in range(len(losses)):
        best = int(np.argmin(losses[: epoch + 1]))
        if epoch - best == patience:
            break
    return [epoch, best]


def shift__with_indices(images, down, right):
    _, h, w = images.shape
    out = np.zeros_like(images)
    for row in range(h):
        for column in range(w):
            if 0 <= row - down < h and 0 <= column - right < w:
                out[:, row, column] = images[:, row - down, column - right]
    return out


def shift__rolls_and_clears(images, down, right):
    out = np.roll(images, (down, right), axis=(1, 2))
    if down:
        out[:, slice(0, down) if down > 0 else slice(max(out.shape[1] + down, 0), None)] = 0
    if right:
        out[:, :, slice(0, right) if right > 0 else slice(max(out.shape[2] + right, 0), None)] = 0
    return out


def shift__with_slices(images, down, right):
    def places(size, by):
        by = max(-size, min(size, by))
        return slice(max(by, 0), size + min(by, 0)), slice(max(-by, 0), size - max(by, 0))

    (to_row, from_row), (to_column, from_column) = places(images.shape[1], down), places(images.shape[2], right)
    out = np.zeros(images.shape, images.dtype)
    out[:, to_row, to_column] = images[:, from_row, from_column]
    return out

"""Wrong answers to lab 14, each with a slip that its name tells."""

import numpy as np


def confusion_matrix__transposed(labels, answers):
    confusion = np.zeros((10, 10), int)
    np.add.at(confusion, (answers, labels), 1)
    return confusion


def confusion_matrix__counts_a_pair_once(labels, answers):
    confusion = np.zeros((10, 10), int)
    confusion[labels, answers] += 1
    return confusion


def confusion_matrix__mistakes_only(labels, answers):
    confusion = np.zeros((10, 10), int)
    np.add.at(confusion, (labels, answers), 1)
    np.fill_diagonal(confusion, 0)
    return confusion


def confusion_matrix__as_large_as_what_occurs(labels, answers):
    size = max([*labels, *answers], default=0) + 1
    confusion = np.zeros((size, size), int)
    np.add.at(confusion, (labels, answers), 1)
    return confusion


def stop_early__sees_the_future(losses, patience):
    best = int(np.argmin(losses))
    return min(best + patience, len(losses) - 1), best


def stop_early__compares_with_the_epoch_before(losses, patience):
    best = waited = 0
    for epoch in range(1, len(losses)):
        waited = 0 if losses[epoch] < losses[epoch - 1] else waited + 1
        best = epoch if losses[epoch] < losses[best] else best
        if waited >= patience:
            return epoch, best
    return len(losses) - 1, best


def stop_early__waits_an_epoch_too_long(losses, patience):
    best = 0
    for epoch, loss in enumerate(losses):
        if loss < losses[best]:
            best = epoch
        elif epoch - best > patience:
            return epoch, best
    return len(losses) - 1, best


def stop_early__keeps_the_last(losses, patience):
    best = 0
    for epoch, loss in enumerate(losses):
        if loss < losses[best]:
            best = epoch
        elif epoch - best >= patience:
            return epoch, epoch
    return len(losses) - 1, len(losses) - 1


def stop_early__takes_equal_for_better(losses, patience):
    best = 0
    for epoch, loss in enumerate(losses):
        if loss <= losses[best]:
            best = epoch
        elif epoch - best >= patience:
            return epoch, best
    return len(losses) - 1, best


def shift__wraps_round(images, down, right):
    return np.roll(images, (down, right), axis=(1, 2))


def shift__the_other_way(images, down, right):
    margin = max(abs(down), abs(right))
    wide = np.pad(images, ((0, 0), (margin, margin), (margin, margin)))
    _, height, width = images.shape
    return wide[:, margin + down : margin + down + height, margin + right : margin + right + width]


def shift__forgets_negative_ones(images, down, right):
    moved = np.zeros_like(images)
    _, height, width = images.shape
    moved[:, down:, right:] = images[:, : max(height - down, 0), : max(width - right, 0)]
    return moved


def shift__returns_floats(images, down, right):
    margin = max(abs(down), abs(right))
    wide = np.pad(images.astype(float), ((0, 0), (margin, margin), (margin, margin)))
    _, height, width = images.shape
    return wide[:, margin - down : margin - down + height, margin - right : margin - right + width]


def shift__exchanges_rows_and_columns(images, down, right):
    margin = max(abs(down), abs(right))
    wide = np.pad(images, ((0, 0), (margin, margin), (margin, margin)))
    _, height, width = images.shape
    return wide[:, margin - right : margin - right + height, margin - down : margin - down + width]

"""Wrong answers to lab 14, each with a slip that its name tells."""

import numpy as np


def confusion_matrix__transposed(labels, answers):
    """rows are labels and columns are predictions: here they are exchanged"""
    confusion = np.zeros((10, 10), int)
    np.add.at(confusion, (answers, labels), 1)
    return confusion


def confusion_matrix__counts_a_pair_once(labels, answers):
    """confusion[labels, answers] += 1 counts a repeated pair once: see numpy.add.at, or use a loop"""
    confusion = np.zeros((10, 10), int)
    confusion[labels, answers] += 1
    return confusion


def confusion_matrix__mistakes_only(labels, answers):
    """correct predictions count too, on the diagonal"""
    confusion = np.zeros((10, 10), int)
    np.add.at(confusion, (labels, answers), 1)
    np.fill_diagonal(confusion, 0)
    return confusion


def confusion_matrix__as_large_as_what_occurs(labels, answers):
    """there are ten rows and ten columns, whichever digits occur"""
    size = max([*labels, *answers], default=0) + 1
    confusion = np.zeros((size, size), int)
    np.add.at(confusion, (labels, answers), 1)
    return confusion


def stop_early__sees_the_future(losses, patience):
    """losses after the stop are never seen: stop the loop there"""
    best = int(np.argmin(losses))
    return min(best + patience, len(losses) - 1), best


def stop_early__compares_with_the_epoch_before(losses, patience):
    """compare with the lowest loss so far, not with the previous one"""
    best = waited = 0
    for epoch in range(1, len(losses)):
        waited = 0 if losses[epoch] < losses[epoch - 1] else waited + 1
        best = epoch if losses[epoch] < losses[best] else best
        if waited >= patience:
            return epoch, best
    return len(losses) - 1, best


def stop_early__waits_an_epoch_too_long(losses, patience):
    """it stops an epoch too late: stop when the lowest loss is patience epochs old"""
    best = 0
    for epoch, loss in enumerate(losses):
        if loss < losses[best]:
            best = epoch
        elif epoch - best > patience:
            return epoch, best
    return len(losses) - 1, best


def stop_early__keeps_the_last(losses, patience):
    """keep the epoch with the lowest loss, not the last one"""
    best = 0
    for epoch, loss in enumerate(losses):
        if loss < losses[best]:
            best = epoch
        elif epoch - best >= patience:
            return epoch, epoch
    return len(losses) - 1, len(losses) - 1


def stop_early__takes_equal_for_better(losses, patience):
    """an equal loss is no improvement"""
    best = 0
    for epoch, loss in enumerate(losses):
        if loss <= losses[best]:
            best = epoch
        elif epoch - best >= patience:
            return epoch, best
    return len(losses) - 1, best


def shift__wraps_round(images, down, right):
    """pixels that leave the picture come back on the other side: numpy.roll does that"""
    return np.roll(images, (down, right), axis=(1, 2))


def shift__the_other_way(images, down, right):
    """it moves the wrong way: down and right are positive"""
    margin = max(abs(down), abs(right))
    wide = np.pad(images, ((0, 0), (margin, margin), (margin, margin)))
    _, height, width = images.shape
    return wide[:, margin + down : margin + down + height, margin + right : margin + right + width]


def shift__forgets_negative_ones(images, down, right):
    """slices differ for negative shifts: treat them separately, or pad and cut"""
    moved = np.zeros_like(images)
    _, height, width = images.shape
    moved[:, down:, right:] = images[:, : max(height - down, 0), : max(width - right, 0)]
    return moved


def shift__returns_floats(images, down, right):
    """pixels are uint8: make the new array with numpy.zeros_like"""
    margin = max(abs(down), abs(right))
    wide = np.pad(images.astype(float), ((0, 0), (margin, margin), (margin, margin)))
    _, height, width = images.shape
    return wide[:, margin - down : margin - down + height, margin - right : margin - right + width]


def shift__exchanges_rows_and_columns(images, down, right):
    """down and right are exchanged: axis 1 holds the rows"""
    margin = max(abs(down), abs(right))
    wide = np.pad(images, ((0, 0), (margin, margin), (margin, margin)))
    _, height, width = images.shape
    return wide[:, margin - right : margin - right + height, margin - down : margin - down + width]


def confusion_matrix__counts_in_bytes(labels, answers):
    """the counts wrap at 256: use a larger type than uint8"""
    confusion = np.zeros((10, 10), np.uint8)
    np.add.at(confusion, (labels, answers), 1)
    return confusion


def stop_early__ignores_patience(losses, patience):
    """it stops at the first loss that does not fall: patience is ignored"""
    for i in range(1, len(losses)):
        if losses[i] >= losses[i - 1]:
            return (i, i - 1)
    return (len(losses) - 1, len(losses) - 1)


def confusion_matrix__only_diagonal(labels, answers):
    """mistakes count too: this is the diagonal alone"""
    c = np.zeros((10, 10), int)
    for x, y in zip(labels, answers, strict=False):
        c[x, x] += x == y
    return c


def shift__pads_and_grows(images, down, right):
    """the picture keeps its size: cut off what lies outside"""
    return np.pad(images, ((0, 0), (max(down, 0), 0), (max(right, 0), 0)))


def shift__rows_only(images, down, right):
    """the columns do not move"""
    o = np.zeros_like(images)
    h_ = images.shape[1]
    for i in range(h_):
        if 0 <= i - down < h_:
            o[:, i] = images[:, i - down]
    return o


def confusion_matrix__starts_at_ones(labels, answers):
    """the counts begin at 1: begin with zeros"""
    c = np.ones((10, 10), int)
    np.add.at(c, (labels, answers), 1)
    return c


def stop_early__returns_epochs_from_1(losses, patience):
    """epochs count from 0"""
    b = 0
    for i, x in enumerate(losses):
        if x < losses[b]:
            b = i
        if i - b >= patience:
            return (i + 1, b + 1)
    return (len(losses), b + 1)

"""Wrong answers to lab 5, each with a slip that its name tells."""

import math

import numpy as np


def reading_order__sorts_by_the_left_side(boxes):
    """it sorts by the left side alone: first split the boxes into lines"""
    return sorted(boxes, key=lambda box: box[1])


def reading_order__sorts_by_the_top(boxes):
    """it sorts by the top: boxes of one line begin in different rows; split them into lines"""
    return sorted(boxes)


def _split(boxes, begins):
    lines = []
    for box in sorted(boxes):
        if not lines or begins(box, lines[-1]):
            lines.append([])
        lines[-1].append(box)
    return [box for line in lines for box in sorted(line, key=lambda box: box[1])]


def reading_order__compares_with_the_first_box(boxes):
    """it compares with the first box of a line alone: a line may slant"""
    return _split(boxes, lambda box, line: box[0] >= line[0][2])


def reading_order__compares_with_the_last_box(boxes):
    """it compares with the last box alone: keep the line's lowest bottom"""
    return _split(boxes, lambda box, line: box[0] >= line[-1][2])


def reading_order__counts_the_bottom_in(boxes):
    """bottom is one past the last row: a box that begins there shares none"""
    return _split(boxes, lambda box, line: box[0] > max(other[2] for other in line))


def reading_order__works_in_place(boxes):
    """works in place; the caller still needs its list"""
    boxes.sort(key=lambda box: box[1])
    return boxes


def reading_order__fails_without_boxes(boxes):
    """a page may have no boxes: return an empty list"""
    lines, (first, *others) = [], sorted(boxes)
    lines.append([first])
    for box in others:
        if box[0] >= max(other[2] for other in lines[-1]):
            lines.append([])
        lines[-1].append(box)
    return [box for line in lines for box in sorted(line, key=lambda box: box[1])]


def _move(image, row, column, middle=14, sign=1):
    return np.roll(image, (sign * round(middle - row), sign * round(middle - column)), axis=(0, 1))


def _means(ink):
    return ink.sum(axis=1) @ np.arange(28) / ink.sum(), ink.sum(axis=0) @ np.arange(28) / ink.sum()


def centre_by_mass__is_the_stub_with_its_bugs(image):
    """products of uint8 wrap at 256: convert to float first"""
    places = np.arange(28, dtype=np.uint8)
    row = (image * places[:, np.newaxis]).sum() / image.sum()
    column = (image * places).sum() / image.sum()
    return np.roll(image, (int(14 - row), int(14 - column)), axis=(0, 1))


def centre_by_mass__centres_the_box(image):
    """the middle of the box is centred, not the mass"""
    rows, columns = np.nonzero(image)
    return _move(image, (rows.min() + rows.max()) / 2, (columns.min() + columns.max()) / 2)


def centre_by_mass__weights_all_pixels_alike(image):
    """every pixel counts the same: weight each by its ink"""
    rows, columns = np.nonzero(image)
    return _move(image, rows.mean(), columns.mean())


def centre_by_mass__mixes_rows_and_columns(image):
    """rows and columns are exchanged"""
    row, column = _means(image.astype(float))
    return _move(image, column, row)


def centre_by_mass__moves_the_other_way(image):
    """it moves the wrong way: by 14 minus the mean"""
    return _move(image, *_means(image.astype(float)), sign=-1)


def centre_by_mass__overflows(image):
    """sums of uint8 wrap at 256: convert to float first"""
    rows = image.sum(axis=1, dtype=np.uint8).astype(float)
    columns = image.sum(axis=0, dtype=np.uint8).astype(float)
    return _move(image, rows @ np.arange(28) / (rows.sum() or 1), columns @ np.arange(28) / (columns.sum() or 1))


def _islands(paper, slantwise=False):
    paper, count = paper.copy(), 0
    ways = [(-1, 0), (1, 0), (0, -1), (0, 1)]
    if slantwise:
        ways += [(-1, -1), (1, 1), (1, -1), (-1, 1)]
    for start in zip(*np.nonzero(paper), strict=True):
        if paper[start]:
            count += 1
            waiting = [start]
            while waiting:
                y, x = waiting.pop()
                if 0 <= y < paper.shape[0] and 0 <= x < paper.shape[1] and paper[y, x]:
                    paper[y, x] = False
                    waiting += [(y + dy, x + dx) for dy, dx in ways]
    return count


def count_holes__counts_the_outside_too(is_ink):
    """the paper around the ink is not a hole"""
    return _islands(~np.pad(is_ink, 1))


def count_holes__has_no_frame(is_ink):
    """there is no paper outside here: surround the picture with paper first"""
    return _islands(~is_ink) - 1


def count_holes__goes_slantwise(is_ink):
    """a path does not move diagonally: use 4 neighbours"""
    return _islands(~np.pad(is_ink, 1), slantwise=True) - 1


def count_holes__counts_the_ink(is_ink):
    """count islands of paper, not of ink"""
    return _islands(np.pad(is_ink, 1))


def count_holes__says_one_or_none(is_ink):
    """a picture can have several holes"""
    return int(_islands(~np.pad(is_ink, 1)) > 1)


def centre_by_mass__cuts_the_fraction_off(image):
    """it cuts the fraction off: use round()"""
    mass = image.astype(float)
    down = int(14 - (mass.sum(axis=1) @ np.arange(28)) / mass.sum())
    right = int(14 - (mass.sum(axis=0) @ np.arange(28)) / mass.sum())
    return np.roll(image, (down, right), axis=(0, 1))


def centre_by_mass__centre_13_5(image):
    """the middle is 14, not 13.5"""
    m = image.astype(float)
    d = round(13.5 - m.sum(1) @ np.arange(28) / m.sum())
    r = round(13.5 - m.sum(0) @ np.arange(28) / m.sum())
    return np.roll(image, (d, r), (0, 1))


def centre_by_mass__ceil(image):
    """it rounds up: use round()"""
    m = image.astype(float)
    d = math.ceil(14 - m.sum(1) @ np.arange(28) / m.sum())
    r = math.ceil(14 - m.sum(0) @ np.arange(28) / m.sum())
    return np.roll(image, (d, r), (0, 1))


def centre_by_mass__rows_only(image):
    """only the rows are moved: move the columns too"""
    m = image.astype(float)
    d = round(14 - m.sum(1) @ np.arange(28) / m.sum())
    return np.roll(image, d, 0)


def reading_order__bottom_to_top(boxes):
    """print the lines that you find"""
    return sorted(boxes, reverse=True)


def count_holes__8_neighbours(is_ink):
    """a path does not move diagonally: use 4 neighbours"""
    from scipy import ndimage

    return ndimage.label(~np.pad(is_ink, 1), np.ones((3, 3)))[1] - 1

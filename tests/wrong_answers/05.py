"""Wrong answers to lab 5, each with a slip that its name tells."""

import numpy as np


def ink_box__ends_one_early(is_ink):
    """a slice stops before its end: add 1 to the last row and column"""
    rows, columns = np.flatnonzero(is_ink.any(axis=1)), np.flatnonzero(is_ink.any(axis=0))
    return rows[0], columns[0], rows[-1], columns[-1]


def ink_box__mixes_rows_and_columns(is_ink):
    """rows come before columns: top, left, bottom, right"""
    rows, columns = np.flatnonzero(is_ink.any(axis=0)), np.flatnonzero(is_ink.any(axis=1))
    return rows[0], columns[0], rows[-1] + 1, columns[-1] + 1


def ink_box__fails_without_ink(is_ink):
    """without ink there is no first row: return None"""
    rows, columns = np.flatnonzero(is_ink.any(axis=1)), np.flatnonzero(is_ink.any(axis=0))
    return rows[0], columns[0], rows[-1] + 1, columns[-1] + 1


def ink_box__gives_height_and_width(is_ink):
    """return bottom and right, not height and width"""
    rows, columns = np.flatnonzero(is_ink.any(axis=1)), np.flatnonzero(is_ink.any(axis=0))
    return rows[0], columns[0], np.ptp(rows) + 1, np.ptp(columns) + 1


def _move(image, row, column, middle=14, sign=1):
    return np.roll(image, (sign * round(middle - row), sign * round(middle - column)), axis=(0, 1))


def _means(ink):
    return ink.sum(axis=1) @ np.arange(28) / ink.sum(), ink.sum(axis=0) @ np.arange(28) / ink.sum()


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


def ink_box__takes_the_first_and_last_pixel_listed(is_ink):
    """numpy.nonzero lists pixels row by row: the first and last columns are not the leftmost and rightmost"""
    rows, columns = np.nonzero(is_ink)
    return (rows[0], columns[0], rows[-1] + 1, columns[-1] + 1) if len(rows) else None


def centre_by_mass__cuts_the_fraction_off(image):
    """int() cuts the fraction off: use round()"""
    mass = image.astype(float)
    down = int(14 - (mass.sum(axis=1) @ np.arange(28)) / mass.sum())
    right = int(14 - (mass.sum(axis=0) @ np.arange(28)) / mass.sum())
    return np.roll(image, (down, right), axis=(0, 1))

"""Printed lines of ruled and squared paper: found as straight lines across the whole page, and taken out of the ink."""

from __future__ import annotations

import itertools

import numpy as np

STRIPS = 32  # that the page is divided into along a line
PRESENT = 0.05  # share of the strips that a line may be missing from
MIN_STRIPS = 8  # that a line must cross on the page
MAX_SLOPE = 0.18  # of lines against the picture's edges: 10 degrees
MIN_SIDE = 60  # pixels; a smaller picture shows no printed lines
MIN_DEPTH = 3.0  # grey levels by which a line must differ from paper, and at least half the noise
MAX_THICK = 0.03  # of the page's side: a thicker straight line is a stroke
MAX_SHARE = 0.45  # of the page that lines cover; more is not paper
MIN_UPRIGHT = 4  # fewer upright lines are no grid; they may be ones
TYPICAL = 0.4  # share of the lines that are fainter than the line that stands for all, where they are measured
PEN = 1.4  # how far beyond the line's own depth ink must lie that crosses it


def without_rules(difference: np.ndarray, noise: float) -> np.ndarray:
    """Take printed lines out of a page.

    Where a pen crosses a line and is darker, its ink stays; the gaps that are left in fainter strokes are closed.

    Args:
        difference: how far each pixel lies from the paper, in grey levels, ink above 0, float [h, w].
        noise: of the paper, likewise.
    """
    if min(difference.shape) < MIN_SIDE:
        return difference
    flat = _without_flat_rules(difference, noise, 1)
    return _without_flat_rules(flat.T, noise, MIN_UPRIGHT).T


def _without_flat_rules(difference: np.ndarray, noise: float, at_least: int) -> np.ndarray:
    """Take lines out that run from left to right, if there are at least so many."""
    from scipy import ndimage

    slope, depth = _find_rules(difference)
    depth = np.where(depth > max(MIN_DEPTH, 0.5 * noise), depth, 0)
    labels, count = ndimage.label(depth > 0)
    thick = np.bincount(labels)[1:] > max(6, MAX_THICK * len(depth))
    depth[np.isin(labels, np.flatnonzero(thick) + 1)] = 0
    if count - thick.sum() < at_least or (depth > 0).mean() > MAX_SHARE:
        return difference
    level = _sheared(difference, slope)
    deep = ndimage.maximum_filter1d(_depth_everywhere(level, depth), 3, axis=0)
    kept = np.where(level > PEN * deep + 2 * noise, level, 0)
    across = int(np.ceil(np.median(np.bincount(labels)[1:]))) + 4
    closed = ndimage.grey_closing(kept, (across, 1))
    return _sheared(np.where(deep > 0, np.maximum(kept, closed), level), -slope)


def _depth_everywhere(level: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Return how deep printed lines are at each pixel, float [h, w], 0 where there is none.

    All lines are taken to be alike, and to change only slowly along the page, with the light: what is written over or
    close beside a line conceals its own depth.

    Args:
        level: how far each pixel lies from the paper, lines horizontal, float [h, w].
        depth: the least depth of a line in each row, float [h].
    """
    from scipy import ndimage

    labels, count = ndimage.label(depth > 0)
    rows = np.ravel(ndimage.maximum_position(depth, labels, range(1, count + 1))).astype(int)
    edges = np.linspace(0, level.shape[1], STRIPS + 1).astype(int)
    strips = [np.median(level[rows, a:b], axis=1) for a, b in itertools.pairwise(edges)]
    along = ndimage.median_filter(np.quantile(strips, TYPICAL, axis=1), 5, mode="nearest")
    columns = np.interp(np.arange(level.shape[1]), (edges[:-1] + edges[1:]) / 2, along)
    shape = depth / np.array([1, *depth[rows]])[labels]
    return np.maximum(depth[:, np.newaxis], shape[:, np.newaxis] * columns)


def _find_rules(difference: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the slope of printed lines, and the depth of a line in each row once the slope is removed, float [h]."""
    from scipy import ndimage

    height, width = difference.shape
    edges = np.linspace(0, width, STRIPS + 1).astype(int)
    profile = np.stack([difference[:, a:b].mean(axis=1) for a, b in itertools.pairwise(edges)], axis=1)
    sharp = np.maximum(profile - ndimage.uniform_filter1d(profile, 11, axis=0), 0)
    sharp = ndimage.maximum_filter1d(sharp, 3, axis=0)
    middles = (edges[:-1] + edges[1:]) / 2 - width / 2

    def depths(slope: float) -> np.ndarray:
        rows = np.arange(height)[:, np.newaxis] + np.rint(slope * middles).astype(int)
        valid = (rows >= 0) & (rows < height)
        values = np.where(valid, np.take_along_axis(sharp, rows.clip(0, height - 1), axis=0), np.inf)
        values.sort(axis=1)
        count = valid.sum(axis=1)
        depth = values[np.arange(height), (PRESENT * count).astype(int)]
        return np.where(count >= MIN_STRIPS, depth, 0)

    step = 1.5 / width
    coarse = max(np.arange(-MAX_SLOPE, MAX_SLOPE, 4 * step), key=lambda slope: depths(slope).sum())
    slope = max(coarse + step * np.arange(-4, 5), key=lambda slope: depths(slope).sum())
    return float(slope), depths(slope)


def _sheared(values: np.ndarray, slope: float) -> np.ndarray:
    """Move each column up by ``slope`` pixels for each pixel that it lies to the right of the middle."""
    height, width = values.shape
    offsets = np.rint(slope * (np.arange(width) + 0.5 - width / 2)).astype(int)
    return np.take_along_axis(values, (np.arange(height)[:, np.newaxis] + offsets).clip(0, height - 1), axis=0)

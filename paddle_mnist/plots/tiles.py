"""Pictures of digits with what a net answered for each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from paddle_mnist.plots.figures import COLOURS, empty_figure, new_figure, save, show_literally

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Digits in a row, and the pixels of a cell: a digit of 28 by 28, a margin, and room above for two lines.
COLUMNS, CELL_WIDTH, CELL_HEIGHT, SIDE = 8, 38, 46, 28


def predictions(
    images: np.ndarray, labels: np.ndarray, digits: np.ndarray, captions: list[str], path: Path, title: str
) -> None:
    """Draw a grid of digits with the prediction for each; a wrong one is framed and captioned in another colour.

    Args:
        images: uint8 [n, 28, 28].
        labels: the digits that they show, [n].
        digits: the digits that the net predicted, [n].
        captions: a few characters for each, such as the net's raw output.
        path: the picture to write.
        title: what the net is, and how good.

    Raises:
        UserError: the picture's format is not one of ``FORMATS``.
    """
    wrong = digits != labels
    notes = [f" (is {label})" if bad else "" for label, bad in zip(labels, wrong, strict=True)]
    texts = [f"{digit}{note}\n{caption}" for digit, note, caption in zip(digits, notes, captions, strict=True)]
    rows = max(1, -(-len(images) // COLUMNS))
    figure, axes = new_figure(10, 1.52 * rows + 0.5)
    _draw_tiles(axes, images, texts, COLUMNS, wrong)
    show_literally(figure.suptitle(title))
    save(figure, path)


def segmentation(
    gray: np.ndarray,
    boxes: Sequence[Sequence[float]],
    images: np.ndarray,
    captions: list[str],
    path: Path,
    title: str,
) -> None:
    """Draw a picture with a box around each digit found, and below it the digits as the net saw them.

    Args:
        gray: uint8 [h, w].
        boxes: left, top, right, bottom of each digit, in pixels of ``gray``.
        images: uint8 [n, 28, 28], the digits as they were prepared.
        captions: the prediction for each.
        path: the picture to write.
        title: the number predicted.

    Raises:
        UserError: the picture's format is not one of ``FORMATS``.
    """
    height, width = gray.shape
    upper = float(np.clip(10 * height / width, 1.5, 7))
    figure = empty_figure(10, upper + 2.4)
    page, digits = figure.subplots(2, 1, gridspec_kw={"height_ratios": [upper, 2]})
    page.imshow(gray, cmap="gray", vmin=0, vmax=255)
    page.axis("off")
    for left, top, right, bottom in boxes:
        corners = [left, right, right, left, left], [top, top, bottom, bottom, top]
        page.plot(*corners, color=COLOURS[1], linewidth=2)
    _draw_tiles(digits, images, captions, max(COLUMNS, len(images)))
    show_literally(figure.suptitle(title))
    save(figure, path)


def _draw_tiles(
    axes: Axes, images: np.ndarray, texts: list[str], columns: int, framed: np.ndarray | None = None
) -> None:
    """Draw digits uint8 [n, 28, 28] in rows, each below its text; one image in one axes, which is quick to draw."""
    from matplotlib.patches import Rectangle

    paper = np.zeros((max(1, -(-len(images) // columns)) * CELL_HEIGHT, columns * CELL_WIDTH), np.uint8)
    for index, (image, text) in enumerate(zip(images, texts, strict=True)):
        row, column = divmod(index, columns)
        top, left = (row + 1) * CELL_HEIGHT - SIDE - 2, column * CELL_WIDTH + (CELL_WIDTH - SIDE) // 2
        paper[top : top + SIDE, left : left + SIDE] = image
        marked = framed is not None and framed[index]
        colour = COLOURS[1] if marked else "black"
        axes.text(left + SIDE / 2, top - 2, text, fontsize=10, color=colour, ha="center", va="bottom")
        corner = left - 0.5, top - 0.5
        style = (COLOURS[1], 2.0) if marked else ("lightgray", 0.5)
        axes.add_patch(Rectangle(corner, SIDE, SIDE, fill=False, edgecolor=style[0], linewidth=style[1]))
    axes.imshow(paper, cmap="gray_r", vmin=0, vmax=255)
    axes.axis("off")

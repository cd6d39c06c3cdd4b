"""Pictures of histories and predictions.

Matplotlib is imported only when a picture is drawn, and draws into memory: no screen is needed. The colours are those
of Okabe and Ito, which colour-blind readers can tell apart; lines differ in style as well.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from paddle_mnist.errors import UserError, printable
from paddle_mnist.storage.files import atomic_write

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

History = list[dict[str, Any]]

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
FORMATS = ("png", "svg", "pdf", "jpg", "jpeg", "webp")
# A curve is about 1,000 pixels wide: more points cost time and memory and cannot be seen.
MAX_POINTS = 4000
# Digits in a row, and the pixels of a cell: a digit of 28 by 28, a margin, and room above for two lines.
COLUMNS, CELL_WIDTH, CELL_HEIGHT, SIDE = 8, 38, 46, 28


def loss_curve(history: History, path: Path, title: str, loss_name: str) -> None:
    """Draw one run: the loss of each logged batch, its running mean, and the validation loss of each epoch.

    Args:
        history: the records of ``history.jsonl``.
        path: the picture to write.
        title: what was trained, and how it came out.
        loss_name: what the vertical axis measures.

    Raises:
        UserError: the picture's format is not one of ``FORMATS``.
    """
    figure, axes = _figure(9, 5.5)
    train, valid = curves(history)
    steps, losses, thinned = _extremes(*train)
    label = f"train, extremes of each {thinned} logged batches" if thinned > 1 else "train, each logged batch"
    axes.plot(steps, losses, color=COLOURS[5], linewidth=0.8, alpha=0.7, label=label)
    if len(train[1]) >= 10:
        mean = _thin(train[0], running_mean(train[1]))
        axes.plot(*mean, color=COLOURS[0], linewidth=1.8, label="train, running mean")
    if len(valid[0]):
        style = {"color": COLOURS[1], "marker": "o", "linewidth": 1.8, "label": "validation, each epoch"}
        axes.plot(*_thin(*valid), **style)
    _finish_loss(axes, title, loss_name, [train[1]], [valid[1]])
    save(figure, path)


def compare_runs(runs: list[tuple[str, History]], path: Path, loss_name: str) -> None:
    """Overlay the loss curves of several runs.

    Args:
        runs: a name for the legend and a history for each run.
        path: the picture to write.
        loss_name: what the vertical axis measures.

    Raises:
        UserError: the picture's format is not one of ``FORMATS``.
    """
    figure, axes = _figure(9, 5.5)
    trains, valids = [], []
    for index, (name, history) in enumerate(runs):
        train, valid = curves(history)
        style = {"color": COLOURS[index % len(COLOURS)], "label": f"{name}, train"}
        axes.plot(*_thin(train[0], running_mean(train[1])), linewidth=1.2, alpha=0.8, **style)
        if len(valid[0]):
            style["label"] = f"{name}, validation"
            axes.plot(*_thin(*valid), linestyle="--", marker="osD^v*X"[index % 7], **style)
        trains.append(train[1])
        valids.append(valid[1])
    title = "Loss of " + " and ".join(name for name, _ in runs)
    _finish_loss(axes, title, loss_name, trains, valids, columns=max(1, len(runs) // 4))
    save(figure, path)


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
    figure, axes = _figure(10, 1.52 * rows + 0.5)
    _draw_tiles(axes, images, texts, COLUMNS, wrong)
    _literal(figure.suptitle(title))
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
    figure = _empty_figure(10, upper + 2.4)
    page, digits = figure.subplots(2, 1, gridspec_kw={"height_ratios": [upper, 2]})
    page.imshow(gray, cmap="gray", vmin=0, vmax=255)
    page.axis("off")
    for left, top, right, bottom in boxes:
        corners = [left, right, right, left, left], [top, top, bottom, bottom, top]
        page.plot(*corners, color=COLOURS[1], linewidth=2)
    _draw_tiles(digits, images, captions, max(COLUMNS, len(images)))
    _literal(figure.suptitle(title))
    save(figure, path)


def curves(history: History) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Return a history as two curves, of the logged batches and of the epochs: epochs of training and losses, [n] each.

    A batch has ``loss``, an epoch ``valid_loss``. How many steps an epoch has is computed from the records alone.
    """
    epochs = [record for record in history if "valid_loss" in record]
    batches = [record for record in history if "valid_loss" not in record]
    if epochs:
        per_epoch = (epochs[0]["step"] + 1) // (epochs[0]["epoch"] + 1)
    else:
        per_epoch = batches[-1]["step"] + 1 if batches else 1

    def curve(records: History, loss: str) -> tuple[np.ndarray, np.ndarray]:
        steps = np.array([record["step"] for record in records], np.float64)
        return (steps + 1) / per_epoch, np.array([record[loss] for record in records], np.float64)

    return curve(batches, "loss"), curve(epochs, "valid_loss")


def running_mean(losses: np.ndarray, share: int = 25) -> np.ndarray:
    """Smooth losses [n] over the ``n // share`` records around each, fewer at the ends."""
    reach = max(1, len(losses) // (2 * share))
    sums = np.concatenate([[0.0], np.cumsum(losses)])
    first = np.maximum(np.arange(len(losses)) - reach, 0)
    last = np.minimum(np.arange(len(losses)) + reach + 1, len(losses))
    return (sums[last] - sums[first]) / (last - first)


def check_format(path: Path) -> None:
    """Raise ``UserError`` unless a picture's name ends in one of ``FORMATS`` or has no ending, which gives a PNG.

    Raises:
        UserError: the ending is another one.
    """
    if path.suffix and path.suffix[1:].lower() not in FORMATS:
        raise UserError(f"{path}: a picture's name must end in {', '.join('.' + name for name in FORMATS)}")


def save(figure: Figure, path: Path) -> None:
    """Write a picture in the format that its name's ending says.

    Raises:
        UserError: the format is not one of ``FORMATS``.
    """
    check_format(path)
    with warnings.catch_warnings(), atomic_write(path) as file:
        # A name in a script that the font lacks is drawn as boxes; the file and the messages still spell it out.
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        figure.savefig(file, format=path.suffix[1:].lower() or "png", dpi=120)


def _figure(width: float, height: float) -> tuple[Figure, Any]:
    """Make a figure with one pair of axes, sized in inches."""
    figure = _empty_figure(width, height)
    return figure, figure.subplots()


def _empty_figure(width: float, height: float) -> Figure:
    """Make a figure, sized in inches, that is not in pyplot's list of open windows."""
    # Paddle sets the root logger to INFO, and matplotlib would report its fonts.
    logging.getLogger("matplotlib").setLevel(logging.WARNING)
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _finish_loss(
    axes: Axes, title: str, loss_name: str, train: list[np.ndarray], valid: list[np.ndarray], columns: int = 1
) -> None:
    """Add title, axes, grid and legend to the curves of a loss."""
    axes.set(xlabel="epochs of training", ylabel=f"loss ({loss_name})", ylim=_limits(train, valid))
    _literal(axes.set_title(title))
    axes.set_xlim(left=0)
    axes.grid(alpha=0.3)
    for text in axes.legend(ncols=columns).get_texts():
        _literal(text)


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


def _literal(text: Text) -> None:
    """Show a text literally: no mathematics between ``$``, control characters escaped."""
    text.set_parse_math(False)
    text.set_text("\n".join(map(printable, text.get_text().split("\n"))))


def _thin(steps: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Reduce a curve to at most ``MAX_POINTS`` points, evenly; the first and the last one stay."""
    if len(values) <= MAX_POINTS:
        return steps, values
    kept = np.linspace(0, len(values) - 1, MAX_POINTS).astype(np.int64)
    return steps[kept], values[kept]


def _extremes(steps: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Reduce a noisy curve to the smallest and the largest value of each group of points.

    Returns:
        the curve, of at most ``MAX_POINTS`` points, and the size of a group: 1 where nothing was left out.
    """
    size = -(-2 * len(values) // MAX_POINTS)
    if len(values) <= MAX_POINTS:
        return steps, values, 1
    starts = np.arange(0, len(values), size)
    low, high = np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)
    return np.repeat(steps[starts], 2), np.column_stack([low, high]).ravel(), size


def _limits(train: list[np.ndarray], valid: list[np.ndarray]) -> tuple[float, float]:
    """Choose the vertical axis so that the first few steps do not flatten the rest."""
    losses = np.concatenate(train)
    shown = [float(values.max()) for values in valid if len(values)]
    if len(losses):
        # The first batches of a regression lie near 20; all the rest of the run lies below 5.
        shown.append(float(np.quantile(losses, 0.97)) * 1.2)
    top = 1.1 * max(shown, default=1.0)
    return 0.0, top if top > 1e-9 else 1.0

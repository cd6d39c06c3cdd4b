"""History and predictions as pictures.

Matplotlib is imported when a picture is drawn, and draws into memory: no screen is needed and none is touched. The
colours are those of Okabe and Ito, which colour-blind readers can tell apart; lines differ in style as well.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from paddle_mnist.storage.files import atomic_write

if TYPE_CHECKING:
    from matplotlib.figure import Figure

History = list[dict[str, Any]]

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


def loss_curve(history: History, path: Path, title: str, loss_name: str) -> None:
    """Draw one run: the loss of each logged batch, its running mean, and the validation loss of each epoch.

    Args:
        history: the records of ``history.jsonl``.
        path: the picture to write.
        title: what was trained, and how it came out.
        loss_name: what the vertical axis measures.
    """
    figure, axes = _figure(9, 5.5)
    batches, epochs = parts(history)
    per_epoch = _steps_per_epoch(batches, epochs)
    steps = np.array([(record["step"] + 1) / per_epoch for record in batches])
    losses = np.array([record["loss"] for record in batches])
    axes.plot(steps, losses, color=COLOURS[5], linewidth=0.8, alpha=0.7, label="train, each logged batch")
    if len(losses) >= 10:
        axes.plot(steps, _running_mean(losses), color=COLOURS[0], linewidth=1.8, label="train, running mean")
    if epochs:
        axes.plot(
            [(record["step"] + 1) / per_epoch for record in epochs],
            [record["valid_loss"] for record in epochs],
            color=COLOURS[1],
            marker="o",
            linewidth=1.8,
            label="validation, each epoch",
        )
    axes.set(title=title, xlabel="epochs of training", ylabel=f"loss ({loss_name})", ylim=_limits(losses, epochs))
    axes.set_xlim(left=0)
    axes.grid(alpha=0.3)
    axes.legend()
    save(figure, path)


def compare_runs(runs: dict[str, History], path: Path, loss_name: str) -> None:
    """Lay the loss curves of several runs over each other.

    Args:
        runs: the histories by the names that the legend shall show.
        path: the picture to write.
        loss_name: what the vertical axis measures.
    """
    figure, axes = _figure(9, 5.5)
    everything: list[float] = []
    last_epochs: History = []
    for index, (name, history) in enumerate(runs.items()):
        colour = COLOURS[index % len(COLOURS)]
        batches, epochs = parts(history)
        per_epoch = _steps_per_epoch(batches, epochs)
        losses = np.array([record["loss"] for record in batches])
        axes.plot(
            [(record["step"] + 1) / per_epoch for record in batches],
            _running_mean(losses),
            color=colour,
            linewidth=1.2,
            alpha=0.8,
            label=f"{name}, train",
        )
        if epochs:
            axes.plot(
                [(record["step"] + 1) / per_epoch for record in epochs],
                [record["valid_loss"] for record in epochs],
                color=colour,
                linestyle="--",
                marker="osD^v*X"[index % 7],
                label=f"{name}, validation",
            )
        everything.extend(losses)
        last_epochs.extend(epochs)
    title = "Loss of " + " and ".join(runs)
    axes.set(title=title, xlabel="epochs of training", ylabel=f"loss ({loss_name})")
    axes.set_ylim(_limits(np.array(everything), last_epochs))
    axes.set_xlim(left=0)
    axes.grid(alpha=0.3)
    axes.legend(ncols=max(1, len(runs) // 4))
    save(figure, path)


def predictions(
    images: np.ndarray, labels: np.ndarray, digits: np.ndarray, captions: list[str], path: Path, title: str
) -> None:
    """Draw a grid of digits with what was read in each; a digit misread is framed and captioned in another colour.

    Args:
        images: uint8 [n, 28, 28].
        labels: the digits that they show, [n].
        digits: the digits that were read, [n].
        captions: a few characters for each, such as the net's raw output.
        path: the picture to write.
    """
    columns = 8
    rows = max(1, -(-len(images) // columns))
    figure, axes = _figure(10, 1.62 * rows + 0.8, rows, columns)
    for axis in axes.flat:
        axis.axis("off")
    for axis, image, label, digit, caption in zip(axes.flat, images, labels, digits, captions, strict=False):
        axis.imshow(image, cmap="gray_r", vmin=0, vmax=255)
        right = digit == label
        wrong = "" if right else f" (is {label})"
        axis.set_title(f"{digit}{wrong}\n{caption}", fontsize=10, color="black" if right else COLOURS[1])
        if not right:
            axis.axis("on")
            axis.set(xticks=[], yticks=[])
            for side in axis.spines.values():
                side.set(color=COLOURS[1], linewidth=2)
    figure.suptitle(title)
    save(figure, path)


def reading(
    gray: np.ndarray,
    boxes: list[tuple[float, float, float, float]],
    images: np.ndarray,
    captions: list[str],
    path: Path,
    title: str,
) -> None:
    """Draw a picture with a box around each digit found, and below it what the net saw of each.

    Args:
        gray: uint8 [h, w].
        boxes: left, top, right, bottom of each digit, in pixels of ``gray``.
        images: uint8 [n, 28, 28], the digits as they were prepared.
        captions: what was read in each.
        path: the picture to write.
        title: what was read in all.
    """
    height, width = gray.shape
    upper = float(np.clip(10 * height / width, 1.5, 7))
    figure = _empty_figure(10, upper + 2.4)
    rows = figure.add_gridspec(2, 1, height_ratios=[upper, 2])
    axes = figure.add_subplot(rows[0])
    axes.imshow(gray, cmap="gray", vmin=0, vmax=255)
    axes.axis("off")
    for left, top, right, bottom in boxes:
        corners = [left, right, right, left, left], [top, top, bottom, bottom, top]
        axes.plot(*corners, color=COLOURS[1], linewidth=2)
    columns = rows[1].subgridspec(1, max(8, len(images)))
    for index, (image, caption) in enumerate(zip(images, captions, strict=True)):
        axis = figure.add_subplot(columns[index])
        axis.imshow(image, cmap="gray_r", vmin=0, vmax=255)
        axis.set_title(caption, fontsize=11)
        axis.set(xticks=[], yticks=[])
    figure.suptitle(title)
    save(figure, path)


def parts(history: History) -> tuple[History, History]:
    """Part a history into the records of batches and those of epochs."""
    epochs = [record for record in history if "valid_loss" in record]
    return [record for record in history if "valid_loss" not in record], epochs


def save(figure: Figure, path: Path) -> None:
    """Write a picture, in the format that its name's ending says."""
    with atomic_write(path) as file:
        figure.savefig(file, format=Path(path).suffix[1:] or "png", dpi=120)


def _figure(width: float, height: float, rows: int = 1, columns: int = 1) -> tuple[Figure, Any]:
    """Make a figure with a grid of axes, sized in inches."""
    figure = _empty_figure(width, height)
    return figure, figure.subplots(rows, columns)


def _empty_figure(width: float, height: float) -> Figure:
    """Make a figure of its own, in inches, without pyplot's list of open windows."""
    # Paddle lets every logger speak, and matplotlib would tell of its fonts.
    logging.getLogger("matplotlib").setLevel(logging.WARNING)
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _steps_per_epoch(batches: History, epochs: History) -> int:
    """Tell how many steps an epoch has from the records alone."""
    if epochs:
        return (epochs[0]["step"] + 1) // (epochs[0]["epoch"] + 1)
    return batches[-1]["step"] + 1 if batches else 1


def _running_mean(losses: np.ndarray, share: int = 25) -> np.ndarray:
    """Smooth losses [n] over the ``n // share`` records before and after each, fewer at the ends."""
    reach = max(1, len(losses) // (2 * share))
    sums = np.concatenate([[0.0], np.cumsum(losses)])
    first = np.maximum(np.arange(len(losses)) - reach, 0)
    last = np.minimum(np.arange(len(losses)) + reach + 1, len(losses))
    return (sums[last] - sums[first]) / (last - first)


def _limits(losses: np.ndarray, epochs: History) -> tuple[float, float]:
    """Choose the vertical axis so that the first few steps do not flatten the rest."""
    shown = [record["valid_loss"] for record in epochs]
    if len(losses):
        # The first batches of a regression lie near 20; all the rest of the run lies below 5.
        shown.append(float(np.quantile(losses, 0.97)) * 1.2)
    return 0.0, 1.1 * max(shown, default=1.0) or 1.0

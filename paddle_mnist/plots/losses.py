"""Loss curves: of one run, and of several laid over each other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from paddle_mnist.plots.figures import COLOURS, new_figure, save, show_literally

if TYPE_CHECKING:
    from matplotlib.axes import Axes

History = list[dict[str, Any]]

# A curve is about 1,000 pixels wide: more points cost time and memory and cannot be seen.
MAX_POINTS = 4000


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
    figure, axes = new_figure(9, 5.5)
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
    figure, axes = new_figure(9, 5.5)
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


def _finish_loss(
    axes: Axes, title: str, loss_name: str, train: list[np.ndarray], valid: list[np.ndarray], columns: int = 1
) -> None:
    """Add title, axes, grid and legend to the curves of a loss."""
    axes.set(xlabel="epochs of training", ylabel=f"loss ({loss_name})", ylim=_limits(train, valid))
    show_literally(axes.set_title(title))
    axes.set_xlim(left=0)
    axes.grid(alpha=0.3)
    for text in axes.legend(ncols=columns).get_texts():
        show_literally(text)


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

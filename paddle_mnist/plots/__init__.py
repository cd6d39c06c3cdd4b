"""Pictures of histories and predictions."""

from paddle_mnist.plots.figures import COLOURS, FORMATS, check_format, save
from paddle_mnist.plots.losses import History, compare_runs, curves, loss_curve, running_mean
from paddle_mnist.plots.tiles import predictions, segmentation

__all__ = [
    "COLOURS",
    "FORMATS",
    "History",
    "check_format",
    "compare_runs",
    "curves",
    "loss_curve",
    "predictions",
    "running_mean",
    "save",
    "segmentation",
]

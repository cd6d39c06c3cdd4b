"""What a run leaves when it is complete: the test result and the pictures."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from paddle_mnist import engine, plots
from paddle_mnist.loader import batches
from paddle_mnist.recipes import Settings
from paddle_mnist.runs.run import Run
from paddle_mnist.runs.trainer import best_state
from paddle_mnist.splits import Split, Splits

# Digits on the picture of predictions.
SHOWN = 32


def finish(run: Run, learner: Any, splits: Splits) -> engine.Metrics:
    """Measure the run's best weights on the evaluation digits, draw its pictures and complete ``run.json``."""
    settings = run.settings
    learner.load_state_dict(best_state(run), str(run.best_path))
    result = engine.evaluate(learner, batches(splits.eval, engine.EVAL_BATCH, settings.task, settings.pixel_range))
    run.document["result"] = {"split": "eval", **asdict(result)}
    run.write_document()
    title = f"{describe_net(settings)}: test {describe_result(result)}"
    plots.loss_curve(run.history(), run.path / "loss.png", title, loss_name(settings))
    draw_predictions(run, learner, splits.eval, title)
    return result


def draw_predictions(run: Run, learner: Any, split: Split, title: str) -> None:
    """Draw the first digits of a split with what the net reads in them."""
    settings = run.settings
    few = Split(split.images[:SHOWN], split.labels[:SHOWN])
    ((images, _),) = batches(few, SHOWN, settings.task, settings.pixel_range)
    outputs = learner.outputs(images)
    captions = captions_for(outputs, learner.probabilities(outputs))
    digits = engine.digits_read(outputs)
    plots.predictions(few.images, few.labels, digits, captions, run.path / "predictions.png", title)


def captions_for(outputs: np.ndarray, probabilities: np.ndarray | None) -> list[str]:
    """Return what to write under each digit: the winner's probability, or else the largest raw output."""
    if probabilities is None:
        return [f"{value:.2f}" for value in outputs.max(axis=1)]
    return [f"{value:.0%}" for value in probabilities.max(axis=1)]


def loss_name(settings: Settings) -> str:
    """Return what the loss measures, for an axis."""
    if settings.net == "nielsen":
        return "quadratic cost"
    return "squared error" if settings.task == "regress" else "cross-entropy"


def describe_net(settings: Settings) -> str:
    """Return a net and its task in a few words."""
    name = settings.net if settings.hidden is None else f"{settings.net} 784-{settings.hidden}-10"
    return f"{name}, {'regression' if settings.task == 'regress' else 'classification'}"


def describe_result(result: engine.Metrics) -> str:
    """Return a result in a few words."""
    mse = "" if result.mse is None else f"mse {result.mse:.3f}, "
    return f"{mse}accuracy {result.accuracy:.2%} on {result.samples:,} digits"


def farewell(run: Run, result: engine.Metrics, quiet: bool) -> str:
    """Return the last words of a training command: the folder, the result, and what to do next."""
    if quiet:
        return f"{run.path}: test {describe_result(result)}"
    return "\n".join(
        (
            f"run folder    {run.path}",
            f"test result   {describe_result(result)}",
            f"pictures      {run.path / 'loss.png'}, {run.path / 'predictions.png'}",
            f"next          python -m paddle_mnist.evaluate {run.path}",
            f"              python -m paddle_mnist.predict YOUR_DIGIT.png --model {run.path}",
            f"              python -m paddle_mnist.plot {run.path} ANOTHER_RUN",
        )
    )

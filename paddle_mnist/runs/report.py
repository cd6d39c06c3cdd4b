"""What a run leaves when it is complete: the test result, the pictures and a summary."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from paddle_mnist import engine, plots
from paddle_mnist.loader import batches
from paddle_mnist.metrics import Metrics, predicted_digits
from paddle_mnist.recipes import NETS, Settings
from paddle_mnist.runs.run import Run
from paddle_mnist.splits import Split, Splits

# Digits in the picture of predictions.
SHOWN = 32

# A data set with fewer training digits than this is called small, such as the bundled sample with 4,000.
SMALL = 10_000

# What `python -m paddle_mnist.train --net NET --task TASK` measured on the test digits with seed 0: with the bundled
# sample, and with all of MNIST.
MEASURED = {
    ("fc", "regress"): ("accuracy 38%", "mse 1.38, accuracy 50%"),
    ("cnn", "regress"): ("accuracy 44%", "mse 1.00, accuracy 53%"),
    ("fc", "classify"): ("accuracy 84%", "accuracy 90%"),
    ("cnn", "classify"): ("accuracy 97%", "accuracy 99%"),
}


def finish(run: Run, learner: engine.Learner, splits: Splits) -> Metrics:
    """Measure the run's best weights on the evaluation digits, draw its pictures and complete ``run.json``."""
    settings = run.settings
    learner.load_state_dict(run.best_state(), str(run.best_path))
    result = engine.evaluate(learner, batches(splits.eval, engine.EVAL_BATCH, settings.task, settings.pixel_range))
    run.manifest["result"] = {"split": "eval", **asdict(result)}
    run.write_manifest()
    title = f"{describe_net(settings)}: test {describe_result(asdict(result))}"
    plots.loss_curve(run.history(), run.path / "loss.png", title, loss_name(settings))
    draw_predictions(run, learner, splits.eval, title)
    return result


def draw_predictions(run: Run, learner: engine.Learner, split: Split, title: str) -> None:
    """Draw the first digits of a split with the net's predictions."""
    settings = run.settings
    few = Split(split.images[:SHOWN], split.labels[:SHOWN])
    ((images, _),) = batches(few, SHOWN, settings.task, settings.pixel_range)
    outputs = learner.outputs(images)
    captions = captions_for(outputs, learner.probabilities(outputs))
    digits = predicted_digits(outputs)
    plots.predictions(few.images, few.labels, digits, captions, run.path / "predictions.png", title)


def captions_for(outputs: np.ndarray, probabilities: np.ndarray | None) -> list[str]:
    """Return the caption of each digit: the winner's probability, or else the largest raw output."""
    if probabilities is None:
        return [f"{value:.2f}" for value in outputs.max(axis=1)]
    return [f"{value:.0%}" for value in probabilities.max(axis=1)]


def loss_name(settings: Settings) -> str:
    """Return what the loss measures, as the label of an axis."""
    if settings.net == "nielsen":
        return "quadratic cost"
    return "squared error" if settings.task == "regress" else "cross-entropy"


def describe_net(settings: Settings) -> str:
    """Return a net and its task in a few words."""
    name = settings.net if settings.hidden is None else f"{settings.net} 784-{settings.hidden}-10"
    return f"{name}, {'regression' if settings.task == 'regress' else 'classification'}"


def describe_result(result: dict[str, Any]) -> str:
    """Return the fields of a ``Metrics`` in a few words."""
    mse = "" if result["mse"] is None else f"mse {result['mse']:.3f}, "
    return f"{mse}accuracy {result['accuracy']:.2%} on {result['samples']:,} digits"


def summary(run: Run, quiet: bool = False) -> str:
    """Return the last lines of a training command: the folder, the result, what it means, and what to do next."""
    result = describe_result(run.manifest["result"])
    if quiet:
        return f"{run.path}: test {result}"
    rows = [
        ("run folder", str(run.path)),
        ("test result", result),
        *explanation(run),
        ("pictures", f"{run.path / 'loss.png'}, {run.path / 'predictions.png'}"),
        ("next", f"python -m paddle_mnist.evaluate {run.path}"),
        ("", f"python -m paddle_mnist.predict YOUR_DIGIT.png --model {run.path}"),
        ("", f"python -m paddle_mnist.plot {run.path} ANOTHER_RUN"),
    ]
    return "\n".join(f"{name:<13} {text}" for name, text in rows)


def explanation(run: Run) -> list[tuple[str, str]]:
    """Return rows that say what the result means, and what would improve it, each with its command."""
    settings = run.settings
    small = run.manifest["data"]["samples"][0] < SMALL
    rows = []
    if settings.task == "regress":
        rows.append(
            ("", "The net predicts a number on a line, and the accuracy counts outputs that round to the digit.")
        )
        if "classify" in NETS[settings.net].defaults:
            command = f"python -m paddle_mnist.train --net {settings.net} --task classify"
            rows.append(("better", f"{command}: {_measured(settings.net, 'classify', small)}, one score per digit"))
    if small and (settings.net, settings.task) in MEASURED:
        where = "python -m paddle_mnist.data fetch"
        rows.append(
            ("more digits", f"{where}: {_measured(settings.net, settings.task, False)} when trained on all of MNIST")
        )
    return rows


def _measured(net: str, task: str, small: bool) -> str:
    on_sample, on_whole = MEASURED[net, task]
    return on_sample if small else on_whole

"""The training loop.

A *learner* is a net together with its loss and its optimizer. The loop asks three things of it, so that it drives
Paddle's nets and the ones written by hand alike:

    learner.train_step(images, labels) -> float     one step of gradient descent; the batch's loss before it
    learner.outputs(images) -> [n, k]               what the net answers, changing nothing
    learner.loss(outputs, labels) -> [n]            the loss of each sample

and sets ``learner.lr`` before each epoch.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from paddle_mnist.loader import Batch, batches, shuffled
from paddle_mnist.recipes import Settings
from paddle_mnist.splits import Split

# How many digits are shown at once when nothing is learnt; the results do not depend on it.
EVAL_BATCH = 500


class Learner(Protocol):
    """What the loop needs of a net; see the module's docstring."""

    lr: float

    def train_step(self, images: np.ndarray, labels: np.ndarray) -> float:
        """Descend once along the gradient of a batch's mean loss, and return that loss."""

    def outputs(self, images: np.ndarray) -> np.ndarray:
        """Return the raw outputs for images [n, 1, 28, 28]: [n, 1] or [n, 10]."""

    def loss(self, outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return each sample's loss, float64 [n], from outputs and labels [n, 1]."""


class NotFiniteError(ArithmeticError):
    """The loss became infinite or not a number: the weights of this step are lost, training has to stop."""


@dataclass
class Step:
    """What one step of gradient descent left.

    Attributes:
        epoch: counted from 0.
        batch: counted from 0 in its epoch.
        step: counted from 0 in the run.
        loss: the batch's mean loss, before the step.
        lr: the learning rate.
        ms: how long the step took, in milliseconds, without drawing the batch.
    """

    epoch: int
    batch: int
    step: int
    loss: float
    lr: float
    ms: float


@dataclass(frozen=True)
class Metrics:
    """How a net does on a split, each figure averaged by sample.

    Attributes:
        samples: how many digits were shown.
        loss: the mean loss.
        mse: the mean squared error of the predicted digit; ``None`` when classifying.
        accuracy: the share read right; when regressing, outputs are rounded and clipped to 0..9.
        constant_answer: the digit that the net gives to every image, or ``None`` for a net that tells them apart.
    """

    samples: int
    loss: float
    mse: float | None
    accuracy: float
    constant_answer: int | None


@dataclass
class Progress:
    """How far a run has come: all that the loop must know to go on.

    Attributes:
        epoch: epochs that are complete.
        batch: batches done of the next one.
        loss_sum: the sum of the losses over the samples of those batches.
        samples: how many samples they held.
    """

    epoch: int = 0
    batch: int = 0
    loss_sum: float = 0.0
    samples: int = 0

    def add(self, loss: float, samples: int) -> None:
        """Count a batch of so many samples with its mean loss.

        Raises:
            NotFiniteError: the loss is infinite or not a number.
        """
        if not math.isfinite(loss):
            raise NotFiniteError(f"the loss of batch {self.batch} in epoch {self.epoch} is {loss}")
        self.batch += 1
        self.loss_sum += loss * samples
        self.samples += samples

    def turn(self) -> None:
        """Count the epoch as complete, and begin the next."""
        self.epoch, self.batch, self.loss_sum, self.samples = self.epoch + 1, 0, 0.0, 0


def fit(
    learner: Learner,
    train: Split,
    valid: Split,
    settings: Settings,
    progress: Progress | None = None,
    on_step: Callable[[Step], None] = lambda step: None,
    on_epoch: Callable[[dict[str, Any]], None] = lambda record: None,
) -> list[dict[str, Any]]:
    """Train a learner for ``settings.epochs`` epochs, or for those that are left.

    Args:
        train: the digits to learn from, in a new order each epoch.
        valid: the digits to watch; measured after each epoch.
        progress: where to go on; brought up to date after every step, before ``on_step`` is called.
        on_step: called after every step.
        on_epoch: called after every epoch with its record.

    Returns:
        A record for each epoch trained here: ``epoch``, ``step`` (its last one), ``loss`` (the mean over its
        training samples), ``lr``, ``ms_per_step``, ``seconds``, and the metrics of ``valid``:
        ``valid_loss``, ``mse``, ``accuracy``, ``constant_answer``.

    Raises:
        NotFiniteError: the loss of a batch, or of the validation digits, is not finite.
    """
    progress = progress or Progress()
    history = []
    while progress.epoch < settings.epochs:
        began = time.perf_counter()
        steps = []
        for step in train_epoch(learner, train, settings, progress):
            steps.append(step)
            on_step(step)
        history.append(close_epoch(learner, valid, settings, progress, steps, began))
        on_epoch(history[-1])
    return history


def train_epoch(learner: Learner, train: Split, settings: Settings, progress: Progress) -> Iterator[Step]:
    """Train on every batch of one epoch that ``progress`` has not seen yet, yielding after each step."""
    learner.lr = settings.lr_of(progress.epoch)
    per_epoch = steps_per_epoch(train, settings)
    for images, labels in epoch_batches(train, settings, progress):
        began = time.perf_counter()
        loss = learner.train_step(images, labels)
        ms = 1000 * (time.perf_counter() - began)
        step = Step(progress.epoch, progress.batch, progress.epoch * per_epoch + progress.batch, loss, learner.lr, ms)
        progress.add(loss, len(images))
        yield step


def epoch_batches(train: Split, settings: Settings, progress: Progress) -> Iterator[Batch]:
    """Return the batches that are left of the epoch that ``progress`` is in, in that epoch's own order."""
    order = shuffled(len(train.labels), settings.seed, progress.epoch)
    return batches(train, settings.batch_size, settings.task, settings.pixel_range, order, start=progress.batch)


def close_epoch(
    learner: Learner, valid: Split, settings: Settings, progress: Progress, steps: list[Step], began: float
) -> dict[str, Any]:
    """Measure the validation digits, write the epoch's record and turn ``progress`` to the next epoch.

    Args:
        steps: the epoch's steps, or those since the run was resumed.
        began: when the epoch began, by ``time.perf_counter``.
    """
    metrics = evaluate(learner, batches(valid, EVAL_BATCH, settings.task, settings.pixel_range))
    if not math.isfinite(metrics.loss):
        raise NotFiniteError(f"the validation loss after epoch {progress.epoch} is {metrics.loss}")
    record = {
        "epoch": progress.epoch,
        "step": (progress.epoch + 1) * progress.batch - 1,
        "loss": progress.loss_sum / progress.samples,
        "lr": learner.lr,
        "ms_per_step": round(sum(step.ms for step in steps) / max(1, len(steps)), 3),
        "valid_loss": metrics.loss,
        "mse": metrics.mse,
        "accuracy": metrics.accuracy,
        "constant_answer": metrics.constant_answer,
        "seconds": round(time.perf_counter() - began, 3),
    }
    progress.turn()
    return record


def evaluate(learner: Learner, batches: Iterator[Batch]) -> Metrics:
    """Measure a learner on every batch, without changing it."""
    answers, targets = [], []
    for images, labels in batches:
        answers.append(learner.outputs(images))
        targets.append(labels)
    return measure(np.concatenate(answers), np.concatenate(targets), learner.loss)


def measure(outputs: np.ndarray, labels: np.ndarray, loss: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Metrics:
    """Compute the metrics of outputs [n, 1] or [n, 10] against labels [n, 1]."""
    regressing = outputs.shape[1] == 1
    with np.errstate(over="ignore", invalid="ignore"):  # a diverged net is reported, not warned about
        squared = (outputs.astype(np.float64) - labels) ** 2
        mean_loss = float(loss(outputs, labels).mean())
    return Metrics(
        samples=len(labels),
        loss=mean_loss,
        mse=float(squared.mean()) if regressing else None,
        accuracy=float((digits_read(outputs) == labels.ravel()).mean()),
        constant_answer=_constant_answer(outputs),
    )


def digits_read(outputs: np.ndarray) -> np.ndarray:
    """Turn raw outputs into digits, int64 [n].

    Args:
        outputs: [n, 1], a number to be rounded and clipped to 0..9, or [n, 10], scores of which the largest wins.
    """
    if outputs.shape[1] == 1:
        return np.clip(np.rint(np.nan_to_num(outputs[:, 0])), 0, 9).astype(np.int64)
    return outputs.argmax(axis=1)


def steps_per_epoch(train: Split, settings: Settings) -> int:
    """Return how many batches an epoch has, the smaller last one included."""
    return math.ceil(len(train.labels) / settings.batch_size)


def _constant_answer(outputs: np.ndarray) -> int | None:
    """Return the digit that is given to all of several images, if it is one and the same.

    A regression whose outputs spread by less than a hundredth of a digit has collapsed even where rounding
    happens to part them.
    """
    answers = digits_read(outputs)
    if len(answers) < 2:
        return None
    same = (answers == answers[0]).all() or (outputs.shape[1] == 1 and np.ptp(outputs) < 0.01)
    return int(answers[0]) if same else None

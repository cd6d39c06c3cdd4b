"""The training loop, and how a net is measured.

The loop drives a *learner*: a net with its loss and its optimizer (see ``learners``). It knows nothing about files;
``runs`` listens to it through ``on_step`` and ``on_epoch``.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from paddle_mnist.augment import Augmentation, averaged
from paddle_mnist.distributed.team import Team, gather_rows, share
from paddle_mnist.loader import Batch, batches, prefetched, shuffled, to_target
from paddle_mnist.metrics import Metrics, measure
from paddle_mnist.recipes import Settings
from paddle_mnist.splits import Split

EVAL_BATCH = 500  # digits per batch when measuring; the results do not depend on it


class Learner(Protocol):
    """A net with its loss and its optimizer. Images are [n, 1, 28, 28], labels [n, 1], outputs [n, 1] or [n, 10].

    Attributes:
        lr: the learning rate of the next step.
        step: the number of the next step, counted from 0 within the run.
        team: the processes that train this net together, mostly one.
    """

    lr: float
    step: int
    team: Team

    @property
    def engine(self) -> str:
        """What carries out a step, in words, such as ``"NumPy"``."""

    def rows(self, n: int) -> slice:
        """Return the rows of a batch of ``n`` samples whose images this process needs; all, unless it is in a team."""

    def train_step(self, images: np.ndarray, labels: np.ndarray) -> float:
        """Take one gradient step on a batch and return its mean loss before the step."""

    def outputs(self, images: np.ndarray) -> np.ndarray:
        """Return the net's raw outputs, changing nothing."""

    def loss(self, outputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return the loss of each sample, float64 [n]."""

    def probabilities(self, outputs: np.ndarray) -> np.ndarray | None:
        """Return the probability of each digit, float64 [n, 10], or ``None`` if the net has none."""

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return a copy of the weights by name."""

    def load_state_dict(self, state: dict[str, np.ndarray], source: str) -> None:
        """Load weights; ``source`` names their file in an error."""

    def optimizer_state(self) -> dict[str, Any]:
        """Return what the optimizer keeps between steps."""

    def load_optimizer_state(self, state: dict[str, Any], source: str) -> None:
        """Load what ``optimizer_state`` returned; ``source`` names its file in an error."""


class NotFiniteError(ArithmeticError):
    """The loss is infinite or NaN: the weights of this step are lost and training has to stop."""


@dataclass
class Step:
    """The record of one gradient step.

    Attributes:
        epoch: counted from 0.
        batch: counted from 0 within the epoch.
        step: counted from 0 within the run.
        loss: the mean loss of the batch before the step.
        lr: the learning rate.
        ms: the duration of the step in milliseconds, without loading the batch.
    """

    epoch: int
    batch: int
    step: int
    loss: float
    lr: float
    ms: float


@dataclass
class Progress:
    """How far a run has come: all that the loop needs to resume.

    Attributes:
        epoch: completed epochs.
        batch: completed batches of the next epoch.
        loss_sum: the sum of the losses over the samples of those batches.
        samples: the number of those samples.
    """

    epoch: int = 0
    batch: int = 0
    loss_sum: float = 0.0
    samples: int = 0

    def update(self, loss: float, samples: int) -> None:
        """Count a batch with its mean loss.

        Raises:
            NotFiniteError: the loss is infinite or NaN.
        """
        if not math.isfinite(loss):
            raise NotFiniteError(f"the loss of batch {self.batch} in epoch {self.epoch} is {loss}")
        self.batch += 1
        self.loss_sum += loss * samples
        self.samples += samples

    def end_epoch(self) -> None:
        """Count the epoch as completed."""
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
        valid: the digits to measure after each epoch.
        progress: where to resume; updated after every step, before ``on_step`` is called.
        on_step: called after every step.
        on_epoch: called after every epoch with its record.

    Returns:
        A record for each epoch trained here: ``epoch``, ``step`` (its last), ``loss`` (the mean over its training
        samples), ``lr``, ``ms_per_step``, ``seconds``, and the metrics of ``valid``: ``valid_loss``, ``mse``,
        ``accuracy``, ``constant_answer``.

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
        metrics = evaluate_split(learner, valid, settings)
        history.append(close_epoch(progress, metrics, learner.lr, steps, time.perf_counter() - began))
        on_epoch(history[-1])
    return history


def train_epoch(learner: Learner, train: Split, settings: Settings, progress: Progress) -> Iterator[Step]:
    """Train on every batch of the epoch that ``progress`` has not seen yet, yielding after each step."""
    per_epoch = steps_per_epoch(train, settings)
    first = progress.epoch * per_epoch
    learner.step = first + progress.batch
    learner.lr = settings.lr_at(max(0, learner.step - 1), per_epoch)  # of the last step, where no batch is left
    for images, labels in epoch_batches(train, settings, progress, learner.rows if learner.team.size > 1 else None):
        learner.lr = settings.lr_at(first + progress.batch, per_epoch)
        began = time.perf_counter()
        loss = learner.train_step(images, labels)
        ms = 1000 * (time.perf_counter() - began)
        step = Step(progress.epoch, progress.batch, first + progress.batch, loss, learner.lr, ms)
        progress.update(loss, len(images))
        yield step


def epoch_batches(
    train: Split, settings: Settings, progress: Progress, own: Callable[[int], slice] | None = None
) -> Iterator[Batch]:
    """Return the remaining batches of the epoch that ``progress`` is in, in that epoch's own order.

    ``own`` is that of ``loader.batches``.
    """
    n, seed, epoch, task, pixels = len(train.labels), settings.seed, progress.epoch, settings.task, settings.pixel_range
    augment = None if settings.augment == "none" else Augmentation(settings.augment, n, seed, epoch)
    order = shuffled(n, seed, epoch)
    left = batches(train, settings.batch_size, task, pixels, order, progress.batch, own, augment)
    return prefetched(left) if augment else left


def close_epoch(progress: Progress, metrics: Metrics, lr: float, steps: list[Step], seconds: float) -> dict[str, Any]:
    """Return the record of the epoch that ``progress`` is in, and count the epoch as completed.

    Args:
        metrics: of the validation digits.
        steps: the steps of the epoch, or those since the run was resumed.
        seconds: the duration of the epoch.
    """
    if not math.isfinite(metrics.loss):
        raise NotFiniteError(f"the validation loss after epoch {progress.epoch} is {metrics.loss}")
    record = {
        "epoch": progress.epoch,
        "step": (progress.epoch + 1) * progress.batch - 1,
        "loss": progress.loss_sum / progress.samples,
        "lr": lr,
        "ms_per_step": round(sum(step.ms for step in steps) / max(1, len(steps)), 3),
        "valid_loss": metrics.loss,
        "mse": metrics.mse,
        "accuracy": metrics.accuracy,
        "constant_answer": metrics.constant_answer,
        "seconds": round(seconds, 3),
    }
    progress.end_epoch()
    return record


def evaluate(learner: Learner, batches: Iterable[Batch], average: bool = False) -> Metrics:
    """Measure a learner on every batch, without changing it; ``average`` its outputs over moved copies, too."""
    outputs, targets = [], []
    for images, labels in batches:
        outputs.append(averaged(learner.outputs, images) if average else learner.outputs(images))
        targets.append(labels)
    return measure(np.concatenate(outputs), np.concatenate(targets), learner.loss)


def evaluate_split(learner: Learner, split: Split, settings: Settings) -> Metrics:
    """Measure a learner on a split, of which each member of its team computes some batches; each digit counts once."""
    total = math.ceil(len(split.labels) / EVAL_BATCH)
    shares = [share(total, rank, learner.team.size) for rank in range(learner.team.size)]
    edges = [[min(edge * EVAL_BATCH, len(split.labels)) for edge in (own.start, own.stop)] for own in shares]
    mine = slice(*edges[learner.team.rank])
    part = Split(split.images[mine], split.labels[mine])
    outputs = [learner.outputs(images) for images, _ in batches(part, EVAL_BATCH, settings.task, settings.pixel_range)]
    own_outputs = np.concatenate([np.empty((0, 1 if settings.task == "regress" else 10), np.float32), *outputs])
    found = gather_rows(learner.team, own_outputs, [stop - start for start, stop in edges])
    return measure(found, to_target(split.labels, settings.task), learner.loss)


def steps_per_epoch(train: Split, settings: Settings) -> int:
    """Return the number of batches in an epoch, the smaller last one included."""
    return math.ceil(len(train.labels) / settings.batch_size)

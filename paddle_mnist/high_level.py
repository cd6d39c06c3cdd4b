"""The same loop through Paddle's high-level API: ``paddle.Model`` with prepare, fit and evaluate.

    model = prepare(net, optimizer)
    model.fit(batches, epochs=5)
    model.evaluate(batches)

Beginners who come from Keras know the three as compile, fit and evaluate. What our own loop does around a step
(records, checkpoints, the progress bar) is hung in as a callback, so that a run of this loop and one of ``engine.fit``
leave the same folder.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import paddle

from paddle_mnist import engine
from paddle_mnist.engine import Progress, Step
from paddle_mnist.learners import PaddleLearner
from paddle_mnist.loader import Batch
from paddle_mnist.recipes import Settings
from paddle_mnist.splits import Split


def prepare(net: paddle.nn.Layer, optimizer: paddle.optimizer.Optimizer) -> paddle.Model:
    """Make a ``paddle.Model`` that classifies digits: cross-entropy on raw scores, accuracy as the metric.

    Args:
        net: maps images [n, 1, 28, 28] to scores [n, 10].
        optimizer: holds the net's parameters.
    """
    images = paddle.static.InputSpec([None, 1, 28, 28], "float32", "images")
    labels = paddle.static.InputSpec([None, 1], "int64", "labels")
    model = paddle.Model(net, images, labels)
    model.prepare(optimizer, paddle.nn.CrossEntropyLoss(), paddle.metric.Accuracy())
    return model


def fit(
    learner: PaddleLearner,
    train: Split,
    valid: Split,
    settings: Settings,
    progress: Progress | None = None,
    on_step: Callable[[Step], None] = lambda step: None,
    on_epoch: Callable[[dict[str, Any]], None] = lambda record: None,
) -> list[dict[str, Any]]:
    """Train as ``engine.fit`` does, with the same arguments and the same result, by ``paddle.Model.fit``."""
    progress = progress or Progress()
    if progress.epoch >= settings.epochs:  # ``Model.fit`` cannot be asked for no epochs
        return []
    recorder = Recorder(learner, valid, settings, progress, on_step, on_epoch)
    model = prepare(learner.net, learner.optimizer)
    with paddle.utils.unique_name.guard():  # accumulators named as in a fresh process, for the checkpoints
        model.fit(
            Epochs(train, settings, progress),
            epochs=settings.epochs - progress.epoch,
            verbose=0,
            callbacks=[recorder],
        )
    return recorder.history


class Epochs:
    """The training digits as ``paddle.Model.fit`` wants them: iterated over once per epoch.

    Every iteration has the order of the epoch that ``progress`` is in, and begins at the batch that it has come to.
    """

    def __init__(self, train: Split, settings: Settings, progress: Progress) -> None:
        self.train, self.settings, self.progress = train, settings, progress

    def __len__(self) -> int:
        return engine.steps_per_epoch(self.train, self.settings)

    def __iter__(self) -> Iterator[Batch]:
        return engine.epoch_batches(self.train, self.settings, self.progress)


class Recorder(paddle.callbacks.Callback):
    """Tells our own listeners what happens in ``paddle.Model.fit``."""

    def __init__(
        self,
        learner: PaddleLearner,
        valid: Split,
        settings: Settings,
        progress: Progress,
        on_step: Callable[[Step], None],
        on_epoch: Callable[[dict[str, Any]], None],
    ) -> None:
        super().__init__()
        self.learner, self.valid, self.settings, self.progress = learner, valid, settings, progress
        self.on_step, self.on_epoch = on_step, on_epoch
        self.history: list[dict[str, Any]] = []

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Set the epoch's learning rate."""
        self.learner.lr = self.settings.lr_of(self.progress.epoch)
        self.epoch_began = time.perf_counter()
        self.steps: list[Step] = []

    def on_train_batch_begin(self, step: int, logs: dict[str, Any] | None = None) -> None:
        """Start the step's clock."""
        self.began = time.perf_counter()

    def on_train_batch_end(self, step: int, logs: dict[str, Any] | None = None) -> None:
        """Count the step and tell of it."""
        ms = 1000 * (time.perf_counter() - self.began)
        epoch, batch = self.progress.epoch, self.progress.batch
        done = Step(epoch, batch, epoch * self.params["steps"] + batch, logs["loss"][0], self.learner.lr, ms)
        self.progress.add(done.loss, logs["batch_size"])
        self.steps.append(done)
        self.on_step(done)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Measure the validation digits and tell of the epoch."""
        record = engine.close_epoch(
            self.learner, self.valid, self.settings, self.progress, self.steps, self.epoch_began
        )
        self.history.append(record)
        self.on_epoch(record)

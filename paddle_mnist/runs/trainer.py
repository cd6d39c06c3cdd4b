"""Training inside a run folder: records the history, saves checkpoints, stops and resumes.

``engine.fit`` knows nothing about files. ``Trainer`` listens to it and keeps the promise of a run folder: whatever
stops the process, at any moment, the run resumes from its last complete checkpoint and ends as if nothing had
happened. The order of writes keeps that promise: first the history, then the best weights, the checkpoint last. What
was written before a checkpoint that is lost is written again, the same, when the run resumes.
"""

from __future__ import annotations

import hashlib
import itertools
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from paddle_mnist import console, engine
from paddle_mnist.distributed.workers import Workers
from paddle_mnist.errors import UserError, quote
from paddle_mnist.recipes import MAX_COUNT, Settings
from paddle_mnist.runs import checkpoint
from paddle_mnist.runs.run import Run
from paddle_mnist.splits import Splits

# Epochs in a row with a rising validation loss before the run warns.
RISING = 3

# Seconds after which records are written for whoever follows the history; they reach the disk with the next checkpoint.
WRITE_EVERY = 0.25


class Stopped(KeyboardInterrupt):
    """SIGINT or SIGTERM asked the run to stop; its checkpoint is saved.

    Attributes:
        path: the run folder.
        status: the exit status that belongs to the signal.
        by_all_workers: all workers stop after the same step.
    """

    by_all_workers = True

    def __init__(self, path: Path, number: int) -> None:
        super().__init__(f"stopped and saved: continue with python -m paddle_mnist.train --resume {path}")
        self.path, self.status = path, 128 + number


class Diverged(UserError):
    """The loss is not finite, for all workers at the same step."""

    by_all_workers = True


class Member:
    """A worker that trains in step with the others, and writes nothing.

    Args:
        path: the run folder, as rank 0 names it.
        learner: what is trained.
        splits: the digits.
        settings: of the run.
        workers: those that train together.
    """

    def __init__(
        self, path: Path, learner: engine.Learner, splits: Splits, settings: Settings, workers: Workers
    ) -> None:
        self.path, self.learner, self.splits, self.settings, self.workers = path, learner, splits, settings, workers
        self.train, self.valid = splits.for_training(settings.train_on)
        self.progress = engine.Progress()

    def fit(self) -> None:
        """Train the epochs that are left.

        Raises:
            Stopped: after SIGINT or SIGTERM, in all workers after the same step; rank 0 has saved a checkpoint.
            Diverged: the loss is not finite; the last good checkpoint is kept.
        """
        with listening(self.workers):
            try:
                engine.fit(
                    self.learner,
                    self.train,
                    self.valid,
                    self.settings,
                    self.progress,
                    on_step=self.on_step,
                    on_epoch=self.on_epoch,
                )
            except engine.NotFiniteError as error:
                raise Diverged(
                    f"{self.path}: {error}; the run has diverged and was stopped, its last good checkpoint is kept: "
                    "train again with a smaller --lr, or with --clip-norm 5"
                ) from None

    def on_step(self, step: engine.Step) -> None:
        """Stop where all workers stop."""
        self.workers.end_step()
        self.stop_if_asked()

    def on_epoch(self, record: dict[str, Any]) -> None:
        """Compare weights with rank 0, and stop where all workers stop."""
        check_weights(self.workers, self.learner, record["epoch"])
        self.stop_if_asked()

    def stop_if_asked(self) -> None:
        """Raise ``Stopped`` if a signal has asked for it."""
        if self.workers.stop:
            raise Stopped(self.path, self.workers.stop)


class Trainer(Member):
    """Trains a learner in a run folder, from the start or the newest checkpoint to the end or a stop.

    Args:
        run: the folder; its ``run.json`` is written.
        learner, splits: as in ``Member``.
        quiet: show neither a progress bar nor a line per epoch.
        workers: those that train together, of which this is rank 0; ``None`` for this process alone.
    """

    def __init__(
        self,
        run: Run,
        learner: engine.Learner,
        splits: Splits,
        quiet: bool = False,
        workers: Workers | None = None,
    ) -> None:
        super().__init__(run.path, learner, splits, run.settings, workers or Workers())
        self.run, self.options, self.quiet = run, run.options, quiet
        self.best: dict[str, Any] | None = None
        self.valid_losses: list[float] = []
        self.pending: list[dict[str, Any]] = []  # records that the next flush writes
        self.written = time.monotonic()  # when the last flush was

    def resume(self) -> bool:
        """Load the newest complete checkpoint of the run; return whether there was one."""
        self.run.remove_leftovers()
        found = checkpoint.latest(self.run.path, console.note)
        if found is not None:
            weights, optimizer, state = found
            self.progress, self.best = _checked(state, self.run.path, self.settings.batch_size)
            source = f"the newest checkpoint of {self.run.path}"
            self.learner.load_state_dict(weights, source)
            self.learner.load_optimizer_state(optimizer, source)
        self.run.truncate_history(self.progress)
        self.valid_losses = [line["valid_loss"] for line in self.run.history() if "valid_loss" in line]
        return found is not None

    def fit(self) -> None:
        """Train the epochs that are left; raise what ``Member.fit`` raises."""
        with self._progress_bar() as self.bar:
            try:
                super().fit()
            except Diverged:
                self._flush()
                raise

    def on_step(self, step: engine.Step) -> None:
        """Record a step; save a checkpoint if one is due, or if the run was asked to stop."""
        if step.step % self.options.log_every == 0:
            record = asdict(step)
            record["ms_per_step"] = round(record.pop("ms"), 3)
            self.pending.append(record)
            self.bar.set_postfix(loss=f"{step.loss:.3f}", ms_per_step=f"{step.ms:.1f}", refresh=False)
        self.bar.update()
        self.workers.end_step()
        if self.workers.stop or (self.options.save_every and (step.step + 1) % self.options.save_every == 0):
            self._save()
        elif self.pending and time.monotonic() - self.written > WRITE_EVERY:
            self._flush(sync=False)
        self.stop_if_asked()

    def on_epoch(self, record: dict[str, Any]) -> None:
        """Record an epoch, save the best weights and a checkpoint, and warn if the training goes wrong."""
        check_weights(self.workers, self.learner, record["epoch"])
        self.pending.append(record)
        self.valid_losses.append(record["valid_loss"])
        self._flush()
        # If no digits are held out to choose by, the newest weights are the ones to use.
        held_out = self.settings.train_on == "train"
        if self.best is None or not held_out or record["valid_loss"] < self.best["valid_loss"]:
            self.best = {"epoch": record["epoch"], "valid_loss": record["valid_loss"]}
            self.run.save_best(self.learner.state_dict())
        self._save()
        if not self.quiet:
            self.bar.write(epoch_line(record, self.settings.epochs))
        for warning in warnings_for(record, self.valid_losses, self.best["epoch"]):
            console.note(warning)
        self.stop_if_asked()

    def _flush(self, sync: bool = True) -> None:
        self.run.append(self.pending, sync)
        self.pending, self.written = [], time.monotonic()

    def _save(self) -> None:
        self._flush()
        checkpoint.save(
            self.run.path,
            self.learner.state_dict(),
            self.learner.optimizer_state(),
            {
                "epoch": self.progress.epoch,
                "batch": self.progress.batch,
                "progress": asdict(self.progress),
                # The order of the samples follows from these two alone, so they are the random state.
                "random": {"seed": self.settings.seed, "epoch": self.progress.epoch},
                "best": self.best,
            },
            keep=self.options.keep,
            weights=checkpoint.NUMPY_WEIGHTS if self.settings.is_numpy else checkpoint.PADDLE_WEIGHTS,
        )

    def _progress_bar(self) -> Any:
        from tqdm import tqdm

        per_epoch = engine.steps_per_epoch(self.train, self.settings)
        done = self.progress.epoch * per_epoch + self.progress.batch
        # disable=None hides the bar if standard error is not a terminal.
        disable = True if self.quiet else None
        return tqdm(total=self.settings.epochs * per_epoch, initial=done, unit="step", disable=disable, leave=False)


def check_weights(workers: Workers, learner: engine.Learner, epoch: int) -> None:
    """Raise ``UserError`` if not all workers have the same weights, as with processors that compute differently."""
    if workers.size == 1:
        return
    digest = hashlib.sha256()
    for name, array in sorted(learner.state_dict().items()):
        digest.update(name.encode() + np.ascontiguousarray(array).tobytes())
    first, *others = workers.exchange(digest.hexdigest())
    for rank, other in enumerate(others, start=1):
        if other != first:
            raise UserError(
                f"rank {rank} must have the weights of rank 0 after epoch {epoch + 1}, got others: its processor or "
                "its libraries compute differently; resume the run on machines of one kind"
            )


@contextmanager
def listening(workers: Workers) -> Iterator[None]:
    """Note SIGINT or SIGTERM, to stop between two steps; alone, let the second interrupt at once."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may have signal handlers
        return

    def on_signal(number: int, frame: Any) -> None:
        if workers.stop and workers.size == 1:  # the launcher repeats its signals
            raise KeyboardInterrupt
        workers.request_stop(number)

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        # The launcher sends SIGTERM up to three times, 0.2 s apart: a late one must not end a worker that has stopped
        # before it has said so.
        stopped = workers.stop and workers.size > 1
        for number, handler in before.items():
            signal.signal(number, signal.SIG_IGN if stopped else handler)


def warnings_for(record: dict[str, Any], valid_losses: list[float], best_epoch: int) -> list[str]:
    """Return warnings about an epoch: a collapsed net, or a validation loss that keeps rising.

    Args:
        record: the epoch's record.
        valid_losses: the validation loss of every epoch so far.
        best_epoch: the epoch with the lowest of them, counted from 0.
    """
    found = []
    if record["constant_answer"] is not None:
        found.append(
            f"the net answers {record['constant_answer']} for every digit: it has collapsed, or has not started to "
            "learn; if this lasts, train again with another --seed, a smaller --lr or --clip-norm 5"
        )
    last = valid_losses[-RISING - 1 :]
    if len(last) > RISING and all(a < b for a, b in itertools.pairwise(last)):
        found.append(
            f"the validation loss has risen for {RISING} epochs: the net overfits or diverges; the best weights so "
            f"far are those after epoch {best_epoch + 1}"
        )
    return found


def epoch_line(record: dict[str, Any], epochs: int) -> str:
    """Return the record of an epoch as one line of text."""
    mse = "" if record["mse"] is None else f"mse {record['mse']:.4f}  "
    return (
        f"epoch {record['epoch'] + 1:>{len(str(epochs))}}/{epochs}  train loss {record['loss']:.4f}  "
        f"valid loss {record['valid_loss']:.4f}  {mse}accuracy {record['accuracy']:.2%}  {record['seconds']:.1f} s"
    )


def _checked(state: dict[str, Any], run: Path, batch_size: int) -> tuple[engine.Progress, dict[str, Any] | None]:
    """Return the progress and the best epoch of a checkpoint, which may come from a stranger."""
    try:
        progress, best = engine.Progress(**state["progress"]), state["best"]
        counts = [progress.epoch, progress.batch, progress.samples]
        numbers = [progress.loss_sum]
        if best is not None:
            counts.append(best["epoch"])
            numbers.append(best["valid_loss"])
        if not all(type(count) is int and 0 <= count < MAX_COUNT for count in counts):
            raise TypeError(f"{counts} are not counts")
        if not progress.batch <= progress.samples <= progress.batch * batch_size:
            raise TypeError(f"{progress.batch} batches cannot hold {progress.samples} samples")
        if not all(type(number) in (int, float) for number in numbers):
            raise TypeError(f"{numbers} are not losses")
    except (KeyError, TypeError) as error:
        raise UserError(
            f"{run}: the state.json of its newest checkpoint does not say how far the run has come ({quote(error)}): "
            "remove that checkpoint to resume from the one before"
        ) from None
    return progress, best

"""Training inside a run folder: records what happens, saves checkpoints, stops and goes on.

``engine.fit`` knows nothing of files. This module listens to it and keeps the promise of a run folder: whatever stops
the process, at any moment, the run goes on from its last whole checkpoint and ends as if nothing had happened.

The order of writes keeps that promise. First the history, then the best weights, and the checkpoint last: what is
written before it and lost with it is written again, the same, when the run goes on.
"""

from __future__ import annotations

import itertools
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from paddle_mnist import console, engine
from paddle_mnist.errors import UserError, quote
from paddle_mnist.recipes import Settings
from paddle_mnist.runs import checkpoint
from paddle_mnist.runs.run import Run
from paddle_mnist.splits import Split, Splits
from paddle_mnist.storage.bounded_json import truncate_history
from paddle_mnist.storage.weights import load_state_dict, save_state_dict

# Epochs in a row with a rising validation loss after which the run says so.
RISING = 3


class Stopped(Exception):
    """The user asked the run to stop; its checkpoint is saved.

    Attributes:
        status: the exit status that the asking signal stands for.
    """

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Trainer:
    """Training in a run folder, from its start or its newest checkpoint to its end or a stop.

    Args:
        run: the folder; its ``run.json`` is written.
        learner: what is trained.
        splits: the digits.
        save_every: steps between checkpoints inside an epoch; 0 saves after each epoch alone.
        keep: how many checkpoints to keep.
        log_every: steps between records of the loss.
        quiet: show neither the progress bar nor a line per epoch.
    """

    def __init__(
        self,
        run: Run,
        learner: Any,
        splits: Splits,
        save_every: int = 0,
        keep: int = 3,
        log_every: int = 10,
        quiet: bool = False,
    ) -> None:
        self.run, self.learner, self.splits = run, learner, splits
        self.settings = run.settings
        self.save_every, self.keep, self.log_every, self.quiet = save_every, keep, log_every, quiet
        self.train, self.valid = splits_for(splits, self.settings.train_on)
        self.progress = engine.Progress()
        self.best: dict[str, float] | None = None
        self.pending: list[dict[str, Any]] = []  # records that the next flush brings to the disk
        self.signal: int | None = None

    def resume(self) -> bool:
        """Take up the run's newest whole checkpoint; return whether there was one."""
        self.run.sweep()
        found = checkpoint.latest(self.run.path)
        if found is None:
            truncate_history(self.run.history_path, epoch=0, batch=0)
            return False
        weights, optimizer, state = found
        self.progress, self.best = _checked(state, self.run.path, self.settings.batch_size)
        where = f"the newest checkpoint of {self.run.path}"
        self.learner.load_state_dict(weights, where)
        self.learner.load_optimizer_state(optimizer, where)
        truncate_history(self.run.history_path, epoch=self.progress.epoch, batch=self.progress.batch)
        return True

    def fit(self) -> None:
        """Train the epochs that are left.

        Raises:
            Stopped: after SIGINT or SIGTERM, once the checkpoint is saved.
            UserError: the loss is not finite; the last good checkpoint is kept.
        """
        with self._bar() as self.bar, self._listening():
            try:
                loop_for(self.settings)(
                    self.learner,
                    self.train,
                    self.valid,
                    self.settings,
                    self.progress,
                    on_step=self._on_step,
                    on_epoch=self._on_epoch,
                )
            except engine.NotFiniteError as error:
                self._flush()
                raise UserError(
                    f"{self.run.path}: {error}; the run has diverged and is stopped, the last good checkpoint is kept: "
                    "train anew with a smaller --lr, or with --clip-norm 5"
                ) from None

    def _on_step(self, step: engine.Step) -> None:
        if step.step % self.log_every == 0:
            self.pending.append(
                {
                    "epoch": step.epoch,
                    "batch": step.batch,
                    "step": step.step,
                    "loss": step.loss,
                    "lr": step.lr,
                    "ms_per_step": round(step.ms, 3),
                }
            )
            self.bar.set_postfix(loss=f"{step.loss:.3f}", ms_per_step=f"{step.ms:.1f}", refresh=False)
        self.bar.update()
        if self.signal is not None:
            self._save()
            raise Stopped(128 + self.signal)
        if self.save_every and (step.step + 1) % self.save_every == 0:
            self._save()

    def _on_epoch(self, record: dict[str, Any]) -> None:
        self.pending.append(record)
        self._flush()
        # Where nothing is held out to choose by, the newest weights are the ones to serve.
        chosen_by_loss = self.settings.train_on == "train"
        if self.best is None or not chosen_by_loss or record["valid_loss"] < self.best["valid_loss"]:
            self.best = {"epoch": record["epoch"], "valid_loss": record["valid_loss"]}
            save_state_dict(self.run.best_path, self.learner.state_dict())
            if not self.settings.is_numpy:
                save_state_dict(self.run.best_path.with_suffix(".safetensors"), self.learner.state_dict())
        self._save()
        if not self.quiet:
            self.bar.write(epoch_line(record, self.settings.epochs))
        self._warn(record)
        if self.signal is not None:
            raise Stopped(128 + self.signal)

    def _flush(self) -> None:
        if self.pending:
            self.run.append(self.pending)
            self.pending = []

    def _warn(self, record: dict[str, Any]) -> None:
        """Say aloud what a figure in a table would hide."""
        if record["constant_answer"] is not None:
            console.note(
                f"the net answers {record['constant_answer']} for every digit: it has collapsed, or not begun to "
                "learn; if this goes on, train anew with another --seed, a smaller --lr or --clip-norm 5"
            )
        losses = [line["valid_loss"] for line in self.run.history() if "valid_loss" in line][-RISING - 1 :]
        if len(losses) > RISING and all(a < b for a, b in itertools.pairwise(losses)):
            console.note(
                f"the validation loss has risen for {RISING} epochs: the net overfits or diverges; "
                f"the best weights so far are those after epoch {self.best['epoch'] + 1}"
            )

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
            keep=self.keep,
            weights=checkpoint.NUMPY_WEIGHTS if self.settings.is_numpy else checkpoint.PADDLE_WEIGHTS,
        )

    def _bar(self):
        from tqdm import tqdm

        done = self.progress.epoch * engine.steps_per_epoch(self.train, self.settings) + self.progress.batch
        total = self.settings.epochs * engine.steps_per_epoch(self.train, self.settings)
        # disable=None hides the bar where standard error is no screen.
        return tqdm(total=total, initial=done, unit="step", disable=True if self.quiet else None, leave=False)

    @contextmanager
    def _listening(self) -> Iterator[None]:
        """Note the first SIGINT or SIGTERM, to stop between two steps; let the second interrupt at once."""
        if threading.current_thread() is not threading.main_thread():
            yield  # only the main thread may have signal handlers
            return

        def on_signal(number: int, frame: Any) -> None:
            if self.signal is not None:
                raise KeyboardInterrupt
            self.signal = number

        before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _checked(state: dict[str, Any], run: Path, batch_size: int) -> tuple[engine.Progress, dict[str, Any] | None]:
    """Return a checkpoint's progress and best epoch, whoever wrote it."""
    try:
        progress, best = engine.Progress(**state["progress"]), state["best"]
        counts = [progress.epoch, progress.batch, progress.samples]
        numbers = [progress.loss_sum]
        if best is not None:
            counts.append(best["epoch"])
            numbers.append(best["valid_loss"])
        if not all(type(count) is int and 0 <= count < checkpoint.MAX_COUNT for count in counts):
            raise TypeError(f"{counts} are no counts")
        if not progress.batch <= progress.samples <= progress.batch * batch_size:
            raise TypeError(f"{progress.batch} batches cannot hold {progress.samples} samples")
        if not all(type(number) in (int, float) for number in numbers):
            raise TypeError(f"{numbers} are no losses")
    except (KeyError, TypeError) as error:
        raise UserError(
            f"{run}: the state.json of its newest checkpoint does not say how far the run has come "
            f"({quote(error, 200)}): remove that checkpoint to go on from the one before"
        ) from None
    return progress, best


def loop_for(settings: Settings) -> Callable[..., list[dict[str, Any]]]:
    """Return the loop that trains a net: Paddle's high-level API for the one that teaches it, else our own."""
    if settings.net == "mlp":
        from paddle_mnist.high_level import fit

        return fit
    return engine.fit


def splits_for(splits: Splits, train_on: str) -> tuple[Split, Split]:
    """Return the split to learn from and the one to watch.

    ``"train+valid"`` is MNIST's whole training set; nothing is held out then, and the evaluation digits are watched.
    """
    if train_on == "train":
        return splits.train, splits.valid
    import numpy as np

    both = Split(*(np.concatenate(arrays) for arrays in zip(splits.train, splits.valid, strict=True)))
    return both, splits.eval


def epoch_line(record: dict[str, Any], epochs: int) -> str:
    """Return an epoch's record as one line for a person."""
    mse = "" if record["mse"] is None else f"mse {record['mse']:.4f}  "
    return (
        f"epoch {record['epoch'] + 1:>{len(str(epochs))}}/{epochs}  train loss {record['loss']:.4f}  "
        f"valid loss {record['valid_loss']:.4f}  {mse}accuracy {record['accuracy']:.2%}  {record['seconds']:.1f} s"
    )


def best_state(run: Run) -> dict[str, Any]:
    """Return the weights that the run serves: the best by validation loss."""
    if not Path(run.best_path).is_file():
        raise UserError(f"{run.path} has no {run.best_path.name} yet: let it finish an epoch, by --resume {run.path}")
    return load_state_dict(run.best_path)

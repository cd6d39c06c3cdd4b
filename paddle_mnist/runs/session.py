"""Train a net, or resume a run, from Python: what ``python -m paddle_mnist.train`` calls.

from paddle_mnist.recipes import settings_for
from paddle_mnist.runs.session import RunOptions, resume, train

run = train(settings_for("cnn", "classify", epochs=3), data="sample", out="work/runs/mine")
print(run.result["accuracy"])
run = resume("work/runs/mine", epochs=5)
"""

from __future__ import annotations

import dataclasses
import math
import os
import platform
import sys
from pathlib import Path
from typing import Any

import numpy as np

from paddle_mnist import __version__, cpu
from paddle_mnist.dataset import Dataset, open_dataset, work_folder
from paddle_mnist.distributed.workers import Workers, joined
from paddle_mnist.engine import Learner, Progress
from paddle_mnist.errors import UserError, printable
from paddle_mnist.recipes import Settings, settings_for
from paddle_mnist.runs import checkpoint, history, report
from paddle_mnist.runs.run import Run, RunOptions, create, open_run
from paddle_mnist.runs.trainer import Member, Stopped, Trainer
from paddle_mnist.scratch.learners import NumpyLearner
from paddle_mnist.storage.weights import (
    dump_optimizer_state,
    dump_state_dict,
    parse_optimizer_state,
    parse_state_dict,
)

__all__ = ["RunOptions", "Stopped", "resume", "train"]


def train(
    settings: Settings,
    data: str | os.PathLike[str] | Dataset = "auto",
    out: str | os.PathLike[str] | None = None,
    options: RunOptions = RunOptions(),  # noqa: B008 - frozen
) -> Run:
    """Train a net in a new run folder, measure it on the test digits and draw its pictures.

    Args:
        settings: what is trained and how.
        data: where the digits come from, as in ``dataset.open_dataset``, or an open data set.
        out: the run folder; ``None`` takes ``work/runs/<net>``, or the next free ``<net>-2``, ``<net>-3`` …
        options: how the run is carried out.

    Returns:
        The finished run; ``run.result`` holds its metrics. If Paddle's launcher has started several workers, rank 0
        has written the run, and to the others its folder may be out of reach.

    Raises:
        UserError: the data cannot be read, ``out`` already holds a run, the history would be too long to be read, the
            run diverged, or the launcher's workers differ or cannot reach one another.
        Stopped: after SIGINT or SIGTERM; the checkpoint is saved and ``resume`` continues.
    """
    log = _log(options.quiet)
    with joined() as workers:
        _check_size(settings, workers)
        log = log if workers.is_first else _log(True)
        dataset = data if isinstance(data, Dataset) else workers.one_by_machine(lambda: open_dataset(data, log))
        history.check_length(settings.epochs, _steps_per_epoch(settings, dataset), options.log_every)
        learner = _build(settings, options, workers)
        manifest = _describe(settings, dataset, learner)
        workers.agree_on(_facts(settings, options, manifest))
        workers.connect()
        if not workers.is_first:
            path = _follow(settings, learner, dataset, workers)
            return Run(path, manifest, settings, options)
        run = create(out, run_name(settings), settings, options, manifest, work_folder() / "runs")
        log(f"engine: {manifest['engine']}{_describe_workers(workers, learner)}")
        if settings.clip_norm:
            log(f"gradients are clipped at a global norm of {settings.clip_norm:g} (--clip-norm 0 trains as published)")
        with checkpoint.lock(run.path):
            return _finish(Trainer(run, learner, dataset, options.quiet, workers), workers)


def resume(
    path: str | os.PathLike[str],
    epochs: int | None = None,
    data: str | os.PathLike[str] | None = None,
    *,
    save_every: int | None = None,
    keep: int | None = None,
    log_every: int | None = None,
    device: str | None = None,
    plain: bool | None = None,
    quiet: bool = False,
) -> Run:
    """Resume a run from its newest complete checkpoint, with its own settings, by any number of workers.

    Args:
        path: the run folder.
        epochs: train to this many epochs in total instead of the run's own; not fewer.
        data: where the digits are now, if they have moved.
        save_every, keep, log_every: change these options of the run; ``None`` keeps them.
        device, plain: must be those of the run, or ``None``: changing them would change the result.
        quiet: show neither a progress bar nor a line per epoch.

    Returns:
        As ``train`` does.

    Raises:
        UserError: there is no run, its digits have changed, or an argument cannot be honoured.
        Stopped: as in ``train``.
    """
    changes = {"save_every": save_every, "keep": keep, "log_every": log_every}
    with joined() as workers:
        run = open_shared(path, workers)
        _check_size(run.settings, workers)
        _change(run, epochs, changes, {"device": device, "plain": plain})
        quiet = quiet or not workers.is_first
        dataset = workers.one_by_machine(lambda: _same_digits(run, data, quiet))
        steps = _steps_per_epoch(run.settings, dataset)
        past = run.history() if workers.is_first else []
        history.check_length(run.settings.epochs, steps, run.options.log_every, past)
        learner = _build(run.settings, run.options, workers)
        workers.agree_on(_facts(run.settings, run.options, _describe(run.settings, dataset, learner)))
        workers.connect()
        if not workers.is_first:
            _follow(run.settings, learner, dataset, workers)
            return run
        with checkpoint.lock(run.path):
            run.write_manifest()
            trainer = Trainer(run, learner, dataset, quiet, workers)
            if trainer.resume():
                _log(quiet)(f"resuming after epoch {trainer.progress.epoch}, batch {trainer.progress.batch}")
            return _finish(trainer, workers)


def open_shared(path: str | os.PathLike[str], workers: Workers) -> Run:
    """Open a run that only rank 0 needs to see; the other workers learn from it what the run is."""
    found = workers.from_first(lambda: open_run(path).manifest)
    settings, options = Settings(**found["settings"]), RunOptions(**found.get("options", {}))
    return Run(Path(path), found, settings, options)


def _change(run: Run, epochs: int | None, options: dict[str, int | None], fixed: dict[str, Any]) -> None:
    """Change a run's length and options, after refusing what would change its result."""
    if epochs is not None and epochs < run.settings.epochs:
        raise UserError(f"epochs must be at least the {run.settings.epochs} of {run.path}, got {epochs}")
    if epochs not in (None, run.settings.epochs) and run.settings.schedule == "one-cycle":
        raise UserError(
            f"epochs must stay {run.settings.epochs} for {run.path}, got {epochs}: its one-cycle schedule depends on "
            "them; train a new run"
        )
    for name, value in fixed.items():
        if value is not None and value != getattr(run.options, name):
            raise UserError(
                f"{run.path} was trained with {name} {getattr(run.options, name)} and cannot be resumed with {name} "
                f"{value}, which would change its result: leave --{name} out, or train a new run"
            )
    run.settings = dataclasses.replace(run.settings, epochs=run.settings.epochs if epochs is None else epochs)
    given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    run.options = dataclasses.replace(run.options, **given)


def run_name(settings: Settings) -> str:
    """Return the name of a new run: the net, and the task unless it is the net's default."""
    default = settings.task == settings_for(settings.net).task
    return settings.net if default else f"{settings.net}-{settings.task}"


def _finish(trainer: Trainer, workers: Workers) -> Run:
    """Train as rank 0, tell the others where they begin, and complete the run."""
    run, learner = trainer.run, trainer.learner
    workers.resume_with = f"python -m paddle_mnist.train --resume {run.path}"
    workers.exchange({"path": str(run.path), "progress": dataclasses.asdict(trainer.progress)})
    if workers.size > 1:
        workers.bytes_from_first(dump_state_dict(learner.state_dict(), "rank 0.pdparams"))
        workers.bytes_from_first(dump_optimizer_state(learner.optimizer_state(), "rank 0.pdopt"))
    trainer.fit()
    report.finish(run, learner, trainer.splits)
    return run


def _follow(settings: Settings, learner: Learner, dataset: Dataset, workers: Workers) -> Path:
    """Train as another worker than rank 0, from where rank 0 begins; return the run folder as rank 0 names it."""
    start = workers.exchange(None)[0]
    workers.resume_with = f"python -m paddle_mnist.train --resume {start['path']}"
    member = Member(Path(start["path"]), learner, dataset, settings, workers)
    member.progress = Progress(**start["progress"])
    learner.load_state_dict(parse_state_dict(workers.bytes_from_first(b""), "rank 0.pdparams"), "rank 0")
    learner.load_optimizer_state(parse_optimizer_state(workers.bytes_from_first(b""), "rank 0.pdopt"), "rank 0")
    member.fit()
    return member.path


def _facts(settings: Settings, options: RunOptions, manifest: dict[str, Any]) -> dict[str, Any]:
    """Return what must be equal for all workers, by the names that a user knows."""
    versions = {f"the version of {name}": value for name, value in manifest["versions"].items()}
    data = {"the sha256 of the digits' file": manifest["data"]["sha256"]}
    flags = {f"--{name.replace('_', '-')}": value for name, value in settings.as_dict().items()}
    engine = {"the engine": manifest["engine"].split(",")[0]}  # not the number of threads
    return {**versions, **data, **flags, "--plain": options.plain, "--device": options.device, **engine}


def _check_size(settings: Settings, workers: Workers) -> None:
    if settings.is_numpy and workers.size > 1:
        raise UserError(f"net {settings.net} is trained by one process: start it without paddle.distributed.launch")


def _describe_workers(workers: Workers, learner: Learner) -> str:
    """Return in words how workers share the work; "" for one process."""
    if workers.size == 1:
        return ""
    if learner.engine.startswith("fast"):
        return f" in each of {workers.size} workers"
    return f" in each of {workers.size} workers, which divide the evaluation only: each computes every step as a whole"


def _build(settings: Settings, options: RunOptions, workers: Workers) -> Learner:
    if settings.is_numpy:
        return NumpyLearner(settings)  # without importing Paddle, which takes longer than these nets' first epoch
    if not options.plain:
        cpu.tune()  # before Paddle is imported
    from paddle_mnist import learners

    return learners.build(settings, options.device, options.plain, workers)


def _steps_per_epoch(settings: Settings, dataset: Dataset) -> int:
    held_out = settings.train_on == "train"
    samples = len(dataset.train.labels) + (0 if held_out else len(dataset.valid.labels))
    return math.ceil(samples / settings.batch_size)


def _same_digits(run: Run, data: str | os.PathLike[str] | None, quiet: bool) -> Dataset:
    """Open the digits that a run was trained on."""
    source = data or run.manifest["data"]["source"]
    if not data and not Path(source).exists():
        raise UserError(f"{run.path} was trained on {source}, which does not exist: give the same data with --data")
    dataset = open_dataset(source, _log(quiet))
    if dataset.sha256 != run.manifest["data"]["sha256"]:
        raise UserError(
            f"{run.path} was trained on {run.manifest['data']['name']}, and {dataset.name} holds other digits: "
            "give the same data with --data"
        )
    return dataset


def _describe(settings: Settings, dataset: Dataset, learner: Learner) -> dict[str, Any]:
    """Return what ``run.json`` says about a run before it begins, apart from settings and options."""
    versions = {"python": platform.python_version(), "paddle_mnist": __version__, "numpy": np.__version__}
    if not settings.is_numpy:
        import paddle

        versions["paddle"] = paddle.__version__
    return {
        "data": {
            "name": _text(dataset.name),
            # The file that "auto" led to, so that a resumed run finds the same digits whatever has appeared since.
            "source": _text(Path(dataset.name).resolve()),
            "sha256": dataset.sha256,
            "samples": [len(split.labels) for split in (dataset.train, dataset.valid, dataset.eval)],
        },
        "engine": learner.engine,
        "versions": versions,
        "platform": platform.platform(),
        "command": [_text(argument) for argument in sys.argv],
    }


def _text(value: str | os.PathLike[str]) -> str:
    """Return a path or an argument as visible text: control characters and bytes that are not UTF-8 are escaped.

    An escaped path names no file; ``resume`` then asks for the data.
    """
    return printable(str(value))


def _log(quiet: bool) -> Any:
    return (lambda message: None) if quiet else print

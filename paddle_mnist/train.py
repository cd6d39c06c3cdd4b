"""Train a net and leave a run folder: python -m paddle_mnist.train --net cnn.

A look at everything in a few seconds:   python -m paddle_mnist.train --net fc --dry-run
The course's nets:                       python -m paddle_mnist.train --net fc      (or cnn)
The same as classifiers:                 python -m paddle_mnist.train --net cnn --task classify
Nets written by hand in NumPy:           python -m paddle_mnist.train --net two-layer   (three-layer, nielsen)
Going on with a run:                     python -m paddle_mnist.train --resume work/runs/cnn
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import platform
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paddle_mnist import __version__, console
from paddle_mnist.errors import UserError
from paddle_mnist.recipes import CHOICES, Settings, settings_for

if TYPE_CHECKING:
    from paddle_mnist.dataset import Dataset
    from paddle_mnist.runs.run import Run

SETTINGS = [field.name for field in dataclasses.fields(Settings)]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; see the module's docstring."""
    args = parse(argv)
    if args.resume:
        return resume(args)
    changes = {name: getattr(args, name) for name in SETTINGS if name not in ("net", "task")}
    settings = settings_for(args.net or "cnn", args.task, **changes)
    if args.dry_run:
        return dry_run(settings, args)
    return start(settings, args)


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the arguments; a setting that is not given is ``None``."""
    parser = console.Parser(
        prog="python -m paddle_mnist.train",
        description="Train a net on handwritten digits; leave its checkpoints, history and loss curve in a run folder.",
    )
    add = parser.add_argument
    add("--net", choices=CHOICES["net"], help="which net (cnn)")
    add("--task", choices=CHOICES["task"], help="a number on a line, or a score per digit (fc and cnn: regress)")
    add("--data", default=None, help="auto, sample, a mnist.json.gz, or a folder with MNIST's IDX files (auto)")
    add("--out", metavar="DIR", help="the run folder itself (work/runs/NET, or the next free NET-2, NET-3 …)")
    add("--epochs", type=int, metavar="N", help="how often to go through the training digits")
    add("--batch-size", type=int, metavar="N", help="samples in a step")
    add("--lr", type=float, help="learning rate")
    add("--lr-decay", type=float, metavar="F", help="multiply the learning rate by this after each epoch (1)")
    add("--optimizer", choices=CHOICES["optimizer"], help="how the gradients become steps")
    add(
        "--clip-norm",
        type=float,
        metavar="C",
        help="largest global norm of the gradients; 0: no clipping, as published",
    )
    add("--weight-decay", type=float, metavar="W", help="coefficient of the L2 penalty (0)")
    add("--pixel-range", choices=CHOICES["pixel_range"], help="what the net sees: [0, 1], [-1, 1] or 0..255")
    add("--train-on", choices=CHOICES["train_on"], help="the digits to learn from")
    add("--hidden", type=int, metavar="N", help="units of the hidden layer of nielsen (15) and two-layer (50)")
    add("--seed", type=int, metavar="N", help="fixes the first weights and the order of the samples (0)")
    add("--resume", metavar="RUN", help="go on with a run from its last whole checkpoint; --epochs may ask for more")
    add(
        "--save-every",
        type=int,
        default=0,
        metavar="N",
        help="a checkpoint every N steps besides each epoch's (0: none)",
    )
    add("--keep", type=int, default=3, metavar="N", help="how many checkpoints to keep (3)")
    add("--log-every", type=int, default=10, metavar="N", help="steps between recorded losses (10)")
    add("--device", choices=("cpu", "gpu"), default="cpu", help="where to train (cpu)")
    add(
        "--plain",
        action="store_true",
        help="train through Paddle's layers as they come, without the faster equivalents",
    )
    add("--quiet", action="store_true", help="print only the result")
    add("--dry-run", action="store_true", help="do one batch of everything, and keep nothing")
    args = parser.parse_args(argv)
    for name, least in {"save_every": 0, "keep": 1, "log_every": 1}.items():
        if getattr(args, name) < least:
            parser.error(f"--{name.replace('_', '-')} is {getattr(args, name)}, where at least {least} is needed")
    return args


def start(settings: Settings, args: argparse.Namespace) -> int:
    """Train a new run."""
    prepare(settings, args)
    from paddle_mnist.dataset import open_dataset, work_folder
    from paddle_mnist.runs.run import create

    dataset = open_dataset(args.data or "auto", log=_say(args))
    run = create(args.out, _name(settings), describe(settings, dataset, args), work_folder() / "runs")
    return train(run, dataset, args, resuming=False)


def resume(args: argparse.Namespace) -> int:
    """Go on with a run, under its own settings."""
    from paddle_mnist.dataset import open_dataset
    from paddle_mnist.runs.run import open_run

    run = open_run(args.resume)
    settings = _resumed_settings(run, args)
    for name in ("plain", "device", "save_every", "keep", "log_every"):
        setattr(args, name, run.document.get(name, getattr(args, name)))
    prepare(settings, args)
    dataset = open_dataset(args.data or run.document["data"]["source"], log=_say(args))
    if dataset.sha256 != run.document["data"]["sha256"]:
        raise UserError(
            f"{run.path} was trained on {run.document['data']['name']}, and {dataset.name} holds other digits: "
            "give the same data by --data"
        )
    run.document["settings"]["epochs"] = settings.epochs
    return train(run, dataset, args, resuming=True)


def dry_run(settings: Settings, args: argparse.Namespace) -> int:
    """Do one batch of everything in a folder that is gone afterwards."""
    prepare(settings, args)
    from paddle_mnist.dataset import open_dataset
    from paddle_mnist.runs.run import create
    from paddle_mnist.splits import Split, Splits

    dataset = open_dataset(args.data or "auto", log=_say(args))
    few = slice(settings.batch_size)
    tiny = Splits(*(Split(part.images[few], part.labels[few]) for part in (dataset.train, dataset.valid, dataset.eval)))
    one = dataclasses.replace(settings, epochs=1)
    with tempfile.TemporaryDirectory() as folder:
        run = create(folder, "", describe(one, dataset, args), Path(folder))
        status = train(run, tiny, args, resuming=False, farewell=False)
    print("dry run: one batch was trained on, measured, saved and drawn, and nothing was kept")
    return status


def prepare(settings: Settings, args: argparse.Namespace) -> None:
    """Make the process ready, before NumPy and Paddle are imported."""
    if settings.is_numpy:
        # These matrices are small: a second thread gains nothing, and on a busy machine the two wait for each other.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    elif not args.plain:
        from paddle_mnist import cpu

        cpu.tune()


def train(run: Run, splits: Any, args: argparse.Namespace, resuming: bool, farewell: bool = True) -> int:
    """Train, measure and draw a run; return the exit status."""
    from paddle_mnist import learners
    from paddle_mnist.runs import checkpoint, report
    from paddle_mnist.runs.trainer import Stopped, Trainer

    with checkpoint.lock(run.path):
        if resuming:
            run.write_document()  # there may be more epochs than before
        learner = learners.build(run.settings, args.device, args.plain)
        trainer = Trainer(run, learner, splits, args.save_every, args.keep, args.log_every, args.quiet)
        say = _say(args)
        if resuming and trainer.resume():
            say(f"goes on after epoch {trainer.progress.epoch}, batch {trainer.progress.batch}")
        if run.settings.clip_norm and not resuming:
            say(f"gradients are clipped at a global norm of {run.settings.clip_norm:g} (--clip-norm 0 is as published)")
        try:
            trainer.fit()
        except Stopped as stopped:
            console.note(f"stopped, and saved: go on by python -m paddle_mnist.train --resume {run.path}")
            return stopped.status
        result = report.finish(run, learner, splits)
    if farewell:
        console.show(report.farewell(run, result, args.quiet))
    return 0


def describe(settings: Settings, dataset: Dataset, args: argparse.Namespace) -> dict[str, Any]:
    """Return what ``run.json`` shall say of a run before it begins."""
    import numpy as np

    versions = {"python": platform.python_version(), "paddle_mnist": __version__, "numpy": np.__version__}
    threads = None
    if not settings.is_numpy:
        import paddle

        from paddle_mnist import cpu

        versions["paddle"] = paddle.__version__
        threads = cpu.threads()
    return {
        "settings": settings.as_dict(),
        "data": {
            "name": dataset.name,
            # Where "auto" led, so that a resumed run finds the same digits whatever has appeared since.
            "source": str(Path(dataset.name).resolve()),
            "sha256": dataset.sha256,
            "samples": [len(split.labels) for split in (dataset.train, dataset.valid, dataset.eval)],
        },
        "device": args.device,
        "plain": args.plain,
        "threads": threads,
        "save_every": args.save_every,
        "keep": args.keep,
        "log_every": args.log_every,
        "versions": versions,
        "platform": platform.platform(),
        "command": sys.argv,
    }


def _resumed_settings(run: Run, args: argparse.Namespace) -> Settings:
    """Return the run's settings, with more epochs if they are asked for; refuse any other change."""
    settings = run.settings
    for name in SETTINGS:
        given = getattr(args, name)
        if given is not None and given != getattr(settings, name) and name != "epochs":
            flag = "--" + name.replace("_", "-")
            raise UserError(
                f"{run.path} was trained with {flag} {getattr(settings, name)}, not {given}: leave {flag} out to go "
                "on, or train a new run"
            )
    if args.out or args.dry_run:
        raise UserError("--resume goes on in the run's own folder: leave --out and --dry-run out")
    if args.epochs is not None and args.epochs < settings.epochs:
        raise UserError(f"{run.path} is a run of {settings.epochs} epochs: --epochs may ask for more, not for fewer")
    return dataclasses.replace(settings, epochs=args.epochs or settings.epochs)


def _name(settings: Settings) -> str:
    """Return a new run's name: the net's, and the task's where it is not the net's own."""
    return settings.net if settings.task == settings_for(settings.net).task else f"{settings.net}-{settings.task}"


def _say(args: argparse.Namespace):
    return (lambda message: None) if args.quiet else console.show


if __name__ == "__main__":
    sys.exit(console.run(main))

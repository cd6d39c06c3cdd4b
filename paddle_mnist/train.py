"""Train a net and leave a run folder: python -m paddle_mnist.train --net cnn.

Try everything in a few seconds:    python -m paddle_mnist.train --net fc --dry-run
The course's nets:                  python -m paddle_mnist.train --net fc      (or cnn)
The same as classifiers:            python -m paddle_mnist.train --net cnn --task classify
Nets written by hand in NumPy:      python -m paddle_mnist.train --net two-layer   (three-layer, nielsen)
Resume a run:                       python -m paddle_mnist.train --resume work/runs/cnn
With two workers (docs/distributed.md):
    python -m paddle.distributed.launch --nproc_per_node 2 python -m paddle_mnist.train --net cnn
"""

from __future__ import annotations

import dataclasses
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paddle_mnist import console
from paddle_mnist.errors import UserError
from paddle_mnist.recipes import Settings, choices, settings_for

if TYPE_CHECKING:
    from paddle_mnist.dataset import Dataset
    from paddle_mnist.distributed.workers import Workers
    from paddle_mnist.runs.run import Run, RunOptions

SETTINGS = [field.name for field in dataclasses.fields(Settings)]
OPTIONS = ("device", "plain", "save_every", "keep", "log_every")

# A small data set, such as the sample, has few steps in an epoch, so it is trained for this many times the epochs.
MORE_EPOCHS = 5


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; see the module's docstring."""
    arguments = vars(parser().parse_args(argv))
    given = {name: value for name, value in arguments.items() if value is not None and value is not False}
    settings = {name: given.pop(name) for name in SETTINGS if name in given}
    from paddle_mnist.distributed.workers import joined  # not before the arguments are parsed: it imports NumPy

    with joined() as workers:  # the others, if Paddle's launcher has started several
        run = (_resume if "resume" in given else _train)(settings, given, workers)
    if run is not None and workers.is_first:
        from paddle_mnist.runs.report import summary

        console.show(summary(run, "quiet" in given))
    return 0


def parser() -> console.Parser:
    """Return the parser; every argument that is not given is ``None`` or ``False``."""
    parser = console.Parser(
        prog="python -m paddle_mnist.train",
        description="Train a net on handwritten digits; leave its checkpoints, history and loss curve in a run folder.",
    )
    add, words = parser.add_argument, choices()
    add("--net", choices=words["net"], help="which net (cnn)")
    add("--task", choices=words["task"], help="predict a number, or score each digit (fc and cnn: regress)")
    add("--data", help="auto, sample, a mnist.json.gz, or a folder with MNIST's IDX files (auto)")
    add("--out", metavar="DIR", help="the run folder itself (work/runs/NET, or the next free NET-2, NET-3 …)")
    add("--epochs", type=int, metavar="N", help="passes over the training digits")
    add("--batch-size", type=int, metavar="N", help="samples per step")
    add("--lr", type=float, help="learning rate")
    add("--lr-decay", type=float, metavar="F", help="multiply the learning rate by this after each epoch (1)")
    add("--schedule", choices=words["schedule"], help="one rate in each epoch, or up and down over the whole run")
    add("--optimizer", choices=words["optimizer"], help="how gradients become steps")
    add("--clip-norm", type=float, metavar="C", help="largest global gradient norm; 0: no clipping, as published")
    add("--weight-decay", type=float, metavar="W", help="coefficient of the L2 penalty (0)")
    add("--label-smoothing", type=float, metavar="S", help="share of each target that is spread over all digits (0)")
    add("--pixel-range", choices=words["pixel_range"], help="what the net sees: [0, 1], [-1, 1] or 0..255")
    add("--augment", choices=words["augment"], help="how far to change the training images, anew in each epoch (none)")
    add("--train-on", choices=words["train_on"], help="the digits to learn from")
    add("--hidden", type=int, metavar="N", help="units in the hidden layer of nielsen (15) and two-layer (50)")
    add("--seed", type=int, metavar="N", help="fixes the initial weights and the order of the samples (0)")
    add("--resume", metavar="RUN", help="resume a run from its last complete checkpoint; --epochs may ask for more")
    add("--save-every", type=int, metavar="N", help="steps between checkpoints within an epoch (0: none)")
    add("--keep", type=int, metavar="N", help="how many checkpoints to keep (3)")
    add("--log-every", type=int, metavar="N", help="steps between recorded losses (10)")
    add("--device", choices=("cpu", "gpu"), help="where to train (cpu)")
    add("--plain", action="store_true", help="use Paddle's own layers, not the faster equivalents")
    add("--quiet", action="store_true", help="print only the result")
    add("--dry-run", action="store_true", help="train on one batch, measure, save and draw, and keep nothing")
    return parser


def _train(changes: dict[str, Any], given: dict[str, Any], workers: Workers) -> Run | None:
    """Train a new run and return it; a dry run returns ``None``."""
    settings = settings_for(changes.pop("net", "cnn"), changes.pop("task", None), **changes)
    _prepare(settings)
    from paddle_mnist.dataset import open_dataset
    from paddle_mnist.runs.report import SMALL
    from paddle_mnist.runs.run import RunOptions
    from paddle_mnist.runs.session import train

    quiet = "quiet" in given or not workers.is_first
    log = None if quiet else print
    dataset = workers.one_by_machine(lambda: open_dataset(given.get("data", "auto"), log))
    options = RunOptions(quiet=quiet, **{name: given[name] for name in OPTIONS if name in given})
    if "dry_run" in given:
        _dry_run(settings, dataset, options)
        return None
    if "epochs" not in changes and len(dataset.train.labels) < SMALL:
        settings = dataclasses.replace(settings, epochs=MORE_EPOCHS * settings.epochs)
        if not quiet:
            usual = settings.epochs // MORE_EPOCHS
            print(f"{settings.epochs} epochs instead of {usual}, because there are few digits (--epochs N changes it)")
    return train(settings, dataset, given.get("out"), options)


def _resume(changes: dict[str, Any], given: dict[str, Any], workers: Workers) -> Run:
    """Resume a run and return it; refuse by name whatever would change its result."""
    for name in ("out", "dry_run"):
        if name in given:
            flag = name.replace("_", "-")
            raise UserError(f"--{flag} cannot be combined with --resume, which continues in the run's own folder")
    from paddle_mnist.runs.session import open_shared, resume

    own = open_shared(given["resume"], workers).settings
    for name, value in changes.items():
        if name != "epochs" and value != getattr(own, name):
            flag = "--" + name.replace("_", "-")
            raise UserError(
                f"{given['resume']} was trained with {flag} {getattr(own, name)}, got {flag} {value}: leave {flag} "
                "out to resume, or train a new run"
            )
    _prepare(own)
    options = {name: given[name] for name in (*OPTIONS, "data", "quiet") if name in given}
    return resume(given["resume"], changes.get("epochs"), **options)


def _dry_run(settings: Settings, dataset: Dataset, options: RunOptions) -> None:
    """Do one batch of everything in a folder that is removed afterwards."""
    from paddle_mnist.runs.session import train
    from paddle_mnist.splits import Split

    few = slice(settings.batch_size)
    train_few, valid_few, eval_few = (
        Split(part.images[few], part.labels[few]) for part in (dataset.train, dataset.valid, dataset.eval)
    )
    tiny = dataclasses.replace(dataset, train=train_few, valid=valid_few, eval=eval_few)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        train(dataclasses.replace(settings, epochs=1), tiny, out, options)
    print("dry run: trained on one batch, measured, saved and drew, and kept nothing")


def _prepare(settings: Settings) -> None:
    """Set NumPy's threads before NumPy is imported."""
    if settings.is_numpy:
        # The matrices of these nets are small: a second thread gains nothing, and on a busy machine both wait.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


if __name__ == "__main__":
    sys.exit(console.run(main))

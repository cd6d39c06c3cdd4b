"""Train the same with different numbers of workers, and compare the runs bit by bit.

    python tools/compare_workers.py --workers 2 3 4 7

The recipes are trained by one process first, then by every number of workers that Paddle's launcher starts on this
machine; one launch trains all of them. Weights, the optimizer's state, the history (without its times) and the test
result must be equal to the last bit. The exit status is 1 if one is not. Takes some minutes on two cores.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from paddle_mnist import cpu

cpu.tune()

import paddle  # noqa: E402 - after tune
import paddle.nn.functional as F  # noqa: E402
from paddle.nn import BatchNorm1D, BatchNorm2D, Conv2D, Dropout, Linear  # noqa: E402

from paddle_mnist import console, nets, recipes  # noqa: E402
from paddle_mnist.distributed.local import Launcher  # noqa: E402
from paddle_mnist.distributed.workers import joined  # noqa: E402
from paddle_mnist.recipes import settings_for  # noqa: E402
from paddle_mnist.runs import checkpoint  # noqa: E402
from paddle_mnist.runs.run import reproducible_state  # noqa: E402
from paddle_mnist.runs.session import RunOptions, train  # noqa: E402

TIMEOUT = 3600.0  # seconds for one number of workers, on a busy machine


class Student(paddle.nn.Layer):
    """A student's own net: batch norm, which needs sums over the whole batch, and dropout."""

    def __init__(self, num_outputs: int = 10) -> None:
        super().__init__()
        self.conv = Conv2D(1, 6, 5, stride=2, bias_attr=False)
        self.norm = BatchNorm2D(6)
        self.hidden = Linear(864, 40)
        self.norm2 = BatchNorm1D(40)
        self.dropout = Dropout(0.3)
        self.out = Linear(40, num_outputs)

    def forward(self, images: paddle.Tensor) -> paddle.Tensor:
        """Map images [n, 1, 28, 28] to scores [n, num_outputs]."""
        x = F.relu(self.norm(self.conv(images)))
        x = F.relu(self.norm2(self.hidden(paddle.flatten(x, start_axis=1))))
        return self.out(self.dropout(x))


nets.Student = Student  # type: ignore[attr-defined]
recipes.NETS["student"] = recipes.Net("Student", {"classify": {"lr": 0.01}})

# Name: (net, task, changes, plain). Batches of 100, 64 and 37 do not divide the digits or the workers evenly.
RECIPES = {
    "fc, SGD": ("fc", "regress", {}, False),
    "fc, Adam": ("fc", "classify", {"optimizer": "adam", "lr": 0.001, "batch_size": 64}, False),
    "cnn, SGD": ("cnn", "regress", {}, False),
    "cnn, Momentum": ("cnn", "classify", {"optimizer": "momentum", "lr": 0.01, "batch_size": 37}, False),
    "cnn, Adam": ("cnn", "classify", {"optimizer": "adam", "lr": 0.001, "batch_size": 250}, False),
    "mlp, RMSProp": ("mlp", "classify", {"train_on": "train"}, False),
    "student, SGD": ("student", "classify", {"batch_size": 64}, False),
    "student, Adam": ("student", "classify", {"optimizer": "adam", "lr": 0.001, "batch_size": 137}, False),
    "quick": ("quick", "classify", {}, False),
    "tiny, augmented": ("tiny", "classify", {}, False),
    "fc, SGD, plain": ("fc", "regress", {}, True),
    "cnn, Momentum, plain": ("cnn", "classify", {"optimizer": "momentum", "lr": 0.01, "batch_size": 64}, True),
    "student, Adam, plain": ("student", "classify", {"optimizer": "adam", "lr": 0.001}, True),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script; see the module's docstring."""
    args = parse(argv)
    if args.folder:
        return train_all(Path(args.folder), args)
    with tempfile.TemporaryDirectory() as scratch:
        began = time.monotonic()
        train_all(Path(scratch, "1"), args)
        print(f"1 process: {time.monotonic() - began:.0f} s", flush=True)
        wrong = 0
        for size in args.workers:
            began = time.monotonic()
            launch(Path(scratch), size, args)
            names = [
                name
                for i, name in enumerate(args.recipes)
                if digest(Path(scratch, str(size), str(i))) != digest(Path(scratch, "1", str(i)))
            ]
            wrong += len(names)
            verdict = f"NOT IDENTICAL: {', '.join(names)}" if names else f"all {len(args.recipes)} identical to the bit"
            print(f"{size} workers: {verdict}, {time.monotonic() - began:.0f} s", flush=True)
    return 1 if wrong else 0


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the arguments."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--workers", type=int, nargs="*", default=[2, 3, 4, 7], help="how many (2 3 4 7)")
    parser.add_argument("--data", default="sample", help="the digits to train on (sample)")
    parser.add_argument("--epochs", type=int, default=3, help="passes over them (3)")
    parser.add_argument("--recipes", nargs="*", default=list(RECIPES), choices=list(RECIPES), help="which (all)")
    parser.add_argument("--folder", help=argparse.SUPPRESS)  # for the workers
    return parser.parse_args(argv)


def train_all(folder: Path, args: argparse.Namespace) -> int:
    """Train every recipe, alone or as one of the workers."""
    with joined():
        for i, name in enumerate(args.recipes):
            net, task, changes, plain = RECIPES[name]
            settings = settings_for(net, task, **{"epochs": args.epochs, **changes})
            train(settings, args.data, folder / str(i), RunOptions(plain=plain, quiet=True, save_every=7))
    return 0


def launch(scratch: Path, size: int, args: argparse.Namespace) -> None:
    """Start workers that train all recipes into ``scratch/<size>``; leave no process behind."""
    command = [__file__, "--folder", str(scratch / str(size)), "--data", args.data, "--epochs", str(args.epochs)]
    for name in ("JOIN", "SILENCE"):  # a busy machine is no failure here
        os.environ.setdefault(f"PADDLE_MNIST_{name}_SECONDS", "120")
    with Launcher(size, [*command, "--recipes", *args.recipes], scratch / f"log-{size}") as launcher:
        if status := launcher.wait(TIMEOUT):
            raise SystemExit(f"the workers ended with status {status}\n{launcher.output()}")


def digest(run: Path) -> str:
    """Return the SHA-256 of everything in a run that its settings decide."""
    state = reproducible_state(run)
    files = [*checkpoint.checkpoints(run)[-1].glob("*.pd*"), *run.glob("best.*")]
    digest = hashlib.sha256(repr([state[name] for name in ("progress", "history", "result")]).encode())
    for path in sorted(files):
        digest.update(path.read_bytes())
    return digest.hexdigest()


if __name__ == "__main__":
    sys.exit(console.run(main))

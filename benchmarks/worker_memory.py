"""Does a worker's memory grow with the number of workers, or with the number of digits?

    python benchmarks/worker_memory.py      about two minutes on two idle cores; writes 1.1 GB to a temporary folder

The CNN trains on synthetic digits: MNIST's number and ten times as many, by 1, 2 and 4 workers, after the digits have
been opened once. Of the last worker: the growth of its *own* memory (anonymous pages, which belong to one process) from
before it opens the digits to its largest in 100 steps, and the pages of the cached digits that it has mapped. These are
shared by all workers of a machine and given back when memory is short. Figures go to
``benchmarks/results/worker_memory.json``.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from _measure import machine, save

from paddle_mnist.distributed.local import Launcher

COUNTS = {"MNIST": 60_000, "ten times MNIST": 600_000}
WORKERS = (1, 2, 4)
STEPS = 100


def main() -> None:
    """Run the script; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measure", help=argparse.SUPPRESS)  # in a worker: the folder of the digits
    parser.add_argument(
        "--quick", action="store_true", help="a tenth of the digits, 1 and 2 workers, to try the script"
    )
    args = parser.parse_args()
    if args.measure:
        print(json.dumps(measure(args.measure)), flush=True)
        return
    figures: dict[str, Any] = {"machine": machine(), "memory": {}}
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["PADDLE_MNIST_CACHE"] = str(Path(scratch, "cache"))
        for name, count in COUNTS.items():
            folder = Path(scratch, name.replace(" ", "-"))
            write_digits(folder, count // 10 if args.quick else count)
            opened = f"from paddle_mnist.dataset import open_dataset; open_dataset({str(folder)!r})"
            subprocess.run([sys.executable, "-c", opened], check=True)  # whoever opens a file first parses all of it
            for size in WORKERS[:2] if args.quick else WORKERS:
                last = run(folder, size)[-1]
                figures["memory"][f"{name}, {size} worker{'s' * (size > 1)}"] = last
                print(f"{name:<16} {size} worker{'s' * (size > 1)}: {last['own_mb']:6.1f} MB of its own, "
                      f"{last['mapped_mb']:6.1f} MB of mapped digits", flush=True)  # fmt: skip
    if not args.quick:
        print(save("worker_memory", figures))


def run(folder: Path, size: int) -> list[dict[str, float]]:
    """Return what each worker measured, by rank."""
    logs = folder.with_name(f"{folder.name}-logs-{size}")
    command = [__file__, "--measure", str(folder)]
    if size == 1:
        done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=True)
        return [parsed(done.stdout)]
    with Launcher(size, command, logs) as launcher:
        if launcher.wait(600):
            raise SystemExit(launcher.output())
        return [parsed((logs / f"workerlog.{rank}").read_text()) for rank in range(size)]


def measure(folder: str) -> dict[str, float]:
    """Train for some steps; return this process's memory in MB."""
    from paddle_mnist import cpu

    cpu.tune()
    from paddle_mnist import engine, learners
    from paddle_mnist.dataset import open_dataset
    from paddle_mnist.distributed.workers import joined
    from paddle_mnist.recipes import settings_for

    settings = settings_for("cnn")
    with joined() as workers:
        learner = learners.build(settings, team=workers)
        workers.connect()
        few = np.zeros((settings.batch_size, 1, 28, 28), np.float32), np.zeros((settings.batch_size, 1), np.float32)
        learner.train_step(*few)  # makes its buffers
        before = anonymous()
        digits = workers.one_by_machine(lambda: open_dataset(folder))
        largest = 0
        for step in itertools.islice(engine.train_epoch(learner, digits.train, settings, engine.Progress()), STEPS):
            if step.step % 10 == 0:
                largest = max(largest, anonymous())
        return {"own_mb": (largest - before) / 1e6, "mapped_mb": mapped() / 1e6}


def anonymous() -> int:
    """Return the bytes of this process that belong to no file."""
    return 1024 * int(next(x for x in Path("/proc/self/status").read_text().splitlines() if "RssAnon" in x).split()[1])


def mapped() -> int:
    """Return the bytes of cached digits that are mapped and present."""
    total, counts = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if "-" in line.split()[0]:
            counts = line.endswith(".digits")
        elif counts and line.startswith("Rss:"):
            total += 1024 * int(line.split()[1])
    return total


def parsed(text: str) -> dict[str, float]:
    """Return what ``measure`` printed."""
    return json.loads(next(line for line in text.splitlines() if line.startswith('{"own_mb"')))


def write_digits(folder: Path, count: int) -> None:
    """Write four IDX files of ``count`` training digits and 10,000 others."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for part, n in (("train", count), ("t10k", 10_000)):
        with open(folder / f"{part}-images-idx3-ubyte", "wb") as file:
            file.write(np.array([0x803, n, 28, 28], ">i4").tobytes())
            for first in range(0, n, 10_000):
                file.write(rng.integers(0, 256, (min(10_000, n - first), 784), np.uint8).tobytes())
        with open(folder / f"{part}-labels-idx1-ubyte", "wb") as file:
            file.write(np.array([0x801, n], ">i4").tobytes() + rng.integers(0, 10, n, np.uint8).tobytes())


if __name__ == "__main__":
    main()

"""How long a command takes to begin: ``train --help``, importing Paddle, and the first step of ``--net fc``.

    python benchmarks/start.py

Each measurement is a process of its own, from its start to its end. The first step is that of ``train --net fc
--dry-run``, which also measures, saves and draws, so that it is an upper bound. Figures go to
``benchmarks/results/start.json`` and ``start.png``.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

from _measure import draw, machine, save

# What is timed, and the most that it may take, in seconds.
COMMANDS = {
    "train --help": (["-m", "paddle_mnist.train", "--help"], 0.5),
    "import paddle": (["-W", "ignore", "-c", "import paddle"], None),
    "import paddle, fast": (["-c", "from paddle_mnist import cpu; cpu.tune(); from paddle_mnist import fast"], None),
    "train --net fc --dry-run": (["-m", "paddle_mnist.train", "--net", "fc", "--dry-run", "--quiet"], None),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="processes of each kind")
    parser.add_argument("--data", help="what --dry-run opens, as train takes it; opened once before, for the cache")
    args = parser.parse_args()
    if args.data:
        COMMANDS["train --net fc --dry-run"][0].extend(["--data", args.data])
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    before = machine()
    for i in range(args.rounds + 1):
        for name, (arguments, _) in COMMANDS.items():
            begun = time.perf_counter()
            subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
            if i:  # the first round fills the file system's cache
                seconds[name].append(time.perf_counter() - begun)
    times = {n: {"median_ms": 1000 * statistics.median(s), "min_ms": 1000 * min(s)} for n, s in seconds.items()}
    for name, (_, limit) in COMMANDS.items():
        bound = f"   (at most {1000 * limit:.0f})" if limit else ""
        print(f"{name:<28} median {times[name]['median_ms']:7.0f} ms   least {times[name]['min_ms']:7.0f} ms{bound}")
    print(save("start", {"machine": before, "times": times}))
    print(draw("start", {"from the start of the process": times}))


if __name__ == "__main__":
    main()

"""How much faster do more workers train the CNN, on this machine and on others, and where do more stop helping?

    python benchmarks/scaling.py            about four minutes on two idle cores; the part with namespaces needs root

Measured: steps per second and the time of an epoch of 50,000 digits, for threads of one process and for 1 to 4 workers
of Paddle's launcher, with the share of the time that goes into exchanges. Then a model of a step: its blocks (time of
one process by the number of blocks) divided by the machines, plus the exchange, in which every machine sends its
message to all others (latency once, and the size of all messages over bandwidth). The model is compared with two
network namespaces on this machine whose link is limited, and predicts 2 to 64 machines at 1 and 10 Gbit/s. Figures go
to ``benchmarks/results/scaling.json``, the prediction to ``scaling.png``.

Says so, and exits with status 1, if other programs disturbed it: if a process that had a core to itself waited for it,
or if the first measurement, repeated at the end, differs.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import _nodes
import numpy as np
from _measure import RESULTS, machine, save

from paddle_mnist.distributed.local import Launcher
from paddle_mnist.distributed.team import Alone, Division

EPOCH = 50_000
BATCHES = (100, 1000, 10_000)
MACHINES = (1, 2, 4, 8, 16, 32, 64)
NETWORKS = {"1 Gbit/s": (1e9, 1e-4), "10 Gbit/s": (1e10, 3e-5)}  # bit/s, and seconds for a packet through one switch
LINKS = ((1000.0, 0.0), (100.0, 0.0), (100.0, 0.002))  # of the namespaces: Mbit/s, and seconds of delay by a relay
BLOCK = 10  # images of the CNN in a block
GRADIENTS = 11_541  # numbers in the CNN's gradient, with one output
ROUNDS = 15
MOST_WAITING = 0.02  # of the time, for a core that nobody else should use
MOST_CHANGE = 0.05  # of the first measurement at the end


def main() -> None:
    """Run the script; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measure", nargs="*", type=int, help=argparse.SUPPRESS)  # in a worker: sizes of batches
    parser.add_argument(
        "--quick", action="store_true", help="only 1 and 2 workers, no namespaces and no files, to try the script"
    )
    args = parser.parse_args()
    if args.measure is not None:
        print(json.dumps(measure(args.measure)), flush=True)
        return
    figures: dict[str, Any] = {"machine": machine(), "here": {}, "namespaces": {}}
    for threads in (1, 2):
        figures["here"][f"1 process, {threads} thread{'s' * (threads > 1)}"] = alone(threads, [100, 1000])
    for size in (2,) if args.quick else (2, 3, 4):
        figures["here"][f"{size} workers"] = launched(size, [100, 1000])
    show(figures["here"])
    figures["disturbed"] = disturbances(figures["here"], alone(1, [100, 1000]))
    model = Model(alone(1, [10 * n for n in (2, 4, 10, 20)]), figures["here"]["2 workers"])
    figures["model"] = model.__dict__
    if not args.quick:
        figures["namespaces"] = in_namespaces(model)
    figures["prediction"] = predict(model)
    if not args.quick:
        print(save("scaling", figures))
        print(draw(figures["prediction"]))
    sys.exit("\n".join(figures["disturbed"]) or None)


# Measuring, in a worker.


def measure(batches: Sequence[int]) -> dict[str, Any]:
    """Return the milliseconds of a step for sizes of batches, and of exchanges, as rank 0 or alone."""
    from paddle_mnist import cpu

    cpu.tune()
    from paddle_mnist import learners
    from paddle_mnist.distributed.workers import joined
    from paddle_mnist.recipes import settings_for

    with joined() as workers:
        learner = learners.build(settings_for("cnn"), team=workers)
        workers.connect()
        result: dict[str, Any] = {"steps": {n: _step(learner, workers, n) for n in batches}}
        if workers.size > 1:
            result["exchange"] = {n: _exchange(workers, n) for n in (1, GRADIENTS, 1_000_000)}
    return result


def _step(learner: Any, workers: Any, n: int) -> dict[str, float]:
    rng = np.random.default_rng(0)
    images, labels = rng.random((n, 1, 28, 28), np.float32), rng.integers(0, 10, (n, 1)).astype(np.float32)
    calls = max(2, 2000 // n)
    times, shares = [], []
    first, waited = time.perf_counter(), _waited()
    for _ in range(ROUNDS):
        exchanged = workers.mesh.seconds if workers.size > 1 else 0.0
        began = time.perf_counter()
        for _ in range(calls):
            learner.train_step(images, labels)
        seconds = time.perf_counter() - began
        times.append(1000 * seconds / calls)
        shares.append((workers.mesh.seconds - exchanged) / seconds if workers.size > 1 else 0.0)
    return {
        "median_ms": statistics.median(times),
        "min_ms": min(times),
        "exchange_share": statistics.median(shares),
        "waiting_share": (_waited() - waited) / (time.perf_counter() - first),
    }


def _waited() -> float:
    """Return for how many seconds this thread has waited for a core so far."""
    return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9


def _exchange(workers: Any, n: int) -> float:
    array = np.zeros(n, np.float32)
    times = []
    for _ in range((8 if n <= GRADIENTS else 2) * ROUNDS):
        began = time.perf_counter()
        workers.gather(array)
        times.append(1000 * (time.perf_counter() - began))
    return statistics.median(times[ROUNDS:])


# Starting workers.


def alone(threads: int, batches: list[int]) -> dict[str, Any]:
    """Measure in one process."""
    variables = {**os.environ, "OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, __file__, "--measure", *map(str, batches)]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=True)
    return parsed(done.stdout)


def launched(size: int, batches: list[int]) -> dict[str, Any]:
    """Measure in workers on this machine."""
    with tempfile.TemporaryDirectory() as logs:
        command = [__file__, "--measure", *map(str, batches)]
        with Launcher(size, command, Path(logs)) as launcher:
            if launcher.wait(600):
                raise SystemExit(launcher.output())
            return parsed(Path(logs, "workerlog.0").read_text())


def on_nodes(nodes: _nodes.Nodes, batches: list[int]) -> dict[str, Any]:
    """Measure in a worker on each of two nodes."""
    with tempfile.TemporaryDirectory() as logs:
        folders = [Path(logs, str(node)) for node in (0, 1)]
        command = [__file__, "--measure", *map(str, batches)]
        cores = sorted(os.sched_getaffinity(0))
        # A core for each node, so that each worker has one thread.
        prefixes = [[*nodes.prefix(node), "taskset", "-c", str(cores[node % len(cores)])] for node in (0, 1)]
        with (
            Launcher(1, command, folders[0], nodes.options(0), prefixes[0]) as first,
            Launcher(1, command, folders[1], nodes.options(1), prefixes[1]) as second,
        ):
            if first.wait(600) or second.wait(600):
                raise SystemExit(first.output() + second.output())
        return parsed((folders[0] / "workerlog.0").read_text())


def parsed(text: str) -> dict[str, Any]:
    """Return what ``measure`` printed, with integers as the keys."""
    found = json.loads(next(line for line in text.splitlines() if line.startswith('{"steps"')))
    return {name: {int(key): value for key, value in part.items()} for name, part in found.items()}


# The model.


class Model:
    """The time of a step.

    Args:
        one: what ``measure`` found for one process of one thread: steps by the size of the batch.
        two: the same for two workers on one machine: exchanges by their size.

    Attributes:
        fixed_ms, block_ms: of a step: a part that every machine has to do, and each block.
        exchange_ms, number_ms: of an exchange: a part that does not depend on its size, and each number.
    """

    def __init__(self, one: dict[str, Any], two: dict[str, Any]) -> None:
        blocks = np.array([n / BLOCK for n in one["steps"]])
        times = np.array([each["median_ms"] for each in one["steps"].values()])
        self.block_ms, self.fixed_ms = (float(x) for x in np.polyfit(blocks, times, 1))
        self.exchange_ms = two["exchange"][1]
        self.number_ms = (two["exchange"][1_000_000] - self.exchange_ms) / 1_000_000

    def compute_ms(self, batch: int, machines: int) -> float:
        """Return the time of the machine with the most blocks."""
        return self.fixed_ms + self.block_ms * math.ceil(math.ceil(batch / BLOCK) / machines)

    def exchange(self, batch: int, machines: int, bits_per_second: float = math.inf, packet: float = 0.0) -> float:
        """Return the milliseconds of the exchange: all messages leave at once, one after the other through the link."""
        numbers = message(batch, machines)
        transfer = max(self.number_ms * numbers, 1000 * 32 * numbers / bits_per_second)
        return 1000 * packet + (machines - 1) * (self.exchange_ms + transfer) if machines > 1 else 0.0

    def step_ms(self, batch: int, machines: int, bits_per_second: float = math.inf, packet: float = 0.0) -> float:
        """Return the time of a step."""
        return self.compute_ms(batch, machines) + self.exchange(batch, machines, bits_per_second, packet)


class Member(Alone):
    """One of several machines, as far as the division of a batch goes."""

    def __init__(self, size: int) -> None:
        self.size = size


def message(batch: int, machines: int) -> int:
    """Return how many numbers each machine sends in a step."""
    count = -(-batch // BLOCK)
    pieces = [slice(i * BLOCK, min((i + 1) * BLOCK, batch)) for i in range(count)]
    return Division(Member(machines), pieces).message_size(GRADIENTS)


def in_namespaces(model: Model) -> dict[str, Any]:
    """Compare the model with two network namespaces on this machine."""
    if reason := _nodes.reason_against():
        print(f"not compared with namespaces: {reason}")
        return {"skipped": reason}
    found: dict[str, Any] = {}
    with _nodes.nodes() as nodes:
        for megabits, delay in LINKS:
            nodes.limit(megabits)
            with nodes.relay(delay) if delay else contextlib.nullcontext():
                measured = on_nodes(nodes, [100, 1000])["steps"]
            for batch, each in measured.items():
                predicted = model.step_ms(batch, 2, megabits * 1e6, delay)
                name = f"{megabits:.0f} Mbit/s, {1000 * delay:g} ms away, batches of {batch}"
                found[name] = {"measured_ms": each["median_ms"], "predicted_ms": predicted}
                print(f"{name:<42} measured {each['median_ms']:7.2f} ms   predicted {predicted:7.2f} ms", flush=True)
    return found


def predict(model: Model) -> dict[str, Any]:
    """Return the speedup for every network, size of batch and number of machines, and which number is best."""
    found: dict[str, Any] = {}
    for network, (bits, packet) in NETWORKS.items():
        found[network] = {}
        for batch in BATCHES:
            one = model.step_ms(batch, 1)
            speedups = {n: one / model.step_ms(batch, n, bits, packet) for n in MACHINES}
            best = max(speedups, key=speedups.__getitem__)
            found[network][batch] = {"speedups": speedups, "best": best}
            print(f"{network}, batches of {batch}: at best {speedups[best]:.1f} times as fast, with {best} machines")
    return found


def disturbances(here: dict[str, Any], again: dict[str, Any]) -> list[str]:
    """Return in words what shows that other programs ran; ``again`` repeats the first measurement."""
    cores = len(os.sched_getaffinity(0))
    found = []
    for name, each in here.items():
        share = max(step["waiting_share"] for step in each["steps"].values())
        if int(name.split()[0]) <= cores and share > MOST_WAITING:
            found.append(f"DISTURBED: {name}: it waited for a core {share:.0%} of the time")
    first = here["1 process, 1 thread"]["steps"]
    for batch, step in again["steps"].items():
        change = step["median_ms"] / first[batch]["median_ms"] - 1
        if abs(change) > MOST_CHANGE:
            found.append(f"DISTURBED: batches of {batch} took {change:+.0%} of their time when measured again")
    return found


def show(here: dict[str, Any]) -> None:
    """Print what was measured on this machine."""
    one = here["1 process, 1 thread"]["steps"]
    print(f"{'':<22} {'batch':>6} {'ms/step':>8} {'steps/s':>8} {'s/epoch':>8} {'speedup':>8} {'exchange':>9}")
    for name, found in here.items():
        for batch, each in found["steps"].items():
            ms = each["median_ms"]
            speedup = one[batch]["median_ms"] / ms
            row = (
                f"{name:<22} {batch:>6} {ms:>8.2f} {1000 / ms:>8.0f} {ms * EPOCH / batch / 1000:>8.1f} {speedup:>8.2f}"
            )
            print(f"{row} {each['exchange_share']:>9.0%}", flush=True)


def draw(prediction: dict[str, Any]) -> Path:
    """Draw the predicted speedups, with the number of machines after which more do not help."""
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, len(prediction), figsize=(10, 4), sharey=True, layout="constrained")
    for panel, (network, curves) in zip(panels, prediction.items(), strict=True):
        for batch, found in curves.items():
            (line,) = panel.plot(
                *zip(*found["speedups"].items(), strict=True), marker=".", label=f"batches of {batch:,}"
            )
            best = found["best"]
            panel.plot(best, found["speedups"][best], "o", markersize=10, fillstyle="none", color=line.get_color())
        panel.plot(MACHINES, MACHINES, ":", color="grey", label="ideal")
        panel.set(xscale="log", yscale="log", title=network, xlabel="machines, one thread each", xticks=MACHINES)
        panel.set(xticklabels=MACHINES, yticks=MACHINES, yticklabels=MACHINES, ylim=(0.5, 70))
        panel.minorticks_off()
    panels[0].set(ylabel="times as fast as one (predicted)")
    panels[0].legend(loc="upper left")
    figure.suptitle("The CNN: more machines help until the exchange takes longer than it saves (circles)")
    path = RESULTS / "scaling.png"
    figure.savefig(path, dpi=100)
    return path


if __name__ == "__main__":
    main()

"""How much faster an epoch is with whole mini-batches as matrices than sample by sample.

    python benchmarks/nielsen_batching.py

Both ways train the same net on the same synthetic digits in the same order and dtype, and end with the same weights to
rounding, which is asserted. Sample by sample is how chapter 1 of Michael Nielsen's book has it: backpropagation for
one column, gradients added up over the mini-batch. The two take turns, several times; the smallest time of each
counts. What bounds the matrices is timed beside them: the two products with the 784 inputs, forward and back, alone.

Writes ``results/nielsen_batching.json`` and ``results/nielsen_batching.png`` beside this file, and fails if in
float32, in which the training command trains, a mini-batch of 100 is not at least 20 times faster than its samples
one by one.
"""

from __future__ import annotations

import argparse
import itertools
import json
import platform
import time
from pathlib import Path

import numpy as np

from paddle_mnist.scratch.network import Network
from paddle_mnist.storage.files import atomic_write

RESULTS = Path(__file__).parent / "results"
BATCH_SIZES = (10, 30, 100, 300, 1000)
DTYPES = ("float64", "float32")
SIZES = ([784, 15, 10], [784, 30, 10])
TARGET = {"dtype": "float32", "batch_size": 100, "times": 20.0}


class SampleBySample(Network):
    """The same net, taught one column at a time."""

    def _descend(self, x: np.ndarray, y: np.ndarray, eta: float) -> None:
        nabla_b = [np.zeros_like(b) for b in self.biases]
        nabla_w = [np.zeros_like(w) for w in self.weights]
        for sample in range(x.shape[1]):
            delta_b, delta_w = self.backprop(x[:, sample : sample + 1], y[:, sample : sample + 1])
            nabla_b = [nb + db for nb, db in zip(nabla_b, delta_b, strict=True)]
            nabla_w = [nw + dw for nw, dw in zip(nabla_w, delta_w, strict=True)]
        rate = self.dtype.type(eta / x.shape[1])
        self.weights = [w - rate * nw for w, nw in zip(self.weights, nabla_w, strict=True)]
        self.biases = [b - rate * nb for b, nb in zip(self.biases, nabla_b, strict=True)]


def measure(sizes: list[int], dtype: str, batch_size: int, x: np.ndarray, labels: np.ndarray, repeats: int) -> dict:
    """Time an epoch each way, in turns."""
    seconds: dict[type[Network], list[float]] = {SampleBySample: [], Network: []}
    for _ in range(repeats):
        weights = []
        for kind in seconds:
            net = kind(sizes, seed=0, dtype=np.dtype(dtype))
            began = time.perf_counter()
            net.SGD((x, labels), 1, batch_size, 3.0, report=lambda line: None)
            seconds[kind].append(time.perf_counter() - began)
            weights.append(net.weights[0])
        np.testing.assert_allclose(*weights, rtol=0, atol=1e-9 if dtype == "float64" else 0.01)
    each, whole = (min(times) / len(x) * 1e6 for times in seconds.values())
    return {
        "sizes": sizes,
        "dtype": dtype,
        "batch_size": batch_size,
        "microseconds_per_sample": {
            "sample_by_sample": each,
            "as_matrices": whole,
            "large_products_alone": time_products(net.weights[0], x[:batch_size]),
        },
        "times_faster": each / whole,
    }


def time_products(w: np.ndarray, x: np.ndarray) -> float:
    """Return the microseconds a sample that a mini-batch x [n, 784] takes in the products W x and δ xᵀ alone."""
    delta = w @ x.T
    times = []
    for _ in range(20):
        began = time.perf_counter()
        for _ in range(20):
            w @ x.T
            delta @ x
        times.append(time.perf_counter() - began)
    return min(times) / 20 / len(x) * 1e6


def draw(rows: list[dict], path: Path) -> None:
    """Draw how many times faster, by the size of the mini-batch."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4), layout="constrained")
    axes = figure.add_subplot()
    for sizes, dtype in itertools.product(SIZES, DTYPES):
        chosen = [row for row in rows if row["sizes"] == sizes and row["dtype"] == dtype]
        axes.plot(
            [row["batch_size"] for row in chosen],
            [row["times_faster"] for row in chosen],
            "o-" if dtype == "float32" else "o--",
            label=f"{'-'.join(map(str, sizes))}, {dtype}",
        )
    axes.axhline(TARGET["times"], color="grey", linestyle=":", label=f"{TARGET['times']:.0f} times")
    axes.set_xscale("log")
    axes.set_xticks(BATCH_SIZES, [str(size) for size in BATCH_SIZES])
    axes.minorticks_off()
    axes.set(xlabel="samples in a mini-batch", ylabel="times faster than sample by sample", ylim=(0, None))
    axes.legend()
    figure.savefig(path, dpi=120)


def main() -> int:
    parser = argparse.ArgumentParser(description="Time mini-batches as matrices against sample by sample.")
    parser.add_argument("--samples", type=int, default=5000, help="samples in an epoch (5000)")
    parser.add_argument("--repeats", type=int, default=5, help="turns, of which the fastest counts (5)")
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    x = rng.random((arguments.samples, 784)) * (
        rng.random((arguments.samples, 784)) < 0.2
    )  # a fifth is ink, as in MNIST
    labels = rng.integers(0, 10, arguments.samples)

    rows = []
    for sizes in SIZES:
        for dtype, batch_size in itertools.product(DTYPES, BATCH_SIZES):
            rows.append(measure(sizes, dtype, batch_size, x.astype(dtype), labels, arguments.repeats))
            each, whole, products = rows[-1]["microseconds_per_sample"].values()
            print(
                f"{'-'.join(map(str, sizes))} {dtype}, batches of {batch_size:>4}: {each:5.1f} µs a sample one by one, "
                f"{whole:5.2f} µs as matrices ({products:.2f} in the large products): "
                f"{rows[-1]['times_faster']:4.1f} times faster"
            )

    result = {
        "numpy": np.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "samples": arguments.samples,
        "repeats": arguments.repeats,
        "rows": rows,
    }
    with atomic_write(RESULTS / "nielsen_batching.json", "w") as file:
        json.dump(result, file, indent=2)
        file.write("\n")
    draw(rows, RESULTS / "nielsen_batching.png")
    short = [
        row
        for row in rows
        if row["dtype"] == TARGET["dtype"]
        and row["batch_size"] == TARGET["batch_size"]
        and row["times_faster"] < TARGET["times"]
    ]
    for row in short:
        print(f"{row['sizes']}: {row['times_faster']:.1f} times, where {TARGET['times']:.0f} are claimed")
    return 1 if short else 0


if __name__ == "__main__":
    raise SystemExit(main())

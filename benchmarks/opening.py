"""How long opening mnist.json.gz takes, and how much memory: ours against ``json.load(gzip.open(file))``.

    python benchmarks/opening.py --data work/mnist.json.gz
    python benchmarks/opening.py --data work/mnist.json.gz --spacings

The first measures the three forms in which MNIST is found, the second k/256 in other spacings, whose figures go to
``opening-spacings.json`` and ``.png``.
Every measurement runs in a process of its own. Times are those of the call alone, without imports; ours (compiled, and
plain, as on a machine where the package was installed without a compiler) and json's take turns. Memory is the
process's peak above that after importing NumPy and the package. Figures go to ``benchmarks/results/opening.json`` and
``opening.png``.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from paddle_mnist import dataset
from paddle_mnist.sources import mnist_json
from paddle_mnist.sources.mnist_json import tables

RESULTS = Path(__file__).resolve().parent / "results"

# Each child prints one JSON object. ``peak`` is in bytes.
PRELUDE = """
import gzip, json, resource, sys, time
import numpy as np
from isal import igzip
from paddle_mnist import dataset, loader
from paddle_mnist.sources import mnist_json
from paddle_mnist.sources.mnist_json import tables, text

def peak():
    try:  # Linux counts the parent process's peak in ru_maxrss
        with open("/proc/self/status") as file:
            return 1024 * next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)

before, begun, cpu = peak(), time.perf_counter(), time.process_time()
"""
JSON = "with gzip.open(sys.argv[1]) as file: found = json.load(file)\n"
OURS = "found = mnist_json.read(sys.argv[1])\n"
PLAIN = "found = mnist_json.read(sys.argv[1], plain=True)\n"
# What every reader must do: the text is decompressed in blocks and discarded.
DECOMPRESS = """
with igzip.open(sys.argv[1]) as file:
    while file.read(text.BLOCK): pass
"""
# Processor time of the look-up alone, in whichever thread, while the other thread decompresses.
LOOK_UP = """
spent = []
def timed(look_up):
    def call(table, block):
        begun = time.thread_time()
        try:
            return look_up(table, block)
        finally:
            spent.append(time.thread_time() - begun)
    return call
table = tables.CompiledTable
table.parse, table.look_up = timed(table.parse), timed(table.look_up)
mnist_json.read(sys.argv[1])
begun = time.perf_counter() - sum(spent)
"""
OPEN = "found = dataset.open_dataset(sys.argv[1])\n"
EPOCH = """
found = dataset.open_dataset(sys.argv[1])
for images, labels in loader.load_data("train", sys.argv[1], seed=0)(): pass
"""
REPORT = """
seconds, cpu = time.perf_counter() - begun, time.process_time() - cpu
print(json.dumps({"seconds": seconds, "cpu": cpu, "peak": peak() - before, "base": before}))
"""
# Every pixel is compared with the one that json reads.
AGREE = """
with gzip.open(sys.argv[1]) as file: lists = json.load(file)
found = mnist_json.read(sys.argv[1])
for (images, labels), part in zip(lists, (found.train, found.valid, found.eval)):
    pixels = np.array(images)
    lowest, highest = {"pm1": (-1, 127.5), "k/256": (0, 256), "k/255": (0, 255), "uint8": (0, 1)}[found.encoding]
    levels = (pixels - lowest) * highest
    assert np.abs(levels - np.round(levels)).max() < 1e-3
    assert np.array_equal(np.round(levels).astype(np.uint8).reshape(-1, 28, 28), part.images)
    assert np.array_equal(np.array(labels), part.labels)
seconds = 0
"""


def child(script: str, path: Path, cache: Path) -> dict[str, float]:
    """Run a script in a process of its own and return its report."""
    environment = {**os.environ, "PADDLE_MNIST_CACHE": str(cache)}
    command = [sys.executable, "-c", PRELUDE + script + REPORT, str(path)]
    return json.loads(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)


def forms(splits, folder: Path, spacings: bool) -> dict[str, Path]:
    """Write the digits in the forms that are measured; existing files are kept."""
    if spacings:
        chosen = {
            "no space": ("k256-compact", "k/256", b","),
            "a number a line": ("k256-newlines", "k/256", b",\n"),
            "two spaces": ("k256-two", "k/256", b",  "),
            "a number a line, 8 spaces": ("k256-indented", "k/256", b",\n        "),
            "a number a line, 16 spaces": ("k256-indent16", "k/256", b",\n                "),
            "-1 to 1, no space": ("pm1-compact", "pm1", b","),
            "white space at random": ("k256-random", "k/256", None),
        }
    else:
        chosen = {
            "-1 to 1": ("pm1", "pm1", b", "),
            "k/256": ("k256", "k/256", b", "),
            "k/256, a number a line": ("k256-lines", "k/256", b",\n    "),
        }
    files = {}
    for name, (stem, encoding, separator) in chosen.items():
        path = files[name] = folder / f"{stem}.json.gz"
        if not path.exists():
            print(f"writing {path}", file=sys.stderr)
            mnist_json.write(path, splits, encoding, compresslevel=6)
            if separator != b", ":
                text = gzip.decompress(path.read_bytes())
                text = spaced_at_random(text) if separator is None else text.replace(b", ", separator)
                path.write_bytes(gzip.compress(text, 6))
    return files


def spaced_at_random(text: bytes) -> bytes:
    """Put zero to three spaces after each comma, at random."""
    block = np.frombuffer(text.replace(b" ", b""), np.uint8)
    copies = np.ones(len(block), np.uint8)
    commas = block == ord(",")
    copies[commas] += np.random.default_rng(0).integers(0, 4, np.count_nonzero(commas), dtype=np.uint8)
    spaced = np.repeat(block, copies)
    spaced[1:][(spaced[1:] == ord(",")) & (spaced[:-1] == ord(","))] = ord(" ")
    return spaced.tobytes()


def ten_times(splits, path: Path) -> Path:
    """Write the digits ten times over, as concatenated gzip members."""
    pack = lambda text: gzip.compress(text, 1)  # noqa: E731
    cells = [b"%d" % k for k in range(256)]
    with open(path, "wb") as file:
        before = b"["
        for part in (splits.train, splits.valid, splits.eval):
            rows = (b"[%s]" % b", ".join([cells[k] for k in image.tobytes()]) for image in part.images)
            images = pack(b", ".join(rows))
            labels = b", ".join(b"%d" % label for label in part.labels)
            file.write(pack(before + b"[["))
            file.write(pack(b", ").join([images] * 10))
            file.write(pack(b"], [" + b", ".join([labels] * 10) + b"]]"))
            before = b", "
        file.write(pack(b"]"))
    return path


def first_openings(
    files: dict[str, Path], repeats: int, plain_repeats: int, peer_repeats: int, cache: Path
) -> list[dict]:
    rows = []
    for name, path in files.items():
        runs = {"json": [], "ours": [], "plain": []}
        candidates = [("json", JSON, peer_repeats), ("ours", OURS, repeats), ("plain", PLAIN, plain_repeats)]
        for i in range(max(repeats, plain_repeats, peer_repeats)):
            for candidate, script, count in candidates:
                if i < count:
                    runs[candidate].append(child(script, path, cache))
            candidates.append(candidates.pop(0))  # whoever follows json gets memory that was just freed
        alone = {"decompressing": DECOMPRESS, **({"looking_up": LOOK_UP} if tables.COMPILED else {})}
        row = {"form": name}
        for part, script in alone.items():
            row[f"{part}_s"] = min(child(script, path, cache)["seconds"] for _ in range(3))
        child(AGREE, path, cache)
        for candidate, found in runs.items():
            row[f"{candidate}_s"] = statistics.median(run["seconds"] for run in found)
            row[f"{candidate}_cpu_s"] = statistics.median(run["cpu"] for run in found)
            row[f"{candidate}_mb"] = max(run["peak"] for run in found) / 1e6
        row["ratio"], row["plain_ratio"] = row["json_s"] / row["ours_s"], row["json_s"] / row["plain_s"]
        rows.append(row)
        print(
            f"{name:26} json {row['json_s']:6.2f} s {row['json_mb']:6.0f} MB   ours {row['ours_s']:5.2f} s "
            f"{row['ours_mb']:4.0f} MB   {row['ratio']:5.1f} times faster   plain {row['plain_s']:5.2f} s "
            f"{row['plain_mb']:4.0f} MB   {row['plain_ratio']:5.1f} times   (processor {row['json_cpu_s']:.2f}, "
            f"{row['ours_cpu_s']:.2f} and {row['plain_cpu_s']:.2f} s; unpacking alone {row['decompressing_s']:.2f}, "
            f"looking up {row.get('looking_up_s', 0):.2f} s)",
            flush=True,
        )
    return rows


def later_openings(path: Path, large: Path, cache: Path) -> dict[str, float]:
    first = {"once": child(OPEN, path, cache), "tenfold": child(OPEN, large, cache)}
    again = {name: [child(OPEN, file, cache) for _ in range(7)] for name, file in (("once", path), ("tenfold", large))}
    epoch = {"once": child(EPOCH, path, cache), "tenfold": child(EPOCH, large, cache)}
    figures = {}
    for name in ("once", "tenfold"):
        figures[f"{name}_first_s"] = first[name]["seconds"]
        figures[f"{name}_later_ms"] = 1000 * statistics.median(run["seconds"] for run in again[name])
        figures[f"{name}_epoch_resident_mb"] = (epoch[name]["peak"] + epoch[name]["base"]) / 1e6
    figures["resident_ratio"] = figures["tenfold_epoch_resident_mb"] / figures["once_epoch_resident_mb"]
    print(
        f"later openings: {figures['once_later_ms']:.1f} ms, of ten times the digits "
        f"{figures['tenfold_later_ms']:.1f} ms\n"
        f"resident after an epoch of the loader: {figures['once_epoch_resident_mb']:.0f} MB, of ten times the digits "
        f"{figures['tenfold_epoch_resident_mb']:.0f} MB ({figures['resident_ratio']:.2f} times)"
    )
    return figures


def draw(rows: list[dict], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, (times, memory) = plt.subplots(1, 2, figsize=(10, 1.7 + 0.8 * len(rows)), layout="constrained")
    places = np.arange(len(rows))
    for axes, unit, title in ((times, "s", "time, seconds"), (memory, "mb", "peak memory, MB")):
        for shift, key, label in (
            (0.27, "json", "json.load(gzip.open(file))"),
            (0, "plain", "paddle_mnist, installed without a compiler"),
            (-0.27, "ours", "paddle_mnist"),
        ):
            bars = axes.barh(places + shift, [row[f"{key}_{unit}"] for row in rows], 0.25, label=label)
            axes.bar_label(bars, fmt="{:,.2f}" if unit == "s" else "{:,.0f}", padding=3)
        axes.set_xlabel(title)
        axes.set_yticks(places, [row["form"] for row in rows] if axes is times else [])
        axes.margins(x=0.15)
    figure.legend(*memory.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    figure.suptitle("First opening of the 70,000 digits in mnist.json.gz")
    figure.savefig(path, dpi=120)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="auto", help="digits to measure with, as train takes them (auto)")
    parser.add_argument("--files", type=Path, help="folder that keeps the files to measure for another run (none)")
    parser.add_argument("--spacings", action="store_true", help="measure other spacings, and first openings only")
    parser.add_argument("--repeats", type=int, default=5, help="openings by paddle_mnist (5)")
    parser.add_argument("--plain-repeats", type=int, default=2, help="openings by the plain reader (2)")
    parser.add_argument("--peer-repeats", type=int, default=1, help="openings by json, half a minute each (1)")
    args = parser.parse_args(argv)
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.files or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        splits = dataset.open_dataset(args.data, log=print)
        files, cache = forms(splits, folder, args.spacings), Path(temporary, "cache")
        found = {"first": first_openings(files, args.repeats, args.plain_repeats, args.peer_repeats, cache)}
        if not args.spacings:
            large = folder / "tenfold.json.gz"
            if not large.exists():
                ten_times(splits, large)
            found["later"] = later_openings(files["-1 to 1"], large, cache)
    machine = {
        "machine": platform.platform(),
        "cores": os.cpu_count(),
        "load_before": load,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "compiled": tables.COMPILED,
        "digits": sum(len(part.labels) for part in (splits.train, splits.valid, splits.eval)),
    }
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / ("opening-spacings.json" if args.spacings else "opening.json")
    path.write_text(json.dumps({**machine, **found}, indent=1) + "\n")
    draw(found["first"], path.with_suffix(".png"))
    print(f"written: {path}, {path.with_suffix('.png')}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

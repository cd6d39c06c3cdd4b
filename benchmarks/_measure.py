"""What the benchmarks share: taking turns, the machine's description, the files they leave."""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

COLUMNS = 3  # panels of a picture side by side, at most
# Seconds between turns: threads that one candidate has left spinning go to sleep before the next one is timed. OpenMP's
# spin for milliseconds, several steps of a small net.
PAUSE = 0.05
RESULTS = Path(__file__).resolve().parent / "results"


def in_turns(
    candidates: dict[str, Callable[[], object]],
    rounds: int,
    calls: int,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, dict[str, float]]:
    """Time candidates in turns, so that whatever else the machine does meets all of them alike.

    Args:
        rounds: how often each has its turn.
        calls: how often it is called in a turn, after one call that is not counted.
        clock: returns seconds; ``time.process_time`` counts the processor's alone.

    Returns:
        For each candidate the median and the least time of a call, in milliseconds.
    """
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, call in candidates.items():
            time.sleep(PAUSE)
            call()
            for _ in range(calls):
                begun = clock()
                call()
                times[name].append(1000 * (clock() - begun))
    return {name: {"median_ms": statistics.median(t), "min_ms": min(t)} for name, t in times.items()}


def ratio(times: dict[str, dict[str, float]], ours: str, peers: list[str]) -> dict[str, float]:
    """Return ours over the best peer's, by the median and by the least time; below 1 we are faster."""
    return {key: times[ours][key] / min(times[peer][key] for peer in peers) for key in ("median_ms", "min_ms")}


def machine() -> dict[str, Any]:
    """Return the processor, the number of cores that may be used, and the versions of all that is measured."""
    versions = {"python": platform.python_version()}
    for package in ("numpy", "paddlepaddle", "torch", "jax"):
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {"processor": _processor(), "cores": cores, "load_before": load, **versions}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def save(name: str, figures: dict[str, Any]) -> Path:
    """Write figures to ``results/NAME.json``."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return path


def draw(name: str, panels: dict[str, dict[str, dict[str, float]]], unit: str = "ms") -> Path:
    """Draw the medians as bars, one panel for each question, to ``results/NAME.png``; ours are the filled ones."""
    from matplotlib.figure import Figure

    columns = min(len(panels), COLUMNS)
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(5.2 * columns, 3.2 * rows), layout="constrained")
    places = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes in places[len(panels) :]:
        axes.set_axis_off()
    for axes, (title, times) in zip(places, panels.items(), strict=False):
        names, values = list(times), [time["median_ms"] for time in times.values()]
        bars = axes.barh(names, values, color=["C0" if name.startswith("ours") else "0.75" for name in names])
        axes.bar_label(bars, fmt=lambda value: f"{value:.3g}" if value < 1000 else f"{value:,.0f}", padding=2)
        axes.invert_yaxis()
        axes.margins(x=0.2)
        axes.set(title=title, xlabel=f"median {unit}")
    path = RESULTS / f"{name}.png"
    figure.savefig(path, dpi=120)
    return path


def show(title: str, times: dict[str, dict[str, float]], found: dict[str, float]) -> None:
    """Print a table and the ratio."""
    print(title)
    for name, time_ in times.items():
        print(f"  {name:<28} median {time_['median_ms']:9.3f} ms   least {time_['min_ms']:9.3f} ms")
    print(f"  ours / best peer: {found['median_ms']:.2f} by the median, {found['min_ms']:.2f} by the least")

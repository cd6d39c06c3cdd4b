"""How accurate do quick, strong, stronger and tiny get, and how fast, compared with PyTorch by the same recipes?

    python benchmarks/records.py                                  all of them: about 80 minutes of two idle cores
    python benchmarks/records.py --recipes quick --seeds 20       a part; the other figures in the results are kept
    python benchmarks/records.py --recipes stronger --steps 100   steps of both in turns, instead of whole trainings

Every training is a process of its own, ours and PyTorch's in turns. Both take the same batches from the same loader,
augmentation included, and the same rates from the same schedule. Time is counted from the first step to the last
(evaluation excluded), and, beside it, from the start of the command to the printed accuracy. PyTorch uses
``channels_last`` where a trial of some steps shows that it is faster. Needs the ``bench`` extra. Figures go to
``results/records.json`` and, with published ones, to ``records.png``.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import numpy as np
from _measure import RESULTS, machine, save

from paddle_mnist.dataset import open_dataset
from paddle_mnist.recipes import RECIPES, Settings

SEEDS = {"quick": 20, "strong": 5, "stronger": 5, "tiny": 5}
MARKS = {"quick": 0.99, "strong": 0.995, "stronger": 0.997, "tiny": 0.993}
# Published: seconds of training, accuracy on the test digits.
PEERS = {
    "tuomaso/train_mnist_fast, GTX 1660 Ti": (0.76, 0.9904),
    "gnawice/mojo-cnn, 8 CPU threads": (20, 0.99),
    "ttdoucet/mnist, P100": (300, 0.99745),
}
TRIAL_STEPS = 10
# Steps of one library before the other one goes on.
TURN = 16


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--recipes", nargs="+", choices=SEEDS, default=list(SEEDS), help="which (all)")
    parser.add_argument("--seeds", type=int, help="how many of ours, from 0 on (quick 20, the others 5)")
    parser.add_argument("--torch-seeds", type=int, default=1, help="how many of PyTorch's (1)")
    parser.add_argument("--steps", type=int, help="only time so many steps of each, in turns")
    parser.add_argument("--data", default="auto", help="as train takes it (auto)")
    parser.add_argument("--child", nargs=3, metavar=("RECIPE", "SEED", "LIBRARY"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        recipe, seed, library = args.child
        settings = dataclasses.replace(RECIPES[recipe].settings, seed=int(seed))
        print(json.dumps({"ours": train_ours, "torch": train_torch}[library](settings, args.data)))
        return
    if args.steps:
        for recipe in args.recipes:
            print(in_turns(recipe, args.steps, args.data), flush=True)
        return
    path = RESULTS / "records.json"
    figures = json.loads(path.read_text("utf-8"))["recipes"] if path.exists() else {}
    for recipe in args.recipes:
        figures[recipe] = measure(recipe, args.seeds or SEEDS[recipe], args.torch_seeds, args.data)
        print(line(recipe, figures[recipe]), flush=True)
        save("records", {"machine": machine(), "recipes": figures})
    print(draw(figures))


def measure(recipe: str, seeds: int, torch_seeds: int, data: str) -> dict:
    """Train a recipe with each seed, and with PyTorch in between; return all figures."""
    rows: dict[str, list[dict]] = {"ours": [], "torch": []}
    for seed in range(max(seeds, torch_seeds)):
        for library, count in (("ours", seeds), ("torch", torch_seeds)):
            if seed < count:
                rows[library].append({"seed": seed, **in_a_process(recipe, seed, library, data)})
                print(f"  {recipe}, {library}: {rows[library][-1]}", flush=True)
    figures = {"mark": MARKS[recipe], "rows": rows["ours"], "torch_rows": rows["torch"]}
    accuracies = [row["accuracy"] for row in rows["ours"]]
    figures |= {
        "mean": float(np.mean(accuracies)),
        "deviation": float(np.std(accuracies)),
        "share_over_mark": float(np.mean([accuracy >= MARKS[recipe] for accuracy in accuracies])),
    }
    for name, own in rows.items():
        if own:
            figures[f"{name}_seconds"] = float(np.mean([row["seconds"] for row in own]))
            figures[f"{name}_from_command"] = float(np.mean([row["from_command"] for row in own]))
    if rows["torch"]:
        figures["torch_mean"] = float(np.mean([row["accuracy"] for row in rows["torch"]]))
        figures["ours_over_torch"] = figures["ours_seconds"] / figures["torch_seconds"]
    return figures


def in_a_process(recipe: str, seed: int, library: str, data: str) -> dict:
    """Train in a process of its own; add the time from its start to its end."""
    command = [sys.executable, __file__, "--data", data, "--child", recipe, str(seed), library]
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return {**json.loads(done.stdout.splitlines()[-1]), "from_command": round(time.perf_counter() - began, 2)}


def in_turns(recipe: str, steps: int, data: str) -> str:
    """Let both libraries train, ``TURN`` steps at a time, and return the times of a step in words."""
    from paddle_mnist import cpu

    cpu.tune()
    import torch

    from paddle_mnist import engine, learners

    torch.set_num_threads(threads())
    settings = RECIPES[recipe].settings
    train, _ = open_dataset(data).for_training(settings.train_on)
    learner, (_, torch_trains) = learners.build(settings), torch_step(settings, fastest_layout(settings))
    steps_of = {"ours": learner.train_step, "PyTorch": lambda *batch: torch_trains(settings.lr, *batch)}
    batches = {name: engine.epoch_batches(train, settings, engine.Progress(0)) for name in steps_of}
    times: dict[str, list[float]] = {name: [] for name in steps_of}
    while len(times["PyTorch"]) < TURN + steps:
        for name, step in steps_of.items():
            for _ in range(TURN):
                began = time.perf_counter()
                step(*next(batches[name]))
                times[name].append(1e3 * (time.perf_counter() - began))
    ours, peer = (own[TURN:] for own in times.values())  # the first turn prepares memory
    return (
        f"{recipe}: {np.median(ours):.1f} ms a step, PyTorch {np.median(peer):.1f} ms: "
        f"{np.median(ours) / np.median(peer):.2f}, by the least times {min(ours) / min(peer):.2f}"
    )


def train_ours(settings: Settings, data: str) -> dict:
    """Train by ``paddle_mnist``; return accuracy on the test digits, seconds of wall time and of the processor."""
    from paddle_mnist import cpu

    cpu.tune()
    from paddle_mnist import engine, learners, loader

    dataset = open_dataset(data)
    train, _ = dataset.for_training(settings.train_on)
    learner, progress = learners.build(settings), engine.Progress()
    clock = Clock()
    while progress.epoch < settings.epochs:
        for _ in engine.train_epoch(learner, train, settings, progress):
            pass
        progress.end_epoch()
    seconds = clock.read()
    test = loader.batches(dataset.eval, engine.EVAL_BATCH, settings.task, settings.pixel_range)
    return {"accuracy": engine.evaluate(learner, test, RECIPES[settings.net].average).accuracy, **seconds}


def train_torch(settings: Settings, data: str) -> dict:
    """Train the same net by the same recipe in PyTorch; return as ``train_ours`` does."""
    import torch

    from paddle_mnist import engine, loader
    from paddle_mnist.augment import averaged

    torch.set_num_threads(threads())
    dataset = open_dataset(data)
    train, _ = dataset.for_training(settings.train_on)
    per_epoch = engine.steps_per_epoch(train, settings)

    def batches() -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        for epoch in range(settings.epochs):
            left = engine.epoch_batches(train, settings, engine.Progress(epoch))
            yield from ((epoch * per_epoch + number, *batch) for number, batch in enumerate(left))

    layout = fastest_layout(settings)
    net, step = torch_step(settings, layout)
    clock = Clock()
    for number, images, labels in batches():
        step(settings.lr_at(number, per_epoch), images, labels)
    seconds = clock.read()
    net.eval()

    def outputs(images: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return net(torch.from_numpy(images).to(memory_format=layout)).numpy()

    parts = [images for images, _ in loader.batches(dataset.eval, engine.EVAL_BATCH, settings.task)]
    average = RECIPES[settings.net].average
    predicted = np.concatenate([averaged(outputs, part) if average else outputs(part) for part in parts]).argmax(1)
    return {"accuracy": float((predicted == dataset.eval.labels).mean()), **seconds, "layout": str(layout)}


class Clock:
    """Counts seconds of wall time and of the processor, of all threads, from its making on."""

    def __init__(self) -> None:
        self.began = time.perf_counter(), time.process_time()

    def read(self) -> dict[str, float]:
        """Return both."""
        wall, processor = time.perf_counter() - self.began[0], time.process_time() - self.began[1]
        return {"seconds": round(wall, 2), "processor_seconds": round(processor, 2)}


def threads() -> int:
    """Return how many this process may run at a time."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def fastest_layout(settings: Settings):
    """Return the memory layout in which PyTorch is the fastest."""
    import torch

    return min((torch.contiguous_format, torch.channels_last), key=lambda layout: trial(settings, layout))


def trial(settings: Settings, layout) -> float:
    """Return how long some steps take in a memory layout."""
    _, step = torch_step(settings, layout)
    images, labels = (
        np.zeros((settings.batch_size, 1, 28, 28), np.float32),
        np.zeros((settings.batch_size, 1), np.int64),
    )
    times = []
    for _ in range(TRIAL_STEPS):
        began = time.perf_counter()
        step(0.001, images, labels)
        times.append(time.perf_counter() - began)
    return min(times)


def torch_step(settings: Settings, layout) -> tuple:
    """Return the net in PyTorch, and a function that does one step of Adam."""
    import torch
    import torch.nn.functional as F

    torch.manual_seed(settings.seed)
    net = torch_net(settings.net).to(memory_format=layout).train()
    optimizer = torch.optim.Adam(net.parameters(), lr=settings.lr)

    def step(lr: float, images: np.ndarray, labels: np.ndarray) -> float:
        optimizer.param_groups[0]["lr"] = lr
        optimizer.zero_grad()
        outputs = net(torch.from_numpy(images).to(memory_format=layout))
        loss = F.cross_entropy(outputs, torch.from_numpy(labels[:, 0]), label_smoothing=settings.label_smoothing)
        loss.backward()
        optimizer.step()
        return loss.item()

    return net, step


def torch_net(name: str):
    """Return a net of ``paddle_mnist.nets`` in PyTorch, with the initial distributions that Paddle uses."""
    from torch import nn

    def block(channels: int, outputs: int, kernel: int = 3, padding: int = 1, pool: bool = False) -> list:
        conv = nn.Conv2d(channels, outputs, kernel, padding=padding, bias=False)
        nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
        return [conv, *([nn.MaxPool2d(2)] if pool else []), nn.BatchNorm2d(outputs), nn.ReLU()]

    def head(features: int, dropout: float = 0.0) -> list:
        linear = nn.Linear(features, 10)
        nn.init.xavier_uniform_(linear.weight)
        nn.init.zeros_(linear.bias)
        return [nn.Flatten(), *([nn.Dropout(dropout)] if dropout else []), linear]

    def strong(width: int) -> list:
        first = [*block(1, width, 5, 0, True), *block(width, 2 * width)]
        rest = [*block(2 * width, 2 * width, pool=True), *block(2 * width, 4 * width, pool=True)]
        return [*first, *rest, *head(36 * width, 0.3)]

    nets: dict[str, Callable[[], list]] = {
        "quick": lambda: [*block(1, 16, 5, 0, True), *block(16, 32, 5, 0, True), *head(512)],
        "strong": lambda: strong(16),
        "stronger": lambda: strong(48),
        "tiny": lambda: [
            *(*block(1, 8, padding=0), *block(8, 10, padding=0, pool=True), *block(10, 12, padding=0)),
            *(*block(12, 14, padding=0), *block(14, 16, padding=0), nn.AdaptiveAvgPool2d(1), *head(16)),
        ],
    }
    return nn.Sequential(*nets[name]())


def line(recipe: str, figures: dict) -> str:
    """Return a recipe's figures in words."""
    text = (
        f"{recipe}: {figures['mean']:.2%} ± {figures['deviation']:.2%} over {len(figures['rows'])} seeds, "
        f"{figures['share_over_mark']:.0%} of them at least {figures['mark']:.1%}; {figures['ours_seconds']:.1f} s "
        f"from the first step, {figures['ours_from_command']:.1f} s from the command"
    )
    if figures["torch_rows"]:
        text += (
            f"; PyTorch {figures['torch_mean']:.2%} in {figures['torch_seconds']:.1f} s: "
            f"ours takes {figures['ours_over_torch']:.2f} of its time"
        )
    return text


def draw(figures: dict[str, dict]):
    """Draw error against seconds, both logarithmic: ours, PyTorch by the same recipes, and published figures."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.add_subplot()
    for recipe, own in figures.items():
        error, seconds = 1 - own["mean"], own["ours_seconds"]
        axes.errorbar(seconds, 100 * error, 100 * own["deviation"], fmt="o", color="C0")
        axes.annotate(recipe, (seconds, 100 * error), (7, 5), textcoords="offset points", color="C0")
        if own["torch_rows"]:
            axes.plot(own["torch_seconds"], 100 * (1 - own["torch_mean"]), "s", color="C1")
    for name, (seconds, accuracy) in PEERS.items():
        axes.plot(seconds, 100 * (1 - accuracy), "^", color="0.5")
        place = (-4, 10) if accuracy < 0.995 else (-4, -16)  # above or below, where ours is not
        axes.annotate(name, (seconds, 100 * (1 - accuracy)), place, textcoords="offset points", color="0.4", size=8)
    for marker, color, label in (("o", "C0", "ours"), ("s", "C1", "PyTorch, same recipe"), ("^", "0.5", "published")):
        axes.plot([], [], marker, color=color, label=label)
    axes.set(xscale="log", yscale="log", xlabel="seconds of training", ylabel="wrong test digits, %")
    axes.set_title("Accuracy against training time on two cores (published: on their own machines)", fontsize=10)
    axes.set(xlim=(0.4, 3000), ylim=(0.15, 2))
    axes.set_yticks([0.2, 0.3, 0.5, 0.7, 1, 2], ["0.2", "0.3", "0.5", "0.7", "1", "2"])
    axes.minorticks_off()
    axes.legend(loc="lower left")
    path = RESULTS / "records.png"
    figure.savefig(path, dpi=120)
    return path


if __name__ == "__main__":
    main()

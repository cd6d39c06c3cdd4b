"""Train the course's nets with many seeds, and see whether one collapses.

    python benchmarks/seeds.py                         20 seeds of fc and of cnn, an epoch each
    python benchmarks/seeds.py --epochs 10             the whole recipe, as in results/seeds.json
    python benchmarks/seeds.py --clip-norm 0           the recipe as published

A net has collapsed when it answers the same for every digit, or when its loss is no longer finite. An epoch is enough
to tell: what collapses does so in the first few hundred steps. The table is printed and goes to
``benchmarks/results/seeds.json``, the validation losses to ``seeds.png``. The exit status is 1 if a net collapsed.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from paddle_mnist import cpu
from paddle_mnist.dataset import open_dataset
from paddle_mnist.recipes import settings_for
from paddle_mnist.storage.files import atomic_write

RESULTS = Path(__file__).parent / "results"
CONSTANT = 8.29  # the variance of the validation labels, which is what the best constant answer costs


def main() -> int:
    parser = argparse.ArgumentParser(description="Train the course's nets with many seeds.")
    parser.add_argument("--nets", nargs="+", default=["fc", "cnn"], help="which (fc cnn)")
    parser.add_argument("--seeds", type=int, default=20, help="how many, from 0 on (20)")
    parser.add_argument("--epochs", type=int, default=1, help="epochs for each (1)")
    parser.add_argument("--clip-norm", type=float, help="as train takes it (the recipe's)")
    parser.add_argument("--pixel-range", help="as train takes it (the recipe's)")
    parser.add_argument("--data", default="auto", help="as train takes it (auto)")
    args = parser.parse_args()
    cpu.tune()
    dataset = open_dataset(args.data, log=print)
    rows = []
    print("| net | seed | train loss | valid loss | accuracy | seconds | collapsed |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for net in args.nets:
        for seed in range(args.seeds):
            settings = settings_for(
                net, epochs=args.epochs, seed=seed, clip_norm=args.clip_norm, pixel_range=args.pixel_range
            )
            rows.append({"net": net, "seed": seed, **train(settings, dataset)})
            print("| " + " | ".join(str(value) for value in rows[-1].values()) + " |", flush=True)
    collapsed = [row for row in rows if row["collapsed"]]
    print(f"\n{len(collapsed)} of {len(rows)} collapsed")
    with atomic_write(RESULTS / "seeds.json", "w") as file:
        json.dump({"arguments": {**vars(args), "data": dataset.sha256}, "rows": rows}, file, indent=2)
    draw(rows, RESULTS / "seeds.png")
    return 1 if collapsed else 0


def draw(rows: list[dict], path: Path) -> None:
    """Draw the validation loss of each seed, and where a net would be that gives the best constant answer."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    axes = figure.add_subplot()
    for net in dict.fromkeys(row["net"] for row in rows):
        learnt = [row for row in rows if row["net"] == net and row["valid_loss"] is not None]
        axes.plot([row["seed"] for row in learnt], [row["valid_loss"] for row in learnt], "o", label=net)
    for row in rows:
        if row["collapsed"]:
            axes.axvline(row["seed"], color="tab:red", linewidth=0.8)
    axes.axhline(CONSTANT, color="grey", linestyle=":", label="one answer for every digit")
    axes.set(xlabel="seed", ylabel="validation loss", ylim=(0, None))
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend()
    figure.savefig(path, dpi=120)


def train(settings, dataset) -> dict:
    """Train one net and tell how its last epoch went."""
    from paddle_mnist import engine, learners

    try:
        record = engine.fit(learners.build(settings), dataset.train, dataset.valid, settings)[-1]
    except engine.NotFiniteError:
        return {"loss": None, "valid_loss": None, "accuracy": None, "seconds": None, "collapsed": True}
    return {
        "loss": round(record["loss"], 3),
        "valid_loss": round(record["valid_loss"], 3),
        "accuracy": round(record["accuracy"], 4),
        "seconds": round(record["seconds"], 1),
        "collapsed": record["constant_answer"] is not None,
    }


if __name__ == "__main__":
    sys.exit(main())

"""Train every recipe and print published against measured: python -m paddle_mnist.reproduce.

On the bundled sample, in a few minutes:   python -m paddle_mnist.reproduce --quick
Some recipes, over several seeds:          python -m paddle_mnist.reproduce mlp two-layer --seeds 0 1 2 3 4
"""

from __future__ import annotations

import dataclasses
import json
import platform
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paddle_mnist import __version__, console
from paddle_mnist.recipes import RECIPES, Recipe
from paddle_mnist.storage.files import atomic_write

if TYPE_CHECKING:
    from paddle_mnist.dataset import Dataset


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; see the module's docstring."""
    parser = console.Parser(
        prog="python -m paddle_mnist.reproduce",
        description="Train recipes and compare the results with the published ones.",
    )
    usual = [name for name, recipe in RECIPES.items() if not recipe.on_request]
    long = ", ".join(name for name in RECIPES if name not in usual)
    parser.add_argument(
        "recipes",
        metavar="RECIPE",
        nargs="*",
        help=f"which of {', '.join(RECIPES)} (all but {long}, which take minutes)",
    )
    parser.add_argument("--seeds", type=int, nargs="+", metavar="N", help="train with these seeds (each recipe's own)")
    parser.add_argument(
        "--quick", action="store_true", help="train on the bundled sample, with the thresholds of the sample"
    )
    parser.add_argument("--data", help="where the digits come from, as train takes it (auto)")
    parser.add_argument("--out", metavar="DIR", help="where to write reproduce.json and reproduce.md (work)")
    parser.add_argument("--json", action="store_true", help="print the results as JSON and nothing else")
    args = parser.parse_args(argv)
    if unknown := [name for name in args.recipes if name not in RECIPES]:
        parser.error(f"RECIPE must be one of {', '.join(RECIPES)}, got {unknown[0]!r}")

    from paddle_mnist import cpu
    from paddle_mnist.dataset import open_dataset, work_folder

    cpu.tune()
    dataset = open_dataset(args.data or ("sample" if args.quick else "auto"), log=console.note)
    rows = []
    for name in args.recipes or usual:
        # One seed is enough for a quick check; the thresholds for all of MNIST apply to the recipe's own seeds.
        seeds = args.seeds or ((0,) if args.quick else RECIPES[name].seeds)
        rows += [train_recipe(name, seed, dataset, quick=args.quick) for seed in seeds]
    verdicts = judge(rows, args.quick)
    write(Path(args.out or work_folder()), rows, verdicts, dataset)
    print(json.dumps({"rows": rows, "verdicts": verdicts}) if args.json else table(verdicts))
    return 0 if all(verdict["reached"] for verdict in verdicts) else 1


def train_recipe(name: str, seed: int, dataset: Dataset, quick: bool = False) -> dict[str, Any]:
    """Train one recipe with one seed and measure it on the test digits.

    Returns:
        ``recipe``, ``seed``, ``metric``, ``measured``, ``seconds`` (training and measuring), ``epochs``.
    """
    from paddle_mnist import engine, learners
    from paddle_mnist.loader import batches

    recipe = RECIPES[name]
    settings = dataclasses.replace(recipe.settings, seed=seed)
    if quick:
        # A twelfth of the digits means a twelfth of the steps; three times the epochs make up for some of them.
        settings = dataclasses.replace(settings, epochs=3 * settings.epochs)
    train, valid = dataset.for_training(settings.train_on)
    began = time.perf_counter()
    learner = learners.build(settings)

    def on_epoch(record: dict[str, Any]) -> None:
        console.note(
            f"{name}, seed {seed}: epoch {record['epoch'] + 1}/{settings.epochs}, loss {record['loss']:.4f}, "
            f"accuracy {record['accuracy']:.2%}"
        )

    watched = dataset.eval if recipe.best_epoch else valid
    history = engine.fit(learner, train, watched, settings, on_epoch=on_epoch)
    if recipe.best_epoch:
        measured = max(record["accuracy"] for record in history)
    else:
        test = batches(dataset.eval, engine.EVAL_BATCH, settings.task, settings.pixel_range)
        measured = getattr(engine.evaluate(learner, test, recipe.average), recipe.metric)
    return {
        "recipe": name,
        "seed": seed,
        "metric": recipe.metric,
        "measured": measured,
        "seconds": round(time.perf_counter() - began, 1),
        "epochs": settings.epochs,
    }


def judge(rows: list[dict[str, Any]], quick: bool) -> list[dict[str, Any]]:
    """Compare the mean over the seeds of each recipe with its threshold."""
    verdicts = []
    for name in dict.fromkeys(row["recipe"] for row in rows):
        recipe, own = RECIPES[name], [row for row in rows if row["recipe"] == name]
        figures = [row["measured"] for row in own]
        mean = sum(figures) / len(figures)
        threshold = recipe.sample_threshold if quick else recipe.threshold
        smaller_is_better = recipe.metric == "mse"
        verdicts.append(
            {
                "recipe": name,
                "metric": recipe.metric,
                "published": recipe.published,
                "source": recipe.source,
                "mean": mean,
                "best": (min if smaller_is_better else max)(figures),
                "seeds": [row["seed"] for row in own],
                "seconds": sum(row["seconds"] for row in own) / len(own),
                "threshold": threshold,
                "reached": mean <= threshold if smaller_is_better else mean >= threshold,
            }
        )
    return verdicts


def table(verdicts: list[dict[str, Any]]) -> str:
    """Return the verdicts as a Markdown table."""
    lines = [
        "| recipe | measured on the test digits | published | must reach | seeds | seconds a seed | published where |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for verdict in verdicts:
        recipe = RECIPES[verdict["recipe"]]
        several = f" (best {show(recipe, verdict['best'])})" if len(verdict["seeds"]) > 1 else ""
        cells = (
            verdict["recipe"],
            show(recipe, verdict["mean"]) + several + ("" if verdict["reached"] else " **missed**"),
            "" if recipe.published is None else show(recipe, recipe.published),
            show(recipe, verdict["threshold"]),
            ", ".join(map(str, verdict["seeds"])),
            f"{verdict['seconds']:.0f}",
            verdict["source"],
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def show(recipe: Recipe, figure: float) -> str:
    """Format a figure of a recipe's metric."""
    return f"mse {figure:.3f}" if recipe.metric == "mse" else f"{figure:.2%}"


def write(folder: Path, rows: list[dict[str, Any]], verdicts: list[dict[str, Any]], dataset: Dataset) -> None:
    """Write ``reproduce.json`` and ``reproduce.md`` to a folder."""
    document = {
        "data": {"name": dataset.name, "sha256": dataset.sha256},
        "versions": {"python": platform.python_version(), "paddle_mnist": __version__},
        "platform": platform.platform(),
        "rows": rows,
        "verdicts": verdicts,
    }
    with atomic_write(folder / "reproduce.json", "w") as file:
        file.write(json.dumps(document, indent=2) + "\n")
    with atomic_write(folder / "reproduce.md", "w") as file:
        file.write(table(verdicts) + "\n")
    console.note(f"written: {folder / 'reproduce.json'}, {folder / 'reproduce.md'}")


if __name__ == "__main__":
    sys.exit(console.run(main))

"""Measure a trained net: python -m paddle_mnist.evaluate work/runs/cnn.

A bare file of weights will do too: python -m paddle_mnist.evaluate mnist.pdparams --pixel-range pm1
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from paddle_mnist import console
from paddle_mnist.loader import MODES, PIXEL_RANGES


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; see the module's docstring."""
    parser = argparse.ArgumentParser(
        prog="python -m paddle_mnist.evaluate", description="Measure a trained net on a split of the digits."
    )
    add_model_arguments(parser)
    parser.add_argument("--split", choices=MODES, default="eval", help="which digits (eval, the test set)")
    parser.add_argument("--data", default="auto", help="where the digits come from, as train takes it (auto)")
    args = parser.parse_args(argv)

    prepare(args)
    from paddle_mnist import engine
    from paddle_mnist.dataset import open_dataset
    from paddle_mnist.loader import batches
    from paddle_mnist.runs import report
    from paddle_mnist.runs.restore import restore

    learner, settings = restore(args.model, args.pixel_range, args.plain)
    dataset = open_dataset(args.data, log=console.note)
    split = getattr(dataset, args.split)
    result = engine.evaluate(learner, batches(split, engine.EVAL_BATCH, settings.task, settings.pixel_range))
    if args.json:
        figures = {"samples": result.samples, "loss": result.loss, "mse": result.mse, "accuracy": result.accuracy}
        print(json.dumps({"net": settings.net, "task": settings.task, "split": args.split, **figures}))
    else:
        print(f"{report.describe_net(settings)}: {args.split} {report.describe_result(result)}, loss {result.loss:.4f}")
    if result.constant_answer is not None:
        console.note(f"the net answers {result.constant_answer} for every digit: it has collapsed")
    return 0


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what every command that asks a trained net takes."""
    parser.add_argument("model", metavar="RUN_OR_FILE", help="a run folder, or a .pdparams, .safetensors or .npz file")
    parser.add_argument(
        "--pixel-range", choices=PIXEL_RANGES, help="what the net was trained on (the run's own; files: 01)"
    )
    parser.add_argument("--plain", action="store_true", help="run Paddle's layers as they come")
    parser.add_argument("--json", action="store_true", help="print one JSON value and nothing else")


def prepare(args: argparse.Namespace) -> None:
    """Make the process ready for Paddle, before Paddle is imported."""
    if not args.plain:
        from paddle_mnist import cpu

        cpu.tune()


if __name__ == "__main__":
    sys.exit(console.run(main))

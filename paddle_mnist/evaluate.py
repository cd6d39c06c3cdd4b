"""Measure a trained net: python -m paddle_mnist.evaluate work/runs/cnn.

A file of weights works too: python -m paddle_mnist.evaluate mnist.pdparams --pixel-range pm1
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict

from paddle_mnist import console
from paddle_mnist.loader import MODES


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; see the module's docstring."""
    args = parse(argv)
    console.prepare(args)
    from paddle_mnist import engine
    from paddle_mnist.dataset import open_dataset
    from paddle_mnist.loader import batches
    from paddle_mnist.runs import report
    from paddle_mnist.runs.restore import restore

    learner, settings = restore(args.model, args.pixel_range, args.plain)
    dataset = open_dataset(args.data, log=console.note)
    split = getattr(dataset, args.split)
    digits = batches(split, engine.EVAL_BATCH, settings.task, settings.pixel_range)
    result = engine.evaluate(learner, digits, args.average)
    if args.json:
        figures = {"samples": result.samples, "loss": result.loss, "mse": result.mse, "accuracy": result.accuracy}
        console.show(json.dumps({"net": settings.net, "task": settings.task, "split": args.split, **figures}))
    else:
        described = report.describe_result(asdict(result))
        console.show(f"{report.describe_net(settings)}: {args.split} {described}, loss {result.loss:.4f}")
    if result.constant_answer is not None:
        console.note(f"the net has collapsed: it answers {result.constant_answer} for every digit")
    return 0


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the arguments."""
    parser = console.Parser(
        prog="python -m paddle_mnist.evaluate", description="Measure a trained net on a split of the digits."
    )
    parser.add_argument("model", metavar="RUN_OR_FILE", help="a run folder, or a .pdparams, .safetensors or .npz file")
    console.add_inference_options(parser)
    parser.add_argument(
        "--average",
        action="store_true",
        help="average the outputs for each digit and four copies, each moved by one pixel: fewer errors in 5 times the "
        "time",
    )
    parser.add_argument("--split", choices=MODES, default="eval", help="which digits (eval)")
    parser.add_argument("--data", default="auto", help="a data file, a folder, sample or auto, as for train (auto)")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(console.run(main))

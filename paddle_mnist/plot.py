"""Draw the loss curve of a run, or overlay those of several: python -m paddle_mnist.plot work/runs/fc work/runs/cnn."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from paddle_mnist import console
from paddle_mnist.errors import UserError


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; see the module's docstring."""
    args = parse(argv)
    from paddle_mnist import plots
    from paddle_mnist.dataset import work_folder
    from paddle_mnist.runs import report
    from paddle_mnist.runs.run import open_run

    if args.out:
        plots.check_format(Path(args.out))
    runs = [open_run(path) for path in args.runs]
    losses = {report.loss_name(run.settings) for run in runs}
    if len(losses) > 1:
        raise UserError(f"the runs must have the same loss, got {', '.join(sorted(losses))}: plot them separately")
    names = [run.path.name for run in runs]
    if len(set(names)) < len(names):
        names = [str(run.path) for run in runs]
    histories = [run.history() for run in runs]
    for name, history in zip(names, histories, strict=True):
        if not history:
            raise UserError(f"the run {name} has no history yet: train it first")
    if len(runs) == 1:
        out = Path(args.out or runs[0].path / "loss.png")
        plots.loss_curve(histories[0], out, report.describe_net(runs[0].settings), losses.pop())
    else:
        out = Path(args.out or work_folder() / f"loss-{'-'.join(run.path.name for run in runs)}.png")
        plots.compare_runs(list(zip(names, histories, strict=True)), out, losses.pop())
    console.show(str(out))
    return 0


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the arguments."""
    parser = console.Parser(
        prog="python -m paddle_mnist.plot", description="Draw the loss curve of a run, or overlay those of several."
    )
    parser.add_argument("runs", metavar="RUN", nargs="+", help="a run folder")
    parser.add_argument(
        "--out", metavar="FILE", help="the picture (loss.png in the run; of several, work/loss-A-B.png)"
    )
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(console.run(main))

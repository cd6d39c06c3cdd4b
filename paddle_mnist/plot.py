"""Lay the loss curves of several runs over each other: python -m paddle_mnist.plot work/runs/fc work/runs/cnn."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from paddle_mnist import console
from paddle_mnist.errors import UserError


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; see the module's docstring."""
    parser = argparse.ArgumentParser(
        prog="python -m paddle_mnist.plot", description="Lay the loss curves of several runs over each other."
    )
    parser.add_argument("runs", metavar="RUN", nargs="+", help="a run folder")
    parser.add_argument(
        "--out", metavar="FILE", help="the picture (loss.png in the run; of several, work/loss-A-B.png)"
    )
    args = parser.parse_args(argv)

    from paddle_mnist import plots
    from paddle_mnist.dataset import work_folder
    from paddle_mnist.runs import report
    from paddle_mnist.runs.run import open_run

    runs = [open_run(path) for path in args.runs]
    losses = {report.loss_name(run.settings) for run in runs}
    if len(losses) > 1:
        raise UserError(
            f"these runs measure different losses ({', '.join(sorted(losses))}): plot those of one kind together"
        )
    histories = {run.path.name: run.history() for run in runs}
    if len(histories) < len(runs):
        histories = {str(run.path): run.history() for run in runs}
    for name, history in histories.items():
        if not history:
            raise UserError(f"the run {name} has no history yet: train it first")
    if len(runs) == 1:
        out = Path(args.out or runs[0].path / "loss.png")
        plots.loss_curve(runs[0].history(), out, report.describe_net(runs[0].settings), losses.pop())
    else:
        out = Path(args.out or work_folder() / f"loss-{'-'.join(run.path.name for run in runs)}.png")
        plots.compare_runs(histories, out, losses.pop())
    print(out)
    return 0


if __name__ == "__main__":
    sys.exit(console.run(main))

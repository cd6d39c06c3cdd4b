"""Write a trained net for use elsewhere: python -m paddle_mnist.export work/runs/cnn-classify --to onnx.

--to paddle   a Paddle program, for paddle.jit.load and Paddle Inference
--to onnx     an ONNX file
--to html     one page with a pad to draw on, which works offline in any browser
--int8        weights in 8 bits (onnx, html): a quarter to half of the size

The export takes pixels uint8 [n, 28, 28] and gives digits. It is compared with the net on every evaluation digit, and
not written if they differ; in 8 bits, at most 5 answers of 10,000 may. --int8 measures on 500 training digits, and
takes the fastest of three ways to store the net that keeps its answers.

A page is run by Node.js for the comparison. Without Node.js, the nets stored in the page are run in Python, and the
command and the page say that the page's own program was not run.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict

from paddle_mnist import console
from paddle_mnist.recipes import choices


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; see the module's docstring."""
    args = parse(argv)
    from paddle_mnist import cpu

    cpu.tune()  # before Paddle is imported
    from paddle_mnist.exports import export

    exported = export(
        args.models[0],
        args.to,
        args.out,
        int8=args.int8,
        raw=args.raw,
        data=args.data,
        pixel_range=args.pixel_range,
        beside=args.models[1:],
        log=console.note,
    )
    if args.json:
        comparisons = {name: asdict(comparison) for name, comparison in exported.comparisons.items()}
        files = [str(path) for path in exported.paths]
        print(json.dumps({"files": files, "bytes": exported.size, "verified": comparisons}))
        return 0
    console.show(f"{', '.join(map(str, exported.paths))}: {exported.size:,} bytes")
    for name, comparison in exported.comparisons.items():
        console.show(f"{name}: {comparison}")
    for remark in exported.remarks:
        console.note(remark)
    return 0


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the arguments."""
    parser = console.Parser(prog="python -m paddle_mnist.export", description="Write a trained net for use elsewhere.")
    parser.add_argument(
        "models",
        metavar="RUN_OR_FILE",
        nargs="+",
        help="a run folder, or a .pdparams, .safetensors or .npz file; several answer side by side on a page",
    )
    parser.add_argument("--to", required=True, choices=("paddle", "onnx", "html"), help="the format")
    parser.add_argument("--int8", action="store_true", help="store weights in 8 bits (onnx, html)")
    parser.add_argument("--raw", action="store_true", help="the net alone: float32 [n, 1, 28, 28] in, raw outputs out")
    parser.add_argument("--out", metavar="PATH", help="the file to write (model.onnx, … in the run folder)")
    parser.add_argument("--data", help="the digits to verify with, as train takes them (the run's own)")
    parser.add_argument(
        "--pixel-range", choices=choices()["pixel_range"], help="what the net was trained on (the run's own; files: 01)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON value and nothing else")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(console.run(main))

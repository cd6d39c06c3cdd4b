"""Show what data there is, get all of MNIST, and convert between its formats: ``python -m paddle_mnist.data``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from paddle_mnist.console import Parser, note, run, show
from paddle_mnist.errors import UserError

if TYPE_CHECKING:
    from paddle_mnist.splits import Splits

_ENCODINGS = ("uint8", "k/255", "k/256", "pm1")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    parser = Parser(prog="python -m paddle_mnist.data", description=__doc__.partition(":")[0] + ".")
    commands = parser.add_subparsers(dest="command", required=True)

    info = commands.add_parser("info", help="show splits, classes, pixel encoding and SHA-256")
    info.add_argument("data", nargs="?", default="auto", help="a file, a folder of IDX files, sample or auto (auto)")
    info.add_argument("--json", action="store_true", help="print one JSON object")

    fetch = commands.add_parser("fetch", help="download MNIST, verify it, and write work/mnist.json.gz")
    fetch.add_argument("--out", type=Path, help="the file to write (mnist.json.gz in the work folder)")
    fetch.add_argument(
        "--mirror", action="append", metavar="URL", help="download from this URL instead; may be repeated"
    )
    fetch.add_argument("--quiet", action="store_true", help="show no progress")

    convert = commands.add_parser("convert", help="convert IDX files to the course's format, or that to IDX files")
    convert.add_argument("source", type=Path, help="a folder of four IDX files, or a file in the course's format")
    convert.add_argument("target", type=Path, help="a .json or .json.gz file, or a folder for IDX files")
    convert.add_argument(
        "--valid", type=int, metavar="N", help="the last N training digits of IDX files become the validation set"
    )

    for command in (fetch, convert):
        command.add_argument(
            "--encoding", choices=_ENCODINGS, default="pm1", help="how pixels are written (pm1: -1 to 1)"
        )
        command.add_argument("--force", action="store_true", help="replace existing files")

    args = parser.parse_args(argv)
    return {"info": _info, "fetch": _fetch, "convert": _convert}[args.command](args)


def _info(args: argparse.Namespace) -> int:
    from paddle_mnist.dataset import open_dataset

    dataset = open_dataset(args.data, log=note)
    splits = {name: _describe(getattr(dataset, name)) for name in ("train", "valid", "eval")}
    if args.json:
        summary = {"name": dataset.name, "sha256": dataset.sha256, "encoding": dataset.encoding, "splits": splits}
        print(json.dumps(summary))
        return 0
    show(f"source    {dataset.name}")
    print(f"sha256    {dataset.sha256}")
    print(f"encoding  {dataset.encoding}")
    print(f"{'split':8}{'digits':>8}{'mean ink':>10}   of each class 0 to 9")
    for name, split in splits.items():
        classes = " ".join(f"{count:5}" for count in split["classes"])
        print(f"{name:8}{split['samples']:8,}{split['mean_ink']:10.4f}   {classes}")
    return 0


def _describe(split) -> dict:
    import numpy as np

    return {
        "samples": len(split.labels),
        "classes": np.bincount(split.labels, minlength=10).tolist(),
        "mean_ink": round(float(split.images.mean(dtype=np.float64)) / 255, 4),
    }


def _fetch(args: argparse.Namespace) -> int:
    from paddle_mnist import dataset
    from paddle_mnist.sources import download, idx, mnist_json

    target = args.out or dataset.work_folder() / dataset.WHOLE
    _check_free(target, args.force)
    mirrors = args.mirror or download.MIRRORS
    mirrors = [mirror if mirror.endswith("/") else mirror + "/" for mirror in mirrors]
    download.fetch(dataset.download_folder(), mirrors, progress=not args.quiet, log=note)
    splits = idx.read_folder(dataset.download_folder())
    if not args.quiet:
        note(f"writing {target}")
    mnist_json.write(target, splits, args.encoding, compresslevel=6)
    show(_summary(target, splits))
    return 0


def _convert(args: argparse.Namespace) -> int:
    from paddle_mnist.sources import idx, mnist_json

    if not args.source.exists():
        raise UserError(
            f"the source must be a folder of IDX files or a file in the course's format, got no {args.source}"
        )
    to_json = args.target.name.endswith((".json", ".json.gz"))
    if args.source.is_dir():
        if not to_json:
            raise UserError(f"the target of IDX files must end in .json or .json.gz, got {args.target}")
        splits = idx.read_folder(args.source, args.valid)
    else:
        if args.valid is not None:
            raise UserError(f"--valid must not be given for {args.source}, which has a validation set of its own")
        splits = mnist_json.read(args.source)
    if to_json:
        _check_free(args.target, args.force)
        mnist_json.write(args.target, splits, args.encoding)
        show(_summary(args.target, splits))
        return 0
    for name in idx.NAMES:
        _check_free(args.target / f"{name}.gz", args.force)
    idx.write_folder(args.target, splits)
    show(_summary(args.target, splits))
    samples = len(splits.train.labels) + len(splits.valid.labels)
    if len(splits.valid.labels) != idx.valid_size(samples):
        note(f"IDX files have no validation set: convert back with --valid {len(splits.valid.labels)}")
    return 0


def _check_free(target: Path, force: bool) -> None:
    if target.exists() and not force:
        raise UserError(f"{target} exists already: give another name, or --force to replace it")


def _summary(target: Path, splits: Splits) -> str:
    counts = " + ".join(f"{len(part.labels):,}" for part in (splits.train, splits.valid, splits.eval))
    return f"{target}: {counts} digits"


if __name__ == "__main__":
    sys.exit(run(main))

"""Read digits in pictures: python -m paddle_mnist.predict work/runs/cnn-classify digit.png.

A whole number, several digits on one line: python -m paddle_mnist.predict work/runs/cnn-classify number.jpg --number
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from paddle_mnist import console
from paddle_mnist.errors import UserError
from paddle_mnist.evaluate import add_model_arguments, prepare

# Takes digits uint8 [n, 28, 28]; gives the digits read [n], the values [n] and the probabilities [n, 10] or None.
Reader = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray | None, np.ndarray | None]]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; see the module's docstring."""
    parser = argparse.ArgumentParser(
        prog="python -m paddle_mnist.predict", description="Read the digit, or the number, in pictures."
    )
    add_model_arguments(parser)
    parser.add_argument("images", metavar="IMAGE", nargs="+", help="a picture of one digit, of any size and colour")
    parser.add_argument("--number", action="store_true", help="read a number: several digits on one line")
    parser.add_argument("--save", metavar="DIR", help="write what was seen and read there, a picture for each IMAGE")
    args = parser.parse_args(argv)

    prepare(args)
    read = reader(args.model, args.pixel_range, args.plain)
    answers, failures = [], 0
    for path in args.images:
        try:
            answer = (read_number if args.number else read_digit)(path, read, args.save)
        except UserError as error:
            # One picture that cannot be read does not keep the others from being read.
            failures += 1
            console.fail(str(error))
            continue
        answers.append(answer)
        if not args.json:
            print(sentence(answer))
    if args.json:
        print(json.dumps(answers))
    return 2 if failures else 0


def reader(model: str, pixel_range: str | None, plain: bool) -> Reader:
    """Load a trained net and return the function that reads digits with it."""
    from paddle_mnist import engine, losses
    from paddle_mnist.loader import to_input
    from paddle_mnist.restore import restore

    learner, settings = restore(model, pixel_range, plain)

    def read(digits: np.ndarray) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
        outputs = learner.outputs(to_input(digits, settings.pixel_range))
        if settings.task == "regress":
            return engine.digits_read(outputs), outputs[:, 0], None
        return engine.digits_read(outputs), None, losses.softmax(outputs)

    return read

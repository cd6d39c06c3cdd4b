"""Read digits in pictures: python -m paddle_mnist.predict work/runs/cnn-classify digit.png.

A whole number, several digits on one line: python -m paddle_mnist.predict work/runs/cnn-classify number.jpg --number
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from paddle_mnist import console
from paddle_mnist.errors import UserError

if TYPE_CHECKING:
    from paddle_mnist.pictures.preprocess import Picture
    from paddle_mnist.pictures.segment import Certainty


class Reading(NamedTuple):
    """What a net reads in digits.

    Attributes:
        digits: int64 [n].
        values: the winning raw outputs, float32 [n]; the number on the line where the net regresses.
        probabilities: float64 [n, 10], or ``None`` from a net that has none.
    """

    digits: np.ndarray
    values: np.ndarray
    probabilities: np.ndarray | None


Reader = Callable[[np.ndarray], Reading]  # takes images uint8 [n, 28, 28], white ink on black


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; see the module's docstring."""
    parser = console.Parser(
        prog="python -m paddle_mnist.predict", description="Read the digit, or the number, in pictures."
    )
    parser.add_argument("model", metavar="RUN_OR_FILE", help="a run folder, or a .pdparams, .safetensors or .npz file")
    console.add_inference_options(parser)
    parser.add_argument("images", metavar="IMAGE", nargs="+", help="a picture of one digit, of any size and colour")
    parser.add_argument("--number", action="store_true", help="read a number: several digits on one line")
    parser.add_argument("--save", metavar="DIR", help="write there what the net saw and read, a picture for each IMAGE")
    args = parser.parse_args(argv)

    console.prepare(args)
    read = reader(args.model, args.pixel_range, args.plain)
    answers, failed = [], False
    for path in args.images:
        try:
            answers.append((read_number if args.number else read_digit)(path, read, args.save))
        except UserError as error:
            # One picture that cannot be read does not keep the others from being read.
            console.fail(str(error))
            failed = True
        else:
            if not args.json:
                console.show(sentence(answers[-1]))
    if args.json:
        print(json.dumps(answers))
    return 2 if failed else 0


def reader(model: str, pixel_range: str | None = None, plain: bool = False) -> Reader:
    """Load a trained net and return the function that reads digits with it; arguments as ``restore.restore`` has."""
    from paddle_mnist import engine
    from paddle_mnist.loader import to_input
    from paddle_mnist.runs.restore import restore

    learner, settings = restore(model, pixel_range, plain)

    def read(images: np.ndarray) -> Reading:
        outputs = learner.outputs(to_input(images, settings.pixel_range))
        return Reading(engine.digits_read(outputs), outputs.max(axis=1), learner.probabilities(outputs))

    return read


def read_digit(path: str, read: Reader, save: str | None = None) -> dict[str, Any]:
    """Read the one digit in a picture.

    Args:
        save: a folder to write a picture of what was seen and read into.

    Returns:
        ``file``, ``digit``, ``value`` (the winning raw output), ``probabilities`` (ten, or ``None``) and ``boxes``
        (one, around the ink: left, top, right, bottom in pixels of the file).
    """
    from paddle_mnist.pictures.preprocess import find_ink, ink_box, open_picture, prepare_digit

    picture = open_picture(path)
    ink = find_ink(picture)
    image = prepare_digit(ink)
    reading = read(image[np.newaxis])
    answer = {
        "file": path,
        "digit": int(reading.digits[0]),
        "value": float(reading.values[0]),
        "probabilities": None if reading.probabilities is None else reading.probabilities[0].tolist(),
        "boxes": [[round(side * picture.scale) for side in ink_box(ink)]],
    }
    if save:
        draw(save, path, picture, answer["boxes"], image[np.newaxis], reading)
    return answer


def read_number(path: str, read: Reader, save: str | None = None) -> dict[str, Any]:
    """Read the number in a picture, digit by digit.

    Returns:
        ``file``, ``number`` (a string, for it may begin with zeros), and for each digit in reading order ``value``,
        ``probabilities`` and ``boxes``, as ``read_digit`` has them.
    """
    from paddle_mnist.pictures.preprocess import open_picture
    from paddle_mnist.pictures.segment import split_digits

    picture = open_picture(path)
    digits = split_digits(picture, certainty(read))
    images = np.stack([digit.image28 for digit in digits])
    reading = read(images)
    answer = {
        "file": path,
        "number": "".join(map(str, reading.digits)),
        "value": [float(value) for value in reading.values],
        "probabilities": None if reading.probabilities is None else reading.probabilities.tolist(),
        "boxes": [list(digit.box) for digit in digits],
    }
    if save:
        draw(save, path, picture, answer["boxes"], images, reading)
    return answer


def certainty(read: Reader) -> Certainty | None:
    """Return how sure a net is of what it reads, or ``None`` for one that knows no probabilities."""
    if read(np.zeros((1, 28, 28), np.uint8)).probabilities is None:
        return None
    return lambda images: read(images).probabilities.max(axis=1)


def draw(
    folder: str, path: str, picture: Picture, boxes: list[list[int]], images: np.ndarray, reading: Reading
) -> None:
    """Write a picture of what was seen and read, named after the file that it was read from."""
    from paddle_mnist import plots

    if reading.probabilities is None:
        captions = [f"{digit}\n{value:.2f}" for digit, value in zip(reading.digits, reading.values, strict=True)]
    else:
        best = reading.probabilities.max(axis=1)
        captions = [f"{digit}\n{share:.0%}" for digit, share in zip(reading.digits, best, strict=True)]
    reduced = [[side / picture.scale for side in box] for box in boxes]
    title = "read: " + "".join(map(str, reading.digits))
    plots.segmentation(picture.gray, reduced, images, captions, Path(folder) / f"{Path(path).stem}-read.png", title)


def sentence(answer: dict[str, Any]) -> str:
    """Return an answer in a line for a person."""
    if "number" in answer:
        return f"{answer['file']}: {answer['number']}"
    if answer["probabilities"] is None:
        return f"{answer['file']}: {answer['digit']} (output {answer['value']:.2f})"
    ranked = sorted(enumerate(answer["probabilities"]), key=lambda pair: -pair[1])
    shown = ", ".join(f"{digit} {probability:.1%}" for digit, probability in ranked[:3])
    return f"{answer['file']}: {answer['digit']} (probabilities: {shown})"


if __name__ == "__main__":
    sys.exit(console.run(main))

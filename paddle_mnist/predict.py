"""Read digits in pictures: python -m paddle_mnist.predict photo.jpg.

A picture of several digits is read as a number, line by line. ``--digit`` and ``--number`` decide instead of the
picture. The net is the reader that comes with the package; ``--model work/runs/cnn-classify`` takes a trained one.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from paddle_mnist import console
from paddle_mnist.errors import UserError, printable

if TYPE_CHECKING:
    from paddle_mnist.pictures.picture import Picture
    from paddle_mnist.pictures.reader import Predictor
    from paddle_mnist.pictures.recognize import Recognition, RecognizedDigit


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; see the module's docstring."""
    parser = console.Parser(
        prog="python -m paddle_mnist.predict", description="Read the digit, or the number, in pictures."
    )
    parser.add_argument("images", metavar="IMAGE", nargs="+", help="a picture of digits, of any size and colour")
    parser.add_argument(
        "--model",
        metavar="RUN_OR_FILE",
        help="a run folder, or a .pdparams, .safetensors or .npz file (the reader that comes with the package)",
    )
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument(
        "--digit",
        dest="kind",
        action="store_const",
        const="digit",
        help="read all ink as one digit",
    )
    kind.add_argument("--number", dest="kind", action="store_const", const="number", help="read a number of any length")
    parser.add_argument("--save", metavar="DIR", help="write there what the net saw and read, a picture for each IMAGE")
    console.add_inference_options(parser)
    args = parser.parse_args(argv)

    predictor = load_predictor(args.model, args.pixel_range, args.plain)
    answers, failed = [], False
    for path in args.images:
        try:
            answers.append(read_picture(path, predictor, args.kind, args.save))
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


def load_predictor(model: str | None = None, pixel_range: str | None = None, plain: bool = False) -> Predictor:
    """Return the function that predicts with a net.

    Args:
        model: as ``restore.restore`` takes it; ``None`` for the bundled reader, which needs no Paddle.
        pixel_range: as ``restore.restore`` takes it; only with a model.
        plain: use Paddle's own layers; only with a model.

    Raises:
        UserError: there is no net in ``model``, or an option is given that only a model has.
    """
    if model is None:
        for option, given in (("--pixel-range", pixel_range is not None), ("--plain", plain)):
            if given:
                raise UserError(f"{option} needs --model: the bundled reader has no such choice")
        from paddle_mnist.pictures.reader import averaged_reader

        return averaged_reader
    if not plain:
        from paddle_mnist import cpu

        cpu.tune()
    from paddle_mnist.loader import to_input
    from paddle_mnist.metrics import predicted_digits
    from paddle_mnist.pictures.reader import Prediction
    from paddle_mnist.runs.restore import restore

    learner, settings = restore(model, pixel_range, plain)

    def predict(images: np.ndarray) -> Prediction:
        outputs = learner.outputs(to_input(images, settings.pixel_range))
        return Prediction(predicted_digits(outputs), outputs.max(axis=1), learner.probabilities(outputs))

    return predict


def read_picture(path: str, predictor: Predictor, kind: str | None = None, save: str | None = None) -> dict[str, Any]:
    """Read the digit or the number in a picture.

    Args:
        path: the picture file.
        predictor: as ``load_predictor`` returns it.
        kind: ``"digit"`` takes all ink for one digit, ``"number"`` gives a number of any length; ``None`` gives a
            digit where one is found, and a number where there are several.
        save: a folder to write a picture of what was seen and read into.

    Returns:
        For a digit ``file``, ``digit`` (``None`` if it is no digit), ``probability`` (of this answer) and ``sure``
        (``None`` from a net without probabilities), ``value`` (the winning raw output), ``probabilities`` (of the ten
        digits; what they lack to 1 is the probability of no digit; or ``None``) and ``boxes`` (one, around the ink:
        left, top, right, bottom in pixels of the file). For a number ``number`` (text, for it may begin with zeros;
        ``?`` stands for what is no digit, a line break between lines of writing), ``probability`` and ``sure`` for the
        whole number, and for each digit in reading order ``value``, ``probabilities`` and ``boxes``.
    """
    from paddle_mnist.pictures.picture import open_picture
    from paddle_mnist.pictures.recognize import recognize

    picture = open_picture(path)
    found = recognize(picture, kind, predictor)
    if save:
        draw(save, path, picture, found)
    answer: dict[str, Any] = {"file": path}
    certainty = {"probability": found.probability, "sure": None if found.probability is None else found.sure}
    values, shares = [digit.value for digit in found.digits], [digit.probabilities for digit in found.digits]
    if len(found.digits) == 1 and kind != "number":
        (digit,) = found.digits
        certainty["probability"] = digit.probability
        answer |= {"digit": digit.digit, **certainty, "value": values[0], "probabilities": shares[0]}
    else:
        answer |= {"number": found.text, **certainty, "value": values, "probabilities": shares}
        if shares[0] is None:
            answer["probabilities"] = None
    return {**answer, "boxes": [list(digit.box) for digit in found.digits]}


def draw(folder: str, path: str, picture: Picture, found: Recognition) -> None:
    """Write a picture of what was seen and read, named after the file that it was read from."""
    from paddle_mnist import plots

    boxes = [[side / picture.scale for side in digit.box] for digit in found.digits]
    images, captions = np.stack([digit.image28 for digit in found.digits]), [caption(digit) for digit in found.digits]
    title = "read: " + found.text.replace("\n", " / ")
    plots.segmentation(picture.gray, boxes, images, captions, Path(folder) / f"{Path(path).stem}-read.png", title)


def caption(digit: RecognizedDigit) -> str:
    """Return a digit and how likely it is, in two lines."""
    value = "no digit" if digit.digit is None else str(digit.digit)
    return f"{value}\n{digit.value:.2f}" if digit.probability is None else f"{value}\n{digit.probability:.0%}"


def sentence(answer: dict[str, Any]) -> str:
    """Return an answer for a person: one line, or one for each line of writing."""
    file = printable(answer["file"])
    doubt = ", not sure" if answer["sure"] is False else ""
    if "number" in answer:
        lines = answer["number"].split("\n")
        if not any(character.isdigit() for character in answer["number"]):
            return f"{file}: no digits"
        if doubt and answer["probability"]:
            doubt += f" (probability {answer['probability']:.1%})"
        if len(lines) == 1:
            return f"{file}: {lines[0]}{doubt}"
        return "\n".join(f"{file}, line {index}: {line}" for index, line in enumerate(lines, start=1)) + doubt
    if answer["probabilities"] is None:
        return f"{file}: {answer['digit']} (output {answer['value']:.2f})"
    shares = {str(digit): probability for digit, probability in enumerate(answer["probabilities"])}
    shares["no digit"] = 1 - sum(shares.values())
    ranked = sorted(shares.items(), key=lambda pair: -pair[1])
    shown = ", ".join(f"{digit} {probability:.1%}" for digit, probability in ranked[:3])
    value = "no digit" if answer["digit"] is None else f"{answer['digit']}{doubt}"
    return f"{file}: {value} (probabilities: {shown})"


if __name__ == "__main__":
    sys.exit(console.run(main))

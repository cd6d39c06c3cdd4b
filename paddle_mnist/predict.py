"""Read digits in pictures: python -m paddle_mnist.predict photo.jpg.

A picture of several digits is read as a number, line by line. ``--digit`` and ``--number`` decide instead of the
picture; ``--model work/runs/cnn-classify`` chooses the net, which is otherwise the newest classifier in ``work/runs``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from paddle_mnist import console
from paddle_mnist.errors import UserError, printable

if TYPE_CHECKING:
    from paddle_mnist.pictures.picture import Picture
    from paddle_mnist.pictures.segment import Confidence, Digit


class Prediction(NamedTuple):
    """What a net predicts for some digits.

    Attributes:
        digits: int64 [n].
        values: the winning raw outputs, float32 [n]; the number on the line where the net regresses.
        probabilities: float64 [n, 10], or ``None`` from a net that has none.
    """

    digits: np.ndarray
    values: np.ndarray
    probabilities: np.ndarray | None


Predictor = Callable[[np.ndarray], Prediction]  # takes images uint8 [n, 28, 28], white ink on black


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; see the module's docstring."""
    parser = console.Parser(
        prog="python -m paddle_mnist.predict", description="Read the digit, or the number, in pictures."
    )
    parser.add_argument("images", metavar="IMAGE", nargs="+", help="a picture of digits, of any size and colour")
    parser.add_argument(
        "--model",
        metavar="RUN_OR_FILE",
        help="a run folder, or a .pdparams, .safetensors or .npz file (the newest classifier in work/runs)",
    )
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--digit", dest="kind", action="store_const", const="digit", help="read all ink as one digit")
    kind.add_argument("--number", dest="kind", action="store_const", const="number", help="read a number of any length")
    parser.add_argument("--save", metavar="DIR", help="write there what the net saw and read, a picture for each IMAGE")
    console.add_inference_options(parser)
    args = parser.parse_args(argv)

    console.prepare(args)
    model = args.model
    if model is None:
        model = newest_classifier()
        console.note(f"reading with {model}; --model chooses another")
    predictor = load_predictor(model, args.pixel_range, args.plain)
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


def newest_classifier() -> str:
    """Return the run folder in ``work/runs`` whose best weights are the newest of all runs that classify.

    Raises:
        UserError: there is none.
    """
    from paddle_mnist.dataset import work_folder
    from paddle_mnist.runs.run import open_run

    runs, found = work_folder() / "runs", []
    for path in runs.iterdir() if runs.is_dir() else []:
        try:
            run = open_run(path)
            if run.settings.task == "classify":
                found.append((run.best_path.stat().st_mtime, str(path)))
        except (UserError, OSError):  # not a run, a damaged one, or one without weights yet
            continue
    if not found:
        raise UserError(
            f"{runs} holds no trained classifier: train one with python -m paddle_mnist.train --net cnn "
            "--task classify, or name a run or a file of weights with --model"
        )
    return max(found)[1]


def load_predictor(model: str, pixel_range: str | None = None, plain: bool = False) -> Predictor:
    """Load a trained net and return the function that predicts with it; arguments as ``restore.restore`` has."""
    from paddle_mnist import engine
    from paddle_mnist.loader import to_input
    from paddle_mnist.runs.restore import restore

    learner, settings = restore(model, pixel_range, plain)

    def predict(images: np.ndarray) -> Prediction:
        outputs = learner.outputs(to_input(images, settings.pixel_range))
        return Prediction(engine.predicted_digits(outputs), outputs.max(axis=1), learner.probabilities(outputs))

    return predict


def confidence(predictor: Predictor) -> Confidence | None:
    """Return a net's probability of its own answers, or ``None`` for one that has no probabilities."""
    if predictor(np.zeros((1, 28, 28), np.uint8)).probabilities is None:
        return None

    def of_answers(images: np.ndarray) -> np.ndarray:
        probabilities = predictor(images).probabilities
        assert probabilities is not None
        return probabilities.max(axis=1)

    return of_answers


def read_picture(path: str, predictor: Predictor, kind: str | None = None, save: str | None = None) -> dict[str, Any]:
    """Read the digit or the number in a picture.

    Args:
        path: the picture file.
        predictor: as ``load_predictor`` returns it.
        kind: ``"digit"`` takes all ink for one digit, ``"number"`` gives a number of any length; ``None`` gives a
            digit where one is found, and a number where there are several.
        save: a folder to write a picture of what was seen and read into.

    Returns:
        For a digit ``file``, ``digit``, ``value`` (the winning raw output), ``probabilities`` (ten, or ``None``) and
        ``boxes`` (one, around the ink: left, top, right, bottom in pixels of the file). For a number ``number`` (text,
        for it may begin with zeros; lines of writing are separated by a line break), and for each digit in reading
        order ``value``, ``probabilities`` and ``boxes``.
    """
    from paddle_mnist.pictures.picture import open_picture
    from paddle_mnist.pictures.segment import split_digits, whole_digit

    picture = open_picture(path)
    digits = [whole_digit(picture)] if kind == "digit" else split_digits(picture, confidence(predictor))
    images = np.stack([digit.image28 for digit in digits])
    prediction = predictor(images)
    boxes = [list(digit.box) for digit in digits]
    if save:
        draw(save, path, picture, boxes, images, prediction)
    values = [float(value) for value in prediction.values]
    shares = None if prediction.probabilities is None else prediction.probabilities.tolist()
    if len(digits) == 1 and kind != "number":
        answer = {"digit": int(prediction.digits[0]), "value": values[0], "probabilities": shares and shares[0]}
    else:
        answer = {"number": written(digits, prediction.digits), "value": values, "probabilities": shares}
    return {"file": path, **answer, "boxes": boxes}


def written(digits: list[Digit], values: np.ndarray) -> str:
    """Return what was read as text, with a line break between lines of writing."""
    lines: dict[int, str] = {}
    for digit, value in zip(digits, values, strict=True):
        lines[digit.line] = lines.get(digit.line, "") + str(value)
    return "\n".join(lines.values())


def draw(
    folder: str, path: str, picture: Picture, boxes: list[list[int]], images: np.ndarray, prediction: Prediction
) -> None:
    """Write a picture of what was seen and read, named after the file that it was read from."""
    from paddle_mnist import plots

    if prediction.probabilities is None:
        captions = [f"{digit}\n{value:.2f}" for digit, value in zip(prediction.digits, prediction.values, strict=True)]
    else:
        best = prediction.probabilities.max(axis=1)
        captions = [f"{digit}\n{share:.0%}" for digit, share in zip(prediction.digits, best, strict=True)]
    reduced = [[side / picture.scale for side in box] for box in boxes]
    title = "read: " + "".join(map(str, prediction.digits))
    plots.segmentation(picture.gray, reduced, images, captions, Path(folder) / f"{Path(path).stem}-read.png", title)


def sentence(answer: dict[str, Any]) -> str:
    """Return an answer for a person: one line, or one for each line of writing."""
    file = printable(answer["file"])
    if "number" in answer:
        lines = answer["number"].split("\n")
        if len(lines) == 1:
            return f"{file}: {lines[0]}"
        return "\n".join(f"{file}, line {index}: {line}" for index, line in enumerate(lines, start=1))
    if answer["probabilities"] is None:
        return f"{file}: {answer['digit']} (output {answer['value']:.2f})"
    ranked = sorted(enumerate(answer["probabilities"]), key=lambda pair: -pair[1])
    shown = ", ".join(f"{digit} {probability:.1%}" for digit, probability in ranked[:3])
    return f"{file}: {answer['digit']} (probabilities: {shown})"


if __name__ == "__main__":
    sys.exit(console.run(main))

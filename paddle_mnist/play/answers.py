"""What every net answers to one drawing or picture, side by side."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from paddle_mnist.errors import UserError
from paddle_mnist.play.models import Model
from paddle_mnist.play.nets import Nets
from paddle_mnist.play.replies import RefusedError, array
from paddle_mnist.play.worker import Worker

if TYPE_CHECKING:
    from paddle_mnist.pictures.picture import Picture
    from paddle_mnist.pictures.segment import Digit
    from paddle_mnist.pictures.touching import Weighed

KINDS = ("digit", "number", "prepared")
SIDE = 28  # pixels of a prepared digit
TOGETHER = 64  # digits that nets are asked about at once
REST = 0.03  # seconds from one round of answers to the next: so long drawings gather, and a training has the machine
NO_DIGIT = "?"  # stands in text for what is no digit


@dataclass(frozen=True)
class Found:
    """The digits that were found in a picture.

    Attributes:
        images: uint8 [n, 28, 28].
        described: what the page is told about each.
        lines: of writing that each stands on.
        cuts: what was weighed to find them.
        size: of the picture, width and height in pixels.
        reason: why there are none.
    """

    images: np.ndarray
    described: list[dict[str, Any]]
    lines: list[int]
    cuts: list[dict[str, Any]]
    size: tuple[int, int]
    reason: str | None = None


def picture_from_pixels(data: bytes, width: int, height: int) -> Picture:
    """Return raw grey values as a picture.

    Raises:
        RefusedError: there are not width times height of them.
    """
    from paddle_mnist.pictures.picture import from_pixels

    if len(data) != width * height:
        raise RefusedError(400, f"The body must have width times height = {width * height:,} bytes, got {len(data):,}.")
    return from_pixels(np.frombuffer(data, np.uint8).reshape(height, width))


def picture_from_file(data: bytes) -> Picture:
    """Return the picture in a file of any format that ``pictures`` reads.

    Raises:
        UserError: it is not a picture, damaged, or too large.
    """
    from paddle_mnist.pictures.picture import decode_picture

    return decode_picture(data)


def find(picture: Picture, kind: str) -> Found:
    """Find the digits in a picture.

    Args:
        picture: what was drawn or sent.
        kind: ``"digit"`` takes all ink for one digit, ``"number"`` looks for several.
    """
    from paddle_mnist.pictures.segment import split_digits, whole_digit

    height, width = (round(side * picture.scale) for side in picture.gray.shape)
    weighed: list[Weighed] = []
    try:
        digits = [whole_digit(picture)] if kind == "digit" else split_digits(picture, weighed=weighed)
    except UserError as error:
        return Found(np.zeros((0, SIDE, SIDE), np.uint8), [], [], [], (width, height), str(error))
    images = np.stack([digit.image28 for digit in digits])
    described, lines = [_describe(digit) for digit in digits], [digit.line for digit in digits]
    return Found(images, described, lines, [_describe_cuts(one) for one in weighed], (width, height))


def prepared(data: bytes) -> Found:
    """Take 784 bytes for one digit as the nets get it."""
    image = one_digit(data)
    if not image.any():
        return Found(np.zeros((0, SIDE, SIDE), np.uint8), [], [], [], (SIDE, SIDE), "no ink found: the digit is blank")
    described = {"box": None, "line": 0, **_ink(image)}
    return Found(image[np.newaxis], [described], [0], [], (SIDE, SIDE))


def one_digit(data: bytes) -> np.ndarray:
    """Return 784 bytes as uint8 [28, 28].

    Raises:
        RefusedError: there are more or fewer.
    """
    if len(data) != SIDE * SIDE:
        raise RefusedError(400, f"The body must be 784 bytes, the 28×28 grey values of one digit, got {len(data):,}.")
    return np.frombuffer(data, np.uint8).reshape(SIDE, SIDE)


def _describe(digit: Digit) -> dict[str, Any]:
    return {"box": list(digit.box), "line": digit.line, **_ink(digit.image28)}


def _describe_cuts(one: Weighed) -> dict[str, Any]:
    candidates = [{"left": left, "right": right, "score": score} for left, right, score in one.cuts]
    return {"box": one.box, "whole": one.whole, "candidates": candidates, "chosen": one.chosen}


def _ink(image: np.ndarray) -> dict[str, Any]:
    """Return a digit with its box and its centre of mass, in pixels of the 28×28; pixel i reaches from i to i + 1."""
    from paddle_mnist.pictures.preprocess import ink_box

    weights = image / max(1, int(image.sum()))
    places = np.arange(SIDE) + 0.5
    centre = [float(weights.sum(axis=0) @ places), float(weights.sum(axis=1) @ places)]
    return {"image": array(image), "image_box": list(ink_box(image, 0)), "centre": centre}


@dataclass(frozen=True, eq=False)
class Question:
    """A drawing or picture that nets are asked about.

    Attributes:
        models: the nets.
        which: of their weights.
        found: the digits in the picture.
        answers: of each net, once there are any.
    """

    models: list[Model]
    which: str
    found: Found
    answers: Future[list[dict[str, Any]]] = field(default_factory=Future)


class Answers:
    """Asks nets, about all drawings at once that came while the nets were busy: a net takes little longer for ten.

    Args:
        nets: those in memory.
        worker: the nets' thread.
    """

    def __init__(self, nets: Nets, worker: Worker) -> None:
        self.nets, self.worker = nets, worker
        self._lock = threading.Lock()
        self._waiting: list[Question] = []
        self._ended = -REST  # when the last round of answers ended

    async def turn(self) -> None:
        """Wait until the nets have rested; a drawing that comes alone does not wait."""
        await asyncio.sleep(max(0.0, self._ended + REST - time.monotonic()))

    def ask(self, models: list[Model], which: str, found: Found) -> Future[list[dict[str, Any]]]:
        """Return what each model will answer.

        Raises:
            RefusedError: too much is waiting.
        """
        question = Question(models, which, found)
        with self._lock:
            if not self._waiting:
                self.worker.quick(self._answer_all)
            self._waiting.append(question)
        return question.answers

    def one(self, model: Model, which: str, images: np.ndarray, lines: list[int]) -> dict[str, Any]:
        """Return what a model answers for images uint8 [n, 28, 28], or why it cannot; for the nets' thread only."""
        return _part(self._answer(model, which, images), 0, lines)

    def _answer_all(self) -> None:
        while questions := self._take():
            try:
                answers = self._together(questions)
            except BaseException as error:
                for question in questions:
                    question.answers.set_exception(error)
            else:
                for question, answer in zip(questions, answers, strict=True):
                    question.answers.set_result(answer)
        self._ended = time.monotonic()

    def _take(self) -> list[Question]:
        """Take questions off the list, the oldest first: as many as have ``TOGETHER`` digits, or one."""
        with self._lock:
            ends = itertools.accumulate(len(question.found.images) for question in self._waiting)
            count = max(1, sum(end <= TOGETHER for end in ends))
            taken, self._waiting = self._waiting[:count], self._waiting[count:]
        return [question for question in taken if question.answers.set_running_or_notify_cancel()]

    def _together(self, questions: list[Question]) -> list[list[dict[str, Any]]]:
        """Return for each question what its models answer."""
        found: dict[tuple[str, str, int], dict[str, Any]] = {}
        asked = {(model.id, question.which): model for question in questions for model in question.models}
        for (model_id, which), model in asked.items():
            askers = [
                question
                for question in questions
                if question.which == which and any(model.id == model_id for model in question.models)
            ]
            answer = self._answer(model, which, np.concatenate([question.found.images for question in askers]))
            first = 0
            for question in askers:
                found[model_id, which, id(question)] = _part(answer, first, question.found.lines)
                first += len(question.found.images)
        return [[found[model.id, question.which, id(question)] for model in question.models] for question in questions]

    def _answer(self, model: Model, which: str, images: np.ndarray) -> dict[str, Any]:
        answer: dict[str, Any] = {
            "model": model.id,
            **{"digits": [], "values": [], "probabilities": None, "scores": None, "error": None},
        }
        try:
            return answer | self.nets.get(model, which).answer(images)
        except RefusedError as error:
            return answer | {"error": error.message}
        except UserError as error:
            return answer | {"error": str(error)}


def _part(answer: dict[str, Any], first: int, lines: list[int]) -> dict[str, Any]:
    """Return the part of an answer that is about the digits from ``first`` on, one for each of ``lines``."""
    rows = slice(first, first + len(lines))
    part = {name: value[rows] if isinstance(value, list) else value for name, value in answer.items()}
    return part | {"read": None if answer["error"] else _written(part["digits"], lines)}


def _written(digits: list[int | None], lines: list[int]) -> str:
    """Return digits as text, with a line break between lines of writing."""
    rows: dict[int, str] = {}
    for digit, line in zip(digits, lines, strict=True):
        rows[line] = rows.get(line, "") + (NO_DIGIT if digit is None else str(digit))
    return "\n".join(rows.values())

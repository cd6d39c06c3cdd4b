"""Judges one answer in this process: the child process, the notebooks and the tests call it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from paddle_mnist.labs.exercises.base import Exercise, Wrong

RIGHT, WRONG, NOT_ANSWERED, NO_VERDICT = "right", "wrong", "not answered yet", "no verdict"


@dataclass(frozen=True)
class Verdict:
    """What the checker says of one answer.

    Attributes:
        exercise: the name of the function.
        kind: ``RIGHT``, ``WRONG``, ``NOT_ANSWERED`` or ``NO_VERDICT``.
        message: the reason; empty for a right answer.
    """

    exercise: str
    kind: str
    message: str = ""

    def __str__(self) -> str:
        if self.kind == WRONG:
            return self.message
        return f"{self.kind}: {self.message}" if self.message else self.kind


def judge(exercise: Exercise, answers: Mapping[str, Any]) -> Verdict:
    """Check an answer.

    Args:
        exercise: what is asked.
        answers: the names that the student's file defines.
    """
    answer = answers.get(exercise.name)
    if answer is None:
        return Verdict(exercise.name, NOT_ANSWERED, f"the file defines no {exercise.name}")
    if not callable(answer):
        return Verdict(exercise.name, WRONG, f"{exercise.name} must be a function, got {type(answer).__name__}")
    try:
        exercise.check(answer)
    except NotImplementedError:
        return Verdict(exercise.name, NOT_ANSWERED)
    except Wrong as wrong:
        return Verdict(exercise.name, WRONG, str(wrong))
    except BaseException as error:
        reason = f"the check cannot handle what the answer does or returns ({type(error).__name__})"
        return Verdict(exercise.name, NO_VERDICT, reason)
    return Verdict(exercise.name, RIGHT)

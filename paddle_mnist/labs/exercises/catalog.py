"""Finds the exercises of a lab, and writes the file that a student begins with."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

from paddle_mnist import cpu
from paddle_mnist.errors import UserError
from paddle_mnist.labs.exercises.base import Exercise


def load(number: str, known: Sequence[str]) -> tuple[Exercise, ...]:
    """Return the exercises of a lab.

    Args:
        number: two digits, ``"03"``.
        known: the numbers of all labs.

    Raises:
        UserError: there is no such lab, or it has no exercises.
    """
    if number not in known:
        raise UserError(f"there is no lab {number!r}: choose one of {', '.join(known)}")
    try:
        module = importlib.import_module(f"paddle_mnist.labs.exercises.lab{number}")
    except ModuleNotFoundError as error:
        if error.name != f"paddle_mnist.labs.exercises.lab{number}":
            raise
        raise UserError(f"lab {number} has no exercises") from error
    return module.EXERCISES


def prepare(number: str) -> None:
    """Load what the checks of a lab need, so that the time of an answer does not include it.

    That is Paddle, if an answer imports it, and whatever the function ``prepare`` of the lab's module loads.
    """
    module = importlib.import_module(f"paddle_mnist.labs.exercises.lab{number}")
    if any("import paddle" in exercise.source for exercise in module.EXERCISES):
        cpu.tune()
        importlib.import_module("paddle")
    if hasattr(module, "prepare"):
        module.prepare()


def start_file(number: str, exercises: Sequence[Exercise]) -> str:
    """Return the text of the file in which a student answers the exercises of a lab."""
    functions = "\n\n".join(exercise.source for exercise in exercises)
    heading = f'"""My answers to lab {number}. Check them: python -m paddle_mnist.check {number}"""\n'
    return f"{heading}\nimport numpy as np\n\n\n{functions}"

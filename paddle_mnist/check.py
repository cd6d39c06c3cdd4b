"""Check the answers to a lab's exercises.

    python -m paddle_mnist.check 03 --start     make labs/my/03.py with the signatures
    python -m paddle_mnist.check 03 --hint      a hint for each exercise not yet solved; again for the next one
    python -m paddle_mnist.check 03             say of each exercise: right, or what differs, where, and why it may

Exits with 0 if all are right, 1 if some are not, 2 if there is nothing to check.
"""

from __future__ import annotations

import argparse
import importlib
import io
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from paddle_mnist import console
from paddle_mnist.errors import UserError
from paddle_mnist.labs import tools
from paddle_mnist.labs.exercises.base import Exercise, Wrong
from paddle_mnist.storage.files import atomic_write

NOT_YET = "not answered yet"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m paddle_mnist.check", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("lab", help="the lab's number, 01 to 13")
    parser.add_argument("--start", action="store_true", help="make labs/my/NN.py with the signatures to fill in")
    parser.add_argument("--hint", action="store_true", help="give the next hint for each exercise that is not solved")
    parser.add_argument("--file", type=Path, help="check this file instead of labs/my/NN.py")
    args = parser.parse_args(argv)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # hints are in Chinese too, which not every console can show

    number = f"{int(args.lab):02}" if args.lab.isdecimal() else args.lab
    exercises = load(number)
    file = args.file or tools.labs_folder() / "my" / f"{number}.py"
    if args.start:
        return _start(file, number, exercises)
    answers = _import(file, number)
    results = {exercise.name: verdict(exercise, answers) for exercise in exercises}
    solved = [name for name, remark in results.items() if remark is None]
    if args.hint:
        return _hint(number, exercises, solved)
    for place, (name, remark) in enumerate(results.items(), start=1):
        print(f"{place}. {name}: {'right' if remark is None else remark}")
    print(f"{len(solved)} of {len(exercises)} right")
    tools.note_solved(_name(number), solved)
    if len(solved) < len(exercises):
        print(f"hints: python -m paddle_mnist.check {number} --hint")
    return 0 if len(solved) == len(exercises) else 1


def load(number: str) -> tuple[Exercise, ...]:
    """Return the exercises of a lab.

    Args:
        number: two digits, ``"03"``.

    Raises:
        UserError: there is no such lab.
    """
    known = [name[:2] for name in tools.names()]
    if number not in known:
        raise UserError(f"there is no lab {number!r}: give one of {', '.join(known)}")
    return importlib.import_module(f"paddle_mnist.labs.exercises.lab{number}").EXERCISES


def verdict(exercise: Exercise, answers: ModuleType) -> str | None:
    """Return what is to be said of an answer: ``None`` if it is right, else what is wrong with it."""
    answer = getattr(answers, exercise.name, None)
    if answer is None:
        return f"{NOT_YET}: the file defines no {exercise.name}"
    if not callable(answer):
        return f"{exercise.name} is {type(answer).__name__}, where a function is needed"
    try:
        exercise.check(answer)
    except NotImplementedError:
        return NOT_YET
    except Wrong as wrong:
        return str(wrong)
    return None


def stub(number: str, exercises: Sequence[Exercise]) -> str:
    """Return the text of a file that holds the signatures of a lab's exercises."""
    functions = "\n\n".join(f"{exercise.stub.strip()}\n{exercise.body}" for exercise in exercises)
    heading = f'"""My answers to lab {number}. Check them: python -m paddle_mnist.check {number}"""\n'
    return f"{heading}\nimport numpy as np\n\n\n{functions}"


def _start(file: Path, number: str, exercises: Sequence[Exercise]) -> int:
    if file.exists():
        raise UserError(f"{file} is there already, and nothing is overwritten: rename it to begin anew")
    with atomic_write(file, "w") as out:
        out.write(stub(number, exercises))
    print(f"{file}: write your answers there, then run: python -m paddle_mnist.check {number}")
    return 0


def _hint(number: str, exercises: Sequence[Exercise], solved: Sequence[str]) -> int:
    name = _name(number)
    given: dict[str, Any] = tools.notes(name, "hints")
    for place, exercise in enumerate(exercises, start=1):
        if exercise.name in solved:
            continue
        count = min(int(given.get(exercise.name, 0)) + 1, len(exercise.hints))
        for english, chinese in exercise.hints[:count]:
            print(f"{place}. {exercise.name}: {english}\n   {chinese}")
        given[exercise.name] = count
    tools.note_hints(name, given)
    return 0


def _import(file: Path, number: str) -> ModuleType:
    """Run the student's file as a module of its own."""
    if not file.exists():
        raise UserError(f"{file} is not there: make it with python -m paddle_mnist.check {number} --start")
    module = ModuleType(f"my_{number}")
    module.__file__ = str(file)
    try:
        exec(compile(file.read_bytes(), str(file), "exec"), module.__dict__)
    except SyntaxError as error:
        raise UserError(f"{file}, line {error.lineno}: this is not Python: {error.msg}") from error
    except (Exception, SystemExit) as error:
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
        line = lines[-1] if lines else 1
        raise UserError(f"{file}, line {line}: {type(error).__name__}: {error}") from error
    return module


def _name(number: str) -> str:
    return next(name for name in tools.names() if name.startswith(number))


if __name__ == "__main__":
    sys.exit(console.run(main))

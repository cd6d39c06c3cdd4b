"""Check the answers to a lab's exercises.

    python -m paddle_mnist.check 03 --start     make labs/my/03.py with the signatures
    python -m paddle_mnist.check 03             judge each exercise: right, or what differs, on which input, and why
    python -m paddle_mnist.check 03 --watch     judge again whenever the file is saved
    python -m paddle_mnist.check 03 --hint      a hint for each exercise not yet solved; again for the next one

Exits with 0 if all are right, 1 if some are not, 2 if there is nothing to check.
"""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from paddle_mnist import console
from paddle_mnist.errors import UserError
from paddle_mnist.labs import runner, tools
from paddle_mnist.labs.exercises import catalog
from paddle_mnist.labs.exercises.base import Exercise
from paddle_mnist.labs.verdicts import RIGHT, judge
from paddle_mnist.storage.files import atomic_write, read_bytes

POLL_SECONDS = 0.1
LARGEST_FILE = 1 << 20


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    parser = console.Parser(prog="python -m paddle_mnist.check", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("lab", help="the number of the lab, such as 03")
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--start", action="store_true", help="make labs/my/NN.py with the signatures to fill in")
    action.add_argument("--hint", action="store_true", help="give the next hint for each exercise that is not solved")
    action.add_argument("--watch", action="store_true", help="judge again whenever the file is saved, until Ctrl-C")
    parser.add_argument("--file", type=Path, help="check this file instead of labs/my/NN.py, and record nothing")
    args = parser.parse_args(argv)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # hints are in Chinese too, which not every console can show

    number = f"{int(args.lab):02}" if args.lab.isdecimal() else args.lab
    exercises = catalog.load(number, tools.numbers())
    file = args.file or tools.labs_folder() / "my" / f"{number}.py"
    if args.start:
        return _start(file, number, exercises)
    if args.watch:
        return _watch(file, number, exercises, record=args.file is None)
    if args.hint:
        solved = [verdict.exercise for verdict in _verdicts(file, number, exercises) if verdict.kind == RIGHT]
        return _hint(number, exercises, solved)
    return _check(file, number, exercises, record=args.file is None)


def in_notebook(number: str, names: Mapping[str, Any], hints: int = 0) -> None:
    """Judge the answers in a notebook, in the notebook's own process.

    Args:
        number: of the lab, two digits.
        names: ``globals()``, where the notebook's functions are.
        hints: how many hints to print for each exercise that is not solved.
    """
    exercises = catalog.load(number, tools.numbers())
    verdicts = [judge(exercise, names) for exercise in exercises]
    for place, verdict in enumerate(verdicts, start=1):
        print(f"{place}. {verdict.exercise}: {verdict}")
    solved = [verdict.exercise for verdict in verdicts if verdict.kind == RIGHT]
    tools.note_solved(tools.name_of(number), solved)
    for place, exercise in enumerate(exercises, start=1):
        if exercise.name not in solved:
            _print_hints(place, exercise, hints)


def _check(
    file: Path, number: str, exercises: Sequence[Exercise], record: bool, child: runner.Child | None = None
) -> int:
    verdicts = _verdicts(file, number, exercises, show=_show, child=child)
    return _report(number, exercises, verdicts, record)


def _report(number: str, exercises: Sequence[Exercise], verdicts: Any, record: bool) -> int:
    """Print each verdict as it comes, and then the sum; return the exit status."""
    solved = []
    for place, verdict in enumerate(verdicts, start=1):
        print(f"{place}. {verdict.exercise}: {verdict}", flush=True)
        if verdict.kind == RIGHT:
            solved.append(verdict.exercise)
    print(f"{len(solved)} of {len(exercises)} right")
    if record:
        tools.note_solved(tools.name_of(number), solved)
    if len(solved) < len(exercises):
        print(f"hints: python -m paddle_mnist.check {number} --hint")
    return 0 if len(solved) == len(exercises) else 1


def _verdicts(file: Path, number: str, exercises: Sequence[Exercise], **options: Any) -> Any:
    return runner.verdicts(number, exercises, str(file), _source(file, number), **options)


def _show(text: str) -> None:
    """Print what an answer prints, marked as such."""
    print("".join(f"   | {line[:300]}\n" for line in text.splitlines()), end="", flush=True)


def _watch(file: Path, number: str, exercises: Sequence[Exercise], record: bool) -> int:
    """Check the file now and after each change, until Ctrl-C."""
    seen: tuple[int, ...] | None = None
    child = runner.Child(number)
    try:
        while True:
            stamp = _stamp(file)
            if stamp == seen or (stamp is None and seen is not None):  # unchanged, or being replaced by an editor
                time.sleep(POLL_SECONDS)
                continue
            seen = stamp
            print(time.strftime("— %H:%M:%S —"))
            try:
                _check(file, number, exercises, record, child)
            except runner.CannotRun as error:
                print(error)
            child.end()
            child = runner.Child(number)  # ready before the file is saved again
            print(f"watching {file}; Ctrl-C ends", flush=True)
    except KeyboardInterrupt:
        print()
        return 0
    finally:
        child.end()


def _stamp(file: Path) -> tuple[int, ...] | None:
    """Return what changes when a file is saved; ``None`` if there is no file."""
    try:
        status = file.stat()
    except FileNotFoundError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _start(file: Path, number: str, exercises: Sequence[Exercise]) -> int:
    if file.exists():
        raise UserError(f"{file} exists already and is not overwritten: rename it to start again")
    with atomic_write(file, "w") as out:
        out.write(catalog.start_file(number, exercises))
    print(f"{file}: write your answers there, then run: python -m paddle_mnist.check {number}")
    return 0


def _hint(number: str, exercises: Sequence[Exercise], solved: Sequence[str]) -> int:
    name = tools.name_of(number)
    given: dict[str, Any] = tools.notes(name, "hints")
    for place, exercise in enumerate(exercises, start=1):
        if exercise.name in solved:
            continue
        count = min(int(given.get(exercise.name, 0)) + 1, len(exercise.hints))
        _print_hints(place, exercise, count)
        given[exercise.name] = count
    tools.note_hints(name, given)
    return 0


def _print_hints(place: int, exercise: Exercise, count: int) -> None:
    for english, chinese in exercise.hints[:count]:
        print(f"{place}. {exercise.name}: {english}\n   {chinese}")


def _source(file: Path, number: str) -> bytes:
    """Read the student's file."""
    if not file.exists():
        raise UserError(f"{file} does not exist: create it with python -m paddle_mnist.check {number} --start")
    return read_bytes(file, LARGEST_FILE)


if __name__ == "__main__":
    sys.exit(console.run(main))

"""Print how the exercises' checks do on the corpus of right and wrong answers.

    python tools/check_exercises.py          a table with a line for each lab
    python tools/check_exercises.py --all    and a line for each wrong answer: what it is told

The corpus is ``tests/wrong_answers`` (the docstring of each answer quotes the diagnosis that it must get),
``tests/right_answers`` and ``tests/solutions``.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

from paddle_mnist import console, cpu
from paddle_mnist.labs import tools
from paddle_mnist.labs.exercises import catalog
from paddle_mnist.labs.exercises.base import Exercise, Wrong

TESTS = Path(__file__).resolve().parents[1] / "tests"


def main() -> int:
    """Print the table; the exit status is 1 if a wrong answer passes or a right one does not."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--all", action="store_true", help="print what each wrong answer is told")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    cpu.tune()
    print("lab  wrong  refused  told their own mistake  right  accepted")
    total = [0] * 5
    for number in tools.numbers():
        counts = [0] * 5
        for exercise, answer in answers("wrong_answers", number):
            wrong = verdict(exercise, answer)
            told = wrong is not None and bool(answer.__doc__) and (answer.__doc__ or "") in wrong.why
            counts = [a + b for a, b in zip(counts, (1, wrong is not None, told, 0, 0), strict=True)]
            if args.all:
                print(f"     {answer.__name__}: {wrong.why if wrong else 'PASSES'}")
        for folder in ("right_answers", "solutions"):
            for exercise, answer in answers(folder, number):
                counts[3] += 1
                counts[4] += verdict(exercise, answer) is None
        total = [a + b for a, b in zip(total, counts, strict=True)]
        print(_row(number, counts))
    print(_row("all", total))
    return 0 if total[0] == total[1] and total[3] == total[4] else 1


def answers(folder: str, number: str) -> Iterator[tuple[Exercise, Callable[..., object]]]:
    """Yield each answer in a file of the corpus with its exercise."""
    path = TESTS / folder / f"{number}.py"
    if not path.exists():
        return
    spec = importlib.util.spec_from_file_location(f"{folder}_{number}", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    exercises = {exercise.name: exercise for exercise in catalog.load(number, tools.numbers())}
    for name, answer in vars(module).items():
        if not name.startswith("_") and name.split("__")[0] in exercises:
            yield exercises[name.split("__")[0]], answer


def verdict(exercise: Exercise, answer: Callable[..., object]) -> Wrong | None:
    """Return what is wrong with an answer, ``None`` if it is right."""
    try:
        exercise.check(answer)
    except Wrong as wrong:
        return wrong
    return None


def _row(name: str, counts: list[int]) -> str:
    share = f"{counts[2]} ({counts[2] / counts[0]:.0%})" if counts[0] else "-"
    return f"{name:<3}  {counts[0]:>5}  {counts[1]:>7}  {share:>22}  {counts[3]:>5}  {counts[4]:>8}"


if __name__ == "__main__":
    sys.exit(console.run(lambda argv: main()))

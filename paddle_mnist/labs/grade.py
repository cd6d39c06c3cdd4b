"""Judges the answers of a whole class, offline, into one table.

A folder holds the submissions as ``<student>/<NN>.py`` or ``<student>_<NN>.py``. Each is judged in a process of its
own, in an empty temporary folder that is also its HOME, without the network where the system permits that, and inside
the fences of ``sandbox``; read there what they promise.
"""

from __future__ import annotations

import csv
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from paddle_mnist.errors import UserError
from paddle_mnist.labs import runner, tools
from paddle_mnist.labs.exercises import catalog
from paddle_mnist.labs.verdicts import RIGHT, Verdict
from paddle_mnist.storage.files import atomic_write, read_bytes

CANNOT_RUN = "cannot run"
COLUMNS = ("student", "lab", "exercise", "verdict", "message")
LARGEST_FILE = 1 << 20
LIMITS = runner.Limits(seconds=10)

_FLAT = re.compile(r"(?P<student>.+)_(?P<lab>\d\d)\.py")
_NESTED = re.compile(r"(?P<lab>\d\d)\.py")


@dataclass(frozen=True)
class Submission:
    """A student's file of answers to a lab.

    Attributes:
        student: from the name of the file or of its folder.
        lab: two digits.
        path: of the file.
    """

    student: str
    lab: str
    path: Path


def submissions(folder: Path) -> tuple[list[Submission], list[Path]]:
    """Find the submissions in a folder.

    Args:
        folder: of the class.

    Returns:
        The submissions, by student and lab, and the files and folders that are none.

    Raises:
        UserError: it is not a folder.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} must be a folder of submissions, STUDENT/NN.py or STUDENT_NN.py")
    known, found, others = tools.numbers(), [], []
    for entry in sorted(folder.iterdir()):
        if entry.is_dir() and not entry.is_symlink():
            inside = [(entry.name, path, _NESTED.fullmatch(path.name)) for path in sorted(entry.iterdir())]
        else:
            match = _FLAT.fullmatch(entry.name)
            inside = [(match["student"] if match else "", entry, match)]
        for student, path, match in inside:
            if match and match["lab"] in known:
                found.append(Submission(student, match["lab"], path))
            else:
                others.append(path)
    return sorted(found, key=lambda submission: (submission.student, submission.lab)), others


def grade(
    found: Sequence[Submission],
    limits: runner.Limits = LIMITS,
    jobs: int | None = None,
    tell: Callable[[Submission, list[Verdict]], None] = lambda submission, verdicts: None,
) -> list[tuple[Submission, list[Verdict]]]:
    """Judge submissions, several at a time.

    Args:
        found: the submissions.
        limits: for each file of answers.
        jobs: how many to judge at a time; by default as many as there are cores.
        tell: is called with each result, in the order of the submissions.

    Returns:
        For each submission its verdicts.
    """
    results = []
    with ThreadPoolExecutor(jobs or os.cpu_count() or 1) as pool:
        for submission, verdicts in zip(found, pool.map(lambda one: judge(one, limits), found), strict=True):
            tell(submission, verdicts)
            results.append((submission, verdicts))
    return results


def judge(submission: Submission, limits: runner.Limits) -> list[Verdict]:
    """Judge one submission; whatever is wrong with its file becomes a verdict."""
    names: list[str] = []
    try:
        exercises = catalog.load(submission.lab, tools.numbers())
        names = [exercise.name for exercise in exercises]
        if submission.path.is_symlink():
            raise UserError("the file must not be a link")
        source = read_bytes(submission.path, LARGEST_FILE)
        with tempfile.TemporaryDirectory(prefix="answers-", ignore_cleanup_errors=True) as folder:
            name = f"{submission.lab}.py"
            own = os.path.realpath(folder)
            return list(runner.verdicts(submission.lab, exercises, name, source, limits=limits, folder=own))
    except UserError as error:
        return [Verdict(name, CANNOT_RUN, str(error)) for name in names or ["-"]]


def rows(results: Sequence[tuple[Submission, list[Verdict]]]) -> Iterator[tuple[str, ...]]:
    """Yield the lines of the table, the heading first."""
    yield COLUMNS
    for submission, verdicts in results:
        for verdict in verdicts:
            message = " ".join(verdict.message.replace("\n   ", "; ").split())
            cells = (submission.student, submission.lab, verdict.exercise, verdict.kind, message)
            yield tuple(_plain(cell) for cell in cells)


def write_table(path: Path, results: Sequence[tuple[Submission, list[Verdict]]]) -> None:
    """Write the table as CSV, in UTF-8."""
    with atomic_write(path, "w") as file:
        csv.writer(file, lineterminator="\n").writerows(rows(results))


def summary(submission: Submission, verdicts: Sequence[Verdict]) -> str:
    """Return a line such as ``"anna 03: 2 of 3 right"``."""
    right = sum(verdict.kind == RIGHT for verdict in verdicts)
    return f"{submission.student} {submission.lab}: {right} of {len(verdicts)} right"


def _plain(cell: str) -> str:
    """Return a cell that no spreadsheet takes for a formula."""
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t")) and cell != "-" else cell

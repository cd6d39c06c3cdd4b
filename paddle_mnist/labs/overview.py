"""The list of the labs: what was run and solved, how long each takes to work through, and what to do next."""

from __future__ import annotations

import re
from collections.abc import Sequence

from paddle_mnist.labs import tools
from paddle_mnist.labs.cells import Cell, in_language, read_cells, title
from paddle_mnist.labs.notebooks import exercises_of

# Somebody who learns reads so many words a minute, and so many lines of code.
WORDS_A_MINUTE, LINES_A_MINUTE = 100, 6


def lines(language: str = "both") -> list[str]:
    """Return a line for each lab, and one that names the next step.

    Args:
        language: of the titles, ``"both"``, ``"en"`` or ``"zh"``.
    """
    return [_line(name, language) for name in tools.names()] + [f"next: {next_step()}"]


def minutes(cells: Sequence[Cell]) -> int:
    """Return about how long it takes to work through a lab, without its exercises, in steps of five minutes."""
    words = sum(len(re.findall(r"\w+", in_language(cell.text, "en"))) for cell in cells if cell.kind == "markdown")
    code = sum(bool(line.strip()) for cell in cells if cell.kind == "code" for line in cell.text.splitlines())
    return max(5, 5 * round((words / WORDS_A_MINUTE + code / LINES_A_MINUTE) / 5))


def next_step() -> str:
    """Return the command that comes next: the first lab that was not run, or whose exercises are not all solved."""
    for name in tools.names():
        number = name[:2]
        if "finished" not in tools.notes(name, "run"):
            return f"python labs/{name}.py"
        if set(_solved(name)) < {exercise.name for exercise in exercises_of(number)}:
            begun = (tools.labs_folder() / "my" / f"{number}.py").exists()
            return f"python -m paddle_mnist.check {number}{'' if begun else ' --start'}"
    return "all labs are run and solved"


def _line(name: str, language: str) -> str:
    cells = read_cells(tools.source_folder() / f"{name}.py")
    run = tools.notes(name, "run")
    ran = f"run {run['finished']}" if "finished" in run else "not run"
    solved = f"{len(_solved(name))} of {len(exercises_of(name[:2]))} solved"
    heading = re.sub(r"^\d+\. ", "", title(cells, language))
    return f"{name[:2]}  {ran:<20}  {solved}  about {minutes(cells):>3} min  {heading}  (labs/{name}.py)"


def _solved(name: str) -> list[str]:
    """Return the exercises of a lab that are solved; those of an earlier edition do not count."""
    noted = tools.notes(name, "solved").get("solved", [])
    return [exercise.name for exercise in exercises_of(name[:2]) if isinstance(noted, list) and exercise.name in noted]

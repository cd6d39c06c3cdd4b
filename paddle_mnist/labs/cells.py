"""Splits a lab, a script with ``# %%`` markers, into its cells of text and code."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

LANGUAGES = ("both", "en", "zh")

_MARKER = re.compile(r"^# %%(?: (\[markdown\]))?\s*$")


@dataclass(frozen=True)
class Cell:
    """A cell of a lab.

    Attributes:
        kind: ``"markdown"`` or ``"code"``.
        text: its lines, without the comment signs of a markdown cell.
        line: the number of its first line in the script.
    """

    kind: str
    text: str
    line: int = 1


def read_cells(path: Path) -> list[Cell]:
    """Split a lab into its cells.

    Args:
        path: a script whose cells begin with ``# %%`` or ``# %% [markdown]``.
    """
    cells: list[tuple[str, int, list[str]]] = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
        if marker := _MARKER.match(line):
            cells.append(("markdown" if marker[1] else "code", number + 1, []))
        elif cells:
            kind, _, lines = cells[-1]
            lines.append(re.sub("^# ?", "", line) if kind == "markdown" else line)
    return [_cell(*cell) for cell in cells]


def _cell(kind: str, first: int, lines: list[str]) -> Cell:
    while lines and not lines[0]:
        lines, first = lines[1:], first + 1
    return Cell(kind, "\n".join(lines).rstrip("\n"), first)


def in_language(text: str, language: str) -> str:
    """Return the part of a markdown cell that is in a language.

    The Chinese text stands in block quotes (``>``), the English one does not; a heading has both, with `` · `` between;
    indented formulas belong to both.

    Args:
        text: of the cell.
        language: ``"both"``, ``"en"`` or ``"zh"``.
    """
    if language == "both":
        return text
    chosen = []
    for line in text.splitlines():
        if line.startswith("#"):
            chosen.append(_heading(line, language))
        elif line.startswith(">"):
            if language == "zh":
                chosen.append(re.sub("^> ?", "", line))
        elif language == "en" or line.startswith("    ") or not line:
            chosen.append(line)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(chosen)).strip("\n")


def title(cells: list[Cell], language: str = "both") -> str:
    """Return a lab's title, without the sign of a heading."""
    return in_language(cells[0].text.splitlines()[0], language).lstrip("# ")


def _heading(line: str, language: str) -> str:
    level, _, heading = line.partition(" ")
    english, _, chinese = heading.partition(" · ")
    number = re.match(r"\d+\. ", english)
    return f"{level} {english if language == 'en' else (number[0] if number else '') + chinese}"

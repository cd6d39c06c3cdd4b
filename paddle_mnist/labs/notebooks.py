"""Splits a lab into cells, and writes it as a Jupyter notebook."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paddle_mnist.storage.files import atomic_write

LANGUAGES = ("both", "en", "zh")

_MARKER = re.compile(r"^# %%(?: (\[markdown\]))?\s*$")


@dataclass(frozen=True)
class Cell:
    """A cell of a lab.

    Attributes:
        kind: ``"markdown"`` or ``"code"``.
        text: its lines, without the comment signs of a markdown cell.
    """

    kind: str
    text: str


def read_cells(path: Path) -> list[Cell]:
    """Split a lab into its cells.

    Args:
        path: a script whose cells begin with ``# %%`` or ``# %% [markdown]``.
    """
    cells: list[tuple[str, list[str]]] = []
    for line in path.read_text("utf-8").splitlines():
        if marker := _MARKER.match(line):
            cells.append(("markdown" if marker[1] else "code", []))
        elif cells:
            kind, lines = cells[-1]
            lines.append(re.sub("^# ?", "", line) if kind == "markdown" else line)
    return [Cell(kind, "\n".join(lines).strip("\n")) for kind, lines in cells]


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
            level, _, title = line.partition(" ")
            english, _, chinese = title.partition(" · ")
            number = re.match(r"\d+\. ", english)
            chosen.append(f"{level} {english if language == 'en' else (number[0] if number else '') + chinese}")
        elif line.startswith(">"):
            if language == "zh":
                chosen.append(re.sub("^> ?", "", line))
        elif language == "en" or line.startswith("    ") or not line:
            chosen.append(line)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(chosen)).strip("\n")


def notebook(cells: Sequence[Cell], language: str = "both") -> dict[str, Any]:
    """Return cells as a Jupyter notebook of format 4.5, ready for ``json.dump``."""
    entries = []
    for place, cell in enumerate(cells):
        text = in_language(cell.text, language) if cell.kind == "markdown" else cell.text
        entry: dict[str, Any] = {"cell_type": cell.kind, "id": f"cell-{place}", "metadata": {}}
        if cell.kind == "code":
            entry |= {"execution_count": None, "outputs": []}
        entries.append(entry | {"source": text.splitlines(keepends=True)})
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {"cells": entries, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}


def write_notebook(lab: Path, folder: Path, language: str = "both") -> Path:
    """Write a lab as a notebook and return the notebook's path.

    Args:
        lab: the script.
        folder: where the notebook goes; made if it is missing. A notebook of this name is replaced.
        language: ``"both"``, ``"en"`` or ``"zh"``.
    """
    path = folder / f"{lab.stem}.ipynb"
    with atomic_write(path, "w") as file:
        json.dump(notebook(read_cells(lab), language), file, ensure_ascii=False, indent=1)
        file.write("\n")
    return path

"""Writes a lab as a Jupyter notebook: its cells, their outputs, and its exercises with a cell that checks them."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from paddle_mnist.errors import UserError
from paddle_mnist.labs import formulas, tools
from paddle_mnist.labs.cells import Cell, in_language, read_cells
from paddle_mnist.labs.execute import Output
from paddle_mnist.labs.exercises import catalog
from paddle_mnist.labs.exercises.base import Exercise
from paddle_mnist.storage.files import atomic_write

CHECK = """\
from paddle_mnist import check

check.in_notebook("{number}", globals())  # hints=1 adds a first hint for each exercise that is not solved"""


def write_notebook(lab: Path, folder: Path, language: str = "both", outputs: Sequence[Output] = ()) -> Path:
    """Write a lab as a notebook and return the notebook's path.

    Args:
        lab: the script.
        folder: where the notebook goes; made if it is missing. A notebook of this name is replaced.
        language: ``"both"``, ``"en"`` or ``"zh"``.
        outputs: one for each code cell of the script, or none.
    """
    path = folder / f"{lab.stem}.ipynb"
    book = notebook(read_cells(lab), language, outputs, exercises_of(lab.stem[:2]), lab.stem[:2])
    with atomic_write(path, "w") as file:
        json.dump(book, file, ensure_ascii=False, indent=1)
        file.write("\n")
    return path


def exercises_of(number: str) -> tuple[Exercise, ...]:
    """Return the exercises of a lab, none if it has none."""
    try:
        return catalog.load(number, tools.numbers())
    except UserError:
        return ()


def notebook(
    cells: Sequence[Cell],
    language: str = "both",
    outputs: Sequence[Output] = (),
    exercises: Sequence[Exercise] = (),
    number: str = "",
) -> dict[str, Any]:
    """Return cells as a Jupyter notebook of format 4.5, ready for ``json.dump``.

    Args:
        cells: of the script.
        language: ``"both"``, ``"en"`` or ``"zh"``.
        outputs: one for each code cell, or none.
        exercises: a cell is added for each, and one that checks them.
        number: of the lab, two digits.
    """
    left = list(outputs)
    entries = []
    for cell in cells:
        if cell.kind == "markdown":
            text = with_formulas(in_language(cell.text, language), lambda block: _display(block, language))
            entries.append(_entry("markdown", text))
        else:
            entries.append(_entry("code", cell.text) | _outputs(left.pop(0) if left else None, bool(outputs)))
    if exercises:
        # The exercises come last: after the cell that ends the lab, and below the text that describes them.
        if entries[-1]["cell_type"] == "code" and entries[-2]["cell_type"] == "markdown":
            entries[-2:] = [entries[-1], entries[-2]]
        entries += [_entry("code", exercise.source) for exercise in exercises]
        entries.append(_entry("code", CHECK.format(number=number)))
    for place, entry in enumerate(entries):
        entry["id"] = f"cell-{place}"
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {"cells": entries, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}


def with_formulas(text: str, enclose: Callable[[str], str]) -> str:
    """Return a markdown text with its indented formulas in TeX; indented commands stay as they are.

    Args:
        text: of the cell.
        enclose: puts the signs of a formula around a block of TeX.
    """
    out: list[str] = []
    for block in re.split(r"\n{2,}", text):
        lines = block.splitlines()
        if lines and all(line.startswith("    ") for line in lines) and formulas.is_formula(lines):
            out.append(enclose(formulas.block(lines)))
        else:
            out.append(block)
    return "\n\n".join(out)


def _display(block: str, language: str) -> str:
    return f"$$\n{formulas.in_chinese(block) if language == 'zh' else block}\n$$"


def _entry(kind: str, text: str) -> dict[str, Any]:
    entry: dict[str, Any] = {"cell_type": kind, "id": "", "metadata": {}}
    if kind == "code":
        entry |= {"execution_count": None, "outputs": []}
    return entry | {"source": text.strip("\n").splitlines(keepends=True)}


def _outputs(output: Output | None, was_run: bool) -> dict[str, Any]:
    if output is None or not was_run:
        return {}
    shown: list[dict[str, Any]] = []
    if output.text:
        shown.append({"output_type": "stream", "name": "stdout", "text": output.text.splitlines(keepends=True)})
    for picture in output.pictures:
        data = {"image/png": base64.b64encode(picture).decode()}
        shown.append({"output_type": "display_data", "data": data, "metadata": {}})
    return {"outputs": shown}

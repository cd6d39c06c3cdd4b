"""Writes a lab as a page of Markdown with its outputs, so that it can be read without being run."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from pathlib import Path

from paddle_mnist.labs.cells import read_cells, title
from paddle_mnist.labs.execute import Output
from paddle_mnist.labs.notebooks import with_formulas
from paddle_mnist.storage.files import atomic_write

# Longer outputs are cut in the middle.
MOST_LINES = 30


def is_current(lab: Path, folder: Path) -> bool:
    """Return whether a folder holds a page of the lab as it is now."""
    page = folder / f"{lab.stem}.md"
    return page.is_file() and page.read_text("utf-8").startswith(_mark(lab))


def write_page(lab: Path, folder: Path, outputs: Sequence[Output], names: Sequence[str]) -> Path:
    """Write a lab as a page, its pictures beside it, and return the page's path.

    Args:
        lab: the script.
        folder: where the page goes; a page and pictures of this lab are replaced.
        outputs: one for each code cell.
        names: of all labs, for the links to the one before and the one after.
    """
    pictures = folder / "pages"
    pictures.mkdir(parents=True, exist_ok=True)
    for old in pictures.glob(f"{lab.stem[:2]}-*.png"):
        old.unlink()
    parts, left, count = [_mark(lab), _links(lab, folder, names)], list(outputs), 0
    for cell in read_cells(lab):
        if cell.kind == "markdown":
            parts.append(with_formulas(cell.text, lambda block: f"```math\n{block}\n```"))
            continue
        parts.append(f"```python\n{cell.text}\n```")
        output = left.pop(0)
        if output.text.strip():
            parts.append(f"```text\n{_cut(output.text)}\n```")
        for picture in output.pictures:
            count += 1
            path = pictures / f"{lab.stem[:2]}-{count}.png"
            with atomic_write(path) as file:
                file.write(picture)
            parts.append(f"![Picture {count} of the lab](pages/{path.name})")
    page = folder / f"{lab.stem}.md"
    with atomic_write(page, "w") as file:
        file.write("\n\n".join(parts).rstrip() + "\n")
    return page


def _mark(lab: Path) -> str:
    """Return the first line of a page: the digest of the script that it shows."""
    text = lab.read_text("utf-8").encode()  # with the same line ends on every system
    return f"<!-- {lab.name} {hashlib.sha256(text).hexdigest()[:16]} -->"


def _links(lab: Path, folder: Path, names: Sequence[str]) -> str:
    place = names.index(lab.stem)
    script = os.path.relpath(lab, folder).replace(os.sep, "/")
    links = [f"[script · 脚本]({script})"]
    for step, word in ((-1, "before · 上一个"), (1, "after · 下一个")):
        if 0 <= place + step < len(names):
            other = names[place + step]
            links.append(f"[{word}: {title(read_cells(lab.with_name(other + '.py')), 'en')}]({other}.md)")
    note = "*Made by `python -m paddle_mnist.labs --pages`; change the script, not this page.*"
    return note + "\n\n" + " | ".join(links)


def _cut(text: str) -> str:
    """Return at most ``MOST_LINES`` lines, without progress bars and colours."""
    lines = [re.sub(r"\x1b\[[\d;]*m", "", line).rsplit("\r", 1)[-1].rstrip() for line in text.rstrip().splitlines()]
    if len(lines) > MOST_LINES:
        lines = [*lines[: MOST_LINES - 6], f"… ({len(lines) - MOST_LINES + 1} lines are left out)", *lines[-5:]]
    return "\n".join(lines).replace("```", "'''")

"""Runs the cells of a lab one by one, and keeps what each prints and draws, without Jupyter."""

from __future__ import annotations

import base64
import builtins
import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paddle_mnist.errors import UserError
from paddle_mnist.labs.cells import Cell, read_cells

# A printed text that is longer is cut; a picture has this many dots an inch and this many colours.
LONGEST_TEXT, DOTS_PER_INCH, COLOURS = 20_000, 80, 128


@dataclass(frozen=True)
class Output:
    """What a cell left behind.

    Attributes:
        text: what it printed.
        pictures: its figures, as PNG files.
    """

    text: str = ""
    pictures: tuple[bytes, ...] = ()


def run_lab(path: Path) -> list[Output]:
    """Run a lab in a process of its own, in an empty folder.

    Args:
        path: of the script.

    Returns:
        an output for each code cell.

    Raises:
        UserError: the lab stops with an exception.
    """
    with tempfile.TemporaryDirectory(prefix="lab-", ignore_cleanup_errors=True) as folder:
        result = Path(folder) / "outputs.json"
        (Path(folder) / "work").mkdir()  # where the lab leaves its notes and pictures
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path)), "PYTHONUTF8": "1"}
        command = [sys.executable, "-m", "paddle_mnist.labs.execute", str(path.resolve()), str(result)]
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, encoding="utf-8", errors="replace"
        )
        if done.returncode:
            raise UserError(f"{path} stops: {(done.stderr.strip() or 'without a message').splitlines()[-1]}")
        outputs = json.loads(result.read_text("utf-8"))
    checkout = str(path.resolve().parents[1]) + os.sep  # paths of this machine concern no reader
    return [
        Output(
            output["text"].replace(folder, "…").replace(checkout, ""),
            tuple(base64.b64decode(picture) for picture in output["pictures"]),
        )
        for output in outputs
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Run a lab in this process, and write its outputs as JSON."""
    script, result = sys.argv[1:] if argv is None else argv
    import matplotlib

    matplotlib.use("Agg")
    builtins.get_ipython = lambda: None  # type: ignore[attr-defined]  # so that the labs behave as in a notebook
    names: dict[str, Any] = {"__name__": "__main__", "__file__": script}
    outputs = [_run(cell, script, names) for cell in read_cells(Path(script)) if cell.kind == "code"]
    Path(result).write_text(json.dumps(outputs), "utf-8")
    return 0


def _run(cell: Cell, script: str, names: dict[str, Any]) -> dict[str, Any]:
    printed = io.StringIO()
    # Empty lines above make the line numbers those of the script, which tracebacks and inspect.getsource look up.
    source = "\n" * (cell.line - 1) + cell.text
    with contextlib.redirect_stdout(printed):
        exec(compile(source, script, "exec"), names)
    text = printed.getvalue()
    if len(text) > LONGEST_TEXT:
        text = text[:LONGEST_TEXT] + "\n… (more output is left out)\n"
    return {"text": text, "pictures": [base64.b64encode(picture).decode() for picture in _pictures()]}


def _pictures() -> list[bytes]:
    """Return the open figures as small PNG files, and close them, as a notebook does after each cell."""
    from matplotlib import pyplot
    from PIL import Image

    pictures = []
    for number in pyplot.get_fignums():
        drawn, small = io.BytesIO(), io.BytesIO()
        pyplot.figure(number).savefig(drawn, format="png", dpi=DOTS_PER_INCH, bbox_inches="tight")
        Image.open(drawn).convert("RGB").quantize(COLOURS).save(small, "PNG", optimize=True)
        pictures.append(small.getvalue())
    pyplot.close("all")
    return pictures


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Exception:
        traceback.print_exc()
        sys.exit(1)

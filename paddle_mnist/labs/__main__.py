"""List the labs with what was run and solved, or write them as notebooks.

python -m paddle_mnist.labs                          the list
python -m paddle_mnist.labs --notebooks              labs/notebooks/NN_name.ipynb, in both languages
python -m paddle_mnist.labs --notebooks --lang zh    the Chinese text only
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from paddle_mnist import console
from paddle_mnist.errors import UserError
from paddle_mnist.labs import notebooks, tools


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    parser = console.Parser(prog="python -m paddle_mnist.labs", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--notebooks", action="store_true", help="write the labs as Jupyter notebooks")
    parser.add_argument("--lang", choices=notebooks.LANGUAGES, help="the notebooks' language")
    parser.add_argument("--out", type=Path, help="the notebooks' folder, labs/notebooks by default")
    args = parser.parse_args(argv)
    if args.lang and not args.notebooks:
        raise UserError("--lang is the language of notebooks: add --notebooks")
    if args.notebooks:
        out = args.out or tools.labs_folder() / "notebooks"
        for name in tools.names():
            path = notebooks.write_notebook(tools.source_folder() / f"{name}.py", out, args.lang or "both")
            print(path)
        return 0
    for name in tools.names():
        print(_line(name))
    return 0


def title(name: str) -> str:
    """Return a lab's title, in English."""
    first = notebooks.read_cells(tools.source_folder() / f"{name}.py")[0].text.splitlines()[0]
    return first.lstrip("# ").partition(" · ")[0]


def _line(name: str) -> str:
    run, solved = tools.notes(name, "run"), tools.notes(name, "solved").get("solved", [])
    ran = f"run {run['finished']}" if "finished" in run else "not run"
    return f"{title(name):<36} {ran:<21} {len(solved)} of 3 solved   labs/{name}.py"


if __name__ == "__main__":
    sys.exit(console.run(main))

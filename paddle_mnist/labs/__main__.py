"""List the labs with what was run and solved, write them as notebooks, or judge the answers of a class.

python -m paddle_mnist.labs                          the list
python -m paddle_mnist.labs --notebooks              labs/notebooks/NN_name.ipynb, in both languages
python -m paddle_mnist.labs --notebooks --lang zh    the Chinese text only
python -m paddle_mnist.labs grade FOLDER             a table of verdicts on STUDENT/NN.py or STUDENT_NN.py
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from paddle_mnist import console
from paddle_mnist.errors import UserError
from paddle_mnist.labs import grade, notebooks, runner, tools


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == ["grade"]:
        return _grade(arguments[1:])
    parser = console.Parser(prog="python -m paddle_mnist.labs", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--notebooks", action="store_true", help="write the labs as Jupyter notebooks")
    parser.add_argument("--lang", choices=notebooks.LANGUAGES, help="the notebooks' language")
    parser.add_argument("--out", type=Path, help="the notebooks' folder, labs/notebooks by default")
    args = parser.parse_args(arguments)
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


def _grade(argv: Sequence[str]) -> int:
    parser = console.Parser(prog="python -m paddle_mnist.labs grade", description="Judge the answers of a class.")
    parser.add_argument("folder", type=Path, help="holds STUDENT/NN.py or STUDENT_NN.py, NN being the lab")
    parser.add_argument("--out", type=Path, default=Path("marks.csv"), help="the table, marks.csv by default")
    parser.add_argument("--seconds", type=float, default=grade.LIMITS.seconds, help="the limit for each exercise")
    parser.add_argument("--jobs", type=int, help="how many to judge at a time, by default as many as there are cores")
    args = parser.parse_args(argv)
    if not args.seconds > 0:
        raise UserError(f"--seconds must be above 0, got {args.seconds:g}")
    if args.jobs is not None and args.jobs < 1:
        raise UserError(f"--jobs must be at least 1, got {args.jobs}")
    found, others = grade.submissions(args.folder)
    if not found:
        raise UserError(
            f"{args.folder} holds no submissions: name them STUDENT/NN.py or STUDENT_NN.py, such as anna/03.py"
        )
    for path in others:
        console.note(f"not a submission: {path}")
    results = grade.grade(
        found,
        runner.Limits(args.seconds),
        args.jobs,
        lambda submission, verdicts: print(grade.summary(submission, verdicts), flush=True),
    )
    grade.write_table(args.out, results)
    print(args.out)
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

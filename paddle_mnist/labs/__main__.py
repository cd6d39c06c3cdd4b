"""List the labs, write them as notebooks or pages, or judge the answers of a class.

python -m paddle_mnist.labs                          what was run and solved, and what comes next
python -m paddle_mnist.labs --notebooks              labs/notebooks/NN_name.ipynb, with outputs: runs every lab
python -m paddle_mnist.labs --notebooks --only 03 --lang zh
python -m paddle_mnist.labs --notebooks --no-run     without outputs, in a second
python -m paddle_mnist.labs --pages                  docs/labs/NN_name.md, of the labs that have changed
python -m paddle_mnist.labs grade FOLDER             a table of verdicts on STUDENT/NN.py or STUDENT_NN.py
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence
from pathlib import Path

from paddle_mnist import console
from paddle_mnist.errors import UserError
from paddle_mnist.labs import grade, notebooks, overview, pages, runner, tools
from paddle_mnist.labs.cells import LANGUAGES
from paddle_mnist.labs.execute import run_lab


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # titles are in Chinese too, which not every console can show
    if arguments[:1] == ["grade"]:
        return _grade(arguments[1:])
    parser = console.Parser(prog="python -m paddle_mnist.labs", description=(__doc__ or "").split("\n")[0])
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--notebooks", action="store_true", help="write the labs as Jupyter notebooks")
    what.add_argument("--pages", action="store_true", help="write the labs as pages of Markdown")
    parser.add_argument("--lang", choices=LANGUAGES, help="the language of the list or of the notebooks")
    parser.add_argument("--only", metavar="NN", nargs="+", help="these labs only")
    parser.add_argument("--no-run", action="store_true", help="write notebooks without outputs")
    parser.add_argument("--out", type=Path, help="the folder, by default labs/notebooks or docs/labs")
    args = parser.parse_args(arguments)
    _refuse_options_without_effect(args)
    if args.notebooks or args.pages:
        return _write(args)
    for line in overview.lines(args.lang or "both"):
        print(line)
    return 0


def _refuse_options_without_effect(args: argparse.Namespace) -> None:
    if args.pages and args.lang:
        raise UserError("--lang has no effect with --pages: a page holds both languages")
    if args.no_run and not args.notebooks:
        raise UserError("--no-run needs --notebooks")
    if not (args.notebooks or args.pages) and (args.only or args.out):
        raise UserError("--only and --out need --notebooks or --pages")


def _write(args: argparse.Namespace) -> int:
    """Write notebooks or pages, and print the path of each; a lab that stops does not keep the others."""
    names = tools.names()
    numbers = {f"{int(number):02}" if number.isdecimal() else number for number in args.only or tools.numbers()}
    if unknown := numbers - set(tools.numbers()):
        raise UserError(f"there is no lab {min(unknown)!r}: choose one of {', '.join(tools.numbers())}")
    source, status = tools.source_folder(), 0
    for name in names:
        if name[:2] not in numbers:
            continue
        lab = source / f"{name}.py"
        out = args.out or (source.parent / "docs" / "labs" if args.pages else tools.labs_folder() / "notebooks")
        if args.pages and not args.only and pages.is_current(lab, out):
            continue
        try:
            outputs = [] if args.no_run else run_lab(lab)
        except UserError as error:
            console.note(str(error))
            status = 1
            continue
        if args.pages:
            print(pages.write_page(lab, out, outputs, names), flush=True)
        else:
            print(notebooks.write_notebook(lab, out, args.lang or "both", outputs), flush=True)
    return status


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


if __name__ == "__main__":
    sys.exit(console.run(main))

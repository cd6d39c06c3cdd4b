"""Judging a class: which files are submissions, what the table says, and that nothing stops it."""

from __future__ import annotations

import csv
import os
import shutil
from pathlib import Path

import pytest

from paddle_mnist.errors import UserError
from paddle_mnist.labs import __main__ as labs
from paddle_mnist.labs import grade, runner, tools
from paddle_mnist.labs.exercises import catalog
from paddle_mnist.labs.verdicts import NO_VERDICT, NOT_ANSWERED, RIGHT, WRONG, Verdict

HERE = Path(__file__).parent
LAB = "15"
NAMES = [exercise.name for exercise in catalog.load(LAB, tools.numbers())]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the answers of a class: one good, one empty, one that ends its process, one that is no Python."""
    folder = tmp_path / "class"
    (folder / "anna").mkdir(parents=True)
    shutil.copy(HERE / "solutions" / f"{LAB}.py", folder / "anna" / f"{LAB}.py")
    (folder / f"ben_{LAB}.py").write_text("x = 1\n")
    (folder / f"cleo_de_{LAB}.py").write_text(f"def {NAMES[1]}(checkpoints):\n    import os\n    os._exit(0)\n")
    (folder / f"=dora_{LAB}.py").write_text("def f(:\n")
    (folder / "notes.txt").write_text("no submission")
    (folder / "anna" / "99.py").write_text("no such lab")
    return folder


def test_submissions_are_found_by_both_layouts(folder):
    found, others = grade.submissions(folder)
    assert [(one.student, one.lab) for one in found] == [("=dora", LAB), ("anna", LAB), ("ben", LAB), ("cleo_de", LAB)]
    assert sorted(path.name for path in others) == ["99.py", "notes.txt"]
    with pytest.raises(UserError, match="must be a folder"):
        grade.submissions(folder / "notes.txt")


def test_grade_writes_a_table(folder, capsys):
    assert labs.main(["grade", str(folder), "--out", "marks.csv"]) == 0
    captured = capsys.readouterr()
    assert f"anna {LAB}: 3 of 3 right" in captured.out
    assert captured.out.rstrip().endswith("marks.csv")
    assert captured.err.count("not a submission") == 2
    with open("marks.csv", encoding="utf-8", newline="") as file:
        heading, *rows = csv.reader(file)
    assert tuple(heading) == grade.COLUMNS
    assert len(rows) == 12
    kinds = {(student, exercise): verdict for student, _, exercise, verdict, _ in rows}
    assert [kinds["anna", name] for name in NAMES] == [RIGHT] * 3
    assert [kinds["ben", name] for name in NAMES] == [NOT_ANSWERED] * 3
    assert [kinds["cleo_de", name] for name in NAMES] == [NOT_ANSWERED, NO_VERDICT, NOT_ANSWERED]
    assert [kinds["'=dora", name] for name in NAMES] == [grade.CANNOT_RUN] * 3
    assert all("\n" not in message for *_, message in rows)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "holds no submissions"),
        (["--seconds", "0"], "--seconds must be above 0, got 0"),
        (["--seconds", "nan"], "--seconds must be above 0"),
        (["--jobs", "0"], "--jobs must be at least 1, got 0"),
    ],
)
def test_grade_refuses_what_it_cannot_do(arguments, message, tmp_path):
    with pytest.raises(UserError, match=message):
        labs.main(["grade", str(tmp_path), *arguments])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_judge_refuses_pipes_links_and_large_files(tmp_path):
    os.mkfifo(tmp_path / "pipe.py")
    (tmp_path / "mine.py").write_text("")
    (tmp_path / "link.py").symlink_to("mine.py")
    (tmp_path / "large.py").write_bytes(b"#" * (grade.LARGEST_FILE + 1))
    for name, message in (("pipe", "regular file"), ("link", "must not be a link"), ("large", "at most 1,048,576")):
        verdicts = grade.judge(grade.Submission("a", LAB, tmp_path / f"{name}.py"), runner.Limits())
        assert [verdict.kind for verdict in verdicts] == [grade.CANNOT_RUN] * 3
        assert message in verdicts[0].message


def test_judge_runs_answers_in_an_empty_folder(tmp_path):
    path = tmp_path / "15.py"
    path.write_text(f"import os\ndef {NAMES[1]}(c):\n    open('left', 'w').close()\n    return os.listdir('.')\n")
    verdicts = grade.judge(grade.Submission("a", LAB, path), runner.Limits())
    assert verdicts[1].kind == WRONG and "['left']" in verdicts[1].message
    assert [entry.name for entry in tmp_path.iterdir()] == ["15.py"]


def test_grade_finds_each_solution_right(tmp_path):
    found = [grade.Submission("a", path.stem, path) for path in sorted((HERE / "solutions").glob("*.py"))]
    for submission, verdicts in grade.grade(found, runner.Limits(60)):
        assert [str(verdict) for verdict in verdicts] == [RIGHT] * len(verdicts), submission.lab


def test_rows_are_single_lines_that_no_spreadsheet_computes():
    submission = grade.Submission("@x", "03", Path("03.py"))
    _, row = grade.rows([(submission, [Verdict("f", WRONG, "=1\n   input: 2")])])
    assert row == ("'@x", "03", "f", WRONG, "'=1; input: 2")

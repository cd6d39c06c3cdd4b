"""The exercises: right answers pass, wrong ones are told what is wrong; and the command line."""

from __future__ import annotations

import functools
import importlib.util
import os
import queue
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from paddle_mnist import check
from paddle_mnist.labs import tools, verdicts
from paddle_mnist.labs.exercises import catalog
from paddle_mnist.labs.exercises.base import Exercise, Wrong
from paddle_mnist.labs.verdicts import RIGHT, judge

HERE = Path(__file__).parent
NUMBERS = sorted(path.stem for path in (HERE / "solutions").glob("*.py"))


@functools.cache
def load(folder: str, number: str) -> ModuleType:
    path = HERE / folder / f"{number}.py"
    spec = importlib.util.spec_from_file_location(f"{folder}_{number}", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def exercises(number: str) -> tuple[Exercise, ...]:
    return catalog.load(number, tools.numbers())


def answers(folder: str) -> list[tuple[str, str]]:
    """Return (lab, name) for each function ``exercise__description`` in the files of a folder."""
    numbers = [path.stem for path in sorted((HERE / folder).glob("*.py"))]
    return [(number, name) for number in numbers for name in vars(load(folder, number)) if "__" in name[2:-2]]


def check_answer(folder: str, number: str, name: str) -> Callable[..., object]:
    wanted = name.split("__")[0]
    (exercise,) = (exercise for exercise in exercises(number) if exercise.name == wanted)
    answer = getattr(load(folder, number), name)
    exercise.check(answer)
    return answer


def test_every_lab_with_exercises_has_solutions():
    with_exercises = sorted(path.stem[3:] for path in Path(catalog.__file__).parent.glob("lab[0-9][0-9].py"))
    assert with_exercises == NUMBERS
    assert set(NUMBERS) <= set(tools.numbers())


@pytest.mark.parametrize("number", NUMBERS)
def test_right_answers_pass(number):
    names = vars(load("solutions", number))
    assert [judge(exercise, names).kind for exercise in exercises(number)] == [RIGHT] * 3


@pytest.mark.parametrize(("number", "name"), answers("right_answers"))
def test_right_answers_in_other_styles_pass(number, name):
    assert check_answer("right_answers", number, name)


def test_corpus_is_large_and_quotes_its_diagnoses():
    assert len(answers("wrong_answers")) >= 150
    assert len(answers("right_answers")) >= 60
    quoted = [bool(getattr(load("wrong_answers", number), name).__doc__) for number, name in answers("wrong_answers")]
    assert sum(quoted) >= 0.95 * len(quoted)


@pytest.mark.parametrize(("number", "name"), answers("wrong_answers"))
def test_wrong_answers_are_told_their_own_mistake(number, name):
    with pytest.raises(Wrong) as caught:
        check_answer("wrong_answers", number, name)
    assert caught.value.what and caught.value.on and caught.value.why
    # The docstring of a wrong answer quotes the diagnosis that it must get.
    assert (getattr(load("wrong_answers", number), name).__doc__ or "") in caught.value.why


@pytest.mark.parametrize("number", NUMBERS)
def test_each_exercise_has_hints_a_stub_and_several_wrong_answers(number):
    asked = exercises(number)
    assert len(asked) == 3
    wrong = [name.split("__")[0] for _, name in answers("wrong_answers") if _ == number]
    assert set(wrong) == {exercise.name for exercise in asked}
    stubs = ModuleType("stubs")
    exec(compile(catalog.start_file(number, asked), "stubs", "exec"), stubs.__dict__)
    for exercise in asked:
        assert wrong.count(exercise.name) >= 3
        assert len(exercise.hints) >= 2
        for english, chinese in exercise.hints:
            assert english.isascii() or "²" in english
            assert any("\u4e00" <= character <= "\u9fff" for character in chinese)
        assert getattr(stubs, exercise.name).__doc__
        assert judge(exercise, vars(stubs)).kind == verdicts.NOT_ANSWERED


@pytest.fixture
def my_labs(own_folder: Path) -> Path:
    """Return a folder of the student's own, in place of the source checkout's."""
    (own_folder / "labs").mkdir()
    return own_folder / "labs" / "my"


def test_start_then_hint_then_solve(my_labs, capsys):
    assert check.main(["1", "--start"]) == 0
    file = my_labs / "01.py"
    assert file.exists()
    assert check.main(["01"]) == 1
    out = capsys.readouterr().out
    assert out.count(verdicts.NOT_ANSWERED) == 3
    assert "0 of 3 right" in out

    assert check.main(["01", "--hint"]) == 0
    first = capsys.readouterr().out
    assert check.main(["01", "--hint"]) == 0
    second = capsys.readouterr().out
    assert len(second.splitlines()) == 2 * len(first.splitlines())

    file.write_bytes((HERE / "solutions" / "01.py").read_bytes())
    assert check.main(["01"]) == 0
    assert capsys.readouterr().out.count(": right") == 3
    assert tools.notes("01_read_the_data", "solved")["solved"] == ["predictions", "batches", "find_faults"]
    assert check.main(["01", "--hint"]) == 0
    assert capsys.readouterr().out == ""


def test_start_overwrites_nothing(my_labs):
    my_labs.mkdir()
    (my_labs / "01.py").write_text("mine")
    with pytest.raises(ValueError, match="not overwritten"):
        check.main(["01", "--start"])
    assert (my_labs / "01.py").read_text() == "mine"


def test_check_judges_every_answer(tmp_path, capsys):
    file = tmp_path / "mine.py"
    file.write_text("def predictions():\n    return {1: 'c', 2: 'a', 3: 'c', 4: 'a', 5: 'c'}\n")
    assert check.main(["01", "--file", str(file)]) == 1
    out = capsys.readouterr().out
    assert "a is not what happens" in out
    assert "question 2: 1,000 samples in batches of 64" in out
    assert "the file defines no batches" in out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def f(:", "line 1: this is not Python"),
        ("\n1 / 0", "line 2: ZeroDivisionError"),
        ("exit(3)", "line 1"),
        (None, "--start"),
    ],
)
def test_check_refuses_files_that_cannot_run_in_one_sentence(text, message, tmp_path):
    file = tmp_path / "mine.py"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        check.main(["01", "--file", str(file)])
    assert "\n" not in str(caught.value)


def test_check_refuses_an_unknown_lab():
    with pytest.raises(ValueError, match="there is no lab '99'"):
        check.main(["99"])


def test_check_keeps_the_best_result(my_labs, capsys):
    my_labs.mkdir()
    shutil.copy(HERE / "solutions" / "15.py", my_labs / "15.py")
    assert check.main(["15"]) == 0
    (my_labs / "15.py").write_text("")
    assert check.main(["15"]) == 1
    assert "0 of 3 right" in capsys.readouterr().out
    assert len(tools.notes("15_stop_and_resume", "solved")["solved"]) == 3


def test_check_records_no_other_file(tmp_path):
    file = tmp_path / "mine.py"
    shutil.copy(HERE / "solutions" / "15.py", file)
    assert check.main(["15", "--file", str(file)]) == 0
    assert tools.notes("15_stop_and_resume", "solved") == {}


def test_check_shows_prints_before_the_verdict(tmp_path, capsys):
    file = tmp_path / "mine.py"
    file.write_text("def resume_point(steps, samples, batch_size):\n    print('steps', steps)\n    quit()\n")
    assert check.main(["15", "--file", str(file)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["   | steps 0", "1. resume_point: it ends the program instead of returning"]
    assert lines[2].startswith("   input: ") and lines[3].startswith("   possible reason: exit() and quit()")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_check_refuses_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="must be a regular file, got a pipe"):
        check.main(["15", "--file", str(tmp_path / "pipe")])


def test_check_refuses_a_large_file(tmp_path):
    (tmp_path / "large.py").write_bytes(b"#" * (check.LARGEST_FILE + 1))
    with pytest.raises(ValueError, match="must have at most 1,048,576 bytes"):
        check.main(["15", "--file", str(tmp_path / "large.py")])


def test_in_notebook_judges_the_functions_of_the_notebook(capsys):
    names = dict(vars(load("solutions", "15")))
    check.in_notebook("15", names)
    assert capsys.readouterr().out.count(": right") == 3
    del names["resume_point"]
    names["newest_whole"] = lambda checkpoints: quit()
    check.in_notebook("15", names)
    out = capsys.readouterr().out
    assert "how many steps" not in out
    check.in_notebook("15", names, hints=1)
    assert "how many steps" in capsys.readouterr().out
    assert "1. resume_point: not answered yet" in out and "2. newest_whole: it ends the program" in out


def test_watch_judges_within_a_second_of_saving(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("")
    command = [sys.executable, "-u", "-m", "paddle_mnist.check", "15", "--watch", "--file", str(file)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONUTF8": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8", env=environment) as watching:
        try:
            lines: queue.Queue[str] = queue.Queue()
            reader = threading.Thread(target=lambda: [lines.put(line) for line in watching.stdout], daemon=True)
            reader.start()
            _wait(lines, "watching")
            waits = []
            for text, wanted in (
                ("def f(:\n", "this is not Python"),
                ("x = 1\n", "0 of 3 right"),
                (SOLUTION, "3 of 3"),
            ):
                time.sleep(0.5)
                began = time.monotonic()
                file.write_text(text)
                _wait(lines, wanted)
                waits.append(time.monotonic() - began)
                _wait(lines, "watching")
            assert min(waits) < 1  # the others may share the machine with other tests
        finally:
            watching.kill()


SOLUTION = (HERE / "solutions" / "15.py").read_text("utf-8")


def _wait(lines: queue.Queue[str], wanted: str) -> None:
    while wanted not in lines.get(timeout=60):
        pass

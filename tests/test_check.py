"""The exercises: right answers pass, wrong ones are told what is wrong; and the command line."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from paddle_mnist import check
from paddle_mnist.labs import tools, verdicts
from paddle_mnist.labs.exercises import catalog
from paddle_mnist.labs.exercises.base import Exercise, Wrong, call, expect, plural
from paddle_mnist.labs.exercises.choices import Question, body, check_choices
from paddle_mnist.labs.verdicts import RIGHT, judge

HERE = Path(__file__).parent
NUMBERS = sorted(path.stem for path in (HERE / "solutions").glob("*.py"))


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


def test_one_wrong_answer_does_not_hide_the_others(tmp_path, capsys):
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
def test_files_that_cannot_run_are_refused_in_one_sentence(text, message, tmp_path):
    file = tmp_path / "mine.py"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        check.main(["01", "--file", str(file)])
    assert "\n" not in str(caught.value)


def test_an_unknown_lab_is_refused():
    with pytest.raises(ValueError, match="there is no lab '99'"):
        check.main(["99"])


def test_an_exception_in_an_answer_names_its_line():
    def answer(x):
        return x[7]

    with pytest.raises(Wrong, match="IndexError") as caught:
        call(answer, np.zeros(3), on="three zeros")
    assert str(answer.__code__.co_firstlineno + 1) in caught.value.why


def test_a_changed_argument_is_noticed():
    def answer(x):
        x += 1
        return x

    with pytest.raises(Wrong, match="changes the array"):
        call(answer, np.zeros(3), on="three zeros")


@pytest.mark.parametrize("found", [None, "3", [3], np.array([3.0, 3.0]), float("nan"), 3.01, object()])
def test_expect_refuses_whatever_differs(found):
    with pytest.raises(Wrong):
        expect(found, 3.0, on="anything")


def test_expect_names_the_slip_and_the_place():
    wanted = np.arange(12.0).reshape(3, 4)
    found = wanted.copy()
    found[2, 1] = 5
    with pytest.raises(Wrong, match=r"at \[2, 1\] it returns 5; expected 9") as caught:
        expect(found, wanted, on="anything", slips=[(found, "the slip")])
    assert caught.value.why == "the slip"


@pytest.mark.parametrize(
    ("found", "wanted", "message"),
    [
        (np.float32([1, 1 / 3]) * np.float32(1.00001), np.array([1, 1 / 3]), "computed in float32"),
        (np.round([2 / 3, 1 / 3], 5), np.array([2 / 3, 1 / 3]), "nearly right"),
        ([[1, 2], [3]], np.eye(2), "rows of different lengths"),
        ((np.zeros(3), np.ones(3)), (np.zeros(3), np.zeros(3)), "in element 1 of the tuple"),
        ((np.zeros(3),), (np.zeros(3), np.zeros(3)), "a tuple of 1 element; expected 2"),
        ({"w": np.ones(2)}, {"w": np.zeros(2)}, "for 'w'"),
        ({"v": 1}, {"w": 1}, r"a dict with the keys \['v'\]"),
        (None, 3, r"it returns nothing \(None\)"),
        (3, None, "expected None"),
        ("7", 7, "of type str|'7'"),
    ],
)
def test_expect_says_how_a_value_differs(found, wanted, message):
    with pytest.raises(Wrong, match=message):
        expect(found, wanted, on="anything")


class Liar:
    """An object that claims to be equal to everything, and fails when it is shown."""

    def __eq__(self, other):
        return True

    __hash__ = None

    def __repr__(self):
        raise RuntimeError("no")

    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("no")


@pytest.mark.parametrize("wanted", [3.0, "three", None, [1, 2], {"a": 1}, np.zeros(3)])
def test_expect_refuses_objects_that_lie(wanted):
    with pytest.raises(Wrong):
        expect(Liar(), wanted, on="anything")


def test_expect_is_not_fooled_by_a_subclass_of_array():
    class Equal(np.ndarray):
        def __array_function__(self, function, types, arguments, options):
            return True

        def __array_ufunc__(self, *arguments, **options):
            return np.ones(3, bool)

    with pytest.raises(Wrong):
        expect(np.ones(3).view(Equal), np.zeros(3), on="anything")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (SystemExit(0), "ends the program instead of returning"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (RecursionError(), "calls itself without end"),
        (MemoryError(), "more memory"),
        (FloatingPointError("overflow"), "too large"),
        (NameError("name 'x' is not defined"), "typing mistake"),
    ],
)
def test_call_names_the_reason_for_each_kind_of_exception(error, message):
    def answer():
        raise error

    with pytest.raises(Wrong, match=message) as caught:
        call(answer, on="nothing", fails="the number is too large")
    assert ("too large" in caught.value.why) is isinstance(error, FloatingPointError)


def test_plural_counts_one():
    assert (plural(1, "sample"), plural(0, "sample"), plural(2, "sample")) == ("1 sample", "0 samples", "2 samples")


QUESTIONS = (
    Question("the sign of -3", "b", {"a": "compare -3 with 0", "c": "0 alone has no sign"}),
    Question("the sign of 0", "c", {"a": "compare 0 with 0", "b": "compare 0 with 0"}),
)


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ({1: "a", 2: "c"}, r"a is not what happens\n.*question 1: the sign of -3\n.*compare -3 with 0"),
        ({1: "b", 2: "a"}, "question 2: the sign of 0"),
        ({1: "b"}, "None is none of a, b, c"),
        ({1: "?", 2: "?"}, "'?'"),
        (["b", "c"], "a list, not a dict"),
    ],
)
def test_check_choices_says_what_is_wrong_with_a_choice_without_naming_the_right_one(found, message):
    with pytest.raises(Wrong, match=message):
        check_choices(lambda: found, QUESTIONS)


def test_check_choices_accepts_capitals_and_spaces():
    check_choices(lambda: {1: "B ", 2: "C"}, QUESTIONS)


def test_stub_holds_the_lines_that_are_to_be_corrected():
    exercise = Exercise('def f():\n    """Choose."""', lambda answer: None, (), body(2))
    text = catalog.start_file("01", [exercise])
    assert 'return {1: "?", 2: "?"}' in text
    module = ModuleType("stub")
    exec(compile(text, "stub", "exec"), module.__dict__)
    assert judge(exercise, vars(module)).kind == RIGHT
    with pytest.raises(NotImplementedError):
        module.f()

"""How answers are called and compared: what differs, on which input, and the slip that explains it."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest

from paddle_mnist.labs.exercises import catalog
from paddle_mnist.labs.exercises.base import Exercise, Wrong, call, expect, plural
from paddle_mnist.labs.exercises.choices import Question, body, check_choices
from paddle_mnist.labs.verdicts import RIGHT, judge


def test_call_names_the_line_of_an_exception():
    def answer(x):
        return x[7]

    with pytest.raises(Wrong, match="IndexError") as caught:
        call(answer, np.zeros(3), on="three zeros")
    assert str(answer.__code__.co_firstlineno + 1) in caught.value.why


def test_call_notices_a_changed_argument():
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


@pytest.mark.parametrize(
    ("found", "wanted", "message"),
    [
        ([-1.0, -2.0], np.array([1.0, 2.0]), "the sign is reversed"),
        (np.array([2.0, 4.0, 6.0]), np.array([1.0, 2.0, 3.0]), "every number is 2 times the expected one"),
        (np.ones((2, 3)).T * [1, 2], np.array([[1.0, 1, 1], [2, 2, 2]]), "this is the transpose"),
        ([True, False], [0], "return the indices"),
        ([3, 1, 2], [1, 2, 3], "in another order"),
        (1, (1, 2), "the first of 2 values"),
        ((2, 1), (1, 2), "in the reverse order"),
        ([2.0, 2.0], 2.0, "return one number"),
        (2.0, [2.0, 2.0], "return all the numbers"),
    ],
)
def test_expect_recognises_the_right_value_in_another_form(found, wanted, message):
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


def test_start_file_holds_the_lines_to_correct():
    exercise = Exercise('def f():\n    """Choose."""', lambda answer: None, (), body(2))
    text = catalog.start_file("01", [exercise])
    assert 'return {1: "?", 2: "?"}' in text
    module = ModuleType("stub")
    exec(compile(text, "stub", "exec"), module.__dict__)
    assert judge(exercise, vars(module)).kind == RIGHT
    with pytest.raises(NotImplementedError):
        module.f()

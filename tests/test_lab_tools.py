"""What the labs share: budgets, pictures, notes, and windows only where there is a screen."""

from __future__ import annotations

import builtins
import json
from types import SimpleNamespace

import matplotlib
import numpy as np
import pytest
from matplotlib import pyplot

from paddle_mnist.labs import accuracy, graphs, tools
from paddle_mnist.labs.tools import Lab


@pytest.fixture(autouse=True)
def no_screen():
    """Draw into memory, and leave the backend and the figures as they were."""
    before = matplotlib.get_backend()
    pyplot.switch_backend("Agg")
    yield
    pyplot.close("all")
    pyplot.switch_backend(before)


@pytest.mark.parametrize(("value", "wanted"), [(None, 10), ("", 10), ("full", 10), ("small", 2)])
def test_a_budget_follows_the_environment(value, wanted, monkeypatch):
    monkeypatch.delenv("PADDLE_MNIST_LAB_BUDGET", raising=False)
    if value is not None:
        monkeypatch.setenv("PADDLE_MNIST_LAB_BUDGET", value)
    assert Lab("01_any").budget(10, 2) == wanted


def test_section_prints_a_heading_except_in_a_notebook(capsys, monkeypatch):
    lab = Lab("01_any")
    lab.section("The file")
    assert capsys.readouterr().out == "\n== The file ==\n"
    monkeypatch.setattr(builtins, "get_ipython", lambda: None, raising=False)
    lab.section("The file")
    assert capsys.readouterr().out == ""


def test_standard_error_is_the_spread_of_accuracies_over_many_tests():
    rng = np.random.default_rng(0)
    tests = rng.random((4000, 500)) < 0.9
    assert accuracy.standard_error(tests[0]) == pytest.approx(np.std(tests.mean(axis=1)), rel=0.1)
    assert accuracy.standard_error(np.ones(10, bool)) == 0
    assert accuracy.in_percent(np.array([True, True, True, False])) == "75.0 ± 21.7 %"


def test_paired_difference_counts_only_digits_on_which_two_nets_differ():
    right = np.array([True] * 90 + [False] * 10)
    other = right.copy()
    assert accuracy.paired_difference(right, other) == (0, 0)
    other[:4] = False
    difference, error = accuracy.paired_difference(right, other)
    assert difference == pytest.approx(0.04)
    assert error == pytest.approx(np.sqrt(0.04 * 0.96 / 100))
    assert accuracy.paired_difference(other, right) == pytest.approx((-difference, error))


def test_draw_steps_writes_each_step_with_its_values_and_gradients():
    _, axes = pyplot.subplots()
    graphs.draw_steps(
        axes, {"x": (0, 0), "double": (1, 0), "L": (2, 1)}, [("x", "double", 3, 8), ("double", "L", 6, 4)], ""
    )
    written = [text.get_text() for text in axes.texts]
    assert sorted(written) == ["", "", "3", "4", "6", "8", "L", "double", "x"]


def test_draw_record_numbers_values_in_the_order_of_backward():
    def value(data, made_by="", *uses):
        return SimpleNamespace(data=np.array(data), made_by=made_by, uses=[(used, None) for used in uses])

    x, two = value([[1.0, 2.0]]), value(7.0)
    product = value([[2.0, 4.0]], "*", x, two)
    last = value([[6.0]], "sum", product)
    _, axes = pyplot.subplots()
    graphs.draw_record(axes, [x, two, product, last], {id(x): "x", id(last): "L"})
    written = {text.get_text(): text.get_position() for text in axes.texts}
    assert {"x", "7", "*", "L", "1×2", "1×1"} <= set(written)
    assert written["L"][0] > written["*"][0] > written["x"][0]
    numbers = [text for text in axes.texts if text.get_weight() == "bold"]
    assert [text.get_text() for text in numbers] == ["1", "2", "3", "4"]
    assert [text.get_position()[0] for text in numbers] == [2, 1, 0, 0]


def test_a_picture_is_written_and_stays_open(own_folder, capsys):
    figure, axes = pyplot.subplots()
    axes.plot([1, 2])
    path = Lab("01_any").save(figure, "line.png")
    assert path.resolve() == (own_folder / "work" / "labs" / "01_any" / "line.png").resolve()
    assert path.read_bytes().startswith(b"\x89PNG")
    assert str(path) in capsys.readouterr().out
    assert pyplot.fignum_exists(figure.number)


def test_the_end_is_noted_and_figures_are_closed(capsys):
    lab = Lab("01_any")
    pyplot.subplots()
    lab.finish(accuracy=0.5)
    note = tools.notes("01_any", "run")
    assert note["accuracy"] == 0.5
    assert note["seconds"] >= 0
    assert not pyplot.get_fignums()
    assert "all assertions hold" in capsys.readouterr().out


@pytest.mark.parametrize(("backend", "shown"), [("Agg", 0), ("TkAgg", 1), ("module://matplotlib_inline", 0)])
def test_windows_are_shown_only_where_there_is_a_screen(backend, shown, monkeypatch):
    calls = []
    monkeypatch.setattr(matplotlib, "get_backend", lambda: backend)
    monkeypatch.setattr(pyplot, "show", lambda: calls.append(1))
    Lab("01_any").finish()
    assert len(calls) == shown


@pytest.mark.parametrize("text", [None, "", "{", "[1]", "\udcff"])
def test_notes_that_cannot_be_read_are_no_notes(text):
    folder = tools.notes_folder("01_any")
    folder.mkdir(parents=True)
    if text is not None:
        (folder / "run.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert tools.notes("01_any", "run") == {}


def test_notes_come_back():
    tools.note_solved("01_any", ["f"])
    tools.note_hints("01_any", {"g": 2})
    assert tools.notes("01_any", "solved") == {"solved": ["f"]}
    assert tools.notes("01_any", "hints") == {"g": 2}
    assert json.loads((tools.notes_folder("01_any") / "hints.json").read_text("utf-8")) == {"g": 2}


def test_a_folder_of_labs_here_comes_first(own_folder):
    assert tools.labs_folder() == tools.source_folder()
    (own_folder / "labs").mkdir()
    assert tools.labs_folder().resolve() == (own_folder / "labs").resolve()
    assert tools.names()[0] == "01_read_the_data"

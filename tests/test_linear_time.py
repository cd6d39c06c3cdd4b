"""Reading takes time in proportion to a file's size: the steps are counted, not timed, as files double in size."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from paddle_mnist.errors import UserError
from paddle_mnist.storage import unpickle

SCRIPT = Path(__file__).parents[1] / "tools" / "growing_files.py"
SIZES = (25, 50, 100, 200)


def load_script():
    """Return the script as a module."""
    spec = importlib.util.spec_from_file_location("growing_files", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


growing_files = load_script()


def steps(function: Callable[[], object]) -> int:
    """Count the calls of Python and C functions, and the lines that Python carries out, in a function."""
    count = 0

    def on_event(frame: object, event: str, argument: object) -> Callable[..., object]:
        nonlocal count
        count += event in ("call", "line", "c_call")
        return on_event

    before = sys.gettrace(), sys.getprofile()
    sys.settrace(on_event)
    sys.setprofile(on_event)
    try:
        function()
    finally:
        sys.setprofile(before[1])
        sys.settrace(before[0])
    return count


@pytest.mark.parametrize("kind", growing_files.KINDS)
def test_readers_take_steps_in_proportion_to_a_files_size(kind, tmp_path):
    bytes_read, counts = [], []
    for size in SIZES:
        name, data = growing_files.KINDS[kind](size)
        (tmp_path / name).write_bytes(data)
        bytes_read.append(len(data))
        counts.append(steps(lambda path=tmp_path / name: growing_files.read(path)))
    for smaller, larger in zip(range(3), range(1, 4), strict=True):
        assert 1.7 < bytes_read[larger] / bytes_read[smaller] < 2.4
        assert counts[larger] / counts[smaller] < 2.5, counts


def test_steps_finds_what_grows_as_the_square():
    def quadratic(size: int) -> int:
        return steps(lambda: [len(range(inner)) for inner in range(size) for _ in range(inner)])

    assert quadratic(200) / quadratic(100) > 3.5


@pytest.mark.parametrize("kind", growing_files.PRODUCTS)
@pytest.mark.parametrize("size", [200, 800])
def test_load_stops_before_many_repeats_touch_many_bytes(kind, size):
    """What a repeat does inside NumPy shows in no count of steps, but in where the reader stops."""
    prepare, again, percent = growing_files.PRODUCTS[kind]
    _, data = growing_files.KINDS[f"pickle: {kind}"](size)
    with pytest.raises(UserError, match=r"at byte \d+$") as refusal:
        unpickle.load(data)
    stopped = int(str(refusal.value).rpartition(" ")[2])
    repeats = (stopped - len(prepare(50 * size))) / len(again)
    assert repeats * 50 * size * percent / 100 <= 8 * len(data) + 10_000

from __future__ import annotations

import contextlib
import os
import sys
import threading

import numpy as np
import pytest

from paddle_mnist.fast.compiled import library
from paddle_mnist.fast.compiled.library import Lists, Steps, loaded
from paddle_mnist.fast.threads import Crew


@pytest.fixture
def crew():
    """Four threads, more than this machine may have cores."""
    crew = Crew(4, contextlib.nullcontext)
    crew.ready()
    yield crew
    crew.rest()


@pytest.fixture(params=[False, True])
def perhaps_hidden(request, monkeypatch):
    """The compiled kernels as they are, and as where there was no compiler."""
    if request.param:
        monkeypatch.setattr(library, "MODULE", "paddle_mnist.fast.compiled.nothing")
        library.library.cache_clear()
    yield
    monkeypatch.undo()
    library.library.cache_clear()


def test_crew_does_every_item_once(perhaps_hidden, crew):
    for items in (1, 2, 3, 50):
        done = np.zeros(items, int)

        def work(thread: int, item: int, done=done) -> None:
            assert 0 <= thread < 4
            done[item] += 1

        for _ in range(20):
            crew.do(work, items)
        assert done.tolist() == [20] * items


def test_crew_raises_what_a_helper_raised_and_goes_on(perhaps_hidden, crew):
    def work(thread: int, item: int) -> None:
        if item == 7:
            raise ValueError("item 7")

    for _ in range(20):
        with pytest.raises(ValueError, match="item 7"):
            crew.do(work, 9)
    done: list[int] = []
    crew.do(lambda _, item: done.append(item), 9)
    assert sorted(done) == [*range(9)]


def additions(arrays: list[np.ndarray]) -> Lists:
    """Return lists that add one to each array."""
    ones = np.ones(len(arrays[0]), np.float32)
    return Lists([Steps([loaded().step("add", array, ones, array, array.size, 0)]) for array in arrays])


@pytest.mark.skipif(library.library() is None, reason="needs the compiled kernels")
def test_crew_does_every_list_of_steps_once(crew):
    arrays = [np.zeros(100, np.float32) for _ in range(9)]
    lists, calls = additions(arrays), []
    for _ in range(500):
        crew.do_steps(lists)
        crew.do(lambda _, item: calls.append(item), 2)
    assert all((array == 500).all() for array in arrays)
    assert len(calls) == 1000


@pytest.mark.skipif(library.library() is None or sys.platform == "win32", reason="needs compiled kernels and fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_crew_works_in_a_forked_process(crew):
    arrays = [np.zeros(100, np.float32) for _ in range(9)]
    lists = additions(arrays)
    crew.do_steps(lists)
    child = os.fork()
    if child == 0:
        crew.do_steps(lists)
        os._exit(0 if all((array == 2).all() for array in arrays) else 1)
    timer = threading.Timer(30, os.kill, (child, 9))
    timer.start()
    status = os.waitpid(child, 0)[1]
    timer.cancel()
    assert status == 0

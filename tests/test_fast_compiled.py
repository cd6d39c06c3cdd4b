"""The compiled kernels are used only where they were made from the sources that lie beside them."""

from __future__ import annotations

import importlib
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest

from paddle_mnist.fast.compiled import library

pytestmark = pytest.mark.skipif(library.library() is None, reason="the kernels are not compiled")


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """Return a folder with a copy of the compiled module and its sources, from which kernels are loaded."""
    folder = tmp_path / tmp_path.name  # a name of its own: modules stay imported
    folder.mkdir()
    module = Path(importlib.import_module(library.MODULE).__file__)
    for path in [module, *module.parent.glob("*.[ch]")]:
        shutil.copy(path, folder)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(library, "MODULE", f"{folder.name}._kernels")
    return folder


def test_kernels_are_loaded_beside_their_own_sources_and_without_sources(copied):
    assert library.library.__wrapped__().instructions == library.library().instructions
    for path in copied.glob("*.[ch]"):
        path.unlink()
    assert library.library.__wrapped__() is not None


def test_kernels_older_than_their_sources_are_left_out_and_said_so(copied):
    with open(copied / "dense.h", "a") as file:
        file.write("\n")
    with pytest.warns(RuntimeWarning, match=r"older than their sources.*pip install -e \. again"):
        assert library.library.__wrapped__() is None


def narrow_forward(n: int, scratch: int) -> tuple[library.Step, np.ndarray]:
    """Return a call that computes 2 · 1 + 1 for n rows in so many floats of scratch memory, and its results."""
    x, weights, bias, y = np.ones(n, np.float32), np.full(16, 2, np.float32), np.ones(1, np.float32), np.zeros(n, "f4")
    compiled = library.loaded()
    return compiled.step("narrow_forward", x, weights, bias, y, scratch, n, 1, 1, compiled.lanes), y


def test_kernels_ask_for_scratch_memory_and_say_so_when_there_is_too_little():
    with pytest.raises(MemoryError, match="too little memory"):
        narrow_forward(5, 2**58)[0]()
    step, y = narrow_forward(5, 5 * 16)
    step()
    np.testing.assert_array_equal(y, np.full(5, 3, np.float32))


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the memory of a process is read from Linux's /proc")
def test_threads_give_their_scratch_memory_back_when_they_end():
    n = 20_000  # rows of 16 floats: 1.3 MB, written whole
    step, _ = narrow_forward(n, n * 16)
    before = resident_bytes()
    for _ in range(300):
        thread = threading.Thread(target=step)
        thread.start()
        thread.join()
    assert resident_bytes() - before < 100e6  # a few freed pieces stay with the allocator


def resident_bytes() -> int:
    return 4096 * int(Path("/proc/self/statm").read_text().split()[1])

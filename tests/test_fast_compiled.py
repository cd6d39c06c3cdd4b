"""The compiled kernels are used only where they were made from the sources that lie beside them."""

from __future__ import annotations

import importlib
import shutil
from pathlib import Path

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

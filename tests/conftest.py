"""Shared by the tests: synthetic digits that can be learned in seconds, and an empty folder to work in."""

from __future__ import annotations

import contextlib
import gc
import importlib
import itertools
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import FrameType, ModuleType
from typing import BinaryIO

# Before NumPy is imported: with several test processes at once, the threads of its small products wait for each other
# ten times as long as the products take. Those of our own layers also wait for each other; the tests of threads choose
# how many there are.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from paddle_mnist import console, cpu, train
from paddle_mnist.sources import mnist_json
from paddle_mnist.splits import Split, Splits

# Compile each module once, not in each of the hundred processes that the tests start.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
gc.disable()  # until the tests are collected
cpu.tune()  # as every command line does, before anything imports Paddle
# Shells let background jobs ignore Ctrl-C, and the commands that tests start and interrupt would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


FOLDERS = itertools.count()
# The files with the longest tests, the longest first.
LONGEST = ("labs", "distributed", "play_page", "distributed_docs", "fast_nets", "exports_page", "kill", "fuzz_files")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let each test process begin with long tests, so that all end together: xdist deals them equal parts in turn."""
    processes = int(getattr(config, "workerinput", {}).get("workercount", 1))
    if processes == 1:
        return
    of_file = {name: [item for item in items if item.path.stem == f"test_{name}"] for name in LONGEST}
    parts = [[item for name in LONGEST[number::processes] for item in of_file[name]] for number in range(processes)]
    others = iter([item for item in items if item.path.stem.removeprefix("test_") not in LONGEST])
    each = len(items) // processes
    filled = [[*part, *itertools.islice(others, max(0, each - len(part)))] for part in parts]
    items[:] = [item for part in filled for item in part] + list(others)


def pytest_collection_finish() -> None:
    """Keep what has been imported out of every later collection of garbage, which Paddle's modules make slow."""
    gc.enable()
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


@pytest.fixture(autouse=True, scope="session")
def short_stacks() -> Iterator[None]:
    """Let Paddle note the nearest callers of each operation of a program, without the fifty frames of pytest."""

    def nearest(frame: FrameType | None = None, limit: int = 5) -> traceback.StackSummary:
        frames = itertools.islice(traceback.walk_stack(frame or sys._getframe(1)), limit)
        # Without a look at the files, whose lines are read when somebody asks for them.
        found = [
            traceback.FrameSummary(one.f_code.co_filename, line, one.f_code.co_name, lookup_line=False)
            for one, line in frames
        ]
        return traceback.StackSummary.from_list(found[::-1])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(traceback, "extract_stack", nearest)
        yield


@pytest.fixture(autouse=True, scope="session")
def quick_disk() -> Iterator[None]:
    """Check the descriptors of files that are to reach the disk, without waiting for it: no test cuts the power."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", os.fstat)
        yield


@pytest.fixture(autouse=True)
def blank_pictures(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write blank pictures unless a test is marked ``draws``: drawing those of a run takes longer than training it."""
    if request.node.get_closest_marker("draws"):
        return

    monkeypatch.setattr(Figure, "savefig", blank_figure)


def blank_figure(figure: Figure, file: BinaryIO, format: str, **_: object) -> None:
    """Write a blank picture in place of a figure."""
    Image.new("L", (480, 360)).save(file, format)


@pytest.fixture(autouse=True)
def own_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run each test in an empty folder, without a network, a cache or data of the user's."""
    folder = tmp_path_factory.getbasetemp() / f"here{next(FOLDERS)}"  # ``mktemp`` would go through all earlier ones
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.delenv("PADDLE_MNIST_DATA", raising=False)
    monkeypatch.setenv("PADDLE_MNIST_OFFLINE", "1")
    monkeypatch.setenv("PADDLE_MNIST_CACHE", str(folder / "cache"))
    (folder / "work").mkdir()
    return folder


def made_up_split(n: int, seed: int) -> Split:
    """Return ``n`` images of ten patterns with noise; every class equally often."""
    # A fifth of the pixels has ink, as in MNIST, to which the regression's recipe is tuned.
    patterns = (np.random.default_rng(0).random((10, 7, 7)) < 0.2).repeat(4, axis=1).repeat(4, axis=2) * 200
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(n) % 10).astype(np.uint8)
    noise = rng.integers(0, 56, (n, 28, 28))
    return Split((patterns[labels] + noise).astype(np.uint8), labels)


@pytest.fixture(scope="session")
def splits() -> Splits:
    """Return 230 / 50 / 50 synthetic digits; 230 gives a smaller last batch."""
    return Splits(made_up_split(230, 1), made_up_split(50, 2), made_up_split(50, 3))


@pytest.fixture(scope="session")
def written_digits(splits: Splits, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the synthetic digits as a file in the course's format, written once; tests copy it."""
    path = tmp_path_factory.mktemp("written") / "digits.json.gz"
    mnist_json.write(path, splits)
    return path


@pytest.fixture
def data_file(written_digits: Path, own_folder: Path) -> Path:
    """Return the synthetic digits as a file in the course's format, in the test's own folder."""
    return Path(shutil.copy(written_digits, own_folder))


@pytest.fixture(scope="session")
def sample_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a classifier, the course's CNN, trained on the bundled sample; only to be read."""
    kept = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        kept = kept.parent  # of all test processes: the first to need the run trains it
    kept = kept / "sample-run"
    if not kept.exists():
        given = ["--net", "cnn", "--task", "classify", "--epochs", "5", "--data", "sample", "--quiet"]
        trained = tmp_path_factory.mktemp("runs") / "cnn"
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PADDLE_MNIST_OFFLINE", "1")
            patch.setattr(Figure, "savefig", blank_figure)
            assert console.run(train.main, [*given, "--out", str(trained)]) == 0
        with contextlib.suppress(OSError):  # another process was first
            trained.rename(kept)
    return kept


@pytest.fixture
def namespaces(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return the module that makes two nodes of network namespaces; skip where they are not allowed."""
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "benchmarks")
    module = importlib.import_module("_nodes")
    if reason := module.reason_against():
        assert os.environ.get("PADDLE_MNIST_REQUIRE_NETNS") != "1", reason
        pytest.skip(reason)
    return module

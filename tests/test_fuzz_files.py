"""A few hundred damaged pictures and run folders; ``tools/fuzz_files.py`` tries 10,000."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from paddle_mnist import predict
from paddle_mnist.errors import UserError

SCRIPT = Path(__file__).parents[1] / "tools" / "fuzz_files.py"


@pytest.fixture(scope="module")
def fuzz_files():
    """Return the script as a module."""
    spec = importlib.util.spec_from_file_location("fuzz_files", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def fuzzer(fuzz_files, tmp_path_factory):
    """Return a fuzzer with a trained net."""
    return fuzz_files.Fuzzer(tmp_path_factory.mktemp("fuzz"))


def test_throw_ends_in_a_sentence_or_a_right_answer(fuzz_files, fuzzer, capsys):
    counts, failures, longest, most = fuzz_files.throw(fuzzer, count=300, seed=7, commands=2)
    assert failures == 0 and longest < fuzz_files.SECONDS and most < fuzz_files.MEGABYTES, capsys.readouterr().err
    assert min(counts[f"{kind} {end}"] for kind in ("pictures", "run folders") for end in ("read", "refused")) > 10
    assert min(counts[f"{kind} refused"] for kind in ("irregular files", "pickle programs")) > 3


@pytest.mark.parametrize("harm", ["a crash", "no name", "a wrong answer"])
def test_throw_finds_what_goes_wrong(fuzz_files, fuzzer, monkeypatch, harm):
    def read_picture(path, read, kind):
        if harm == "a crash":
            raise KeyError("step")
        if harm == "a wrong answer":
            return {"digit": 11, "probabilities": [0.0] * 10, "boxes": [[0, 0, 1, 1]]}
        raise UserError("the file is damaged")

    monkeypatch.setattr(predict, "read_picture", read_picture)
    counts, failures, *_ = fuzz_files.throw(fuzzer, count=1, seed=0, commands=0)
    assert failures == 1 and counts == {"pictures failed": 1}

"""Weight files from strangers: each hostile one ends in one sentence, and does nothing else."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

HOSTILE = Path(__file__).with_name("hostile.py")


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    done = subprocess.run([sys.executable, str(HOSTILE), str(folder)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert not (folder / "ran").exists(), "a payload ran"
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def hostile(reports):
    return [report for report in reports if not report["file"].startswith("largest")]


def test_hostile_files_are_many_of_each_kind(reports):
    suffixes = [Path(report["file"]).suffix for report in reports]
    assert {suffix: suffixes.count(suffix) >= 10 for suffix in (".pdparams", ".pdopt", ".npz", ".safetensors")} == {
        ".pdparams": True,
        ".pdopt": True,
        ".npz": True,
        ".safetensors": True,
    }
    assert len(reports) > 240


def test_hostile_files_are_refused_in_one_sentence(hostile):
    """A ``MemoryError`` here would mean more than 100 MB."""
    wrong = [report for report in hostile if report["error"] != "UserError" or report["file"] not in report["message"]]
    assert not wrong
    assert not [report for report in hostile if not report["message"].isprintable() or len(report["message"]) > 700]


def test_largest_files_stay_within_the_same_limits(reports):
    largest = [report for report in reports if report["file"].startswith("largest")]
    assert [report["error"] for report in largest] == [None] * 5


def test_hostile_files_import_run_and_open_nothing(reports):
    assert not [report for report in reports if report["asked"]]


def test_hostile_files_take_less_than_a_second(reports):
    assert not [report for report in reports if report["seconds"] > 1]

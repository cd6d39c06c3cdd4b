"""Real processes, killed at seeded moments. ``tools/kill_and_resume.py`` goes on for as long as one likes."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).parents[1] / "tools" / "kill_and_resume.py"


@pytest.mark.parametrize(
    ("recipes", "kills"), [(["three-layer"], 15), (["fc, classes, Momentum", "cnn, Adam, decaying rate"], 6)]
)
def test_killed_runs_end_as_if_never_disturbed(data_file, recipes, kills):
    done = subprocess.run(
        [sys.executable, SCRIPT, "--kills", str(kills), "--data", data_file, "--recipes", *recipes],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    counted = re.search(r"(\d+) kills in (\d+) runs: (\d+) ended as if never disturbed, 0 did not", done.stdout)
    assert counted and int(counted[1]) >= kills and counted[2] == counted[3]
    ways = re.search(r"(\d+) kills struck before an operation on files, (\d+) at a moment", done.stdout)
    assert ways and int(ways[1]) > 0 and int(ways[2]) > 0


@pytest.mark.parametrize(
    "other",
    [np.float32([0.0, 1.5]), np.float64([-0.0, 1.5]), np.float32([-0.0, np.nextafter(np.float32(1.5), 2)]), None],
    ids=["sign of zero", "dtype", "last bit", "missing"],
)
def test_the_smallest_difference_is_named(other):
    spec = importlib.util.spec_from_file_location("kill_and_resume", SCRIPT)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    state = {"weights": {"w": np.float32([-0.0, 1.5])}, "history": [{"loss": 0.1}]}
    changed = {**state, "weights": {} if other is None else {"w": other}}
    found, expected = ({name: script.bits(value) for name, value in each.items()} for each in (changed, state))
    assert script.differences(found, expected) == ["weights"]
    assert script.differences(expected, expected) == []

"""Training processes, killed at random but seeded moments; ``tools/kill_and_resume.py`` does any number of kills."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).parents[1] / "tools" / "kill_and_resume.py"


# The imports take longer than these runs, so a forked process does them once for all.
FORK = [] if os.name == "nt" else ["--fork"]


@pytest.mark.parametrize(
    ("recipes", "kills"),
    [(["three-layer"], 15), (["fc, classes, Momentum", "quick, augmented"], 6)],
    ids=["NumPy", "Paddle"],
)
def test_killed_runs_end_like_uninterrupted_ones(data_file, recipes, kills):
    done = subprocess.run(
        [sys.executable, SCRIPT, "--kills", str(kills), "--data", data_file, *FORK, "--recipes", *recipes],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    counted = re.search(r"(\d+) kills in (\d+) runs: (\d+) identical to the undisturbed run, 0 not", done.stdout)
    assert counted and int(counted[1]) >= kills and counted[2] == counted[3]
    ways = re.search(r"(\d+) kills before an operation on files, (\d+) at a random time", done.stdout)
    assert ways and int(ways[1]) > 0 and int(ways[2]) > 0


@pytest.mark.parametrize(
    "other",
    [np.float32([0.0, 1.5]), np.float64([-0.0, 1.5]), np.float32([-0.0, np.nextafter(np.float32(1.5), 2)]), None],
    ids=["sign of zero", "dtype", "last bit", "missing"],
)
def test_differences_names_the_smallest(other):
    script = runpy.run_path(str(SCRIPT))
    state = {"weights": {"w": np.float32([-0.0, 1.5])}, "history": [{"loss": 0.1}]}
    changed = {**state, "weights": {} if other is None else {"w": other}}
    found, expected = ({name: script["bits"](value) for name, value in each.items()} for each in (changed, state))
    assert script["differences"](found, expected) == ["weights"]
    assert script["differences"](expected, expected) == []

"""Real processes, killed at seeded random moments. ``tools/kill_and_resume.py`` goes on for as long as one likes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

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

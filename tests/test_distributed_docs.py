"""The recipes of ``docs/distributed.md``: their commands are read from the page and run here, with fewer workers."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from paddle_mnist.distributed.local import Launcher
from paddle_mnist.recipes import settings_for
from paddle_mnist.runs import checkpoint
from paddle_mnist.runs.run import reproducible_state
from paddle_mnist.runs.session import RunOptions, train

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "distributed.md").read_text(encoding="utf-8")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers are found in /proc")

SCONTROL = "#!/bin/sh\necho node-a\necho node-b\n"
HOSTNAME = "#!/bin/sh\necho '127.0.0.1 172.17.0.1 '\n"
# Runs its command once, or for every node at the same time, and passes on SIGTERM, as SLURM's own srun does.
SRUN = """#!/bin/bash
nodes=$SLURM_NNODES status=0 tasks=()
while [[ $1 == --* ]]; do [[ $1 == --ntasks=1 ]] && nodes=1; shift; done
trap 'kill -TERM "${tasks[@]}"' TERM
for ((node = 0; node < nodes; node++)); do SLURM_NODEID=$node "$@" & tasks+=($!); done
for task in "${tasks[@]}"; do
    while kill -0 $task 2> /dev/null; do wait $task; code=$?; done
    ((code)) && status=$code
done
exit $status
"""


def recipe(title: str) -> str:
    """Return the shell commands below a heading of the page."""
    return re.search(rf"## {title}\n.*?```sh\n(.*?)```", PAGE, re.DOTALL)[1]


def test_slurm_recipe_stops_in_time_and_continues_when_submitted_again(data_file, tmp_path):
    train(settings_for("cnn", epochs=15, batch_size=23), data_file, "whole", RunOptions(quiet=True))
    job, programs = tmp_path / "job.sh", tmp_path / "bin"
    programs.mkdir()
    python = f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n'
    for name, text in {"scontrol": SCONTROL, "hostname": HOSTNAME, "srun": SRUN, "python": python}.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    shorter = f"--batch-size 23 --epochs 15 --save-every 2 --data {data_file}"
    text = recipe("SLURM").replace("--nproc_per_node 4", "--nproc_per_node 1").replace("6170", str(free_port()))
    job.write_text(text.replace("--batch-size 1000", shorter))
    variables = {
        **os.environ,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "SLURM_JOB_NODELIST": "node-[a-b]",
        "SLURM_NNODES": "2",
    }
    run, output = tmp_path / "runs" / "cnn", tmp_path / "output"
    logs = [tmp_path / "runs" / "log" / str(node) / "workerlog.0" for node in (0, 1)]

    with open(output, "a") as file, contextlib.ExitStack() as stack:
        start = functools.partial(subprocess.Popen, ["bash", job], env=variables, stdout=file, stderr=file)
        first = started(start, stack)
        until = time.monotonic() + 120
        while not (run.exists() and checkpoint.checkpoints(run)):
            assert first.poll() is None and time.monotonic() < until, output.read_text()
            time.sleep(0.02)
        for step in Path(f"/proc/{first.pid}/task/{first.pid}/children").read_text().split():
            os.kill(int(step), signal.SIGTERM)  # the steps of the job, not its script
        assert first.wait(60)
        for log in logs:
            assert "stopped and saved: continue with" in log.read_text()
        assert checkpoint.latest(run, pytest.fail)[2]["epoch"] < 15
        second = started(start, stack)
        assert second.wait(120) == 0, output.read_text()
    np.testing.assert_equal(reproducible_state(run), reproducible_state(Path("whole")))


def started(start: functools.partial, stack: contextlib.ExitStack) -> subprocess.Popen:
    """Start a process, and at the end of the block kill what is left of it and of all that it has started."""
    process = stack.enter_context(start(start_new_session=True))

    def kill() -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

    stack.callback(kill)
    return process


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_recipe_for_two_machines_gives_the_same_bits_over_a_link_that_delays_and_loses_packets(
    data_file, monkeypatch, tmp_path, namespaces
):
    monkeypatch.setenv("PADDLE_MNIST_JOIN_SECONDS", "60")
    train(settings_for("cnn", epochs=2, batch_size=23), data_file, "whole", RunOptions(quiet=True))
    commands = [
        shlex.split(line.replace("10.0.0.", "10.77.0.").replace("1000", f"23 --epochs 2 --data {data_file} --out run"))
        for line in recipe("Two machines").replace("\\\n", "").splitlines()
        if line.startswith("python")
    ]
    assert len(commands) == 2
    with namespaces.nodes() as two, two.relay(0.02, loss=0.02):
        launchers = []
        for node, words in enumerate(commands):
            assert words[1:3] == ["-m", "paddle.distributed.launch"]
            start, workers = words.index("python", 1), words.index("--nproc_per_node")
            options = words[3:workers] + words[workers + 2 : start]
            command = [sys.executable, *words[start + 1 :]]
            launchers.append(Launcher(1, command, tmp_path / f"logs-{node}", options, two.prefix(node)))
        with launchers[0] as first, launchers[1] as second:
            assert first.wait(120) == 0 and second.wait(120) == 0, first.output() + second.output()
        assert sum(retransmitted(two.prefix(node)) for node in (0, 1)), "no packet was lost"
    np.testing.assert_equal(reproducible_state(Path("run")), reproducible_state(Path("whole")))


def retransmitted(prefix: list[str]) -> int:
    """Return how many segments a node has sent again."""
    text = subprocess.run([*prefix, "cat", "/proc/net/snmp"], check=True, capture_output=True, text=True).stdout
    names, values = (line.split() for line in text.splitlines() if line.startswith("Tcp:"))
    return int(values[names.index("RetransSegs")])

"""Measure how long each lab takes on the bundled sample, on an idle machine and with one of its cores kept busy.

    python tools/time_labs.py              every lab, both ways: about ten minutes on two cores
    python tools/time_labs.py 03 08        these labs

The machine must be idle otherwise. Prints a table in seconds of wall time and the processor time of the idle run, which
are the figures of the syllabus, and exits with status 1 if a lab takes more than a minute.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

LABS = Path(__file__).resolve().parents[1] / "labs"
LIMIT = 60.0  # seconds, with one core busy


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("labs", nargs="*", metavar="NN", help="these labs; without any, all of them")
    wanted = parser.parse_args().labs
    print("lab  idle  one core busy  processor time")
    slowest = 0.0
    for lab in sorted(LABS.glob("[0-9][0-9]_*.py")):
        if wanted and lab.name[:2] not in wanted:
            continue
        idle, cpu = run(lab)
        with one_core_busy():
            busy, _ = run(lab)
        slowest = max(slowest, busy)
        print(f"{lab.name[:2]}   {idle:4.1f}  {busy:13.1f}  {cpu:14.1f}", flush=True)
    return 0 if slowest < LIMIT else 1


def run(lab: Path) -> tuple[float, float]:
    """Run a lab on the bundled sample in a folder of its own; return the seconds of wall and of processor time."""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"PADDLE_MNIST_OFFLINE": "1", "PADDLE_MNIST_CACHE": folder, "MPLBACKEND": "Agg"}
        environment.pop("PADDLE_MNIST_DATA", None)
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run([sys.executable, lab], env=environment, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@contextlib.contextmanager
def one_core_busy() -> Iterator[None]:
    """Keep one of the cores busy with another process."""
    spinner = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(spinner.pid, {min(os.sched_getaffinity(0))})
    try:
        yield
    finally:
        spinner.kill()
        spinner.wait()


if __name__ == "__main__":
    sys.exit(main())

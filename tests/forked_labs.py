"""Runs a lab in a process of its own that has imported Paddle and Matplotlib already, where a process can be forked."""

from __future__ import annotations

import gc
import multiprocessing
import multiprocessing.forkserver
import os
import runpy
import sys
import warnings
from pathlib import Path

PRELOADED = ["paddle", "matplotlib.pyplot"]
SECONDS = 300
METHOD = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"


def start_server() -> None:
    """Start the process that the labs are forked from, in the present environment; it runs nothing itself."""
    if METHOD == "forkserver":
        multiprocessing.get_context(METHOD).set_forkserver_preload(PRELOADED)
        multiprocessing.forkserver.ensure_running()


def run(lab: Path, folder: Path, environment: dict[str, str], log: Path) -> int | None:
    """Run a lab in a folder, its output going to ``log``; return its exit status, ``None`` if it took too long."""
    process = multiprocessing.get_context(METHOD).Process(target=_run, args=(lab, folder, environment, log))
    process.start()
    process.join(SECONDS)
    status = process.exitcode
    process.kill()
    process.join()
    return status


def _run(lab: Path, folder: Path, environment: dict[str, str], log: Path) -> None:
    gc.freeze()  # collections of garbage would go through all of Paddle
    os.chdir(folder)
    os.environ.update(environment)
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(file, 1)
    os.dup2(file, 2)
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - until exit
    sys.stderr = open(2, "w", encoding="utf-8", closefd=False, buffering=1)  # noqa: SIM115
    sys.argv = [str(lab)]
    warnings.resetwarnings()
    warnings.simplefilter("error")
    warnings.filterwarnings("ignore", "No ccache found", UserWarning)
    runpy.run_path(str(lab), run_name="__main__")

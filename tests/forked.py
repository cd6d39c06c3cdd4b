"""Runs labs and Paddle's launcher in processes that have imported Paddle already, where a process can be forked."""

from __future__ import annotations

import ctypes
import gc
import multiprocessing
import multiprocessing.forkserver
import os
import runpy
import subprocess
import sys
import warnings
from pathlib import Path
from typing import IO

import pytest

from paddle_mnist import cpu

PRELOADED = ["paddle", "matplotlib.pyplot"]
SECONDS = 300
CLONE_NEWNET = 0x40000000  # <linux/sched.h>
METHOD = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"


def start_server() -> None:
    """Start the process that the others are forked from, unless there is one; it runs nothing itself."""
    if METHOD == "forkserver":
        multiprocessing.get_context(METHOD).set_forkserver_preload(PRELOADED)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MPLBACKEND", "Agg")  # Python and Matplotlib look only when they start
            patch.setenv("PYTHONUTF8", "1")
            multiprocessing.forkserver.ensure_running()


def run_lab(lab: Path, folder: Path, environment: dict[str, str], log: Path) -> int | None:
    """Run a lab in a folder, its output going to ``log``; return its exit status, ``None`` if it took too long."""
    arguments = (lab, folder, {**os.environ, **environment}, log)
    process = multiprocessing.get_context(METHOD).Process(target=_lab, args=arguments)
    process.start()
    process.join(SECONDS)
    status = process.exitcode
    process.kill()
    process.join()
    return status


def _lab(lab: Path, folder: Path, environment: dict[str, str], log: Path) -> None:
    _prepare(folder, environment, log)
    paddle = sys.modules.pop("paddle", None)
    cpu.threads()  # is read from the environment, and kept, as long as Paddle is not imported
    if paddle:
        sys.modules["paddle"] = paddle
    sys.argv = [str(lab)]
    warnings.resetwarnings()
    warnings.simplefilter("error")
    warnings.filterwarnings("ignore", "No ccache found", UserWarning)
    runpy.run_path(str(lab), run_name="__main__")


class Launch:
    """Paddle's launcher: what ``subprocess.Popen`` of it is for ``paddle_mnist.distributed.local.Launcher``.

    Args:
        command: as for the shell; before the launcher there may be ``ip netns exec NAME``.
        stdout: the file for all that it prints.
        stderr: the same file.
    """

    def __init__(self, command: list[str], stdout: IO[str], stderr: IO[str]) -> None:
        begin = command.index("-m")
        assert command[begin + 1] == "paddle.distributed.launch" and stdout is stderr
        assert begin == 1 or command[:3] == ["ip", "netns", "exec"]
        namespace = command[3] if begin > 1 else None
        arguments = (namespace, command[begin + 2 :], Path.cwd(), dict(os.environ), Path(stdout.name))
        self._process = multiprocessing.get_context(METHOD).Process(target=_launch, args=arguments)
        self._process.start()
        self.pid, self.kill = self._process.pid, self._process.kill

    def poll(self) -> int | None:
        """Return the exit status, ``None`` before the end."""
        return self._process.exitcode

    def wait(self, seconds: float | None = None) -> int:
        """Return the exit status."""
        self._process.join(seconds)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("paddle.distributed.launch", seconds or 0)
        return self._process.exitcode


def _launch(namespace: str | None, arguments: list[str], folder: Path, environment: dict[str, str], log: Path) -> None:
    _prepare(folder, environment, log)
    if namespace:
        with open(f"/run/netns/{namespace}") as file:
            assert ctypes.CDLL(None).setns(file.fileno(), CLONE_NEWNET) == 0
    sys.argv = ["paddle.distributed.launch", *arguments]
    runpy.run_module("paddle.distributed.launch", run_name="__main__", alter_sys=True)


def _prepare(folder: Path, environment: dict[str, str], log: Path) -> None:
    """Go to a folder, take over an environment, and print into a file."""
    gc.freeze()  # collections of garbage would go through all of Paddle
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(file, 1)
    os.dup2(file, 2)
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - until exit
    sys.stderr = open(2, "w", encoding="utf-8", closefd=False, buffering=1)  # noqa: SIM115

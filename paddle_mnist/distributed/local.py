"""Starts workers by Paddle's launcher from Python, finds them, and leaves none behind. Linux only."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


class Launcher:
    """A launcher that runs ``command`` in several workers. As a context manager it kills all that is left of them.

    Args:
        size: the number of workers on this machine.
        command: what each runs: a Python script and its arguments, or a program and its arguments.
        logs: a folder for what they print, not in use by another launcher.
        options: further arguments of ``paddle.distributed.launch``.
        prefix: a command that runs the launcher, such as one that enters a network namespace.
    """

    def __init__(
        self, size: int, command: Sequence[str], logs: Path, options: Sequence[str] = (), prefix: Sequence[str] = ()
    ) -> None:
        self.logs = logs.resolve()
        self.logs.mkdir(parents=True, exist_ok=True)
        launch = [sys.executable, "-m", "paddle.distributed.launch", "--nproc_per_node", str(size)]
        self._file = open(self.logs / "launcher", "w+")  # noqa: SIM115 - closed by stop
        self.process = subprocess.Popen(
            [*prefix, *launch, "--log_dir", str(self.logs), *options, *command], stdout=self._file, stderr=self._file
        )

    def __enter__(self) -> Launcher:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def workers(self) -> dict[int, int]:
        """Return the processes of the workers that live, by rank."""
        found = {}
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError, ValueError):
                variables = (process / "environ").read_bytes().split(b"\0")
                if b"PADDLE_LOG_DIR=" + os.fsencode(self.logs) in variables:
                    (rank,) = (value[18:] for value in variables if value.startswith(b"PADDLE_TRAINER_ID="))
                    found[int(rank)] = int(process.name)
        return found

    def wait(self, seconds: float) -> int:
        """Return the launcher's exit status.

        Raises:
            subprocess.TimeoutExpired: it takes longer.
        """
        return self.process.wait(seconds)

    def output(self) -> str:
        """Return all that the launcher and the workers have printed so far."""
        paths = [self.logs / "launcher", *sorted(self.logs.glob("workerlog.*"))]
        return "\n".join(path.read_text(errors="replace") for path in paths)

    def stop(self) -> None:
        """Kill the launcher and all workers that live."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for process in self.workers().values():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self._file.close()

"""Trainings that are started on the page: processes of their own, one at a time, the others in a queue.

A training is the command ``python -m paddle_mnist.train`` in a session of its own. It writes an ordinary run folder and
goes on when the page or the server ends. What it prints goes to ``work/trainings/NAME.log``, and the number of its
process to ``NAME.pid`` beside it, by which a later server can stop it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paddle_mnist.errors import printable
from paddle_mnist.play.form import Order
from paddle_mnist.play.models import Planned, run_id
from paddle_mnist.play.replies import RefusedError
from paddle_mnist.recipes import Settings
from paddle_mnist.runs import checkpoint, listing
from paddle_mnist.runs.run import Run
from paddle_mnist.runs.session import run_name

MAX_QUEUED = 10
MAX_FAILED = 20  # whose reasons are kept
ERROR = "paddle_mnist: error: "
TAIL_BYTES = 4096  # of a log that the reason is looked for in


@dataclass
class Job:
    """A training that this server starts.

    Attributes:
        name: of the run folder.
        settings: of the run.
        arguments: of the command.
        process: once it runs.
        message: why it failed.
    """

    name: str
    settings: Settings
    arguments: list[str]
    process: subprocess.Popen[bytes] | None = None
    message: str | None = None

    @property
    def state(self) -> str:
        """``queued``, ``running`` or ``failed``."""
        if self.message is not None:
            return "failed"
        return "queued" if self.process is None else "running"


class Trainings:
    """The running training, the queue, and those that failed. Its methods may be called from any thread.

    Args:
        work: the work folder.
        environment: of the trainings.
    """

    def __init__(self, work: Path, environment: Mapping[str, str]) -> None:
        self.runs, self.logs = work / "runs", work / "trainings"
        self.environment = dict(environment)
        self._jobs: dict[str, Job] = {}  # in the order in which they were asked for
        self._lock = threading.Lock()

    def planned(self) -> list[Planned]:
        """Return all trainings that this server knows about."""
        with self._lock:
            return [Planned(job.name, job.state, job.settings, job.message) for job in self._jobs.values()]

    def start(self, order: Order) -> dict[str, Any]:
        """Start a new run, or put it into the queue.

        Raises:
            RefusedError: the queue is full.
        """
        with self._lock:
            taken = set(os.listdir(self.runs)) if self.runs.is_dir() else set()
            name = listing.free_name(run_name(order.settings), taken | set(self._jobs))
            arguments = [*order.arguments(), f"--out={self.runs / name}"]
            return self._add(Job(name, order.settings, arguments))

    def resume(self, run: Run, epochs: int | None) -> dict[str, Any]:
        """Resume a run, perhaps to more epochs.

        Raises:
            RefusedError: it is queued or being trained, or has fewer epochs to do than it has done.
        """
        with self._lock:
            known = self._jobs.get(run.path.name)
            if (known and known.state != "failed") or checkpoint.is_locked(run.path):
                raise RefusedError(409, f"{run.path.name} is queued or being trained already.")
            if epochs is not None and epochs < run.settings.epochs:
                raise RefusedError(400, f"epochs must be at least the run's own {run.settings.epochs}, got {epochs}.")
            more = [] if epochs is None else [f"--epochs={epochs}"]
            self._jobs.pop(run.path.name, None)
            return self._add(Job(run.path.name, run.settings, [f"--resume={run.path}", *more]))

    def stop(self, name: str) -> str:
        """Ask a training to save and stop, or take it out of the queue; return ``"stopping"`` or ``"removed"``.

        Raises:
            RefusedError: it is neither running nor queued, or another program started it.
        """
        with self._lock:
            job = self._jobs.get(name)
            if job is not None and job.state == "queued":
                del self._jobs[name]
                return "removed"
            if job is not None and job.process is not None and job.process.poll() is None:
                job.process.terminate()
                return "stopping"
            if not checkpoint.is_locked(self.runs / name):
                raise RefusedError(409, f"{name} is not being trained.")
            number = self._survivor(name)
            if number is None:
                raise RefusedError(409, f"{name} is trained by another program: stop it there with Ctrl-C.")
            os.kill(number, signal.SIGTERM)
            return "stopping"

    def poll(self) -> None:
        """Note which training has ended, and start the next."""
        with self._lock:
            for job in list(self._jobs.values()):
                if job.state == "running" and job.process is not None and job.process.poll() is not None:
                    self._end(job, job.process.returncode)
            queued = next((job for job in self._jobs.values() if job.state == "queued"), None)
            if queued is not None and not self._busy():
                self._launch(queued)

    def state(self) -> dict[str, Any]:
        """Return the running training and the queue, as ids."""
        with self._lock:
            ids = {kind: [run_id(job.name) for job in self._jobs.values() if job.state == kind] for kind in STATES}
        return {"running": next(iter(ids["running"]), None), "queued": ids["queued"]}

    def _add(self, job: Job) -> dict[str, Any]:
        queued = [other for other in self._jobs.values() if other.state == "queued"]
        if len(queued) >= MAX_QUEUED:
            raise RefusedError(409, f"{MAX_QUEUED} trainings are queued: wait until one of them is complete.")
        self._jobs[job.name] = job
        before = len(queued) + any(other.state == "running" for other in self._jobs.values())
        if not queued and not self._busy():
            self._launch(job)
        failed = [name for name, other in self._jobs.items() if other.state == "failed"]
        for name in failed[:-MAX_FAILED]:
            del self._jobs[name]
        return {"model": run_id(job.name), "state": job.state, "position": before if job.state == "queued" else 0}

    def _busy(self) -> bool:
        """Tell whether anything is being trained here, whoever has started it."""
        return any(job.state == "running" for job in self._jobs.values()) or any(
            checkpoint.is_locked(path) for path in listing.run_folders(self.runs)
        )

    def _launch(self, job: Job) -> None:
        try:
            self.logs.mkdir(parents=True, exist_ok=True)
            with open(self.logs / f"{job.name}.log", "wb") as log:
                job.process = subprocess.Popen(
                    [sys.executable, "-m", "paddle_mnist.train", *job.arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=self.environment,
                    start_new_session=True,
                )
            (self.logs / f"{job.name}.pid").write_text(str(job.process.pid), "ascii")
        except OSError as error:
            if job.process is None:
                job.message = f"the training could not be started: {error.strerror or error}"

    def _end(self, job: Job, status: int) -> None:
        with contextlib.suppress(OSError):
            (self.logs / f"{job.name}.pid").unlink()
        if status == 0 or status in STOPPED:
            del self._jobs[job.name]
        else:
            job.message = _reason(self.logs / f"{job.name}.log", status)

    def _survivor(self, name: str) -> int | None:
        """Return the process of a training that an earlier server has started, if it is certain that it is that."""
        try:
            number = int((self.logs / f"{name}.pid").read_text("ascii"))
            command = Path(f"/proc/{number}/cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            return None
        folder = os.fsencode(self.runs / name)
        ours = b"paddle_mnist.train" in command and any(part.endswith(b"=" + folder) for part in command)
        return number if ours else None


STATES = ("running", "queued")
STOPPED = (130, 143, -signal.SIGINT, -signal.SIGTERM)  # by Ctrl-C or a request to stop


def _reason(log: Path, status: int) -> str:
    """Return why a training failed: its own last error, else its status."""
    try:
        with open(log, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL_BYTES))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        lines = []
    said = next((line[len(ERROR) :] for line in reversed(lines) if line.startswith(ERROR)), None)
    return printable(said or f"the training ended with status {status}; see {log}")

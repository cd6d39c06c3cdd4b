"""Runs a file of answers in a process of its own, and reports a verdict for each exercise as it comes.

Whatever the answers do, the caller gets one verdict for each exercise: a process that ends early, hangs, or reports
something that it cannot sign gives "no verdict", and the remaining exercises run in a new process.

What is promised: limits of time everywhere; limits of memory, file size and processor time on Linux (macOS knows some
of them, Windows none); an answer cannot end or block the caller. See ``child`` for how verdicts are protected.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import queue
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from paddle_mnist.errors import UserError
from paddle_mnist.labs.exercises.base import Exercise
from paddle_mnist.labs.verdicts import NO_VERDICT, Verdict
from paddle_mnist.sources import cache

# How long the process may take to import NumPy and Paddle, and how much longer than its own clock the caller waits.
START_SECONDS, GRACE_SECONDS = 120.0, 2.0
LINE_BYTES = 1 << 16

_COMMAND = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from paddle_mnist.labs.child import main; main()"


@dataclass(frozen=True)
class Limits:
    """What a file of answers may use.

    Attributes:
        seconds: for loading the file, and for each exercise (an exercise may set less).
        memory: bytes beyond what the process has when the file is loaded.
    """

    seconds: float = 20.0
    memory: int = 2 << 30


DEFAULT = Limits()


class CannotRun(UserError):
    """The file of answers does not load; the message is one sentence."""


def verdicts(
    number: str,
    exercises: Sequence[Exercise],
    file: str,
    source: bytes,
    *,
    limits: Limits = DEFAULT,
    folder: str = "",
    show: Callable[[str], None] = lambda text: None,
    child: Child | None = None,
) -> Iterator[Verdict]:
    """Judge a file of answers.

    Args:
        number: of the lab, two digits.
        exercises: those to judge.
        file: the name of the student's file, for messages.
        source: its content.
        limits: for time and memory.
        folder: an empty folder that the answers may write in and nowhere else; without one they may do what the
            caller may.
        show: is given what the answers print.
        child: a process that was started for this lab before, to save the time of starting one.

    Yields:
        a verdict for each exercise, as soon as it is known.

    Raises:
        CannotRun: the file does not load.
    """
    remaining = [exercise.name for exercise in exercises]
    while remaining:
        process = child or Child(number, limits, folder)
        child = None
        try:
            yield from _one_process(process, remaining, file, source, limits, show)
        finally:
            process.end()
        show = lambda text: None  # noqa: E731  a second process prints the same again when it loads the file


def _one_process(
    process: Child,
    remaining: list[str],
    file: str,
    source: bytes,
    limits: Limits,
    show: Callable[[str], None],
) -> Iterator[Verdict]:
    """Yield the verdicts of one process, and take each exercise that is judged out of ``remaining``."""
    process.begin(file, source, remaining)
    report = process.next_report(limits.seconds + GRACE_SECONDS, show)
    if report.get("loaded") is not True:
        raise CannotRun(f"{file}: {report.get('failed') or _ended(report, limits, 'while the file is loaded')}")
    while remaining:
        report = process.next_report(limits.seconds + GRACE_SECONDS, show)
        if "verdict" in report:
            yield Verdict(*report["verdict"])
            remaining.pop(0)
            continue
        name = remaining.pop(0)
        yield Verdict(name, NO_VERDICT, _ended(report, limits, "and does not react"))
        return


def _ended(report: dict[str, Any], limits: Limits, when: str) -> str:
    """Say why a process reports no more."""
    if "timeout" in report:
        return f"still running after {limits.seconds:g} s {when}"
    if "forged" in report:
        return "the answer writes to the checker's pipe"
    status = report.get("status")
    if status is not None and status < 0:
        with contextlib.suppress(ValueError):
            return f"the answer ended the process ({signal.Signals(-status).name})"
    return f"the answer ended the process (exit status {status})"


class Child:
    """A process that has imported what the exercises of a lab need, and waits for a file of answers."""

    def __init__(self, number: str, limits: Limits = DEFAULT, folder: str = "") -> None:
        self._keys, self._count, self._seconds = [secrets.token_bytes(32) for _ in range(2)], [0, 0], limits.seconds
        self._reports: queue.Queue[bytes] = queue.Queue(1000)
        self._process = subprocess.Popen(
            [sys.executable, "-c", _COMMAND, json.dumps([os.path.abspath(entry) for entry in sys.path])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=folder or None,
            env=_environment(folder),
            start_new_session=True,
        )
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        self._write(
            {
                "number": number,
                "folder": folder,
                "memory": limits.memory,
                "keys": [base64.b64encode(key).decode() for key in self._keys],
            }
        )

    def begin(self, file: str, source: bytes, names: Sequence[str]) -> None:
        """Wait until the process has imported everything, and hand over the file of answers."""
        report = self.next_report(START_SECONDS, lambda text: None)
        if report.get("ready") is not True:
            raise UserError(f"the process that checks answers does not start: {report}")
        job = {"file": file, "source": base64.b64encode(source).decode(), "names": list(names)}
        self._write(job | {"seconds": self._seconds})

    def next_report(self, seconds: float, show: Callable[[str], None]) -> dict[str, Any]:
        """Return the next report; ``{"timeout": …}``, ``{"forged": …}`` or ``{"status": …}`` if there is none."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                line = self._reports.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                return {"timeout": True}
            if not line:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    return {"status": self._process.wait(1)}
                return {"status": None}  # it has closed its pipe, and goes on
            report = self._verified(line)
            if report is None:
                return {"forged": True}
            if "printed" not in report:
                return report
            show(report["printed"])

    def end(self) -> None:
        """End the process and whatever it started; it does not matter if it has ended already."""
        if hasattr(os, "killpg"):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                with contextlib.suppress(OSError):
                    pipe.close()

    def _write(self, message: dict[str, Any]) -> None:
        assert self._process.stdin
        with contextlib.suppress(OSError):  # a process that has ended is noticed when its report is missing
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()

    def _read(self) -> None:
        assert self._process.stdout
        with contextlib.suppress(OSError, ValueError):
            while line := self._process.stdout.readline(LINE_BYTES):
                self._reports.put(line)
        self._reports.put(b"")

    def _verified(self, line: bytes) -> dict[str, Any] | None:
        """Return a report whose signature and number are right, else ``None``."""
        digest, _, text = line.rstrip(b"\n").partition(b" ")
        for place, key in enumerate(self._keys):
            if secrets.compare_digest(digest, hashlib.blake2b(text, key=key).hexdigest().encode()):
                report = json.loads(text)
                if report.pop("count") != self._count[place] or (place == 1) != ("printed" in report):
                    return None
                self._count[place] += 1
                return report
        return None


def _environment(folder: str) -> dict[str, str]:
    """Return the environment of a child, without Python's own variables; with a folder, without the caller's.

    Products run in one thread: small ones are faster so, and several children share the machine.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    if folder:
        kept = {name: value for name, value in kept.items() if name in _PASSED_ON}
        kept |= {"PADDLE_MNIST_CACHE": str(cache.folder()), "PADDLE_MNIST_OFFLINE": "1"}
        kept |= dict.fromkeys(("HOME", "USERPROFILE", "TMPDIR", "TEMP", "TMP"), folder)
    kept |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return kept | {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0", "PYTHONUTF8": "1"}


# What programs need to find their libraries and their language.
_PASSED_ON = {"PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "LANG", "LC_ALL", "LC_CTYPE", "TZ"}

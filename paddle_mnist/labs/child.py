"""The process in which one file of answers runs; ``runner`` starts it and reads what it reports.

The harness stays in the main thread: it holds the key that signs each report, watches the clock and ends the process.
The answers run in threads of their own, so that the frames below them do not lead to the harness, and without
``paddle_mnist.labs`` in ``sys.modules``. This stops accidents and simple tricks: an answer that prints a verdict,
writes to the pipe, replaces ``expect`` or functions of NumPy, or exits with status 0. It is no protection against a
program written to search the interpreter's memory for the key: Python offers none within one process.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import io
import json
import os
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any

# An answer's prints are shown up to this many characters for each exercise.
PRINTED = 4000
STACK_BYTES = 64 << 20


class Channel:
    """The pipe to the parent; each report is one line, signed with a key that the answers do not have."""

    def __init__(self, descriptor: int, key: bytes, lock: threading.Lock) -> None:
        self._descriptor, self._lock, self._count = descriptor, lock, 0
        self._signer = hashlib.blake2b(key=key)

    def send(self, **report: Any) -> None:
        """Send a report; end the process if the parent is gone."""
        with self._lock:
            signer = self._signer.copy()
            text = json.dumps(report | {"count": self._count})
            signer.update(text.encode())
            self._count += 1
            try:
                _write_all(self._descriptor, f"{signer.hexdigest()} {text}\n".encode())
            except OSError:
                os._exit(1)


class Printed(io.TextIOBase):
    """Takes the place of ``sys.stdout``: sends what an answer prints, up to a limit."""

    def __init__(self, channel: Channel) -> None:
        super().__init__()
        self._channel, self._left, self._line = channel, PRINTED, ""

    def writable(self) -> bool:
        """Return that it can be written to."""
        return True

    def write(self, text: str) -> int:
        """Send the part of ``text`` that is within the limit, whole lines at a time."""
        shown = text[: self._left]
        self._left -= len(shown)
        if shown and not self._left:
            shown += "\n… (more output is left out)\n"
        lines, newline, rest = (self._line + shown).rpartition("\n")
        self._line = rest
        if newline:
            self._channel.send(printed=lines + newline)
        return len(text)

    def end(self) -> None:
        """Send an unfinished line, and restart the count."""
        if self._line:
            self._channel.send(printed=self._line + "\n")
        self._left, self._line = PRINTED, ""


def main() -> None:
    """Prepare, read one job from standard input, judge it, and end the process."""
    jobs, descriptor = os.fdopen(os.dup(0), "rb"), os.dup(1)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nowhere, standard)
    settings = json.loads(jobs.readline())

    from paddle_mnist.labs import sandbox

    if settings["folder"]:
        sandbox.leave_network()
    from paddle_mnist.labs.exercises import base, catalog
    from paddle_mnist.labs.verdicts import NO_VERDICT, RIGHT, Verdict, judge

    exercises = {exercise.name: exercise for exercise in catalog.load(settings["number"], [settings["number"]])}
    catalog.prepare(settings["number"])
    lock, keys = threading.Lock(), [base64.b64decode(key) for key in settings.pop("keys")]
    channel, printed = Channel(descriptor, keys[0], lock), Printed(Channel(descriptor, keys[1], lock))
    channel.send(ready=True)

    job = json.loads(jobs.readline())
    jobs.close()
    sys.stdout = sys.stderr = printed
    sandbox.limit(settings["memory"])
    allow_frames = sandbox.enclose(settings["folder"]) if settings["folder"] else (lambda: None)
    _hide("paddle_mnist.labs")
    guard = _NumPyGuard()

    names: dict[str, Any] = {"__name__": "answers", "__file__": job["file"], "__builtins__": __builtins__}
    failure = _in_thread(lambda: _load(job["file"], base64.b64decode(job["source"]), names), job["seconds"])
    if isinstance(failure, threading.Thread):
        allow_frames()
        failure = f"still running after {job['seconds']:g} s while the file is loaded{_place(failure, job['file'])}"
    if failure:
        channel.send(failed=failure)
        os._exit(1)
    channel.send(loaded=True)
    for name in job["names"]:
        seconds, before = min(exercises[name].seconds, job["seconds"]), set(threading.enumerate())
        verdict = _in_thread(functools.partial(judge, exercises[name], names), seconds)
        stuck = isinstance(verdict, threading.Thread)
        if stuck:
            allow_frames()
            on, place = base.current_input() or "its first input", _place(verdict, job["file"])
            verdict = Verdict(name, NO_VERDICT, f"still running after {seconds:g} s{place}\n   input: {on}")
        elif replaced := guard.replaced():
            verdict = Verdict(name, NO_VERDICT, f"the file replaces numpy.{replaced}, which the check needs")
        elif verdict.kind == RIGHT and _threads_left(before):
            verdict = Verdict(name, NO_VERDICT, "it leaves a thread running: wait for its end with join()")
        printed.end()
        channel.send(verdict=[name, verdict.kind, verdict.message])
        if stuck:
            os._exit(1)
    channel.send(done=True)
    os._exit(0)


def _load(file: str, source: bytes, names: dict[str, Any]) -> str:
    """Run the student's file; return why it cannot run, or an empty string."""
    try:
        exec(compile(source, file, "exec"), names)
    except SyntaxError as error:
        return f"line {error.lineno}: this is not Python: {error.msg}"
    except ValueError as error:
        if "null bytes" in str(error):
            return "this is not Python: it holds null bytes"
        return _exception(error, file)
    except BaseException as error:
        return _exception(error, file)
    return ""


def _exception(error: BaseException, file: str) -> str:
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    place = f"line {lines[-1]}: " if lines else ""
    if isinstance(error, SystemExit):
        return f"{place}the file ends the program (exit or quit) before its answers can be called"
    message = " ".join(str(error).split())[:200]
    return f"{place}{type(error).__name__}: {message}" if message else f"{place}{type(error).__name__}"


def _in_thread(work: Callable[[], Any], seconds: float) -> Any:
    """Run ``work`` in a thread and return its result; return the thread itself if it takes longer than ``seconds``."""
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(work()), daemon=True)
    threading.stack_size(STACK_BYTES)  # room for deep recursion; threads of the answer get the usual size
    thread.start()
    threading.stack_size(0)
    thread.join(seconds)
    return thread if thread.is_alive() else results[0]


def _place(thread: threading.Thread, file: str) -> str:
    """Return ``", in line N"`` for the student's line that a thread is running, if it can be seen."""
    frame = sys._current_frames().get(thread.ident or 0)
    while frame is not None and frame.f_code.co_filename != file:
        frame = frame.f_back
    return f", in line {frame.f_lineno}" if frame else ""


def _threads_left(before: set[threading.Thread]) -> bool:
    left = [thread for thread in threading.enumerate() if thread not in before]
    for thread in left:
        thread.join(0.1)
    return any(thread.is_alive() for thread in left)


def _hide(package: str) -> None:
    """Take a package out of the reach of ``import``; those who hold its modules keep them."""
    for name in [name for name in sys.modules if name == package or name.startswith(f"{package}.")]:
        del sys.modules[name]
    parent, _, name = package.rpartition(".")
    vars(sys.modules[parent]).pop(name, None)


class _NumPyGuard:
    """Remembers NumPy's functions, and notices if one is replaced."""

    def __init__(self) -> None:
        import numpy

        self._module, self._functions = numpy, {k: v for k, v in vars(numpy).items() if callable(v)}

    def replaced(self) -> str:
        """Return the name of a function that was replaced, or an empty string."""
        now = vars(self._module)
        return next((name for name, value in self._functions.items() if now.get(name) is not value), "")


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]

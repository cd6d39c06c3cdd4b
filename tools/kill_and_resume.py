"""Kill training runs, resume them, and compare the results bit by bit.

    python tools/kill_and_resume.py --kills 200
    python tools/kill_and_resume.py --kills 60 --workers 1 2 3 4

For each recipe one run trains undisturbed, and others are killed while they train, resumed, killed again, and so on
until they are complete. Runs are killed in two ways, in turn; the moments are drawn from a seed:

    from outside    at some time after the run has begun to write (SIGKILL; on Windows TerminateProcess)
    from inside     just before one of its own operations on files: an open, a write, an fsync, a rename, a removal

With --workers, each process is instead a number of workers of Paddle's launcher, drawn anew for each resumption. Then
"from outside" kills one of them, and the others have to stop by themselves; or all of them, launcher included.

After each kill every checkpoint must be whole, and none that existed before may be lost. At the end the newest
checkpoint and the best weights must be the same files, byte for byte, as those of the undisturbed run, and the history
(without its times) and the test result the same to the last bit. The exit status is 1 if one is not.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import multiprocessing
import os
import random
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from paddle_mnist.distributed.local import Launcher
from paddle_mnist.runs import checkpoint
from paddle_mnist.runs.run import reproducible_state

# Each takes a few seconds; for nets in Paddle, most of that is its import.
RECIPES = {
    "three-layer": "--net three-layer --epochs 3 --save-every 7",
    "nielsen": "--net nielsen --epochs 3 --lr-decay 0.5 --save-every 70",
    "two-layer": "--net two-layer --epochs 3",
    "fc, SGD, decaying rate": "--net fc --epochs 3 --lr-decay 0.5 --save-every 7",
    "fc, Adam": "--net fc --optimizer adam --lr 0.001 --epochs 3",
    "fc, classes, Momentum": "--net fc --task classify --optimizer momentum --epochs 3 --save-every 7",
    "fc, classes, Adam, decaying rate": (
        "--net fc --task classify --optimizer adam --lr 0.001 --lr-decay 0.5 --epochs 3 --save-every 10"
    ),
    "cnn, SGD": "--net cnn --epochs 3 --save-every 7",
    "cnn, Momentum, plain layers": "--net cnn --optimizer momentum --lr 0.002 --epochs 2 --plain --save-every 10",
    "cnn, Adam, decaying rate": "--net cnn --optimizer adam --lr 0.001 --lr-decay 0.5 --epochs 3 --save-every 7",
    "cnn, classes, SGD": "--net cnn --task classify --epochs 3",
    "cnn, classes, Momentum, decaying rate": (
        "--net cnn --task classify --optimizer momentum --lr-decay 0.5 --epochs 3 --save-every 7"
    ),
    "mlp, RMSProp, decaying rate": "--net mlp --epochs 2 --save-every 10",
    "quick, batch norm": "--net quick --epochs 2 --save-every 10",
    "quick, augmented": "--net quick --augment strong --epochs 3 --save-every 7",
}
NUMPY = ("three-layer", "nielsen", "two-layer")
# The largest share of a whole run's operations or time after which a process is killed. It must reach beyond the next
# checkpoint now and then, or the run never ends.
SHARE, SHARE_WITH_FEW_CHECKPOINTS = 0.3, 0.6
MAX_KILLS = 10  # of one run, so that every recipe has its turn
FILE_EVENTS = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.truncate", "shutil.rmtree"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
SIGKILL = getattr(signal, "SIGKILL", signal.SIGTERM)  # on Windows both end a process at once
KILLED = SIGKILL if os.name == "nt" else -SIGKILL  # the exit status of a killed process
TIMEOUT = 600.0  # seconds for the longest run


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script; see the module's docstring."""
    args = parse(argv)
    start = start_forked if args.fork else start_process
    if args.fork:
        preload(args.recipes)
    rng = random.Random(args.seed)
    restart = start if args.workers == [1] else lambda job: start_workers(job, rng, args.workers)
    began = time.monotonic()
    kills = inside = runs = failures = 0
    with tempfile.TemporaryDirectory() as scratch:
        references: dict[str, Reference] = {}
        while kills < args.kills:
            for name in args.recipes:
                if name not in references:
                    references[name] = Reference(name, args.data, Path(scratch), start)
                outcome = references[name].kill_and_resume(rng, Path(scratch) / f"run-{runs}", restart)
                runs, failures = runs + 1, failures + bool(outcome.wrong)
                kills, inside = kills + outcome.kills, inside + outcome.inside
                print(f"{name}: killed {outcome.kills} times, {outcome.wrong or 'identical to the bit'}", flush=True)
                if kills >= args.kills:
                    break
    print(f"{kills} kills in {runs} runs: {runs - failures} identical to the undisturbed run, {failures} not")
    print(
        f"{inside} kills before an operation on files, {kills - inside} at a random time; "
        f"{len(references)} recipes, {time.monotonic() - began:.0f} s"
    )
    return 1 if failures else 0


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the arguments."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=200, help="how many kills in all (200)")
    parser.add_argument("--data", default="sample", help="the digits to train on (sample)")
    parser.add_argument("--seed", type=int, default=0, help="fixes the moments (0)")
    parser.add_argument("--recipes", nargs="*", choices=list(RECIPES), help="which (all that --workers can train)")
    parser.add_argument("--workers", type=int, nargs="*", default=[1], help="numbers of workers to draw from (1)")
    parser.add_argument(
        "--fork",
        action="store_true",
        help="fork the runs from a process that has imported Paddle: faster, but less like the command; not on Windows",
    )
    args = parser.parse_args(argv)
    launched = args.workers != [1]
    args.recipes = args.recipes or [name for name in RECIPES if not launched or name not in NUMPY]
    return args


@dataclasses.dataclass
class Outcome:
    """How often a run was killed, how often of these from inside, and what was wrong with it, if anything."""

    kills: int
    inside: int
    wrong: str = ""


class Reference:
    """An undisturbed run, which the killed runs are compared with.

    Attributes:
        seconds: from its first record to its last checkpoint; the pictures that follow take as long again.
        operations: on files, from its first record to its end.
        state: what the killed runs must end with.
    """

    def __init__(self, name: str, data: str, scratch: Path, start: Start) -> None:
        self.start = start
        self.arguments = [*RECIPES[name].split(), "--data", data, "--quiet"]
        self.share = SHARE if "--save-every" in self.arguments else SHARE_WITH_FEW_CHECKPOINTS
        folder = scratch / f"reference-{name.replace(' ', '-')}"
        count = folder.with_suffix(".count")
        process = start(Job(folder, self.arguments, count=count))
        changes = []
        while process.poll() is None:
            changes.append(wait_for_change(process, folder, trace(folder)))
        if process.poll():
            raise SystemExit(f"the undisturbed run of {name} failed: {errors(folder)}")
        self.seconds = changes[max(0, len(changes) - 2)] - changes[0]  # the last is the end of the process
        self.operations = int(count.read_text())
        self.state = final_state(folder)
        print(f"{name}: {self.seconds:.2f} s of training, {self.operations} operations on files", flush=True)

    def kill_and_resume(self, rng: random.Random, folder: Path, start: Start) -> Outcome:
        """Train the same in ``folder``, by processes from ``start`` that are killed until the run completes."""
        outcome = Outcome(0, 0)
        reached = (0, 0)
        inside = rng.random() < 0.5
        while True:
            before = trace(folder)
            last = outcome.kills >= MAX_KILLS
            kill_at = rng.randrange(max(1, int(self.share * self.operations))) if inside and not last else -1
            process = start(Job(folder, self.arguments, kill_at))
            if not inside and not last:
                wait_for_change(process, folder, before)
                process.kill_after(rng.uniform(0, self.share * self.seconds))
            status = process.wait(TIMEOUT)
            if status == 0:
                names = differences(final_state(folder), self.state)
                outcome.wrong = f"NOT IDENTICAL: {', '.join(names)}" if names else ""
                return outcome
            if status != KILLED:
                outcome.wrong = f"FAILED with status {status}: {errors(folder)}"
                return outcome
            outcome.kills, outcome.inside, inside = outcome.kills + 1, outcome.inside + inside, not inside
            damaged: list[str] = []
            found = checkpoint.latest(folder, damaged.append)
            now = (found[2]["epoch"], found[2]["batch"]) if found else (0, 0)
            if damaged or now < reached:
                outcome.wrong = f"LOST: {damaged or f'from {reached} back to {now}'}"
                return outcome
            reached = now


class Job(NamedTuple):
    """One process: trains in ``folder``, or resumes the run there.

    Attributes:
        kill_at: the number of its operation on files, from 0, before which it kills itself; -1 for never.
        count: a file for the number of its operations.
    """

    folder: Path
    arguments: list[str]
    kill_at: int = -1
    count: Path | None = None

    def command(self) -> list[str]:
        """Return the arguments of the training command."""
        if (self.folder / "run.json").exists():
            return ["--resume", str(self.folder), "--quiet"]
        return [*self.arguments, "--out", str(self.folder)]


class Process:
    """A process that trains: a ``Popen``, or a process of ``multiprocessing``."""

    def __init__(self, process: Any) -> None:
        self._process = process

    def poll(self) -> int | None:
        """Return the exit status, ``None`` while the process lives."""
        if isinstance(self._process, subprocess.Popen):
            return self._process.poll()
        return self._process.exitcode

    def wait(self, seconds: float) -> int | None:
        """Wait for the end, at most so long; return the exit status, ``None`` if the process still lives."""
        if isinstance(self._process, subprocess.Popen):
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(seconds)
        else:
            self._process.join(seconds)
        return self.poll()

    def kill_after(self, seconds: float) -> None:
        """Kill the process unless it ends by itself before."""
        if self.wait(seconds) is None:
            self._process.kill()


Start = Callable[[Job], Process]


def start_process(job: Job) -> Process:
    """Start a fresh Python."""
    command = [sys.executable, __file__, "--worker", str(job.kill_at), str(job.count or ""), str(job.folder)]
    with open(job.folder.with_suffix(".err"), "w") as file:
        return Process(subprocess.Popen([*command, *job.command()], stdout=subprocess.DEVNULL, stderr=file))


class Workers(Process):
    """Workers of Paddle's launcher, of which one is killed, or all.

    Args:
        launcher: has started them.
        job: what they do.
        rng: decides who is killed.
    """

    def __init__(self, launcher: Launcher, job: Job, rng: random.Random) -> None:
        super().__init__(launcher.process)
        self._launcher, self._job, self._rng, self._killed = launcher, job, rng, job.kill_at >= 0

    def wait(self, seconds: float) -> int | None:
        """Wait for the end; a failure that follows from a kill counts as the kill's."""
        status = super().wait(seconds)
        if status is None:
            return None
        left = self._launcher.workers()
        self._job.folder.with_suffix(".err").write_text(self._launcher.output())
        self._launcher.stop()
        if left and not self._killed_all:
            return 99  # workers outlived the launcher
        return KILLED if status and self._killed else status

    _killed_all = False

    def kill_after(self, seconds: float) -> None:
        """Kill one worker, or all of them and the launcher, unless they end before."""
        if self.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(seconds)
        if self.poll() is not None:
            return
        self._killed, workers = True, self._launcher.workers()
        self._killed_all = not workers or self._rng.random() < 0.5
        if self._killed_all:
            self._launcher.stop()
        else:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._rng.choice(sorted(workers.values())), SIGKILL)


def start_workers(job: Job, rng: random.Random, sizes: Sequence[int]) -> Process:
    """Start one of several numbers of workers; one worker is a process without a launcher."""
    size = rng.choice(list(sizes))
    if size == 1:
        return start_process(job)
    # A busy machine is no failure here. That workers are gone shows at once, by their connections.
    for name in ("JOIN", "SILENCE"):
        os.environ.setdefault(f"PADDLE_MNIST_{name}_SECONDS", "120")
    logs = job.folder.with_name(f"{job.folder.name}-logs-{secrets.token_hex(4)}")
    command = [__file__, "--worker", str(job.kill_at), str(job.count or ""), str(job.folder), *job.command()]
    return Workers(Launcher(size, command, logs), job, rng)


def start_forked(job: Job) -> Process:
    """Fork this process, which has imported everything."""
    process = multiprocessing.get_context("fork").Process(target=forked, args=(job,))
    process.start()
    return Process(process)


def forked(job: Job) -> None:
    """Train in a forked process, with its outputs where ``start_process`` sends them."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    file = os.open(job.folder.with_suffix(".err"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(nowhere, 1)
    os.dup2(file, 2)
    sys.exit(work(job.kill_at, str(job.count or ""), str(job.folder), job.command()))


def preload(recipes: Sequence[str]) -> None:
    """Import what training and its pictures need; none of it starts a thread, which a fork would lose."""
    from matplotlib.backends import backend_agg

    from paddle_mnist import cpu, train
    from paddle_mnist.runs import report

    assert backend_agg and train and report
    if not set(recipes) <= set(NUMPY):
        cpu.tune()
        from paddle_mnist import learners

        assert learners


def errors(folder: Path) -> str:
    """Return what the last process that trained in a folder printed on standard error."""
    return folder.with_suffix(".err").read_text(errors="replace").strip()


def work(kill_at: int, count: str, folder: str, arguments: list[str]) -> int:
    """Run the training command in this process, which kills itself before an operation on files; see ``Job``.

    Counted is what changes files, from the trainer's own first change: to the history or to a checkpoint.
    """
    from paddle_mnist import console
    from paddle_mnist import train as command

    if os.environ.get("PADDLE_TRAINER_ID", "0") != "0":
        kill_at = -1  # only rank 0 works on files
    done = -1  # nothing is counted before the trainer's first change

    def operation() -> None:
        nonlocal done
        if done < 0:
            return
        if done == kill_at:
            os.kill(os.getpid(), SIGKILL)
        done += 1

    def hook(event: str, given: tuple[Any, ...]) -> None:
        nonlocal done
        if event not in FILE_EVENTS or (event == "open" and not given[2] & WRITING):
            return
        place = str(given[0])
        if done < 0 and place.startswith(folder) and ("history.jsonl" in place or checkpoint.FOLDER in place):
            done = 0
        operation()

    def counted(function: Any) -> Any:
        def call(*given: Any) -> Any:
            operation()
            return function(*given)

        return call

    # Python audits opens, renames and removals; these write to files, or flush them to the disk, without an event.
    os.write, os.fsync, os.ftruncate = counted(os.write), counted(os.fsync), counted(os.ftruncate)
    sys.addaudithook(hook)
    status = console.run(command.main, arguments)
    if count:
        total, done = done, -1
        Path(count).write_text(str(total))
    return status


def trace(folder: Path) -> Any:
    """Return what changes when a trainer writes: the history's time and the names of the checkpoints."""
    history = folder / "history.jsonl"
    places = folder / checkpoint.FOLDER
    return (
        history.stat().st_mtime_ns if history.exists() else None,
        sorted(os.listdir(places)) if places.exists() else None,
    )


def wait_for_change(process: Process, folder: Path, before: Any) -> float:
    """Wait until a process has changed something in its run, or has ended; return the time."""
    while process.poll() is None and trace(folder) == before:
        time.sleep(0.002)
    return time.monotonic()


def final_state(folder: Path) -> dict[str, Any]:
    """Return everything in which complete runs must agree, in forms that are equal only if every bit is."""
    state = reproducible_state(folder)
    newest = checkpoint.checkpoints(folder)[-1]
    files = [*newest.iterdir(), *folder.glob("best.*")]
    return {
        "half-written files": [path.name for path in folder.glob(".*.tmp")],
        **{str(path.relative_to(folder)): path.read_bytes() for path in files},
        **{name: bits(state[name]) for name in ("weights", "optimizer", "progress", "best", "history", "result")},
    }


def bits(value: Any) -> Any:
    """Return a value in a form in which 0.0 and -0.0, or float32 and float64, differ."""
    if isinstance(value, dict):
        return {name: bits(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [bits(item) for item in value]
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    return value.hex() if isinstance(value, float) else value


def differences(found: dict[str, Any], expected: dict[str, Any]) -> list[str]:
    """Return the names of what differs."""
    names = sorted(found.keys() | expected.keys())
    return [name for name in names if name not in found or name not in expected or found[name] != expected[name]]


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        sys.exit(work(int(sys.argv[2]), sys.argv[3], sys.argv[4], sys.argv[5:]))
    sys.exit(main())

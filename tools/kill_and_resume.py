"""Kill training runs, resume them, and compare what they end with to the bit.

    python tools/kill_and_resume.py --kills 200

For each recipe a run is made that nothing disturbs, and beside it runs that are killed while they train, resumed,
killed again and so on until they are complete. A run is killed in two ways, in turn, both of them drawn from a seed:

    from outside    at a moment after it has begun to write (SIGKILL; on Windows TerminateProcess)
    from inside     before one of its own operations on files: an open, a write, an fsync, a rename, a removal

After each kill every checkpoint that stands must be whole, and none may be lost that stood before. At the end the
newest checkpoint and the best weights must be the same files, byte for byte, as those of the undisturbed run, and the
history (without its times) and the test result the same to the last bit. The exit status is 1 if one is not.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from paddle_mnist.runs import checkpoint
from paddle_mnist.runs.run import reproducible_state

# Each in a few seconds, most of which Paddle's import takes where Paddle is needed.
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
}
# Of a whole run's operations or time, how much one process may do at most before it is killed. It has to reach beyond
# the next checkpoint now and then, or the run never ends.
SHARE, SHARE_OF_FEW = 0.3, 0.6
MOST = 10  # kills of one run, so that every recipe has its turn
CHANGES = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.truncate", "shutil.rmtree"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
SIGKILL = getattr(signal, "SIGKILL", signal.SIGTERM)  # on Windows both end a process at once
STRUCK = SIGKILL if os.name == "nt" else -SIGKILL  # the status that it then ends with
PATIENCE = 600.0  # seconds for the longest run


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script; see the module's docstring."""
    parser = argparse.ArgumentParser(description="Kill and resume training runs, and compare them to the bit.")
    parser.add_argument("--kills", type=int, default=200, help="how many kills in all (200)")
    parser.add_argument("--data", default="sample", help="the digits to train on (sample)")
    parser.add_argument("--seed", type=int, default=0, help="fixes the moments (0)")
    parser.add_argument("--recipes", nargs="*", default=list(RECIPES), choices=list(RECIPES), help="which (all)")
    args = parser.parse_args(argv)

    chance = random.Random(args.seed)
    began = time.monotonic()
    kills = inside = runs = failures = 0
    with tempfile.TemporaryDirectory() as scratch:
        references = {}
        while kills < args.kills:
            for name in args.recipes:
                if name not in references:
                    references[name] = Reference(name, args.data, Path(scratch))
                killed, struck, wrong = references[name].disturb(chance, Path(scratch) / f"victim-{runs}")
                kills, inside, runs, failures = kills + killed, inside + struck, runs + 1, failures + bool(wrong)
                print(f"{name}: killed {killed} times, {wrong or 'the same to the bit'}", flush=True)
                if kills >= args.kills:
                    break
    print(f"{kills} kills in {runs} runs: {runs - failures} ended as if never disturbed, {failures} did not")
    print(
        f"{inside} kills struck before an operation on files, {kills - inside} at a moment of the clock; "
        f"{len(references)} recipes, {time.monotonic() - began:.0f} s"
    )
    return 1 if failures else 0


class Reference:
    """A run that nothing disturbs, and the measure of those that are killed.

    Attributes:
        seconds: from its first record to its last checkpoint; the pictures that follow take as long again.
        operations: on files, from its first record to its end.
        state: what those that are killed must end with.
    """

    def __init__(self, name: str, data: str, scratch: Path) -> None:
        self.arguments = [*RECIPES[name].split(), "--data", data, "--quiet"]
        self.share = SHARE if "--save-every" in self.arguments else SHARE_OF_FEW
        folder = scratch / f"reference-{name.replace(' ', '-')}"
        counted = folder.with_suffix(".count")
        process = train(folder, self.arguments, strike=-1, count=counted)
        changes = []
        while process.poll() is None:
            changes.append(wait_for_training(process, folder, traces(folder)))
        if process.returncode:
            raise SystemExit(f"the undisturbed run of {name} failed: {said(folder)}")
        self.seconds = changes[max(0, len(changes) - 2)] - changes[0]  # the last is the end of the process
        self.operations = int(counted.read_text())
        self.state = outcome(folder)
        print(f"{name}: {self.seconds:.2f} s of training, {self.operations} operations on files", flush=True)

    def disturb(self, chance: random.Random, folder: Path) -> tuple[int, int, str]:
        """Train the same in ``folder``, killing as often as it takes.

        Returns:
            How many kills there were, how many of them from inside, and what is wrong at the end, if anything.
        """
        kills = struck = 0
        reached = (0, 0)
        from_inside = chance.random() < 0.5
        while True:
            before = traces(folder)
            enough = kills >= MOST
            number = chance.randrange(max(1, int(self.share * self.operations))) if from_inside and not enough else -1
            process = train(folder, self.arguments, strike=number)
            if not from_inside and not enough:
                wait_for_training(process, folder, before)
                try:
                    process.wait(chance.uniform(0, self.share * self.seconds))
                except subprocess.TimeoutExpired:
                    process.send_signal(SIGKILL)
            status = process.wait(PATIENCE)
            if status == 0:
                same = differences(outcome(folder), self.state)
                return kills, struck, f"NOT THE SAME: {', '.join(same)}" if same else ""
            if status != STRUCK:
                return kills, struck, f"FAILED with status {status}: {said(folder)}"
            kills, struck, from_inside = kills + 1, struck + from_inside, not from_inside
            damaged: list[str] = []
            found = checkpoint.latest(folder, say=damaged.append)
            now = (found[2]["epoch"], found[2]["batch"]) if found else (0, 0)
            if damaged or now < reached:
                return kills, struck, f"LOST: {damaged or f'from {reached} back to {now}'}"
            reached = now


def train(folder: Path, arguments: list[str], strike: int, count: Path | None = None) -> subprocess.Popen:
    """Start the training command in a process, or go on with the run that stands in ``folder``.

    Args:
        strike: before which of its operations on files it kills itself, counted from 0; -1 for never.
        count: a file that it shall write the number of its operations to.
    """
    resuming = (folder / "run.json").exists()
    given = ["--resume", str(folder), "--quiet"] if resuming else [*arguments, "--out", str(folder)]
    command = [sys.executable, __file__, "--victim", str(strike), str(count or ""), str(folder), *given]
    with open(folder.with_suffix(".err"), "w") as errors:
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors)


def said(folder: Path) -> str:
    """Return what the last process that trained in a folder had to say on standard error."""
    return folder.with_suffix(".err").read_text(errors="replace").strip()


def victim(strike: int, count: str, folder: str, arguments: list[str]) -> int:
    """Run the training command in this process, killed before an operation on files; see ``train``.

    Counted is what changes files, from the first that the trainer itself does: to the history or to a checkpoint.
    """
    from paddle_mnist import console
    from paddle_mnist import train as command

    done = -1  # nothing is counted until the trainer's first change

    def operation() -> None:
        nonlocal done
        if done < 0:
            return
        if done == strike:
            os.kill(os.getpid(), SIGKILL)
        done += 1

    def hook(event: str, given: tuple) -> None:
        nonlocal done
        if event not in CHANGES or (event == "open" and not given[2] & WRITING):
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

    # Python tells of what opens, makes, renames and removes; these change files, or bring them to the disk, untold.
    os.write, os.fsync, os.ftruncate = counted(os.write), counted(os.fsync), counted(os.ftruncate)
    sys.addaudithook(hook)
    status = console.run(command.main, arguments)
    if count:
        total, done = done, -1
        Path(count).write_text(str(total))
    return status


def traces(folder: Path) -> Any:
    """Return what shows that a trainer has changed something: the history, and the names of the checkpoints."""
    history = folder / "history.jsonl"
    places = folder / checkpoint.FOLDER
    return (
        history.stat().st_mtime_ns if history.exists() else None,
        sorted(os.listdir(places)) if places.exists() else None,
    )


def wait_for_training(process: subprocess.Popen, folder: Path, before: Any) -> float:
    """Wait until a process has changed something in its run, or has ended; return the time."""
    while process.poll() is None and traces(folder) == before:
        time.sleep(0.002)
    return time.monotonic()


def outcome(folder: Path) -> dict[str, Any]:
    """Return all that a complete run must agree in, in forms that are equal only if every bit is."""
    state = reproducible_state(folder)
    newest = checkpoint.checkpoints(folder)[-1]
    files = [*newest.iterdir(), *folder.glob("best.*")]
    return {
        "half-written files": [path.name for path in folder.glob(".*.tmp")],
        **{str(path.relative_to(folder)): path.read_bytes() for path in files},
        **{name: bits(state[name]) for name in ("weights", "optimizer", "progress", "best", "history", "result")},
    }


def bits(value: Any) -> Any:
    """Return a value in which 0.0 and -0.0, or float32 and float64, are not the same."""
    if isinstance(value, dict):
        return {name: bits(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [bits(item) for item in value]
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    return value.hex() if isinstance(value, float) else value


def differences(found: dict[str, Any], expected: dict[str, Any]) -> list[str]:
    """Name what is not the same."""
    names = sorted(found.keys() | expected.keys())
    return [name for name in names if name not in found or name not in expected or found[name] != expected[name]]


if __name__ == "__main__":
    if sys.argv[1:2] == ["--victim"]:
        sys.exit(victim(int(sys.argv[2]), sys.argv[3], sys.argv[4], sys.argv[5:]))
    sys.exit(main())

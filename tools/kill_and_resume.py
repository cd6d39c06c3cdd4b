"""Kill training runs at random moments, resume them, and compare what they end with to the bit.

    python tools/kill_and_resume.py --kills 200

For each recipe a run is made that nothing disturbs, and beside it runs that are killed (SIGKILL; on Windows
TerminateProcess) at seeded random moments and resumed until they are complete. The two must agree in every bit of their
weights, optimizer state, history and metrics. The exit status is 1 if one does not.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from paddle_mnist.runs import reproducible_state

# Each in a few seconds, most of which Paddle's import takes where Paddle is needed.
RECIPES = {
    "three-layer": "--net three-layer --epochs 3",
    "nielsen": "--net nielsen --epochs 3",
    "two-layer": "--net two-layer --epochs 3",
    "fc, SGD": "--net fc --epochs 3 --lr-decay 0.5",
    "fc, classes, Momentum": "--net fc --task classify --optimizer momentum --epochs 3",
    "cnn, Adam, decaying rate": "--net cnn --optimizer adam --lr 0.001 --lr-decay 0.5 --epochs 3",
    "cnn, classes, SGD": "--net cnn --task classify --epochs 3",
}


def main() -> int:
    """Run the script; see the module's docstring."""
    parser = argparse.ArgumentParser(description="Kill and resume training runs, and compare them to the bit.")
    parser.add_argument("--kills", type=int, default=200, help="how many kills in all (200)")
    parser.add_argument("--data", default="sample", help="the digits to train on (sample)")
    parser.add_argument("--seed", type=int, default=0, help="fixes the moments (0)")
    parser.add_argument("--recipes", nargs="*", default=list(RECIPES), choices=list(RECIPES), help="which (all)")
    args = parser.parse_args()

    moments = random.Random(args.seed)
    kills = runs = failures = 0
    with tempfile.TemporaryDirectory() as scratch:
        references = {name: Reference(name, args.data, Path(scratch)) for name in args.recipes}
        while kills < args.kills:
            for name, reference in references.items():
                killed, same = reference.disturb(moments, Path(scratch) / f"victim-{runs}")
                kills, runs, failures = kills + killed, runs + 1, failures + (not same)
                print(f"{name}: killed {killed} times, {'the same to the bit' if same else 'NOT THE SAME'}", flush=True)
                if kills >= args.kills:
                    break
    print(f"{kills} kills in {runs} runs: {runs - failures} ended as if never disturbed, {failures} did not")
    return 1 if failures else 0


class Reference:
    """A run that nothing disturbs, and the measure of those that are killed."""

    def __init__(self, name: str, data: str, scratch: Path) -> None:
        self.arguments = [*RECIPES[name].split(), "--data", data, "--save-every", "7", "--quiet"]
        folder = scratch / f"reference-{name.replace(' ', '-')}"
        began = time.monotonic()
        process = train(*self.arguments, "--out", str(folder))
        while process.poll() is None and not (folder / "history.jsonl").exists():
            time.sleep(0.005)
        self.before_training = time.monotonic() - began
        if process.wait():
            raise SystemExit(f"the undisturbed run of {name} failed")
        self.seconds = time.monotonic() - began
        self.state = reproducible_state(folder)

    def disturb(self, moments: random.Random, folder: Path) -> tuple[int, bool]:
        """Train the same in ``folder``, killing as often as it takes; return the kills and whether all is the same."""
        kills = 0
        while True:
            resuming = (folder / "run.json").exists()
            process = train(
                *(["--resume", str(folder), "--quiet"] if resuming else [*self.arguments, "--out", str(folder)])
            )
            try:
                # Most moments lie within training; some lie before it, and some after the end.
                status = process.wait(moments.uniform(0.8 * self.before_training, 1.1 * self.seconds))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                kills += 1
                continue
            if status:
                return kills, False
            try:
                np.testing.assert_equal(reproducible_state(folder), self.state)
            except AssertionError as error:
                print(error)
                return kills, False
            return kills, True


def train(*arguments: str) -> subprocess.Popen:
    """Start the training command."""
    return subprocess.Popen([sys.executable, "-m", "paddle_mnist.train", *arguments], stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    sys.exit(main())

"""Kills processes that save checkpoints, and checks what they leave: python tests/crash_checkpoints.py --kills 200.

Three ways to stop a writer, each in a forked process of its own (POSIX only):

    --kills N    SIGKILL at seeded random moments, N times
    --every      SIGKILL before each single file-system operation of a save, one after the other
    --refuse     EACCES from each single file-system operation of a save, one after the other, and a disk that is
                 full from each of them on

Prints how many were survived, and fails at the first that was not.
"""

from __future__ import annotations

import argparse
import errno
import os
import random
import shutil
import signal
import struct
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from paddle_mnist.errors import UserError
from paddle_mnist.runs import checkpoint

# The audit events of what changes a folder or opens a file; writing and fsync come between them.
OPERATIONS = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.listdir", "os.scandir", "shutil.rmtree"}


def weights(epoch: int) -> dict[str, np.ndarray]:
    """Return parameters that tell which epoch they belong to."""
    return {"fc.weight": np.full((64, 10), epoch, np.float32), "fc.bias": np.arange(10, dtype=np.float32) + epoch}


def save(run: Path, epoch: int, batch: int = 0) -> None:
    """Save the checkpoint of an epoch; the first epoch stays the best one."""
    state = {"epoch": epoch, "batch": batch, "best": {"epoch": 0, "valid_loss": 1.0}}
    checkpoint.save(run, weights(epoch), {"velocity": weights(epoch)["fc.bias"]}, state, keep=2)


def verify(run: Path, at_least: int) -> int:
    """Return the epoch of the newest checkpoint, after making sure that it is whole and not older than promised."""
    damaged: list[str] = []
    found = checkpoint.latest(run, log=damaged.append)
    assert not damaged, damaged
    if found is None:
        assert at_least == 0, f"epoch {at_least} was saved, and there is no checkpoint"
        return 0
    model, optimizer, state = found
    # Those that are being pruned have lost their name before they lose a file.
    for folder in checkpoint.checkpoints(run):
        checkpoint.load(folder)
    epoch = state["epoch"]
    assert epoch >= at_least, f"epoch {at_least} was saved, and the newest checkpoint is of epoch {epoch}"
    for name, array in weights(epoch).items():
        np.testing.assert_array_equal(model[name], array)
    np.testing.assert_array_equal(optimizer["velocity"], weights(epoch)["fc.bias"])
    return epoch


def no_debris(run: Path) -> None:
    """Make sure that a save which went through has swept up after those which did not."""
    left = [path.name for path in (run / checkpoint.FOLDER).iterdir() if path.name.startswith(".")]
    assert not left, left


def fork(work: Callable[[], None]) -> int:
    """Do something in a process of its own; return its identity."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        work()
        status = 0
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
    finally:
        os._exit(status)


def kill_at_random(run: Path, kills: int, seed: int) -> int:
    """Let processes save one checkpoint after the other, and kill each at a random moment; return the survivals."""
    moments = random.Random(seed)
    epoch = 0
    for _ in range(kills):
        reader, writer = os.pipe()

        def work(start: int = epoch, writer: int = writer) -> None:
            with checkpoint.lock(run):
                # The point that was reached is saved once more, as after a resume; then the ones after it.
                for number in range(max(start, 1), 100_000):
                    save(run, number)
                    os.write(writer, struct.pack("<I", number))

        child = fork(work)
        os.close(writer)
        time.sleep(moments.uniform(0.001, 0.05))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status), "the writer ended by itself"
        with open(reader, "rb") as file:
            said = file.read()
        saved = struct.unpack("<I", said[-4:])[0] if said else epoch
        epoch = verify(run, saved)
    save(run, epoch + 1)
    verify(run, epoch + 1)
    no_debris(run)
    return kills


def at_operation(number: int, act: Callable[[], None]) -> None:
    """Call ``act`` before the file-system operation of that number, counted from 0, of this process."""
    count = -1

    def hook(event: str, arguments: tuple) -> None:
        nonlocal count
        if event in OPERATIONS:
            count += 1
            if count == number:
                act()

    sys.addaudithook(hook)


def kill_at_every_operation(run: Path, epoch: int) -> int:
    """Save over an existing checkpoint, killed before the first operation, the second, and so on until none is left."""
    number = 0
    while True:

        def work(number: int = number) -> None:
            at_operation(number, lambda: os.kill(os.getpid(), signal.SIGKILL))
            save(run, epoch)

        _, status = os.waitpid(fork(work), 0)
        verify(run, epoch - 1)
        if not os.WIFSIGNALED(status):
            assert status == 0
            no_debris(run)
            return number
        number += 1


def refuse_every_operation(run: Path, epoch: int, code: int) -> int:
    """Save, refused by the system at the first operation, the second, and so on until none is left.

    ENOSPC lasts, as on a full disk, for every call that needs space; removing still works. Any other error comes once.
    """
    number = 0
    while True:

        def work(number: int = number) -> None:
            refused = refuse_from(number, code)
            try:
                save(run, epoch)
            except UserError as error:
                assert refused and os.strerror(code) in str(error) and "\n" not in str(error), error
                if code == errno.ENOSPC:
                    no_debris(run)
            os._exit(0 if refused else 2)

        _, status = os.waitpid(fork(work), 0)
        assert os.WIFEXITED(status) and os.WEXITSTATUS(status) in (0, 2), status
        verify(run, epoch - 1)
        if os.WEXITSTATUS(status) == 2:
            no_debris(run)
            return number
        # Back to where it began, with the checkpoint of this epoch not there yet.
        for path in (run / checkpoint.FOLDER).glob(f"*epoch-{epoch:03d}*"):
            shutil.rmtree(path)
        number += 1


def refuse_from(number: int, code: int) -> list[str]:
    """Have operations of this process fail from that number on; return the list that grows with each refusal."""
    refused: list[str] = []
    count = 0

    def hook(event: str, arguments: tuple) -> None:
        nonlocal count
        writes = event in ("os.mkdir", "os.rename") or (event == "open" and arguments[2] & os.O_CREAT)
        if event not in OPERATIONS or (code == errno.ENOSPC and not writes):
            return
        count += 1
        if count == number + 1 or (code == errno.ENOSPC and count > number):
            refused.append(event)
            raise OSError(code, os.strerror(code))

    sys.addaudithook(hook)
    return refused


def main() -> None:
    """Do what the command line asks for, in a folder that is gone afterwards."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--every", action="store_true")
    parser.add_argument("--refuse", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if args.kills:
            print(f"killed at random: {kill_at_random(Path(folder) / 'random', args.kills, args.seed)} survived")
        if args.every:
            run = Path(folder) / "every"
            for epoch in (1, 2, 3):
                save(run, epoch)
            again = kill_at_every_operation(run, 3)
            print(f"killed before every operation: {again + kill_at_every_operation(run, 4)} survived")
        if args.refuse:
            run = Path(folder) / "refuse"
            for epoch in (1, 2, 3):
                save(run, epoch)
            total = refuse_every_operation(run, 4, errno.ENOSPC) + refuse_every_operation(run, 5, errno.EACCES)
            print(f"refused at every operation: {total} survived")


if __name__ == "__main__":
    main()

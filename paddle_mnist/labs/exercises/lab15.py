"""Exercises of lab 15: where to resume, which checkpoint to trust, and replacing a file atomically."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from paddle_mnist.labs.exercises.base import Answer, Exercise, Wrong, call, expect

_POINT = '''
def resume_point(steps, samples, batch_size):
    """Return the epoch and the batch at which training resumes after a number of steps.

    Each epoch goes through all samples; its last batch may be smaller.
    steps: the steps done so far, at least 0.  samples, batch_size: at least 1.
    Returns: (epoch, batch), both counted from 0.
    """
'''

_NEWEST = '''
def newest_whole(checkpoints):
    """Return the step of the newest checkpoint that is not damaged.

    checkpoints: a tuple, in any order, of (step, data, digest): an integer, the bytes as they are on the disk now,
    and the SHA-256 of the bytes that were written, as 64 hexadecimal digits.
    Returns: the largest step among those whose data match their digest; None if there is none.
    """
'''

_REPLACE = '''
def replace_file(path, data):
    """Replace a file so that, whenever the process is killed, it holds the old content or the new one, never a part.

    path: a pathlib.Path; the file may exist already.  data: bytes.
    No other file is left in the folder. If writing fails, the old file stays unchanged.
    """
'''


def _check_point(answer: Answer) -> None:
    for steps, samples, batch_size in (
        (0, 4000, 100),
        (39, 4000, 100),
        (40, 4000, 100),
        (53, 4000, 100),
        (43, 4050, 100),
        (41, 4050, 100),
        (5, 60, 100),
        (1000, 50000, 128),
    ):
        per_epoch = -(-samples // batch_size)
        wanted = divmod(steps, per_epoch)
        floor = divmod(steps, max(samples // batch_size, 1))
        slips = [
            (floor, "the last, smaller batch is a step too: round up"),
            (wanted[::-1], "return the epoch first, then the batch"),
            ((wanted[0], wanted[1] + 1), "batches count from 0: after b batches of an epoch, batch b is the next"),
            ((wanted[0] + 1, wanted[1]), "epochs count from 0"),
            ((wanted[0] + 1, wanted[1] + 1), "epochs and batches count from 0"),
            ((wanted[0], wanted[1] * batch_size), "return the index of the batch, not of the sample"),
            ((0, per_epoch), "after the last batch of an epoch comes batch 0 of the next"),
        ]
        on = f"steps = {steps}, samples = {samples}, batch_size = {batch_size}"
        found = call(answer, steps, samples, batch_size, on=on)
        expect(
            tuple(found) if isinstance(found, list) else found, wanted, on, slips, "how many steps does an epoch have?"
        )


def _check_newest(answer: Answer) -> None:
    def whole(step: int) -> tuple[int, bytes, str]:
        data = f"weights after step {step}".encode()
        return step, data, hashlib.sha256(data).hexdigest()

    def torn(step: int) -> tuple[int, bytes, str]:
        _, data, digest = whole(step)
        return step, data[:-3], digest

    def flipped(step: int) -> tuple[int, bytes, str]:
        _, data, digest = whole(step)
        return step, bytes([data[0] ^ 1]) + data[1:], digest

    for on, given, wanted in (
        ("steps 100, 200 and 300, all whole", [whole(100), whole(200), whole(300)], 300),
        ("steps 900 and 1000, whole", [whole(900), whole(1000)], 1000),
        ("step 200 before step 100, whole", [whole(200), whole(100)], 200),
        ("step 100 whole, step 200 with one bit changed", [whole(100), flipped(200)], 100),
        ("step 100 whole, step 200 cut short", [whole(100), torn(200)], 100),
        ("step 100 whole, steps 200 and 300 damaged", [whole(100), torn(200), flipped(300)], 100),
        ("step 100 with one bit changed, step 50 whole", [flipped(100), whole(50)], 50),
        ("step 0, whole", [whole(0)], 0),
        ("step 100 damaged, nothing else", [torn(100)], None),
        ("no checkpoints", [], None),
    ):
        steps = [step for step, _, _ in given]
        good = [step for step, data, digest in given if hashlib.sha256(data).hexdigest() == digest]
        slips = [
            (
                max(steps, default=None),
                "this is the newest, but it is damaged: compare hashlib.sha256(data).hexdigest()",
            ),
            (good[-1] if good else None, "they come in any order: the largest step counts, not the last"),
            (min(good, default=None), "this is the oldest"),
            (
                None,
                "step 0 is a step, although 0 counts as false"
                if wanted == 0
                else "a damaged checkpoint does not invalidate the others",
            ),
        ]
        expect(call(answer, tuple(given), on=on), wanted, on, slips)


def _check_replace(answer: Answer) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "weights.bin"
        for on, data in (
            ("a file that does not exist yet, 5 bytes", b"first"),
            ("a file that exists, with shorter data", b"2nd"),
            ("a file that exists, 200,000 bytes", bytes(range(250)) * 800),
            ("a file that exists, no bytes at all", b""),
        ):
            _check_one_replacement(answer, path, data, on)
        path.write_bytes(b"the old content")
        on = "data that cannot be written: a number in place of bytes"
        try:
            answer(path, 12.5)
        except NotImplementedError:
            raise
        except Exception:
            pass  # it must fail; what it leaves is checked
        if not path.exists() or path.read_bytes() != b"the old content":
            raise Wrong("the old content is gone", on, "write everything under another name before you touch this file")


def _check_one_replacement(answer: Answer, path: Path, data: bytes, on: str) -> None:
    existed, witness = path.exists(), path.with_name("witness")
    before = path.read_bytes() if existed else b""
    if existed:
        # A second name of the same file: an answer that writes into the file, and does not replace it, changes it too.
        os.link(path, witness)
    call(answer, path, data, on=on)
    if not path.exists():
        raise Wrong("the file does not exist afterwards", on, "os.replace(new, path) gives the new file its name")
    _expect_content(path.read_bytes(), data, on)
    if existed:
        kept = witness.read_bytes()
        witness.unlink()
        if kept != before:
            raise Wrong(
                "the old file itself is overwritten",
                on,
                "a process killed in the middle leaves a part: write a new file beside it, then use os.replace",
            )
    left = sorted(entry.name for entry in path.parent.iterdir() if entry != path)
    if left:
        raise Wrong(
            f"it leaves {', '.join(left)} in the folder", on, "rename the new file with os.replace, or remove it"
        )


def _expect_content(found: bytes, data: bytes, on: str) -> None:
    if found != data:
        raise Wrong(
            f"the file holds {len(found):,} bytes; expected the {len(data):,} bytes of data",
            on,
            "it appends to the old content: open with 'wb'"
            if found.endswith(data) and data and found != data
            else "write all of data in binary mode, and close the file before it is renamed",
        )


EXERCISES = (
    Exercise(
        _POINT,
        _check_point,
        (
            (
                "First: how many steps does an epoch have, the smaller last batch included?",
                "先算一轮有多少步，较小的最后一批也算。",
            ),
            (
                "-(-samples // batch_size) rounds up; divmod gives a quotient and a remainder at once.",
                "-(-samples // batch_size) 向上取整；divmod 同时给出商和余数。",
            ),
        ),
    ),
    Exercise(
        _NEWEST,
        _check_newest,
        (
            ("Remove the damaged ones first, and only then look for the newest.", "先剔除损坏的，再找最新的。"),
            (
                "max(steps, default=None) takes the largest of a list that may be empty.",
                "max(steps, default=None) 取列表中的最大值，列表可以为空。",
            ),
        ),
    ),
    Exercise(
        _REPLACE,
        _check_replace,
        (
            (
                "Write a new file in the same folder; then one call renames it.",
                "先写入同一文件夹里的新文件，然后用一个调用给它正确的名字。",
            ),
            (
                "path.with_name(path.name + '.new') names it; file.flush(), os.fsync(file.fileno()), then os.replace.",
                "用 path.with_name(path.name + '.new') 命名；file.flush()、os.fsync(file.fileno())，最后 os.replace。",
            ),
        ),
    ),
)

"""Exercises of lab 15: where to resume, which checkpoint to trust, and which batches are left."""

from __future__ import annotations

import hashlib

import numpy as np

from paddle_mnist.labs.exercises.base import Answer, Exercise, Slip, Wrong, call, expect

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

_LEFT = '''
def batches_left(samples, batch_size, seed, epoch, done):
    """Return the batches of an epoch that are left for a training run that was interrupted.

    The order of an epoch is numpy.random.default_rng([seed, epoch]).permutation(samples), whatever happened before; the
    last batch of an epoch may be smaller. NumPy's global random state stays as it is.
    samples, batch_size: at least 1.  seed, epoch: integers.  done: how many batches of this epoch were done.
    Returns: a list of integer arrays, the numbers of the samples in each batch; empty if nothing is left.
    """
'''


def _check_point(answer: Answer) -> None:
    for steps, samples, batch_size in (
        (0, 4000, 100),
        (39, 4000, 100),
        (5, 60, 100),
        (40, 4000, 100),
        (53, 4000, 100),
        (43, 4050, 100),
        (41, 4050, 100),
        (1000, 50000, 128),
    ):
        per_epoch = -(-samples // batch_size)
        wanted = divmod(steps, per_epoch)
        floor = divmod(steps, max(samples // batch_size, 1))
        slips = [
            (divmod(steps, samples), "an epoch has samples / batch_size steps, rounded up, not samples"),
            (floor, "the last, smaller batch is a step too: round up"),
            (wanted[::-1], "return the epoch first, then the batch"),
            ((wanted[0], wanted[1] + 1), "batches count from 0: after b batches of an epoch, batch b is the next"),
            ((wanted[0] + 1, wanted[1]), "epochs count from 0"),
            ((wanted[0] + 1, wanted[1] + 1), "epochs and batches count from 0"),
            ((wanted[0], wanted[1] * batch_size), "return the index of the batch, not of the sample"),
            ((wanted[0] - 1, per_epoch), "after the last batch of an epoch comes batch 0 of the next"),
        ]
        on = f"steps = {steps}, samples = {samples}, batch_size = {batch_size}"
        found = call(answer, steps, samples, batch_size, on=on)
        expect(
            tuple(found) if isinstance(found, list) else found, wanted, on, slips, "how many steps does an epoch have?"
        )


def _index(checkpoints: list[tuple[int, bytes, str]], step: int | None) -> int | None:
    return next((place for place, checkpoint in enumerate(checkpoints) if checkpoint[0] == step), None)


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
            (_index(given, wanted), "return the step, not its index in the list"),
            (min(good, default=None), "this is the oldest"),
            (
                None,
                "step 0 is a step, although 0 counts as false"
                if wanted == 0
                else "no checkpoint is damaged here: compare hashlib.sha256(data).hexdigest()"
                if len(good) == len(given)
                else "a damaged checkpoint does not invalidate the others",
            ),
        ]
        none = {ValueError: "there may be no whole checkpoint: max(..., default=None)"} if wanted is None else ""
        expect(call(answer, tuple(given), on=on, fails=none), wanted, on, slips)


def _check_left(answer: Answer) -> None:
    for samples, batch_size, seed, epoch, done in (
        (6, 2, 0, 0, 0),
        (6, 2, 0, 3, 0),
        (6, 2, 0, 3, 1),
        (7, 3, 5, 1, 2),
        (7, 3, 5, 1, 3),
        (4, 10, 1, 0, 0),
    ):
        on = f"samples {samples}, batch_size {batch_size}, seed {seed}, epoch {epoch}, done {done}"
        before = _global_state()
        found = call(answer, samples, batch_size, seed, epoch, done, on=on)
        if not np.array_equal(before, _global_state()):
            raise Wrong("NumPy's global random state has changed", on, "use a generator of your own: default_rng")
        slips: list[Slip] = [
            (_left(samples, batch_size, [seed], done), "the epoch has no influence: every epoch gets the same order"),
            (_left(samples, batch_size, [seed + epoch], done), "seed and epoch are added: use [seed, epoch]"),
            (_left(samples, batch_size, [seed, epoch], 0), "batches that were done come again"),
            (_left(samples, batch_size, [seed, epoch], done / batch_size), "done counts batches, not samples"),
            (_left(samples, batch_size, [seed, epoch], done, whole=True), "the last, smaller batch is missing"),
            (_in_file_order(samples, batch_size, done), "the samples come in the file's order: shuffle them"),
            (_reshuffled(samples, batch_size, seed, epoch, done), "shuffle all samples first, then skip: not the rest"),
        ]
        wanted = _left(samples, batch_size, [seed, epoch], done)
        slips.append(([len(part) for part in wanted], "return the indices of the samples, not how many there are"))
        expect(
            list(found) if isinstance(found, tuple) else found, wanted, on, slips, "write down the whole epoch first"
        )


def _global_state() -> np.ndarray:
    return np.array(np.random.get_state(legacy=False)["state"]["key"])


def _left(samples: int, batch_size: int, seeds: list[int], done: float, whole: bool = False) -> list[np.ndarray]:
    order = np.random.default_rng(seeds).permutation(samples)
    parts = [order[first : first + batch_size] for first in range(int(done * batch_size), samples, batch_size)]
    return [part for part in parts if len(part) == batch_size or not whole]


def _in_file_order(samples: int, batch_size: int, done: int) -> list[np.ndarray]:
    return [
        np.arange(first, min(first + batch_size, samples)) for first in range(done * batch_size, samples, batch_size)
    ]


def _reshuffled(samples: int, batch_size: int, seed: int, epoch: int, done: int) -> list[np.ndarray]:
    rest = np.random.default_rng([seed, epoch]).permutation(np.arange(done * batch_size, samples))
    return [rest[first : first + batch_size] for first in range(0, len(rest), batch_size)]


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
        _LEFT,
        _check_left,
        (
            (
                "Draw the whole epoch's order first, from the seed and the epoch alone; then leave out what is done.",
                "先只由种子和轮次得到整轮的顺序，再去掉已经完成的部分。",
            ),
            (
                "Start at sample done * batch_size and take batch_size at a time: the last slice may be shorter.",
                "从第 done * batch_size 个样本开始，每次取 batch_size 个：最后一段可以较短。",
            ),
        ),
    ),
)

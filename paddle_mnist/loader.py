"""Digits in, batches out: the generator that feeds a net.

One call of ``load_data`` opens the data; each call of the function that it returns is one epoch:

    train_loader = load_data("train", batch_size=100, seed=0)
    for epoch in range(10):
        for images, labels in train_loader():
            ...
"""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from paddle_mnist.dataset import open_dataset
from paddle_mnist.errors import UserError
from paddle_mnist.recipes import PIXEL_RANGES, TASKS, check_choice
from paddle_mnist.splits import Split

Batch = tuple[np.ndarray, np.ndarray]

MODES = ("train", "valid", "eval")


def load_data(
    mode: str = "train",
    data: str = "auto",
    batch_size: int = 100,
    task: str = "regress",
    seed: int | None = None,
    pixel_range: str = "01",
) -> Callable[[], Iterator[Batch]]:
    """Open a split of the digits and return the function that yields one epoch of batches.

    Args:
        mode: ``"train"`` (in a new random order each epoch), ``"valid"`` or ``"eval"`` (in the file's order).
        data: where the digits come from, as in ``dataset.open_dataset``.
        batch_size: samples per batch; the last batch of an epoch may be smaller.
        task: ``"regress"`` or ``"classify"``; decides the dtype of the labels.
        seed: fixes the order of every epoch; ``None`` draws a seed from the operating system.
        pixel_range: ``"01"`` for [0, 1], ``"pm1"`` for [-1, 1], ``"raw"`` for 0 to 255.

    Returns:
        A function without arguments. Each call is an epoch: an iterator of ``(images, labels)``, images
        float32 [n, 1, 28, 28], labels [n, 1], float32 to regress and int64 to classify.

    Raises:
        UserError: an argument is not one of the above, or the data cannot be read.
    """
    check_choice("mode", mode, MODES)
    check_batches(batch_size, task, pixel_range)
    split = getattr(open_dataset(data), mode)
    epochs = itertools.count()
    own_seed = secrets.randbits(63) if seed is None else seed

    def one_epoch() -> Iterator[Batch]:
        order = shuffled(len(split.labels), own_seed, next(epochs)) if mode == "train" else None
        return batches(split, batch_size, task, pixel_range, order)

    return one_epoch


def batches(
    split: Split,
    batch_size: int = 100,
    task: str = "regress",
    pixel_range: str = "01",
    order: np.ndarray | None = None,
    start: int = 0,
    own: Callable[[int], slice] | None = None,
    augment: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None,
) -> Iterator[Batch]:
    """Yield a split batch by batch; arguments and arrays as in ``load_data``.

    Args:
        order: the order of the samples, integers [n]; ``None`` is the split's own.
        start: the number of batches to skip, to resume in the middle of an epoch.
        own: returns which rows of a batch of so many samples to read; other images are left 0. ``None`` reads all.
        augment: makes new images of images and their sample numbers, as ``augment.Augmentation`` does.
    """
    check_batches(batch_size, task, pixel_range)

    def inputs(rows: slice) -> np.ndarray:
        samples = rows if order is None else order[rows]
        images = split.images[samples]
        return to_input(augment(images, np.arange(len(split.labels))[samples]) if augment else images, pixel_range)

    for first in range(start * batch_size, len(split.labels), batch_size):
        rows = slice(first, first + batch_size)
        labels = to_target(split.labels[rows if order is None else order[rows]], task)
        if own is None:
            yield inputs(rows), labels
            continue
        mine = own(len(labels))
        images = np.zeros((len(labels), 1, 28, 28), np.float32)
        images[mine] = inputs(slice(first + mine.start, first + mine.stop))
        yield images, labels


def prefetched(batches: Iterator[Batch]) -> Iterator[Batch]:
    """Yield the same batches, each made by a second thread while the one before it is in use."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        coming = thread.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = thread.submit(next, batches, None)
            yield batch


def shuffled(n: int, seed: int, epoch: int) -> np.ndarray:
    """Return the order of ``n`` samples in one epoch, int32 [n].

    It depends on the seed and the epoch only, so a run resumed in its seventh epoch sees the same batches as a run
    that never stopped.
    """
    order = np.arange(n, dtype=np.int32)
    np.random.default_rng([seed, epoch]).shuffle(order)
    return order


def to_input(images: np.ndarray, pixel_range: str) -> np.ndarray:
    """Scale images [n, 28, 28], 0 to 255, to a net's input, float32 [n, 1, 28, 28]."""
    pixels = images[:, np.newaxis].astype(np.float32)
    if pixel_range != "raw":
        pixels /= 255
    if pixel_range == "pm1":
        pixels = pixels * 2 - 1
    return pixels


def to_target(labels: np.ndarray, task: str) -> np.ndarray:
    """Turn labels uint8 [n] into the target of a loss [n, 1]: float32 to regress, int64 to classify."""
    return labels[:, np.newaxis].astype(np.float32 if task == "regress" else np.int64)


def check_batches(batch_size: int, task: str, pixel_range: str) -> None:
    """Raise ``UserError`` unless batches can be made with these arguments."""
    check_choice("task", task, TASKS)
    check_choice("pixel_range", pixel_range, PIXEL_RANGES)
    if batch_size < 1:
        raise UserError(f"batch_size must be at least 1, got {batch_size}")

"""How long an epoch of the loader's batches takes: ours against a loop over the samples, in turns.

    python benchmarks/batches.py --data work/mnist.json.gz

An epoch is what ``load_data(...)()`` yields for the training digits, in batches of 100, shuffled: images
float32 [100, 1, 28, 28] and labels float32 [100, 1]. The peer makes the same arrays from the lists that ``json`` gives,
as loaders for beginners do: it goes through a list of indices, turns each sample into an array, collects these in
lists and makes an array of each list. It is spared what it would pay in earnest: its floats are 256 objects, not 39
million, and its shuffling is NumPy's. The same loop on rows of an array is measured, too. That all give the same
batches is asserted. Figures go to ``benchmarks/results/batches.json`` and ``batches.png``.
"""

from __future__ import annotations

import argparse
import functools
import itertools
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from _measure import draw, in_turns, machine, ratio, save, show

from paddle_mnist import loader
from paddle_mnist.dataset import open_dataset

BATCH = 100
SEED = 0
LIMIT = 0.1  # ours over the loop on lists

Epoch = Callable[[], Iterator[loader.Batch]]


def sample_by_sample(images: Sequence, labels: Sequence) -> Epoch:
    """Return the function that makes an epoch one sample at a time, in the loader's order.

    Args:
        images: each sample's 784 pixels, a list or a row of an array.
        labels: each sample's label.
    """
    epochs = itertools.count()

    def one_epoch() -> Iterator[loader.Batch]:
        index_list = loader.shuffled(len(labels), SEED, next(epochs)).tolist()
        image_list, label_list = [], []
        for i in index_list:
            image_list.append(np.reshape(images[i], [1, 28, 28]).astype("float32"))
            label_list.append(np.reshape(labels[i], [1]).astype("float32"))
            if len(image_list) == BATCH:
                yield np.array(image_list), np.array(label_list)
                image_list, label_list = [], []
        if image_list:
            yield np.array(image_list), np.array(label_list)

    return one_epoch


def assert_same(one: Iterator[loader.Batch], other: Iterator[loader.Batch]) -> None:
    """Go through two epochs and make sure that they hold the same arrays."""
    for (images, labels), (expected_images, expected_labels) in zip(one, other, strict=True):
        assert images.dtype == expected_images.dtype == labels.dtype == expected_labels.dtype == np.float32
        assert np.array_equal(images, expected_images)
        assert np.array_equal(labels, expected_labels)


def exhaust(epoch: Epoch) -> None:
    """Go through one epoch."""
    for _ in epoch():
        pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="auto", help="digits to measure with, as train takes them (auto)")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each candidate; one epoch counts in each")
    args = parser.parse_args()
    before = machine()
    train = open_dataset(args.data, log=print).train
    levels = (np.arange(256) / 255).tolist()
    lists = [[levels[k] for k in image.tobytes()] for image in train.images]
    rows = train.images.reshape(-1, 784) / np.float32(255)
    peers: dict[str, Epoch] = {
        "a sample at a time, lists": sample_by_sample(lists, train.labels.tolist()),
        "a sample at a time, array": sample_by_sample(rows, train.labels),
    }
    for peer in peers.values():
        assert_same(loader.load_data("train", args.data, BATCH, seed=SEED)(), peer())
    epochs = {"ours": loader.load_data("train", args.data, BATCH, seed=SEED), **peers}
    calls = {name: functools.partial(exhaust, epoch) for name, epoch in epochs.items()}
    times = in_turns(calls, args.rounds, 1)
    title = f"An epoch of {len(train.labels):,} digits"
    found = {name: ratio(times, "ours", [name]) for name in peers}
    show(title, times, found["a sample at a time, array"])
    wanted = found["a sample at a time, lists"]["median_ms"]
    print(
        f"  ours / the loop on lists: {wanted:.3f}, at most {LIMIT} wanted: {'held' if wanted < LIMIT else 'NOT held'}"
    )
    figures = {"machine": before, "digits": len(train.labels), "times": times, "ours_over": found}
    print(save("batches", figures))
    print(draw("batches", {title: times}))


if __name__ == "__main__":
    main()

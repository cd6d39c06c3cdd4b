from __future__ import annotations

import numpy as np
import pytest

from paddle_mnist.errors import UserError
from paddle_mnist.loader import batches, load_data, prefetched, shuffled, to_input


def test_load_data_gives_every_sample_once_with_its_label(data_file, splits):
    images, labels = map(
        np.concatenate, zip(*load_data("train", str(data_file), batch_size=100, seed=3)(), strict=True)
    )
    assert images.shape == (230, 1, 28, 28) and labels.shape == (230, 1)
    shown = sorted(zip((images[:, 0] * 255).round().reshape(230, -1).tolist(), labels[:, 0].tolist(), strict=True))
    held = sorted(zip(splits.train.images.reshape(230, -1).tolist(), splits.train.labels.tolist(), strict=True))
    assert shown == held


def test_load_data_gives_a_smaller_last_batch(data_file):
    sizes = [len(labels) for _, labels in load_data("train", str(data_file), batch_size=100)()]
    assert sizes == [100, 100, 30]


def test_load_data_shuffles_each_epoch_and_repeats_with_its_seed(data_file):
    def epochs(seed):
        loader = load_data("train", str(data_file), seed=seed)
        return [np.concatenate([labels for _, labels in loader()])[:, 0].tolist() for _ in range(2)]

    first, second = epochs(7)
    assert first != second
    assert sorted(first) == sorted(second)
    assert epochs(7) == [first, second]
    assert epochs(8) != [first, second]
    assert epochs(None) != epochs(None)


@pytest.mark.parametrize("mode", ["valid", "eval"])
def test_load_data_keeps_the_order_of_measured_splits(data_file, splits, mode):
    labels = np.concatenate([labels for _, labels in load_data(mode, str(data_file), batch_size=7)()])
    assert labels[:, 0].tolist() == getattr(splits, mode).labels.tolist()


@pytest.mark.parametrize(("task", "dtype"), [("regress", np.float32), ("classify", np.int64)])
def test_load_data_gives_the_dtypes_of_the_task(data_file, task, dtype):
    images, labels = next(load_data("train", str(data_file), task=task)())
    assert images.dtype == np.float32 and images.flags.c_contiguous
    assert labels.dtype == dtype


def test_to_input_is_exact_in_every_range():
    every = np.arange(256, dtype=np.uint8).repeat(784).reshape(256, 28, 28)
    unit = np.array([np.float32(k / 255) for k in range(256)])
    assert (to_input(every, "01")[:, 0, 0, 0] == unit).all()
    assert (to_input(every, "pm1")[:, 0, 0, 0] == unit * np.float32(2) - np.float32(1)).all()
    assert (to_input(every, "raw")[:, 0, 0, 0] == np.arange(256)).all()


def test_batches_resume_within_an_epoch(splits):
    order = shuffled(230, seed=0, epoch=4)
    whole = [labels.tolist() for _, labels in batches(splits.train, 50, order=order)]
    rest = [labels.tolist() for _, labels in batches(splits.train, 50, order=order, start=2)]
    assert rest == whole[2:]


def test_batches_are_copies(splits):
    before = splits.valid.images.copy()
    for images, labels in batches(splits.valid, 20, pixel_range="raw"):
        images *= 0
        labels *= 0
    assert (splits.valid.images == before).all()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"mode": "test"}, "mode must be one of train, valid, eval, got 'test'"),
        ({"task": "sort"}, "task must be one of .*, got 'sort'"),
        ({"pixel_range": "02"}, "pixel_range must be one of .*, got '02'"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
    ],
)
def test_load_data_refuses_a_wrong_argument_at_the_call(data_file, arguments, words):
    with pytest.raises(UserError, match=words):
        load_data(data=str(data_file), **arguments)


def test_batches_augments_images_by_their_sample_numbers(splits):
    order = np.array([4, 2, 7])
    given = []

    def augment(images, samples):
        given.append(samples.tolist())
        return 255 - images

    plain = list(batches(splits.train, 2, pixel_range="raw"))
    changed = list(batches(splits.train, 2, pixel_range="raw", augment=augment))
    assert all(np.array_equal(255 - a, b) for (a, _), (b, _) in zip(plain, changed, strict=True))
    assert given[:2] == [[0, 1], [2, 3]]
    first = next(batches(splits.train, 3, order=order, augment=augment))
    assert given[-1] == [4, 2, 7] and first[1][:, 0].tolist() == splits.train.labels[order].tolist()


def test_prefetched_yields_the_same_batches_and_stops_early(splits):
    made = list(batches(splits.train, 50))
    assert all(np.array_equal(a, b) for (a, _), (b, _) in zip(made, prefetched(batches(splits.train, 50)), strict=True))
    for batch in prefetched(batches(splits.train, 50)):
        assert len(batch[0]) == 50
        break


def test_prefetched_raises_the_errors_of_its_batches():
    def failing():
        yield np.zeros(1), np.zeros(1)
        raise ValueError("the second batch")

    with pytest.raises(ValueError, match="the second batch"):
        list(prefetched(failing()))

"""MNIST's own file format."""

from __future__ import annotations

import gzip
import random

import numpy as np
import pytest

from paddle_mnist.errors import UserError
from paddle_mnist.sources import idx
from paddle_mnist.splits import Split, Splits


def make_splits(counts=(50, 10, 12)):
    chance = np.random.default_rng(2)
    return Splits(
        *(Split(chance.integers(0, 256, (n, 28, 28), np.uint8), chance.integers(0, 10, n, np.uint8)) for n in counts)
    )


def test_read_folder_returns_what_write_folder_wrote(tmp_path):
    splits = make_splits()
    paths = idx.write_folder(tmp_path, splits)
    found = idx.read_folder(tmp_path)
    for name in ("train", "valid", "eval"):
        assert np.array_equal(getattr(found, name).images, getattr(splits, name).images)
        assert np.array_equal(getattr(found, name).labels, getattr(splits, name).labels)
    before = [path.read_bytes() for path in paths]
    assert [path.read_bytes() for path in idx.write_folder(tmp_path / "again", splits)] == before


def test_write_folder_writes_the_bytes_of_the_format(tmp_path):
    splits = make_splits((5, 1, 2))
    images, labels, *_ = (gzip.decompress(path.read_bytes()) for path in idx.write_folder(tmp_path, splits))
    assert images[:16] == bytes([0, 0, 8, 3, 0, 0, 0, 6, 0, 0, 0, 28, 0, 0, 0, 28])
    assert images[16:] == splits.train.images.tobytes() + splits.valid.images.tobytes()
    assert labels[:8] == bytes([0, 0, 8, 1, 0, 0, 0, 6])


def test_read_folder_accepts_uncompressed_files_and_names_with_dots(tmp_path):
    for path in idx.write_folder(tmp_path, make_splits()):
        plain = path.with_name(path.name.removesuffix(".gz").replace("-idx", ".idx"))
        plain.write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()
    assert len(idx.read_folder(tmp_path).train.labels) == 50


def test_read_folder_takes_the_size_of_the_validation_set(tmp_path):
    assert idx.valid_size(60_000) == 10_000
    assert idx.valid_size(600_000) == 10_000
    idx.write_folder(tmp_path, make_splits())
    assert len(idx.read_folder(tmp_path, valid=7).valid.labels) == 7
    for wrong in (0, 60, -1):
        with pytest.raises(UserError, match="the validation set must be 1 to 59 of the 60 training digits"):
            idx.read_folder(tmp_path, valid=wrong)


def header(*shape):
    return bytes([0, 0, 8, len(shape)]) + np.array(shape, ">u4").tobytes()


LABELS = header(3) + bytes([1, 2, 3])
REFUSED = {
    "nothing": (b"", "must begin with 00 00 08 01 (bytes in 1 dimensions) to be an IDX file, got nothing"),
    "another type": (
        bytes([0, 0, 13, 1]) + LABELS[4:],
        "must begin with 00 00 08 01 (bytes in 1 dimensions) to be an IDX file, got 00 00 0d 01",
    ),
    "images": (header(1, 28, 28) + bytes(784), "to be an IDX file, got 00 00 08 03"),
    "no length": (LABELS[:4], "must hold 1 to 1,000,000 labels, got 0"),
    "none": (header(0), "must hold 1 to 1,000,000 labels, got 0"),
    "a gigabyte claimed": (header(1 << 30) + bytes(10), "got 1073741824"),
    "a million claimed": (header(1_000_000) + bytes(10), "must hold 1,000,000 bytes after its header, got 10"),
    "too short": (LABELS[:-1], "must hold 3 bytes after its header, got 2"),
    "too long": (LABELS + b"\0", "must hold 3 bytes after its header, got more"),
    "cut gzip": (gzip.compress(LABELS)[:-9], "is damaged or incomplete"),
    "gzip with garbage": (gzip.compress(LABELS) + b"garbage", "is damaged or incomplete"),
    "a bomb": (gzip.compress(header(3) + bytes(50_000_000), 1), "after its header, got more"),
    "a huge gzip header": (b"\x1f\x8b\x08\x08" + bytes(6) + b"x" * (1 << 20), "is damaged or incomplete"),
    "a page of a web site": (b"<html>", "got 3c 68 74 6d"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_read_refuses_a_file_that_is_not_idx(tmp_path, case):
    content, message = REFUSED[case]
    path = tmp_path / "labels.gz"
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        idx.read(path, 1)
    assert message in str(caught.value)
    assert str(caught.value).startswith(str(path))


def test_read_refuses_images_of_another_size(tmp_path):
    (tmp_path / "images").write_bytes(header(2, 32, 32) + bytes(2048))
    with pytest.raises(UserError, match=r"must hold 1 to 1,000,000 images of 28 × 28, got 2 × 32 × 32"):
        idx.read(tmp_path / "images", 3)


def test_read_folder_refuses_files_that_do_not_fit_each_other(tmp_path):
    with pytest.raises(UserError, match="must hold MNIST's four IDX files, got no train-images-idx3-ubyte"):
        idx.read_folder(tmp_path)
    paths = idx.write_folder(tmp_path, make_splits())
    paths[1].write_bytes(gzip.compress(header(59) + bytes(59)))
    with pytest.raises(UserError, match="must hold as many images as labels, got 60 and 59"):
        idx.read_folder(tmp_path)
    paths[1].write_bytes(gzip.compress(header(60) + bytes(30) + b"\x0a" + bytes(29)))
    with pytest.raises(UserError, match="the label of sample 30 must be 0 to 9, got 10"):
        idx.read_folder(tmp_path)


def test_read_refuses_a_folder(tmp_path):
    with pytest.raises(UserError, match="must be a regular file, got a folder"):
        idx.read(tmp_path, 3)


def test_read_refuses_damaged_files_or_reads_them_exactly(tmp_path):
    labels = np.arange(300, dtype=np.uint8)[:256]
    whole = gzip.compress(header(256) + labels.tobytes())
    chance = random.Random(5)
    path = tmp_path / "labels"
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
        path.write_bytes(damaged[: chance.choice([len(damaged), chance.randrange(len(damaged))])])
        try:
            found = idx.read(path, 1)
        except UserError:
            continue
        assert np.array_equal(found, labels)

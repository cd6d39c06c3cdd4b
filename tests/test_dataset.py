"""Where the digits come from, and the cache of what was opened."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import time

import numpy as np
import pytest

from paddle_mnist import dataset
from paddle_mnist.dataset import open_dataset
from paddle_mnist.errors import UserError
from paddle_mnist.sources import cache, download, idx, mnist_json
from paddle_mnist.splits import Split, Splits

PARTS = ("train", "valid", "eval")


def make_splits(counts=(60, 10, 8), seed=0):
    chance = np.random.default_rng(seed)
    return Splits(
        *(Split(chance.integers(0, 256, (n, 28, 28), np.uint8), chance.integers(0, 10, n, np.uint8)) for n in counts)
    )


SPLITS = make_splits()


def same(found, expected=SPLITS):
    return all(
        np.array_equal(getattr(found, part).images, getattr(expected, part).images)
        and np.array_equal(getattr(found, part).labels, getattr(expected, part).labels)
        for part in PARTS
    )


@pytest.fixture(autouse=True)
def own_place(tmp_path, monkeypatch):
    """An empty folder to be in, a cache of its own, and neither a network nor a source checkout."""
    (tmp_path / "work").mkdir(exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PADDLE_MNIST_DATA", raising=False)
    monkeypatch.setenv("PADDLE_MNIST_OFFLINE", "1")
    monkeypatch.setenv("PADDLE_MNIST_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(dataset, "_checkout_work", lambda: tmp_path / "checkout" / "work")


def aged(path, seconds=10):
    """Let a file look as if it had been there for some time."""
    then = time.time() - seconds
    os.utime(path, (then, then))
    return path


@pytest.fixture
def source(tmp_path):
    mnist_json.write(tmp_path / "digits.json.gz", SPLITS, "pm1")
    return aged(tmp_path / "digits.json.gz")


def cached(tmp_path):
    return sorted((tmp_path / "cache").glob("*.digits"))


def test_a_file_is_opened_with_its_name_hash_and_encoding(source):
    lines = []
    for _ in range(2):
        found = open_dataset(source, log=lines.append)
        assert same(found)
        assert found.name == str(source)
        assert found.sha256 == hashlib.sha256(source.read_bytes()).hexdigest()
        assert found.encoding == "pm1"
        assert isinstance(found.train.images, np.memmap)
        assert not found.train.images.flags.writeable
    assert lines == [f"60 + 10 + 8 digits from {source}"] * 2


def test_a_folder_of_idx_files_is_opened(tmp_path):
    paths = idx.write_folder(tmp_path / "idx", make_splits((50, 10, 8)))
    for _ in range(2):
        found = open_dataset(tmp_path / "idx")
        assert same(found, make_splits((50, 10, 8)))
        assert found.sha256 == hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()
        assert found.encoding == "uint8"


def test_what_is_not_there_is_said(tmp_path):
    with pytest.raises(UserError, match=r"absent\.json is not there: give"):
        open_dataset("absent.json")
    with pytest.raises(UserError, match="holds no train-images-idx3-ubyte"):
        open_dataset(tmp_path)


def test_the_order_of_auto(tmp_path, monkeypatch, source):
    lines = []
    with pytest.raises(UserError, match=r"the sample mnist-5k\.json\.gz is neither in work nor in a source checkout"):
        open_dataset()

    sample = dataset.work_folder() / dataset.SAMPLE
    mnist_json.write(sample, make_splits(seed=1))
    assert same(open_dataset("auto", log=lines.append), make_splits(seed=1))
    assert "PADDLE_MNIST_OFFLINE is set; all 70,000: python -m paddle_mnist.data fetch" in lines[-1]
    assert same(open_dataset("sample", log=lines.append), make_splits(seed=1))
    assert lines[-1].endswith("mnist-5k.json.gz")

    idx.write_folder(dataset.download_folder(), make_splits((50, 10, 8), seed=2))
    assert same(open_dataset(), make_splits((50, 10, 8), seed=2))

    mnist_json.write(dataset.work_folder() / dataset.WHOLE, make_splits(seed=3))
    assert same(open_dataset(), make_splits(seed=3))

    monkeypatch.setenv("PADDLE_MNIST_DATA", str(source))
    assert same(open_dataset())
    monkeypatch.setenv("PADDLE_MNIST_DATA", "absent.json")
    with pytest.raises(UserError, match=r"PADDLE_MNIST_DATA names absent\.json, which is not there"):
        open_dataset()


def test_auto_downloads_once_and_remembers_a_failure(tmp_path, monkeypatch):
    monkeypatch.delenv("PADDLE_MNIST_OFFLINE")
    mnist_json.write(dataset.work_folder() / dataset.SAMPLE, make_splits(seed=1))
    calls, lines = [], []

    def fail(folder, log):
        calls.append(folder)
        raise UserError("no mirror answered")

    monkeypatch.setattr(download, "fetch", fail)
    for _ in range(3):
        assert same(open_dataset(log=lines.append), make_splits(seed=1))
    assert len(calls) == 1
    assert "MNIST could not be downloaded; all 70,000: python -m paddle_mnist.data fetch" in lines[1]
    assert "within the last hour" in lines[-1]

    monkeypatch.setattr(download, "fetch", lambda folder, log: idx.write_folder(folder, make_splits((50, 10, 8), 2)))
    aged(tmp_path / "cache" / "download-failed", 3700)
    assert same(open_dataset(), make_splits((50, 10, 8), 2))
    monkeypatch.setattr(download, "fetch", fail)
    assert same(open_dataset(), make_splits((50, 10, 8), 2))
    assert len(calls) == 1


def test_the_work_folder(tmp_path):
    checkout = tmp_path / "checkout" / "work"
    checkout.mkdir(parents=True)
    assert str(dataset.work_folder()) == "work"
    (tmp_path / "work").rmdir()
    assert dataset.work_folder() == checkout
    checkout.rmdir()
    assert str(dataset.work_folder()) == "work"


def test_the_second_opening_reads_nothing_but_the_cache(source, monkeypatch):
    open_dataset(source)

    def fail(*args):
        raise AssertionError("the source was read")

    monkeypatch.setattr(mnist_json, "read", fail)
    monkeypatch.setattr(cache, "_hash", fail)
    assert same(open_dataset(source))


def test_another_name_for_the_same_bytes_shares_the_cache(tmp_path, source, monkeypatch):
    open_dataset(source)
    copy = shutil.copy(source, tmp_path / "copy.json.gz")
    monkeypatch.setattr(mnist_json, "read", None)
    assert same(open_dataset(copy))
    assert len(cached(tmp_path)) == 1


def test_a_source_that_changed_is_read_again(source):
    open_dataset(source)
    mnist_json.write(source, make_splits(seed=9))
    assert same(open_dataset(source), make_splits(seed=9))


def test_a_source_that_changed_within_a_tick_is_read_again(tmp_path):
    path = tmp_path / "digits.json"
    text = json.dumps([[[[k] * 784], [1]] for k in (10, 20, 30)])
    path.write_text(text)
    status = path.stat()
    assert open_dataset(path).train.images[0, 0, 0] == 10
    path.write_text(text.replace("10", "11"))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert open_dataset(path).train.images[0, 0, 0] == 11


def test_a_source_that_changes_meanwhile_is_refused(source, monkeypatch):
    read = mnist_json.read

    def meanwhile(path, spool=None):
        found = read(path, spool)
        path.write_bytes(path.read_bytes() + b" ")
        return found

    monkeypatch.setattr(mnist_json, "read", meanwhile)
    with pytest.raises(UserError, match="changed while it was read"):
        open_dataset(source)


@pytest.mark.parametrize("place", [0, 1000, 78 * 784 - 1, 78 * 784 + 5, 78 * 785 + 20, -1, -10, -18])
def test_a_damaged_cache_is_not_trusted(tmp_path, source, place):
    open_dataset(source)
    (path,) = cached(tmp_path)
    content = bytearray(path.read_bytes())
    content[place] ^= 4
    path.write_bytes(content)
    assert same(open_dataset(source))
    content[place] ^= 4
    assert path.read_bytes() == content  # mended


@pytest.mark.parametrize("size", [0, 1, 19, 100, 78 * 784, 78 * 785 + 3, -1, -30])
def test_a_cache_that_was_cut_off_is_not_trusted(tmp_path, source, size):
    open_dataset(source)
    (path,) = cached(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[:size])
    assert same(open_dataset(source))
    assert path.read_bytes() == whole


def test_a_cache_of_another_source_is_not_trusted(tmp_path, source):
    open_dataset(source)
    (path,) = cached(tmp_path)
    mnist_json.write(tmp_path / "other.json", make_splits(seed=4))
    open_dataset(tmp_path / "other.json")
    (other,) = set(cached(tmp_path)) - {path}
    path.write_bytes(other.read_bytes())
    assert same(open_dataset(source))


@pytest.mark.parametrize(
    "text", [b"", b"{}", b"[]", b"null", b"\xff", b'{"files": 3}', b'{"files": [], "sha256": "../x"}']
)
def test_a_damaged_note_is_not_trusted(tmp_path, source, text):
    open_dataset(source)
    (note,) = (tmp_path / "cache").glob("*.source.json")
    note.write_bytes(text)
    assert same(open_dataset(source))
    assert json.loads(note.read_bytes())["sha256"] == hashlib.sha256(source.read_bytes()).hexdigest()


def test_a_note_leads_nowhere_else(tmp_path, source):
    open_dataset(source)
    (note,) = (tmp_path / "cache").glob("*.source.json")
    content = json.loads(note.read_bytes())
    content["sha256"] = "../" + content["sha256"][3:]
    note.write_text(json.dumps(content))
    assert same(open_dataset(source))


def test_without_a_cache_everything_opens(tmp_path, source, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PADDLE_MNIST_CACHE", str(tmp_path / "file"))
    for _ in range(2):
        assert same(open_dataset(source))


def test_a_read_only_cache_is_used_as_it_is(tmp_path, source, monkeypatch):
    open_dataset(source)
    mnist_json.write(tmp_path / "other.json", make_splits(seed=4))

    def refuse(*args, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(cache, "_new_file", refuse)
    monkeypatch.setattr(cache, "atomic_write", refuse)
    assert same(open_dataset(source))
    assert same(open_dataset(tmp_path / "other.json"), make_splits(seed=4))


def test_a_full_disk_does_no_harm(tmp_path, source, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache, "_finish", full)
    assert same(open_dataset(source))
    assert not list((tmp_path / "cache").glob("*digits*"))


def test_a_bad_source_leaves_nothing_in_the_cache(tmp_path):
    (tmp_path / "digits.json.gz").write_bytes(gzip.compress(b"[[[[1, 2, 3]"))
    with pytest.raises(UserError, match="3 pixels"):
        open_dataset(tmp_path / "digits.json.gz")
    assert not [path for path in (tmp_path / "cache").iterdir() if "digits" in path.name]


def test_the_cache_does_not_grow_for_ever(tmp_path):
    (tmp_path / "cache").mkdir()
    left_behind = tmp_path / "cache" / ".abc.digits.12345678.tmp"
    left_behind.write_bytes(b"")
    aged(left_behind, 4000)
    for seed in range(cache.KEPT + 3):
        path = tmp_path / f"{seed}.json"
        mnist_json.write(path, make_splits((1, 1, 1), seed=seed))
        assert same(open_dataset(path), make_splits((1, 1, 1), seed=seed))
        aged(
            cached(tmp_path)[0] if seed == 0 else cache.folder() / f"{open_dataset(path).sha256}.digits",
            100 - seed,
        )
    assert len(cached(tmp_path)) == cache.KEPT
    assert not left_behind.exists()


@pytest.mark.parametrize(
    ("system", "platform", "variables", "expected"),
    [
        ("posix", "linux", {"XDG_CACHE_HOME": "/x"}, "/x/paddle_mnist"),
        ("posix", "linux", {}, "/home/me/.cache/paddle_mnist"),
        ("posix", "darwin", {}, "/home/me/Library/Caches/paddle_mnist"),
        ("posix", "linux", {"PADDLE_MNIST_CACHE": "/mine"}, "/mine"),
    ],
)
def test_the_place_of_the_cache(monkeypatch, system, platform, variables, expected):
    if os.name == "nt":
        pytest.skip("the paths are those of other systems")
    for name in ("XDG_CACHE_HOME", "PADDLE_MNIST_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setattr(cache.sys, "platform", platform)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert str(cache.folder()) == expected

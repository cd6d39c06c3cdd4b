"""Where the digits come from, and the cache of data sets that were opened."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
import zlib
from pathlib import Path

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
    """An empty current folder and an empty cache, without a network or a source checkout."""
    (tmp_path / "work").mkdir(exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PADDLE_MNIST_DATA", raising=False)
    monkeypatch.setenv("PADDLE_MNIST_OFFLINE", "1")
    monkeypatch.setenv("PADDLE_MNIST_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(dataset, "_checkout_work", lambda: tmp_path / "checkout" / "work")


def aged(path, seconds=10):
    """Set a file's time to some time ago."""
    then = time.time() - seconds
    os.utime(path, (then, then))
    return path


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Return ``SPLITS`` as a file, written once; tests copy it."""
    path = tmp_path_factory.mktemp("written") / "digits.json.gz"
    mnist_json.write(path, SPLITS, "pm1")
    return path


@pytest.fixture
def source(written, tmp_path):
    return aged(Path(shutil.copy(written, tmp_path)))


def cached(tmp_path):
    return sorted((tmp_path / "cache").glob("*.digits"))


def test_open_dataset_gives_name_hash_and_encoding(source):
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


def test_open_dataset_opens_a_folder_of_idx_files(tmp_path):
    paths = idx.write_folder(tmp_path / "idx", make_splits((50, 10, 8)))
    for _ in range(2):
        found = open_dataset(tmp_path / "idx")
        assert same(found, make_splits((50, 10, 8)))
        assert found.sha256 == hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()
        assert found.encoding == "uint8"


def test_open_dataset_refuses_what_does_not_exist(tmp_path):
    with pytest.raises(UserError, match=r"data must be a mnist.json.gz, .*, got no file absent\.json"):
        open_dataset("absent.json")
    with pytest.raises(UserError, match="must hold MNIST's four IDX files, got no train-images-idx3-ubyte"):
        open_dataset(tmp_path)


@pytest.mark.parametrize("target", ["/dev/zero", "/proc/self/pagemap", "pipe"])
def test_open_dataset_refuses_endless_files_at_once(tmp_path, target):
    if target == "pipe":
        os.mkfifo("pipe") if hasattr(os, "mkfifo") else pytest.skip("no pipes in folders here")
    elif not Path(target).exists():
        pytest.skip(f"no {target} here")
    Path("x.json").symlink_to(target)
    for name in ("x.json", target):
        with pytest.raises(UserError, match=r"must be a regular file, got|cannot be read"):
            open_dataset(name)
    Path("idx").mkdir()
    for name in idx.NAMES:
        Path("idx", name).symlink_to(tmp_path / target)
    with pytest.raises(UserError, match=r"must be a regular file, got|cannot be read|must hold MNIST's four IDX files"):
        open_dataset("idx")


def test_open_dataset_bounds_the_size_of_a_file(source, monkeypatch):
    monkeypatch.setattr(cache, "MAX_SOURCE", 1000)
    with pytest.raises(UserError, match=r"must have at most 0 GB, got .*: compress it by gzip"):
        open_dataset(source)


def test_auto_takes_the_first_that_exists(tmp_path, monkeypatch, source):
    lines = []
    with pytest.raises(
        UserError, match=r"the sample mnist-5k\.json\.gz is missing from work and from the installed package"
    ):
        open_dataset()

    sample = dataset.work_folder() / dataset.SAMPLE
    mnist_json.write(sample, make_splits(seed=1))
    assert same(open_dataset("auto", log=lines.append), make_splits(seed=1))
    assert lines[-2] == (
        "PADDLE_MNIST_OFFLINE is set: using the bundled sample of 5,000 digits; "
        "`python -m paddle_mnist.data fetch` gets all 70,000"
    )
    assert same(open_dataset("sample", log=lines.append), make_splits(seed=1))
    assert lines[-1].endswith("mnist-5k.json.gz")

    idx.write_folder(dataset.download_folder(), make_splits((50, 10, 8), seed=2))
    assert same(open_dataset(), make_splits((50, 10, 8), seed=2))

    mnist_json.write(dataset.work_folder() / dataset.WHOLE, make_splits(seed=3))
    assert same(open_dataset(), make_splits(seed=3))

    monkeypatch.setenv("PADDLE_MNIST_DATA", str(source))
    assert same(open_dataset())
    monkeypatch.setenv("PADDLE_MNIST_DATA", "absent.json")
    with pytest.raises(UserError, match=r"PADDLE_MNIST_DATA must name a file or folder that exists, got absent\.json"):
        open_dataset()


def test_auto_downloads_once_and_remembers_a_failure(tmp_path, monkeypatch):
    monkeypatch.delenv("PADDLE_MNIST_OFFLINE")
    mnist_json.write(dataset.work_folder() / dataset.SAMPLE, make_splits(seed=1))
    calls, lines = [], []

    def fail(folder, log):
        calls.append(folder)
        raise download.NoMirrorError("no mirror answered")

    monkeypatch.setattr(download, "fetch", fail)
    for _ in range(3):
        assert same(open_dataset(log=lines.append), make_splits(seed=1))
    assert len(calls) == 1
    assert lines[0] == (
        "MNIST could not be downloaded (no network): using the bundled sample of 5,000 digits; "
        "`python -m paddle_mnist.data fetch` gets all 70,000"
    )
    assert lines[1].startswith("60 + 10 + 8 digits from ")
    assert "MNIST could not be downloaded within the last hour: using" in lines[2]

    monkeypatch.setattr(download, "fetch", lambda folder, log: idx.write_folder(folder, make_splits((50, 10, 8), 2)))
    aged(tmp_path / "cache" / "download-failed", 3700)
    assert same(open_dataset(), make_splits((50, 10, 8), 2))
    monkeypatch.setattr(download, "fetch", fail)
    assert same(open_dataset(), make_splits((50, 10, 8), 2))
    assert len(calls) == 1


def test_sample_is_found_in_an_installed_package(tmp_path, monkeypatch):
    installed = tmp_path / "site-packages" / "paddle_mnist"
    mnist_json.write(installed / "sources" / dataset.SAMPLE, SPLITS)
    monkeypatch.setattr(dataset, "__file__", str(installed / "dataset.py"))
    assert same(open_dataset("sample"))


def test_work_folder_prefers_the_current_folder(tmp_path):
    checkout = tmp_path / "checkout" / "work"
    checkout.mkdir(parents=True)
    assert str(dataset.work_folder()) == "work"
    (tmp_path / "work").rmdir()
    assert dataset.work_folder() == checkout
    checkout.rmdir()
    assert str(dataset.work_folder()) == "work"


def test_cache_saves_parsing_the_second_time(source, monkeypatch):
    open_dataset(source)
    monkeypatch.setattr(mnist_json, "read", None)
    assert same(open_dataset(source))


def test_cache_is_shared_by_all_names_of_the_same_bytes(tmp_path, source, monkeypatch):
    open_dataset(source)
    copy = shutil.copy(source, tmp_path / "copy.json.gz")
    monkeypatch.setattr(mnist_json, "read", None)
    assert same(open_dataset(copy))
    assert len(cached(tmp_path)) == 1


def test_cache_notices_a_source_that_changed(tmp_path):
    path = tmp_path / "digits.json"
    text = json.dumps([[[[k] * 784], [1]] for k in (10, 20, 30)])
    path.write_text(text)
    status = path.stat()
    assert open_dataset(path).train.images[0, 0, 0] == 10
    path.write_text(text.replace("10", "11"))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))  # only the bytes show the change
    assert open_dataset(path).train.images[0, 0, 0] == 11


def test_open_dataset_refuses_a_source_that_changes_meanwhile(source, monkeypatch):
    read = mnist_json.read

    def meanwhile(path):
        found = read(path)
        path.write_bytes(path.read_bytes() + b" ")
        return found

    monkeypatch.setattr(mnist_json, "read", meanwhile)
    with pytest.raises(UserError, match="changed while it was read"):
        open_dataset(source)


@pytest.mark.parametrize("place", [0, 1000, 78 * 784 - 1, 78 * 784 + 5, 78 * 785 + 3, 78 * 785 + 35, -20, -10, -1])
def test_cache_replaces_a_damaged_file(tmp_path, source, place):
    open_dataset(source)
    (path,) = cached(tmp_path)
    content = bytearray(path.read_bytes())
    content[place] ^= 4
    path.write_bytes(content)
    assert same(open_dataset(source))
    content[place] ^= 4
    assert path.read_bytes() == content


@pytest.mark.parametrize("place", [78 * 784 + 5, 78 * 785 + 32])
def test_cache_replaces_a_file_with_a_right_checksum_and_wrong_values(tmp_path, source, place):
    """A label above 9, and an encoding that is not printable text."""
    open_dataset(source)
    (path,) = cached(tmp_path)
    whole = path.read_bytes()
    content = bytearray(whole)
    content[place] = 200
    path.write_bytes(content[:-4] + zlib.crc32(content[:-4]).to_bytes(4, "little"))
    assert same(open_dataset(source))
    assert path.read_bytes() == whole


@pytest.mark.parametrize("size", [0, 1, 19, 100, 78 * 784, 78 * 785 + 3, -1, -30])
def test_cache_replaces_a_truncated_file(tmp_path, source, size):
    open_dataset(source)
    (path,) = cached(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[:size])
    assert same(open_dataset(source))
    assert path.read_bytes() == whole


def test_cache_replaces_the_file_of_another_source(tmp_path, source):
    open_dataset(source)
    (path,) = cached(tmp_path)
    mnist_json.write(tmp_path / "other.json", make_splits(seed=4))
    open_dataset(tmp_path / "other.json")
    (other,) = set(cached(tmp_path)) - {path}
    path.write_bytes(other.read_bytes())
    assert same(open_dataset(source))


needs_posix = pytest.mark.skipif(os.name == "nt", reason="a mapped file cannot be cut short here")


@needs_posix
@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_cache_never_maps_a_file_that_others_may_cut_short(tmp_path, source, mode):
    open_dataset(source)
    (path,) = cached(tmp_path)
    path.chmod(mode)
    with open(path, "r+b") as shared:
        found = open_dataset(source)
        assert path.stat().st_ino != os.fstat(shared.fileno()).st_ino, "it is replaced"
        shared.truncate(0)  # a process that has mapped it is ended by the next access
        assert same(found)
    assert path.stat().st_mode & 0o777 == 0o600 and isinstance(found.train.images, np.memmap)


@needs_posix
def test_cache_never_uses_a_file_of_another_user(tmp_path, source, monkeypatch):
    open_dataset(source)
    (path,) = cached(tmp_path)
    before = path.stat()
    owner = before.st_uid
    if owner == 0:
        owner = 12_345
        os.chown(path, owner, -1)
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    found = open_dataset(source)
    assert same(found)
    assert path.stat().st_ino != before.st_ino, "it is replaced, in a folder where that is possible"


@needs_posix
def test_cache_is_made_for_this_user_alone(tmp_path, source, monkeypatch):
    monkeypatch.setenv("PADDLE_MNIST_CACHE", str(tmp_path / "new" / "cache"))
    open_dataset(source)
    (path,) = (tmp_path / "new" / "cache").iterdir()
    assert (path.parent.stat().st_mode & 0o777, path.stat().st_mode & 0o777) == (0o700, 0o600)


def test_cache_survives_a_pipe_or_a_folder_in_place_of_its_file(tmp_path, source):
    open_dataset(source)
    (path,) = cached(tmp_path)
    path.unlink()
    if hasattr(os, "mkfifo"):
        os.mkfifo(path)
        assert same(open_dataset(source))
        path.unlink()
    path.mkdir()
    assert same(open_dataset(source))


def test_open_dataset_works_without_a_cache(tmp_path, source, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PADDLE_MNIST_CACHE", str(tmp_path / "file"))
    for _ in range(2):
        assert same(open_dataset(source))


def test_open_dataset_works_without_a_home(source, monkeypatch):
    def homeless():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    for name in ("PADDLE_MNIST_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    assert same(open_dataset(source))
    mnist_json.write(dataset.work_folder() / dataset.SAMPLE, make_splits(seed=1))
    assert same(open_dataset("auto"), make_splits(seed=1))


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), OSError(28, "No space left on device")])
def test_open_dataset_works_if_the_cache_cannot_be_written(tmp_path, source, monkeypatch, error):
    def fail(descriptor):
        raise error

    mnist_json.write(tmp_path / "other.json", make_splits(seed=4))
    open_dataset(source)
    monkeypatch.setattr(os, "fsync", fail)
    assert same(open_dataset(source))
    assert same(open_dataset(tmp_path / "other.json"), make_splits(seed=4))
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_cache_serves_two_processes_at_once(tmp_path, source):
    script = f"from paddle_mnist.dataset import open_dataset; print(open_dataset({str(source)!r}).train.labels.sum())"
    processes = [subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    totals = [int(process.communicate()[0]) for process in processes]
    assert totals == [SPLITS.train.labels.sum()] * 2
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_cache_holds_nothing_of_a_bad_source(tmp_path):
    (tmp_path / "digits.json.gz").write_bytes(gzip.compress(b"[[[[1, 2, 3]"))
    with pytest.raises(UserError, match="got 3"):
        open_dataset(tmp_path / "digits.json.gz")
    assert not cached(tmp_path)


def test_cache_keeps_a_bounded_number_of_data_sets(tmp_path):
    (tmp_path / "cache").mkdir()
    left_behind = tmp_path / "cache" / ".abc.digits.12345678.tmp"
    left_behind.write_bytes(b"")
    aged(left_behind, 4000)
    for seed in range(cache.MAX_CACHED + 3):
        path = tmp_path / f"{seed}.json"
        mnist_json.write(path, make_splits((1, 1, 1), seed=seed))
        assert same(open_dataset(path), make_splits((1, 1, 1), seed=seed))
        aged(
            cached(tmp_path)[0] if seed == 0 else cache.folder() / f"{open_dataset(path).sha256}.digits",
            100 - seed,
        )
    assert len(cached(tmp_path)) == cache.MAX_CACHED
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
def test_cache_folder_follows_the_system(monkeypatch, system, platform, variables, expected):
    if os.name == "nt":
        pytest.skip("the paths are those of other systems")
    for name in ("XDG_CACHE_HOME", "PADDLE_MNIST_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setattr(cache.sys, "platform", platform)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert str(cache.folder()) == expected

from __future__ import annotations

import os
import sys

import pytest

from paddle_mnist.errors import UserError
from paddle_mnist.storage.files import atomic_write, open_regular, os_errors_as, read_bytes, sync_folder


def test_atomic_write_shows_a_file_when_it_is_complete(tmp_path):
    path = tmp_path / "new folder" / "file.txt"
    with atomic_write(path, "w") as file:
        file.write("häß\n")
        assert not path.exists()
    assert path.read_bytes() == "häß\n".encode()


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_atomic_write_leaves_what_was_there_when_it_fails(tmp_path, error):
    path = tmp_path / "folder" / "file"
    path.parent.mkdir()
    path.write_bytes(b"before")
    with pytest.raises(type(error)) as caught, atomic_write(path) as file:
        file.write(b"half")
        raise error
    assert isinstance(error, KeyboardInterrupt) or caught.value.filename == str(path)
    assert path.read_bytes() == b"before"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.skipif(os.name == "nt", reason="folders are not flushed there")
def test_sync_folder_names_a_folder_that_cannot_be_flushed(tmp_path, monkeypatch):
    def refuse(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="No space") as caught:
        sync_folder(tmp_path)
    assert caught.value.filename == str(tmp_path)


# Opening.

HAS_PIPES = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")


def test_open_regular_opens_a_file_at_its_beginning(tmp_path):
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "empty").write_bytes(b"")
    with open_regular(tmp_path / "file") as file:
        assert file.read(3) == b"con" and file.seek(0) == 0 and file.read() == b"content"
    with open_regular(str(tmp_path / "empty")) as file:
        assert file.read() == b""


@pytest.mark.skipif(os.name == "nt", reason="links take a right of their own on Windows")
def test_open_regular_follows_links_to_files_and_no_others(tmp_path):
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "loop").symlink_to("loop")
    with open_regular(tmp_path / "link") as file:
        assert file.read() == b"content"
    with pytest.raises(UserError, match=r"loop cannot be read: Too many levels"):
        open_regular(tmp_path / "loop")


@HAS_PIPES
def test_open_regular_refuses_a_pipe_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link.json").symlink_to("pipe")
    for name in ("pipe", "link.json"):
        with pytest.raises(UserError, match=f"{name} must be a regular file, got a pipe"):
            open_regular(tmp_path / name)


def test_open_regular_refuses_a_folder_and_a_missing_file(tmp_path):
    with pytest.raises(UserError, match="must be a regular file, got a folder"):
        open_regular(tmp_path)
    with pytest.raises(UserError, match=r"gone cannot be read: No such file"):
        open_regular(tmp_path / "gone")
    with pytest.raises(UserError, match="cannot be read: embedded null"):
        open_regular("a\0b")


@LINUX
@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null", "/dev/full", "/dev/urandom"])
def test_open_regular_refuses_devices(path):
    with pytest.raises(UserError, match=f"{path} must be a regular file, got a device"):
        open_regular(path)


@LINUX
@pytest.mark.parametrize("path", ["/proc/self/pagemap", "/proc/self/maps", "/proc/self/mem"])
def test_open_regular_refuses_files_without_a_size(path, tmp_path):
    (tmp_path / "x.json").symlink_to(path)
    with pytest.raises(UserError, match=r"x\.json (must be a regular file, got one without a size|cannot be read)"):
        open_regular(tmp_path / "x.json")


def test_open_regular_closes_what_it_refuses(tmp_path):
    before = len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0
    for _ in range(50):
        with pytest.raises(UserError):
            open_regular(tmp_path)
    assert before == (len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0)


def test_read_bytes_reads_no_more_than_it_may(tmp_path):
    (tmp_path / "file").write_bytes(b"content")
    assert read_bytes(tmp_path / "file", 7) == b"content"
    with pytest.raises(UserError, match="must have at most 6 bytes, got 7"):
        read_bytes(tmp_path / "file", 6)


def test_read_bytes_refuses_a_huge_file_before_reading_it(tmp_path):
    with open(tmp_path / "sparse", "wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(UserError, match="must have at most 1,000 bytes, got 1,099,511,627,776"):
        read_bytes(tmp_path / "sparse", 1000)


def test_os_errors_as_makes_one_sentence(tmp_path):
    with pytest.raises(UserError, match=r"^cannot do it: No space left on device$"), os_errors_as("cannot do it"):
        raise OSError(28, "No space left on device")

from __future__ import annotations

import os

import pytest

from paddle_mnist.storage.files import atomic_write, sync_folder


def test_a_file_appears_whole(tmp_path):
    path = tmp_path / "new folder" / "file.txt"
    with atomic_write(path, "w") as file:
        file.write("häß\n")
        assert not path.exists()
    assert path.read_bytes() == "häß\n".encode()


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_write_that_fails_leaves_what_was_there(tmp_path, error):
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
def test_a_folder_that_cannot_be_flushed_is_named(tmp_path, monkeypatch):
    def refuse(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="No space") as caught:
        sync_folder(tmp_path)
    assert caught.value.filename == str(tmp_path)

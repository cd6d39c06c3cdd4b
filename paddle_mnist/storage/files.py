"""Files that are either whole or not there."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import IO


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike[str], mode: str = "wb") -> Iterator[IO]:
    """Open a file that appears under ``path`` only once it is complete and on the disk.

    The bytes go to a temporary name in the same folder, are flushed to the disk, and the file is then renamed over
    ``path`` in one step. Whatever stops the writer leaves what was there before.

    Args:
        path: where the file shall be; its folder is made if it is missing.
        mode: ``"wb"`` or ``"w"`` (UTF-8, lines ending as written).

    Raises:
        OSError: as the operating system reports it (no space, no permission), with a file's name; the temporary file
            is removed.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    text = {} if "b" in mode else {"encoding": "utf-8", "newline": "\n"}
    try:
        with open(temporary, mode.replace("w", "x"), **text) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError):
            _name(error, path)
        raise
    sync_folder(path.parent)


def sync_folder(folder: str | os.PathLike[str]) -> None:
    """Flush a folder's own entries to the disk, so that a rename in it survives a power cut.

    Systems that cannot open a folder (Windows) have no such call; nothing is done there.
    """
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        _name(error, folder)
        raise
    finally:
        os.close(descriptor)


def _name(error: OSError, path: str | os.PathLike[str]) -> None:
    """Say which file an error is about: one of a write or a flush does not."""
    if error.filename is None:
        error.filename = str(path)

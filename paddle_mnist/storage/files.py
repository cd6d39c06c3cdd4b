"""The one way to open an input file, and the one way to write a file that is either complete or absent."""

from __future__ import annotations

import contextlib
import io
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from paddle_mnist.errors import UserError

PathLike = str | os.PathLike[str]

# A named pipe would block when it is opened, and a terminal could become the process's own.
_OPEN_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NOCTTY", 0)
)


def open_regular(path: PathLike) -> io.BufferedReader:
    """Open an input file, which must be a regular file, without waiting for anything.

    What kind of file it is is asked of the opened file, not of its name, which may change its meaning in between.
    Symbolic links are followed. A file of the operating system that claims no size but has content
    (``/proc/self/pagemap``), and may never end, is refused.

    Args:
        path: the file.

    Returns:
        The file, opened for reading bytes, at its beginning; the caller closes it.

    Raises:
        UserError: it does not exist, cannot be read, or is not a regular file (a folder, a pipe, a device, a socket).
    """
    try:
        descriptor = os.open(path, _OPEN_FLAGS)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise UserError(f"{path} must be a regular file, got {_kind(status)}")
            if status.st_size == 0 and os.read(descriptor, 1):
                raise UserError(f"{path} must be a regular file, got one without a size, which may never end")
            return open(descriptor, "rb")
        except BaseException:
            os.close(descriptor)
            raise
    except UserError:
        raise
    except (OSError, ValueError) as error:  # a ValueError: the name holds a null character
        if os.name == "nt" and os.path.isdir(path):
            raise UserError(f"{path} must be a regular file, got a folder") from error
        reason = getattr(error, "strerror", None) or str(error)
        raise UserError(f"{path} cannot be read: {reason}") from error


def read_bytes(path: PathLike, max_bytes: int) -> bytes:
    """Read a whole regular file of bounded size.

    Args:
        path: the file.
        max_bytes: the largest size accepted; never more than one byte beyond it is read.

    Raises:
        UserError: it is missing, cannot be read, is not a regular file, or is larger.
    """
    with open_regular(path) as file, os_errors_as(f"{path} cannot be read"):
        size = os.fstat(file.fileno()).st_size
        data = b"" if size > max_bytes else file.read(max_bytes + 1)
    size = max(size, len(data))
    if size > max_bytes:
        raise UserError(f"{path} must have at most {max_bytes:,} bytes, got {size:,}")
    return data


def is_link(path: PathLike) -> bool:
    """Tell whether a path is a symbolic link or, on Windows, a junction, whatever it points to."""
    try:
        status = os.lstat(path)
    except OSError:
        return False
    junction = getattr(stat, "IO_REPARSE_TAG_MOUNT_POINT", 0xA0000003)
    return stat.S_ISLNK(status.st_mode) or getattr(status, "st_reparse_tag", 0) == junction


@contextlib.contextmanager
def os_errors_as(what: str) -> Iterator[None]:
    """Turn an ``OSError`` of the block into a ``UserError`` of one sentence that begins with ``what``."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{what}: {error.strerror or error}") from error


@contextlib.contextmanager
def atomic_write(path: PathLike, mode: str = "wb") -> Iterator[IO[Any]]:
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
    text: dict[str, Any] = {} if "b" in mode else {"encoding": "utf-8", "newline": "\n"}
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
            _name_file(error, path)
        raise
    sync_folder(path.parent)


def sync_folder(folder: PathLike) -> None:
    """Flush a folder's own entries to the disk, so that a rename in it survives a power cut.

    Systems that cannot open a folder (Windows) have no such call; nothing is done there.
    """
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        _name_file(error, folder)
        raise
    finally:
        os.close(descriptor)


def _name_file(error: OSError, path: PathLike) -> None:
    """Say which file an error is about: one of a write or a flush does not."""
    if error.filename is None:
        error.filename = str(path)


def _kind(status: os.stat_result) -> str:
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
    return kinds.get(stat.S_IFMT(status.st_mode), "a device")

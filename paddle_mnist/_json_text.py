"""The text of a JSON file as a stream: unpacked a block ahead in a thread, and cut where the format allows."""

from __future__ import annotations

import contextlib
import gzip
import os
import stat
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import IO

from paddle_mnist.errors import UserError

DAMAGE: tuple[type[Exception], ...] = (EOFError, zlib.error, gzip.BadGzipFile)
try:  # ISA-L unpacks four times as fast as zlib
    from isal import igzip, isal_zlib
except ImportError:
    open_gzip = gzip.GzipFile
else:
    open_gzip = igzip.IGzipFile
    DAMAGE += (isal_zlib.error,)

BLOCK = 3 << 18  # less, and the time goes to calling NumPy; more, and the arrays of this length leave the caches
_MAX_SPACE = 1 << 26
_SPACE = b" \t\r\n"
_BYTE_ORDER_MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}


@contextlib.contextmanager
def open_text(path: str | os.PathLike[str]) -> Iterator[Text]:
    """Open a JSON file, packed by gzip or not, whatever its name says.

    Raises:
        UserError: the file is not an ordinary one, is damaged, or changes while it is read.
        OSError: as the operating system reports it.
    """
    before = os.stat(path)
    if not stat.S_ISREG(before.st_mode):
        raise UserError(f"{path} is not an ordinary file, where mnist.json.gz or its like is needed")
    with open(path, "rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        with ThreadPoolExecutor(1, "unpack") as ahead:
            yield Text(path, open_gzip(fileobj=file) if packed else file, ahead)
        after = os.fstat(file.fileno())
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise UserError(f"{path} changed while it was read: read it again when it is complete")


class Text:
    """A place in the text of a JSON file that moves forward.

    Args:
        path: the file's name, for errors.
        source: the unpacked bytes.
        ahead: the thread in which the next block is unpacked (which lets other threads run) while this one is parsed.
    """

    def __init__(self, path: str | os.PathLike[str], source: IO[bytes], ahead: ThreadPoolExecutor) -> None:
        self.path = path
        self._source = source
        self._ahead = ahead
        self._next = ahead.submit(source.read, BLOCK)
        self._text = b""
        self._at = 0
        self.more()
        if self._text.startswith(b"\xef\xbb\xbf"):
            self._at = 3
        for mark, name in _BYTE_ORDER_MARKS.items():
            if self._text.startswith(mark):
                raise UserError(f"{path} is {name} text, where UTF-8 is needed: save it as UTF-8")

    def more(self) -> bool:
        """Append the next block to the text; return whether there was one."""
        try:
            block = self._next.result()
        except DAMAGE as error:
            raise UserError(f"{self.path} is damaged or not complete ({error}): get it again") from None
        self._text = self._text[self._at :] + block if self._at < len(self._text) else block
        self._at = 0
        if block:
            self._next = self._ahead.submit(self._source.read, BLOCK)
        return bool(block)

    def peek(self) -> bytes:
        """Pass over white space and return the next character, ``b""`` at the end of the file."""
        passed = 0
        while True:
            here = self._text[self._at : self._at + 1]
            if here and here not in _SPACE:
                return here
            rest = len(self._text) - self._at
            self._at += rest - len(self._text[self._at :].lstrip(_SPACE))
            if self._at < len(self._text):
                continue
            passed += rest
            if passed > _MAX_SPACE:
                raise UserError(f"{self.path} holds {passed >> 20} MB of white space on end, and no digits")
            if not self.more():
                return b""

    def push_back(self, text: bytes) -> None:
        """Let a text come next that was passed before."""
        self._text = text + self._text[self._at :]
        self._at = 0

    def skip(self) -> None:
        """Pass over the character that ``peek`` showed."""
        self._at += 1

    def sequence(self, limit: int) -> bytes | None:
        """Return the text from here to the next ``]``, without moving; ``None`` if there is none within the limit."""
        start = 0
        while True:
            end = self._text.find(b"]", self._at + start)
            if end >= 0:
                return self._text[self._at : end + 1]
            start = len(self._text) - self._at
            if start > limit or not self.more():
                return None

    def sequences(self) -> memoryview:
        """Return the text from here to the last ``]`` within about a block, without moving and without a copy."""
        for _ in range(2):
            end = self._text.rfind(b"]", self._at, self._at + 2 * BLOCK)
            if end >= 0 or not self.more():
                break
        return memoryview(self._text)[self._at : end + 1]

    def around(self) -> str:
        """Return what stands here, shortened, for an error."""
        return shorten(self._text[self._at : self._at + 40])

    def advance(self, size: int) -> None:
        """Move past ``size`` bytes that were returned."""
        self._at += size


def shorten(text: bytes) -> str:
    """Return the beginning of a text as it can stand in an error's one line."""
    shown = text[:24].decode("utf-8", "backslashreplace")
    return repr(shown + ("…" if len(text) > 24 else "")) if text else "the end of the file"

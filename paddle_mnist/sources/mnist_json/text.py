"""The text of a JSON file as a stream: unpacked block by block, and cut where the format allows."""

from __future__ import annotations

import contextlib
import gzip
import os
import re
import stat
import zlib
from collections.abc import Iterator
from typing import IO

import numpy as np

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
MARGIN = 64  # bytes before a text that is handed out, and after it, which its receiver may overwrite
_MAX_SPACE = 1 << 26
_SPACE = re.compile(rb"[ \t\r\n]*")
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
        yield Text(path, open_gzip(fileobj=file) if packed else file)
        after = os.fstat(file.fileno())
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise UserError(f"{path} changed while it was read: read it again when it is complete")


def with_margins(text: bytes | np.ndarray) -> np.ndarray:
    """Return a copy of a text, uint8, with ``MARGIN`` bytes before it and after it."""
    room = np.zeros(len(text) + 2 * MARGIN, np.uint8)
    room[MARGIN:-MARGIN] = np.frombuffer(text, np.uint8)
    return room


class Text:
    """A place in the text of a JSON file that moves forward.

    What is taken out of it, ``take_sequences``, is not copied: its receiver gets the memory into which it was unpacked,
    and what follows it, a part of a row as a rule, is moved to where the next block will be unpacked.

    Args:
        path: the file's name, for errors.
        source: the unpacked bytes.
    """

    def __init__(self, path: str | os.PathLike[str], source: IO[bytes]) -> None:
        self.path = path
        self._source = source
        self._hold(b"")
        self.more()
        if self._text.startswith(b"\xef\xbb\xbf", self._at):
            self._at += 3
        for mark, name in _BYTE_ORDER_MARKS.items():
            if self._text.startswith(mark, self._at):
                raise UserError(f"{path} is {name} text, where UTF-8 is needed: save it as UTF-8")

    def _hold(self, *texts: bytes | memoryview) -> None:
        """Let these texts come next, in memory that takes a block more."""
        self._text = bytearray(2 * MARGIN + sum(map(len, texts)) + BLOCK)
        self._at = self._end = MARGIN
        for text in texts:
            self._text[self._end : self._end + len(text)] = text
            self._end += len(text)

    def _rest(self, start: int) -> memoryview:
        return memoryview(self._text)[start : self._end]

    def more(self) -> bool:
        """Append the next block to the text; return whether there was one."""
        if len(self._text) - MARGIN - self._end < BLOCK:
            self._hold(self._rest(self._at))
        try:
            size = self._source.readinto(memoryview(self._text)[self._end : self._end + BLOCK])
        except DAMAGE as error:
            raise UserError(f"{self.path} is damaged or not complete ({error}): get it again") from None
        self._end += size
        return size > 0

    def peek(self) -> bytes:
        """Pass over white space and return the next character, ``b""`` at the end of the file."""
        passed = 0
        while True:
            start, self._at = self._at, _SPACE.match(self._text, self._at, self._end).end()
            if self._at < self._end:
                return bytes(self._text[self._at : self._at + 1])
            passed += self._at - start
            if passed > _MAX_SPACE:
                raise UserError(f"{self.path} holds {passed >> 20} MB of white space on end, and no digits")
            if not self.more():
                return b""

    def push_back(self, text: bytes) -> None:
        """Let a text come next that was passed before."""
        self._hold(text, self._rest(self._at))

    def skip(self) -> None:
        """Pass over the character that ``peek`` showed."""
        self._at += 1

    def sequence(self, limit: int) -> bytes | None:
        """Return the text from here to the next ``]``, without moving; ``None`` if there is none within the limit."""
        start = 0
        while True:
            end = self._text.find(b"]", self._at + start, self._end)
            if end >= 0:
                return bytes(self._text[self._at : end + 1])
            start = self._end - self._at
            if start > limit or not self.more():
                return None

    def take_sequences(self) -> np.ndarray | None:
        """Move past the last ``]`` within about a block.

        Returns:
            The text up to there, uint8, with ``MARGIN`` bytes before it and after it; ``None`` if there is no ``]``.
        """
        for _ in range(2):
            end = self._text.rfind(b"]", self._at, min(self._at + 2 * BLOCK, self._end))
            if end >= 0 or not self.more():
                break
        if end < 0:
            return None
        taken = np.frombuffer(self._text, np.uint8)[self._at - MARGIN : end + 1 + MARGIN]
        self._hold(self._rest(end + 1))
        return taken

    def around(self) -> str:
        """Return what stands here, shortened, for an error."""
        return shorten(bytes(self._text[self._at : min(self._at + 40, self._end)]))

    def advance(self, size: int) -> None:
        """Move past ``size`` bytes that were returned."""
        self._at += size


def shorten(text: bytes) -> str:
    """Return the beginning of a text as it can stand in an error's one line."""
    shown = text[:24].decode("utf-8", "backslashreplace")
    return repr(shown + ("…" if len(text) > 24 else "")) if text else "the end of the file"

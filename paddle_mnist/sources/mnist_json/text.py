"""The text of a JSON file as a stream: decompressed block by block, and cut between rows."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import re
from collections.abc import Iterator

import numpy as np
from isal import igzip, isal_zlib

from paddle_mnist.errors import UserError, quote
from paddle_mnist.storage.files import open_regular

DAMAGE: tuple[type[Exception], ...] = (
    EOFError,
    gzip.BadGzipFile,
    isal_zlib.error,  # type: ignore[assignment]  # declared as an instance in isal's stubs
    OverflowError,  # a huge gzip header
)
BLOCK = 3 << 18  # bytes; smaller blocks cost calls, larger ones leave the processor's caches
MARGIN = 64  # bytes before and after a block, which its receiver may overwrite
MAX_TEXT = 1 << 34  # bytes: room for a million digits in the longest encoding; a small gzip file could hold any number
_MAX_SPACE = 1 << 26
_SPACE = re.compile(rb"[ \t\r\n]*")
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


@contextlib.contextmanager
def open_text(path: str | os.PathLike[str]) -> Iterator[Text]:
    """Open a JSON file, compressed by gzip or not, whatever its name says.

    Raises:
        UserError: the file cannot be opened, is not a regular file, is damaged, or changes while it is read.
        OSError: from the operating system.
    """
    with open_regular(path) as file:
        before = os.fstat(file.fileno())
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        yield Text(path, igzip.IGzipFile(fileobj=file) if packed else file)  # type: ignore[no-untyped-call]
        after = os.fstat(file.fileno())
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise UserError(f"{path} changed while it was read: read it again when it is complete")


class Text:
    """A position in the text of a JSON file that moves forward.

    A block that is taken out, ``take_block``, is not copied: its receiver gets the memory into which it was
    decompressed. The rest, usually a part of a row, is moved to where the next block will be decompressed.

    Args:
        path: the file's name, for errors.
        source: the decompressed bytes.
    """

    def __init__(self, path: str | os.PathLike[str], source: io.BufferedIOBase) -> None:
        self.path = path
        self._source = source
        self._allowed = MAX_TEXT
        self._hold(b"")
        self._fill()
        if self._text.startswith(b"\xef\xbb\xbf", self._at):  # UTF-8's byte order mark
            self._at += 3
        if self._text.startswith(_UTF16_MARKS, self._at):
            raise UserError(f"{path} must be UTF-8 text, got UTF-16: save it as UTF-8")

    def _hold(self, *texts: bytes | memoryview) -> None:
        """Let these texts come next, in a buffer with capacity for one more block."""
        self._text = bytearray(2 * MARGIN + sum(map(len, texts)) + BLOCK)
        self._at = self._end = MARGIN
        for text in texts:
            self._text[self._end : self._end + len(text)] = text
            self._end += len(text)

    def _rest(self, start: int) -> memoryview:
        return memoryview(self._text)[start : self._end]

    def _fill(self) -> bool:
        """Append the next block to the buffer; return whether there was one."""
        if len(self._text) - MARGIN - self._end < BLOCK:
            self._hold(self._rest(self._at))
        try:
            size = self._source.readinto(memoryview(self._text)[self._end : self._end + BLOCK])
        except DAMAGE as error:
            raise UserError(f"{self.path} is damaged or incomplete ({error}): get it again") from None
        self._end += size
        self._allowed -= size
        if self._allowed < 0:
            raise UserError(f"{self.path} must hold at most {MAX_TEXT >> 30} GB of text, got more")
        return size > 0

    def peek(self) -> bytes:
        """Skip white space and return the next character, ``b""`` at the end of the file."""
        skipped = 0
        while True:
            start, self._at = self._at, _SPACE.match(self._text, self._at, self._end).end()  # type: ignore[union-attr]
            if self._at < self._end:
                return bytes(self._text[self._at : self._at + 1])
            skipped += self._at - start
            if skipped > _MAX_SPACE:
                raise UserError(f"{self.path} must hold digits, got {skipped >> 20} MB of white space in a row")
            if not self._fill():
                return b""

    def push_back(self, text: bytes) -> None:
        """Put a text back that was taken before, so that it comes next."""
        self._hold(text, self._rest(self._at))

    def skip(self) -> None:
        """Move past the character that ``peek`` returned."""
        self._at += 1

    def next_list(self, limit: int) -> bytes | None:
        """Return the text from here to the next ``]``, without moving; ``None`` if none comes within the limit."""
        start = 0
        while True:
            end = self._text.find(b"]", self._at + start, self._end)
            if end >= 0:
                return bytes(self._text[self._at : end + 1])
            start = self._end - self._at
            if start > limit or not self._fill():
                return None

    def take_block(self) -> np.ndarray | None:
        """Move past the last ``]`` within about a block.

        Returns:
            The text up to there, uint8, with ``MARGIN`` bytes before and after it; ``None`` if there is no ``]``.
        """
        for _ in range(2):
            end = self._text.rfind(b"]", self._at, min(self._at + 2 * BLOCK, self._end))
            if end >= 0 or not self._fill():
                break
        if end < 0:
            return None
        block = np.frombuffer(self._text, np.uint8)[self._at - MARGIN : end + 1 + MARGIN]
        self._hold(self._rest(end + 1))
        return block

    def excerpt(self) -> str:
        """Return what comes next, shortened, for an error."""
        return excerpt(bytes(self._text[self._at : min(self._at + 40, self._end)]))

    def advance(self, size: int) -> None:
        """Move past ``size`` bytes that were returned."""
        self._at += size


def excerpt(text: bytes) -> str:
    """Return the beginning of a text, quoted, for an error's one line."""
    return quote(text.decode("utf-8", "backslashreplace"), 28) if text else "the end of the file"

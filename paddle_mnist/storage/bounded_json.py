"""The small text files of a run: JSON objects, and the history as one JSON object per line.

They may come from strangers, so their size, depth and number of values are bounded, and whatever is wrong is one
sentence. ``orjson`` refuses damaged text, numbers that are not finite and halves of characters. The last line of a
history may be incomplete, because a run can be killed while it writes one; every other line must be complete.
"""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from paddle_mnist.errors import UserError, quote
from paddle_mnist.storage.files import PathLike, atomic_write, os_errors_as, read_bytes

MAX_JSON_BYTES = 1 << 20
MAX_DEPTH = 32
# A run of 150,000 logged steps takes 16 MB.
MAX_HISTORY_BYTES = 32 << 20
MAX_HISTORY_LINES = 250_000
MAX_HISTORY_VALUES = 2_000_000
MAX_LINE_BYTES = 4096


def read_json(path: PathLike, *, max_bytes: int = MAX_JSON_BYTES) -> dict[str, Any]:
    """Read a file that holds one JSON object.

    Args:
        path: ``run.json``, ``state.json`` or the like, in UTF-8.
        max_bytes: the largest size accepted.

    Returns:
        The object. An integer that does not fit into 64 bits becomes a float.

    Raises:
        UserError: the file cannot be read, is too large, is not JSON or not an object, nests deeper than
            ``MAX_DEPTH``, or holds a number that is not finite.
    """
    return parse_object(read_bytes(path, max_bytes), str(path))


def parse_object(data: bytes, source: str) -> dict[str, Any]:
    """Parse one JSON object as ``read_json`` does; ``source`` names it in the error."""
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise UserError(f"{source} is not valid JSON: {quote(error, 120)}") from error
    if not isinstance(value, dict):
        raise UserError(f"{source} must hold a JSON object, got {_json_kind(value)}")
    if not _is_shallow(value):
        raise UserError(f"{source} must nest at most {MAX_DEPTH} levels deep")
    return value


def dump(value: Any, *, indent: int | None = None) -> str:
    """Write a value as JSON that ``parse_object`` reads back: keys in their order, NumPy scalars as plain numbers.

    A byte of a file name that is not UTF-8, which Python keeps as half a character, is written as an escape.

    Raises:
        ValueError: a number is not finite, or an integer does not fit into 64 bits.
        TypeError: something has no form in JSON.
    """
    text = json.dumps(value, allow_nan=False, ensure_ascii=False, indent=indent, default=_plain)
    text = re.sub("[\ud800-\udfff]", lambda match: f"\\\\u{ord(match[0]):04x}", text)
    json.loads(text, parse_int=_check_integer)
    return text


def append_history(path: PathLike, records: Sequence[dict[str, Any]], sync: bool = True) -> None:
    """Add records to a history, one per line, all in one write.

    A run that is killed meanwhile leaves at most the last line incomplete. A write that fails, on a full disk, leaves
    nothing.

    Args:
        path: the history.
        records: what to add.
        sync: return when these records and all before them are on the disk; otherwise other programs can read them.

    Raises:
        UserError: the history is a link or not a regular file, or the operating system refused; it is as it was.
        ValueError: a number is not finite.
    """
    data = "".join(dump(record) + "\n" for record in records).encode()
    # Through a link, or another name of the same file, the records would be added to a file outside the run folder.
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    flags |= getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    with os_errors_as(f"cannot add to {path}, which is unchanged"):
        descriptor = os.open(path, flags, 0o666)
        try:
            if os.fstat(descriptor).st_nlink > 1:
                raise UserError(f"{path} must have one name, got a hard link: replace it with a copy")
            _append(descriptor, data, sync)
        finally:
            os.close(descriptor)


def read_history(path: PathLike, *, max_bytes: int = MAX_HISTORY_BYTES) -> list[dict[str, Any]]:
    """Read a history without its last line if that is incomplete.

    Returns:
        The records in the order they were written; none when the file does not exist.

    Raises:
        UserError: the file cannot be read or has too many bytes, lines or values, or a complete line is damaged.
    """
    if not os.path.lexists(path):
        return []
    return [record for _, record in _lines(Path(path), read_bytes(path, max_bytes))]


def truncate_history(path: PathLike, epoch: int, batch: int) -> None:
    """Cut a history back to a checkpoint, so that a resumed run continues it from where the checkpoint was saved.

    What stays is unchanged to the byte. The file is replaced in one step.

    Args:
        path: the history; nothing is done when it does not exist.
        epoch: epochs that the checkpoint has complete. Lines count epochs from 0, so those below ``epoch`` stay.
        batch: batches that it has done of the next epoch; the lines of those stay too.

    Raises:
        UserError: a complete line is damaged, or the operating system refused; the file is as it was.
    """
    if not os.path.lexists(path):
        return
    data = read_bytes(path, MAX_HISTORY_BYTES)
    kept = [line for line, record in _lines(Path(path), data) if _is_before(record, epoch, batch)]
    if b"".join(kept) != data:
        with os_errors_as(f"cannot cut {path} back to the checkpoint"), atomic_write(path) as file:
            file.writelines(kept)


def _lines(path: Path, data: bytes) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """Yield each complete line, its line feed included, with the record in it."""
    values = 0
    for number, line in enumerate(io.BytesIO(data), start=1):
        source = f"{path}, line {number}"
        if not line.endswith(b"\n"):
            return  # only the last line can lack its end
        if number > MAX_HISTORY_LINES:
            raise UserError(f"{path} must have at most {MAX_HISTORY_LINES:,} lines: log fewer steps by --log-every")
        if len(line) > MAX_LINE_BYTES:
            raise UserError(f"{source} must have at most {MAX_LINE_BYTES:,} bytes, got {len(line):,}")
        try:
            record = parse_object(line, source)
        except UserError as error:
            raise UserError(f"{error}; delete that line to continue without it") from error
        if any(isinstance(value, (dict, list)) for value in record.values()):
            raise UserError(f"{source} must hold plain values, got a list or an object")
        values += len(record)
        if values > MAX_HISTORY_VALUES:
            raise UserError(f"{path} must have at most {MAX_HISTORY_VALUES:,} values, passed in line {number}")
        yield line, record


def _is_before(record: dict[str, Any], epoch: int, batch: int) -> bool:
    """Tell whether a line was written before the checkpoint; an epoch's own line has no batch."""
    line_epoch, line_batch = record.get("epoch"), record.get("batch")
    if not isinstance(line_epoch, int):
        return False
    if isinstance(line_batch, int):
        return (line_epoch, line_batch) < (epoch, batch)
    return line_epoch < epoch


def _append(descriptor: int, data: bytes, sync: bool) -> None:
    size = os.fstat(descriptor).st_size
    try:
        while data:  # a nearly full disk takes a part, and refuses the rest
            data = data[os.write(descriptor, data) :]
        if sync:
            os.fsync(descriptor)
    except BaseException:
        os.ftruncate(descriptor, size)
        raise


def _check_integer(text: str) -> None:
    if not -(1 << 63) <= int(text) < 1 << 64:
        raise ValueError(f"the integer {text} does not fit into 64 bits")


def _is_shallow(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for parent in level
            if isinstance(parent, (dict, list))
            for child in (parent.values() if isinstance(parent, dict) else parent)
        ]
        if not level:
            return True
    return False


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"a {type(value).__name__} has no form in JSON")


def _json_kind(value: Any) -> str:
    names = {list: "a list", str: "a string", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")

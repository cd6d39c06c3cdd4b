"""The small text files of a run: JSON objects, and the history as one JSON object a line.

They are read as what a stranger may have written: in bounded memory, without following nesting into the ground, and
with one sentence for whatever is wrong. The last line of a history may be torn, because a run can be killed while it
writes one; every other line has to be whole.
"""

from __future__ import annotations

import io
import json
import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from paddle_mnist.errors import UserError
from paddle_mnist.storage.files import PathLike, atomic_write, read_bytes

MAX_JSON_BYTES = 1 << 20
MAX_HISTORY_BYTES = 64 << 20
MAX_HISTORY_VALUES = 2_000_000
MAX_LINE_BYTES = 4096
MAX_DEPTH = 32
# Longer integers are nobody's measurement; the longest honest one is a random generator's 128-bit state.
MAX_DIGITS = 80


def read_json(path: PathLike, *, max_bytes: int = MAX_JSON_BYTES) -> dict[str, Any]:
    """Read a file that holds one JSON object.

    Args:
        path: ``run.json``, ``state.json`` or the like, in UTF-8.
        max_bytes: the largest size accepted.

    Raises:
        UserError: the file cannot be read, is too large, is not JSON or no object, nests deeper than ``MAX_DEPTH``,
            or holds a number that is not finite or has more than ``MAX_DIGITS`` digits.
    """
    return parse_object(read_bytes(path, max_bytes), str(path))


def parse_object(data: bytes, where: str) -> dict[str, Any]:
    """Parse one JSON object as ``read_json`` does; ``where`` names the place in the error."""
    try:
        value = json.loads(
            data.decode("utf-8"), parse_float=_finite, parse_int=_bounded_integer, parse_constant=_refuse_constant
        )
    except RecursionError as error:
        raise UserError(f"{where} nests deeper than the {MAX_DEPTH} levels that are read") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{where} is not UTF-8 text (byte {error.start}), so it is damaged or no JSON file") from error
    except ValueError as error:
        raise UserError(f"{where} is not whole JSON: {_shorten(str(error))}") from error
    if b"\\ud" in data.lower() and not _is_text(value):
        raise UserError(f"{where} holds half of a character, which is no text, so it is damaged")
    if not isinstance(value, dict):
        raise UserError(f"{where} holds {_json_kind(value)}, where a JSON object is needed")
    if not _is_shallow(value):
        raise UserError(f"{where} nests deeper than the {MAX_DEPTH} levels that are read")
    return value


def dump(value: Any, *, indent: int | None = None) -> str:
    """Write a value as JSON: keys as they stand, NumPy scalars as plain numbers, nothing that is not finite.

    Raises:
        ValueError: a number is not finite.
        TypeError: something has no form in JSON.
    """
    return json.dumps(value, allow_nan=False, ensure_ascii=False, indent=indent, default=_plain)


def append_history(path: PathLike, records: Sequence[dict[str, Any]]) -> None:
    """Add records to a history, each a line, all in one write; they are on the disk when this returns.

    A run that is killed meanwhile tears at most the last line. A write that fails, on a full disk, leaves nothing.

    Raises:
        UserError: the operating system refused; the history is as it was.
        ValueError: a number is not finite.
    """
    data = "".join(dump(record) + "\n" for record in records).encode()
    # A link in a stranger's folder would have the records added to some other file.
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
    try:
        descriptor = os.open(path, flags, 0o666)
        try:
            _append(descriptor, data)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise UserError(f"cannot add to {path}: {_reason(error)}; what it held is intact") from error


def read_history(path: PathLike, *, max_bytes: int = MAX_HISTORY_BYTES) -> list[dict[str, Any]]:
    """Read a history, leaving out a last line that was torn while it was written.

    Returns:
        The records in the order they were written; none when the file does not exist.

    Raises:
        UserError: the file cannot be read or is too large, or a line before the last is damaged.
    """
    if not os.path.lexists(path):
        return []
    return [record for _, record in _lines(Path(path), read_bytes(path, max_bytes))]


def truncate_history(path: PathLike, epoch: int, batch: int) -> None:
    """Cut a history back to a checkpoint, so that a resumed run writes on where the checkpoint was saved.

    What stays is kept to the byte. The file is replaced in one step.

    Args:
        path: the history; nothing is done when it does not exist.
        epoch: epochs that the checkpoint has complete. Lines count epochs from 0, so those below ``epoch`` stay.
        batch: batches that it has done of the next epoch; the lines of those stay too.

    Raises:
        UserError: a line before the last is damaged, or the operating system refused; the file is as it was.
    """
    if not os.path.lexists(path):
        return
    data = read_bytes(path, MAX_HISTORY_BYTES)
    kept = [line for line, record in _lines(Path(path), data) if _is_before(record, epoch, batch)]
    if b"".join(kept) != data:
        try:
            with atomic_write(path) as file:
                file.writelines(kept)
        except OSError as error:
            raise UserError(f"cannot cut {path} back to the checkpoint: {_reason(error)}; it is as it was") from error


def _lines(path: Path, data: bytes) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """Yield each whole line, its line feed included, with the record in it."""
    lines = io.BytesIO(data)
    values = 0
    for number, line in enumerate(lines, start=1):
        where = f"{path}, line {number}"
        if not line.endswith(b"\n"):
            return  # torn: only the last line can lack its end
        if len(line) > MAX_LINE_BYTES:
            raise UserError(f"{where} has {len(line):,} bytes, more than the {MAX_LINE_BYTES:,} of a history's line")
        try:
            record = parse_object(line, where)
        except UserError as error:
            raise UserError(f"{error}; delete that line to go on without it") from error
        if any(isinstance(value, (dict, list)) for value in record.values()):
            raise UserError(f"{where} holds a list or an object, where a history has plain values")
        values += len(record) + 1
        if values > MAX_HISTORY_VALUES:
            raise UserError(f"{where} is beyond the {MAX_HISTORY_VALUES:,} values that are read of a history")
        yield line, record


def _is_before(record: dict[str, Any], epoch: int, batch: int) -> bool:
    """Tell whether a line was written before the checkpoint; an epoch's own line has no batch."""
    line_epoch, line_batch = record.get("epoch"), record.get("batch")
    if not isinstance(line_epoch, int):
        return False
    if isinstance(line_batch, int):
        return (line_epoch, line_batch) < (epoch, batch)
    return line_epoch < epoch


def _append(descriptor: int, data: bytes) -> None:
    size = os.fstat(descriptor).st_size
    try:
        while data:  # a nearly full disk takes a part, and refuses the rest
            data = data[os.write(descriptor, data) :]
        os.fsync(descriptor)
    except BaseException:
        os.ftruncate(descriptor, size)
        raise


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {_shorten(text)} is too large")
    return value


def _bounded_integer(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise ValueError(f"an integer of {len(text)} digits, where at most {MAX_DIGITS} are read")
    return int(text)


def _refuse_constant(text: str) -> float:
    raise ValueError(f"the number {text} is not finite")


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


def _is_text(value: Any) -> bool:
    """Tell whether every string in a value can be written; JSON can escape one half of a character alone."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except (UnicodeEncodeError, RecursionError):
        return False
    return True


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"a {type(value).__name__} has no form in JSON")


def _json_kind(value: Any) -> str:
    names = {list: "a list", str: "a string", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def _shorten(text: str, length: int = 120) -> str:
    return text if len(text) <= length else text[:length] + "…"


def _reason(error: OSError) -> str:
    return error.strerror or str(error)

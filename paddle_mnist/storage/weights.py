"""Bare files of arrays: ``.pdparams``, ``.pdopt``, ``.safetensors`` and ``.npz``, read without trusting them.

A ``.pdparams`` or ``.pdopt`` is a pickle, and unpickling as Python does it lets a file run any code. Here such files
go through ``paddle_mnist.storage.unpickle``, which can build arrays and plain containers and nothing else. Whatever the
format, a file is first read whole, up to ``MAX_FILE_BYTES``; the sizes that it declares are compared with what is
there before memory is taken for them; and arrays must be numbers, all of them finite.

Nothing here imports Paddle, and what is written opens with plain ``paddle.load``.
"""

from __future__ import annotations

import io
import math
import pickle
import struct
import sys
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from paddle_mnist.errors import UserError, quote
from paddle_mnist.storage import unpickle
from paddle_mnist.storage.files import PathLike, atomic_write, os_errors_as, read_bytes

StateDict = dict[str, np.ndarray]

# The largest net here has 2 MB of weights. Reading takes up to five times a file's size, so this keeps it below 100 MB.
MAX_FILE_BYTES = 16 << 20
MAX_ENTRIES = 4096
MAX_NAME = 256
MAX_SAFETENSORS_HEADER = 1 << 20
MAX_NPY_HEADER = 4096
MAX_STATE_DEPTH = 8

# What unpacking, and parsing a header as Python does, may raise on damaged bytes.
_ZIP_ERRORS = (zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, struct.error, EOFError)
_NPY_ERRORS = (ValueError, KeyError, TypeError, SyntaxError, tokenize.TokenError, RecursionError, MemoryError)

# Where ``paddle.save`` notes which parameter each name stands for; no net needs it to be loaded.
NAME_TABLE = "StructuredToParameterName@@"


def load_state_dict(path: PathLike) -> StateDict:
    """Read a net's parameters from a file that may come from anywhere.

    Args:
        path: a ``.pdparams`` as ``paddle.save`` of Paddle 2.0 to 3.3 writes it (pickle protocols 2 to 4), a
            ``.safetensors``, or an ``.npz``. The suffix decides how it is read.

    Returns:
        The arrays by parameter name, in the file's order, C-contiguous and in the machine's byte order.

    Raises:
        UserError: the file cannot be read, is damaged, holds anything but named arrays of real numbers, or a number
            that is NaN or infinite.
    """
    path = Path(path)
    return parse_state_dict(read_bytes(path, MAX_FILE_BYTES), path)


def parse_state_dict(data: bytes, path: PathLike) -> StateDict:
    """Read a net's parameters from the bytes of the file ``path``; see ``load_state_dict``."""
    path = Path(path)
    return _arrays(_by_suffix(path, _READERS)(data, str(path)), str(path))


def save_state_dict(path: PathLike, state: Mapping[str, np.ndarray]) -> None:
    """Write a net's parameters to a file that appears only when it is whole.

    The same arrays under the same names give the same bytes.

    Args:
        path: ends in ``.pdparams`` (opens with ``paddle.load``), ``.safetensors`` or ``.npz``.
        state: the arrays by parameter name.

    Raises:
        UserError: an array holds NaN, infinity or no numbers, or the file cannot be written.
    """
    data = dump_state_dict(state, path)
    with os_errors_as(f"cannot write {path}"), atomic_write(path) as file:
        file.write(data)


def dump_state_dict(state: Mapping[str, np.ndarray], path: PathLike) -> bytes:
    """Return the bytes that ``save_state_dict`` would write under the name ``path``."""
    where = f"what shall be saved as {path}"
    return _by_suffix(Path(path), _WRITERS)(_arrays(state, where))


def check_state_dict(state: Mapping[str, np.ndarray], expected: Mapping[str, Any], where: str = "the state") -> None:
    """Make sure that arrays fit a net, before any of them is assigned.

    Args:
        state: the arrays by name.
        expected: for each name an array of the right shape and dtype, or a pair ``(shape, dtype)``.
        where: names the file in the error.

    Raises:
        UserError: names what is missing, what is not expected, or whose shape or dtype is another.
    """
    missing = [name for name in expected if name not in state]
    surplus = [name for name in state if name not in expected]
    if missing or surplus:
        found = [f"lacks {_listed(missing)}"] * bool(missing) + [f"has {_listed(surplus)} too many"] * bool(surplus)
        raise UserError(f"{where} {' and '.join(found)}, so it belongs to another net")
    for name, pattern in expected.items():
        shape, dtype = _shape_and_dtype(pattern)
        if state[name].shape != tuple(shape):
            raise UserError(
                f"{where}: {quote(name)} has the shape {list(state[name].shape)}, where the net needs {list(shape)}"
            )
        if state[name].dtype != np.dtype(dtype):
            raise UserError(f"{where}: {quote(name)} is {state[name].dtype}, where the net needs {np.dtype(dtype)}")


def check_optimizer_state(
    state: Mapping[str, Any],
    parameters: Mapping[str, Any],
    accumulators: Collection[str],
    where: str = "the optimizer's state",
) -> None:
    """Make sure that an optimizer's state fits a net, before any of it is assigned.

    Args:
        state: what ``load_optimizer_state`` returned; an empty one, of an optimizer that has not stepped yet, fits.
        parameters: for each of Paddle's own parameter names (``linear_0.w_0``) an array of the right shape and dtype,
            or a pair ``(shape, dtype)``.
        accumulators: what the optimizer keeps of each parameter, such as ``{"velocity_0"}`` of ``Momentum``; Paddle
            names the array of the first ``linear_0.w_0_velocity_0``.
        where: names the file in the error.

    Raises:
        UserError: names what is missing, what is not expected, or whose shape or dtype is another. An array has its
            parameter's shape; the powers of Adam's betas (``…_pow_acc_0``) have one element.
    """
    arrays = {name: value for name, value in state.items() if name != "LR_Scheduler"}
    patterns = {
        f"{name}_{accumulator}": pattern for name, pattern in parameters.items() for accumulator in accumulators
    }
    for name, value in arrays.items():
        if not isinstance(value, np.ndarray):
            raise UserError(f"{where} has {quote(name)}, which this optimizer does not keep")
    for name in patterns:
        if name.endswith("_pow_acc_0"):
            patterns[name] = ((1,), _shape_and_dtype(patterns[name])[1])
    if arrays:
        check_state_dict(arrays, patterns, where)
    schedule = state.get("LR_Scheduler", {})
    if not isinstance(schedule, dict) or any(isinstance(value, (dict, np.ndarray)) for value in schedule.values()):
        raise UserError(f"{where}: 'LR_Scheduler' is no dict of plain values")


def load_optimizer_state(path: PathLike) -> dict[str, Any]:
    """Read an optimizer's state from a ``.pdopt`` that may come from anywhere.

    Returns:
        The accumulators by name, and dicts of plain values or arrays such as ``"LR_Scheduler"``.

    Raises:
        UserError: the file cannot be read, is damaged, or holds anything but arrays, plain values and dicts and
            lists of them, or a number that is NaN or infinite.
    """
    return parse_optimizer_state(read_bytes(path, MAX_FILE_BYTES), path)


def parse_optimizer_state(data: bytes, path: PathLike) -> dict[str, Any]:
    """Read an optimizer's state from the bytes of the file ``path``; see ``load_optimizer_state``."""
    return _states(_unpickled(data, str(path)), str(path))


def save_optimizer_state(path: PathLike, state: Mapping[str, Any]) -> None:
    """Write an optimizer's state to a ``.pdopt`` that appears only when it is whole and opens with ``paddle.load``.

    Args:
        path: the file.
        state: arrays, plain values, and dicts and lists of them, by name.

    Raises:
        UserError: something in it has another type or is not finite, or the file cannot be written.
    """
    data = dump_optimizer_state(state, path)
    with os_errors_as(f"cannot write {path}"), atomic_write(path) as file:
        file.write(data)


def dump_optimizer_state(state: Mapping[str, Any], path: PathLike) -> bytes:
    """Return the bytes that ``save_optimizer_state`` would write."""
    return _pickled(_states(state, f"what shall be saved as {path}"))


# Reading.


def _unpickled(data: bytes, where: str) -> dict[Any, Any]:
    content = unpickle.load(data, where)
    if not isinstance(content, dict):
        raise UserError(
            f"{where} holds an object of type {type(content).__name__}, where a dict of named arrays is needed"
        )
    return {name: value for name, value in content.items() if name != NAME_TABLE}


def _read_safetensors(data: bytes, where: str) -> StateDict:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    if len(data) < 8:
        raise UserError(f"{where} has {len(data)} bytes, too few for a safetensors file, so it is cut off")
    (header,) = struct.unpack_from("<Q", data)
    if header > min(len(data) - 8, MAX_SAFETENSORS_HEADER):
        raise UserError(f"{where} claims a header of {header:,} bytes, more than it has or than are read")
    try:
        # The library compares every declared offset with the bytes that are there before it copies any.
        return load(data)
    except KeyError as error:
        raise UserError(f"{where} holds numbers of the type {error}, which NumPy does not have") from error
    except (SafetensorError, ValueError, TypeError, OverflowError) as error:
        raise UserError(f"{where} is not a whole safetensors file: {quote(error, 160)}") from error


def _read_npz(data: bytes, where: str) -> StateDict:
    # Entries of the directory at the end are counted before Python makes an object of each.
    if data.count(b"PK\1\2") > MAX_ENTRIES:
        raise UserError(f"{where} holds more than the {MAX_ENTRIES:,} arrays that are read")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            declared = sum(member.file_size for member in members)
            if declared > MAX_FILE_BYTES:
                raise UserError(
                    f"{where} would unpack to {declared:,} bytes, more than the {MAX_FILE_BYTES:,} that are read"
                )
            return {
                member.filename.removesuffix(".npy"): _read_npy(_member(archive, member), member.filename, where)
                for member in members
            }
    except UserError:
        raise
    except (*_ZIP_ERRORS, OSError, RuntimeError, ValueError) as error:
        raise UserError(f"{where} is not a whole .npz file: {quote(error, 160)}") from error


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{quote(member.filename)} is packed in a way that NumPy does not use")
    with archive.open(member) as file:
        # Asked for no size, it would unpack all there is, whatever size was declared.
        return file.read(member.file_size)


def _read_npy(data: bytes, name: str, where: str) -> np.ndarray:
    """Read one array, comparing the size that it declares with the bytes that are there."""
    stream = io.BytesIO(data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # NumPy warns of headers written by Python 2, and then guesses
            version = np.lib.format.read_magic(stream)
            read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
            shape, fortran, dtype = read(stream, max_header_size=MAX_NPY_HEADER)
    except (*_NPY_ERRORS, Warning) as error:
        raise UserError(f"{where}: {quote(name)} is not an array: {quote(error, 160)}") from error
    _check_dtype(dtype, name, where)
    size = len(data) - stream.tell()
    if any(length < 0 for length in shape) or math.prod(shape) * dtype.itemsize != size:
        raise UserError(
            f"{where}: {quote(name)} claims the shape {quote(list(shape))} of {dtype}, but has {size:,} bytes"
        )
    numbers = np.frombuffer(data, dtype, offset=stream.tell()) if size else np.empty(0, dtype)
    return numbers.reshape(shape, order="F" if fortran else "C")


# Writing.


def _pickled(state: dict[str, Any]) -> bytes:
    return pickle.dumps(state, protocol=4)


def _dump_safetensors(state: StateDict) -> bytes:
    from safetensors.numpy import save

    return save(state)


def _dump_npz(state: StateDict) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name, array in state.items():
            # A member made here has a fixed date, where ``np.savez`` may write the clock's.
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w") as member:
                np.lib.format.write_array(member, array, version=(1, 0), allow_pickle=False)
    return stream.getvalue()


_READERS: dict[str, Callable[[bytes, str], dict[Any, Any]]] = {
    ".pdparams": _unpickled,
    ".safetensors": _read_safetensors,
    ".npz": _read_npz,
}
_WRITERS: dict[str, Callable[[StateDict], bytes]] = {
    ".pdparams": _pickled,
    ".safetensors": _dump_safetensors,
    ".npz": _dump_npz,
}


def _by_suffix(path: Path, functions: dict[str, Callable]) -> Callable:
    try:
        return functions[path.suffix.lower()]
    except KeyError:
        known = ", ".join(functions)
        raise UserError(f"{path} ends in {path.suffix or 'nothing'!r}, where one of {known} is needed") from None


# What both directions demand of names and values.


def _name(name: Any, where: str) -> str:
    """Return the name, one object for equal names: a pickle notes which of its strings are the same object."""
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME:
        raise UserError(f"{where} names an entry {quote(name)}, where a text of 1 to {MAX_NAME} letters is needed")
    return sys.intern(str(name))


class _Copier:
    """Copies arrays and containers out of what was read, within a budget.

    A pickle can name one object many times, so a few bytes may stand for any number of copies.
    """

    def __init__(self, where: str) -> None:
        self.where = where
        self.entries = MAX_ENTRIES
        self.bytes = MAX_FILE_BYTES

    def array(self, name: str, value: Any) -> np.ndarray:
        """Return a C-contiguous copy of an array of finite numbers, in the machine's byte order.

        Paddle 2.1 and later write a tensor inside other containers as a pair of its name and its array.
        """
        if isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str):
            value = value[1]
        if not isinstance(value, np.ndarray):
            raise UserError(f"{self.where}: {quote(name)} is of type {type(value).__name__}, where an array is needed")
        _check_dtype(value.dtype, name, self.where)
        self._spend(name, value.nbytes)
        # A fresh array of a built-in dtype: shared or exotic objects would show in the bytes of a pickle.
        array = np.array(value, dtype=np.dtype(value.dtype.char), order="C", subok=False)
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            count = int(np.count_nonzero(~np.isfinite(array)))
            raise UserError(
                f"{self.where}: {quote(name)} has {count:,} of {array.size:,} values that are NaN or infinite"
            )
        return array

    def nested(self, name: str, value: Any, depth: int = 0) -> Any:
        """Return a copy of arrays, plain values, and dicts and lists of them."""
        self._spend(name, 0)
        if depth > MAX_STATE_DEPTH:
            raise UserError(f"{self.where}: {quote(name)} nests more than {MAX_STATE_DEPTH} levels deep")
        if isinstance(value, dict):
            return {
                _name(key, self.where): self.nested(f"{name}.{key}", item, depth + 1) for key, item in value.items()
            }
        if isinstance(value, list):
            return [self.nested(f"{name}.{index}", item, depth + 1) for index, item in enumerate(value)]
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, float) and not math.isfinite(value):
            raise UserError(f"{self.where}: {quote(name)} is {value}, where a finite number is needed")
        if value is None or type(value) in (bool, int, float, str):
            return sys.intern(value) if isinstance(value, str) else value
        return self.array(name, value)

    def _spend(self, name: str, size: int) -> None:
        self.entries -= 1
        self.bytes -= size
        if self.entries < 0 or self.bytes < 0:
            raise UserError(
                f"{self.where} holds more than {MAX_ENTRIES:,} entries or {MAX_FILE_BYTES:,} bytes of numbers "
                f"(at {quote(name)})"
            )


def _arrays(entries: Mapping[Any, Any], where: str) -> StateDict:
    copier = _Copier(where)
    return {_name(name, where): copier.array(name, value) for name, value in entries.items()}


def _states(entries: Mapping[Any, Any], where: str) -> dict[str, Any]:
    copier = _Copier(where)
    return {_name(name, where): copier.nested(name, value) for name, value in entries.items()}


def _shape_and_dtype(pattern: Any) -> tuple[Any, Any]:
    return (pattern.shape, pattern.dtype) if hasattr(pattern, "shape") else pattern


def _check_dtype(dtype: np.dtype, name: str, where: str) -> None:
    if dtype.kind not in "fiub" or dtype.itemsize > 8:
        raise UserError(f"{where}: {quote(name)} holds {quote(dtype)}, where an array of real numbers is needed")


def _listed(names: list[str], most: int = 4) -> str:
    shown = ", ".join(quote(name) for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"

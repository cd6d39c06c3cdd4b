"""Files of arrays: ``.pdparams``, ``.pdopt``, ``.pkl``, ``.safetensors`` and ``.npz``, read without trusting them.

A ``.pdparams``, ``.pdopt`` or ``.pkl`` is a pickle, and unpickling as Python does it lets a file run any code. Here
such files go through ``paddle_mnist.storage.unpickle``, which builds arrays and plain containers and nothing else.
Whatever the format, a file is first read whole, up to ``MAX_FILE_BYTES``; the sizes that it declares are compared with
what is there before memory is taken for them; and arrays must hold real numbers, all of them finite.

Nothing here imports Paddle, and a ``.pdparams`` or ``.pdopt`` that is written here opens with ``paddle.load``.
"""

from __future__ import annotations

import io
import math
import pickle
import re
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from paddle_mnist.errors import UserError, quote
from paddle_mnist.storage import bounded_json, unpickle
from paddle_mnist.storage.files import PathLike, atomic_write, os_errors_as, read_bytes

StateDict = dict[str, np.ndarray]

# The largest net here has 2 MB of weights. Reading takes up to five times a file's size, so this keeps it below 100 MB.
MAX_FILE_BYTES = 16 << 20
MAX_ENTRIES = 4096
MAX_NAME = 256
MAX_SAFETENSORS_HEADER = 1 << 20
MAX_NPY_HEADER = 4096
MAX_DIMENSIONS = 32
MAX_STATE_DEPTH = 8

# What unpacking may raise on damaged bytes.
_ZIP_ERRORS = (zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, struct.error, EOFError, OverflowError)

_SAFETENSORS_DTYPES = {
    **{"BOOL": "?", "F16": "<f2", "F32": "<f4", "F64": "<f8"},
    **{f"{kind}{8 * size}": f"<{kind.lower()}{size}" for kind in "IU" for size in (1, 2, 4, 8)},
}

# How every writer of .npy files spells a header; what Python's own parser would make of another is not asked.
_NPY_HEADER = re.compile(
    rb"\s*\{\s*'descr':\s*'([^']{1,40})',\s*'fortran_order':\s*(True|False),\s*'shape':\s*\(([\d, ]*)\),?\s*\}\s*"
)

_ZIP = b"PK\3\4"  # how an .npz begins

# How the files of other programs begin.
_OTHER_FILES = {
    _ZIP: "an archive as torch.save writes it",
    b"\x89HDF\r\n": "an HDF5 file as Keras writes it",
    b"\x1f\x8b": "a file that is packed with gzip",
    b"version https://git-lfs": "a pointer of Git LFS to the file",
    b"<": "a web page",
}

# Where ``paddle.save`` notes which parameter each name stands for; no net needs it to be loaded.
NAME_TABLE = "StructuredToParameterName@@"


def load_state_dict(path: PathLike) -> StateDict:
    """Read a net's parameters from a file that may come from anywhere.

    Args:
        path: a ``.pdparams`` as ``paddle.save`` of Paddle 2.0 to 3.3 writes it (pickle protocols 2 to 4), a ``.pkl``
            that holds a dict of arrays in any protocol, a ``.safetensors``, or an ``.npz``. The suffix decides how it
            is read.

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
    reader = _by_suffix(path, _READERS)
    _check_beginning(data, path)
    return _arrays(reader(data, str(path)), str(path))


def save_state_dict(path: PathLike, state: Mapping[str, np.ndarray]) -> None:
    """Write a net's parameters to a file that appears only when it is complete.

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
    source = f"the state to save as {path}"
    return _by_suffix(Path(path), _WRITERS)(_arrays(state, source))


def check_state_dict(state: Mapping[str, np.ndarray], expected: Mapping[str, Any], source: str = "the state") -> None:
    """Make sure that arrays fit a net, before any of them is assigned.

    Args:
        state: the arrays by name.
        expected: for each name an array of the right shape and dtype, or a pair ``(shape, dtype)``.
        source: names the file in the error.

    Raises:
        UserError: names what is missing or unknown, or has another shape or dtype.
    """
    missing = [name for name in expected if name not in state]
    surplus = [name for name in state if name not in expected]
    if missing or surplus:
        found = [f"lacks {_listed(missing)}"] * bool(missing) + [f"has the unknown {_listed(surplus)}"] * bool(surplus)
        raise UserError(f"{source} {' and '.join(found)}, so it belongs to another net")
    for name, pattern in expected.items():
        shape, dtype = _shape_and_dtype(pattern)
        if state[name].shape != tuple(shape):
            raise UserError(f"{source}: {quote(name)} must have the shape {list(shape)}, got {list(state[name].shape)}")
        if state[name].dtype != np.dtype(dtype):
            raise UserError(f"{source}: {quote(name)} must be {np.dtype(dtype)}, got {state[name].dtype}")


def check_optimizer_state(
    state: Mapping[str, Any],
    parameters: Mapping[str, Any],
    accumulators: Collection[str],
    source: str = "the optimizer's state",
) -> None:
    """Make sure that an optimizer's state fits a net, before any of it is assigned.

    Args:
        state: what ``parse_optimizer_state`` returned; an empty one, of an optimizer that has not stepped yet, fits.
        parameters: for each of Paddle's own parameter names (``linear_0.w_0``) an array of the right shape and dtype,
            or a pair ``(shape, dtype)``.
        accumulators: what the optimizer keeps of each parameter, such as ``{"velocity_0"}`` of ``Momentum``; Paddle
            names the array of the first ``linear_0.w_0_velocity_0``.
        source: names the file in the error.

    Raises:
        UserError: names what is missing or unknown, or has another shape or dtype. An array has its
            parameter's shape; the powers of Adam's betas (``…_pow_acc_0``) have one element.
    """
    arrays = {name: value for name, value in state.items() if name != "LR_Scheduler"}
    patterns = {
        f"{name}_{accumulator}": pattern for name, pattern in parameters.items() for accumulator in accumulators
    }
    for name, value in arrays.items():
        if not isinstance(value, np.ndarray):
            raise UserError(f"{source} has {quote(name)}, which this optimizer does not keep")
    for name in patterns:
        if name.endswith("_pow_acc_0"):
            patterns[name] = ((1,), _shape_and_dtype(patterns[name])[1])
    if arrays:
        check_state_dict(arrays, patterns, source)
    schedule = state.get("LR_Scheduler", {})
    if not isinstance(schedule, dict) or any(isinstance(value, (dict, np.ndarray)) for value in schedule.values()):
        raise UserError(f"{source}: 'LR_Scheduler' must be a dict of plain values")


def parse_optimizer_state(data: bytes, path: PathLike) -> dict[str, Any]:
    """Read an optimizer's state from the bytes of a ``.pdopt`` that may come from anywhere.

    Args:
        data: the file's bytes.
        path: the file, for error messages.

    Returns:
        The accumulators by name, and dicts of plain values or arrays such as ``"LR_Scheduler"``.

    Raises:
        UserError: the bytes are damaged, or hold anything but arrays, plain values and dicts and lists of them, or a
            number that is NaN or infinite.
    """
    return _states(_unpickled(data, str(path)), str(path))


def dump_optimizer_state(state: Mapping[str, Any], path: PathLike) -> bytes:
    """Return an optimizer's state as the bytes of a ``.pdopt``, which opens with ``paddle.load``.

    Args:
        state: arrays, plain values, and dicts and lists of them, by name.
        path: the file that they are for, for error messages.

    Raises:
        UserError: something in it has another type or is not finite.
    """
    return _pickled(_states(state, f"the state to save as {path}"))


# Reading.


def _check_beginning(data: bytes, path: Path) -> None:
    """Refuse by name the files of other programs that are often renamed to a suffix that is read here."""
    suffix = path.suffix.lower()
    if (suffix == ".npz" and data.startswith(_ZIP)) or (suffix == ".safetensors" and data[8:9] == b"{"):
        return
    for begin, kind in _OTHER_FILES.items():
        if data.startswith(begin):
            raise UserError(
                f"{path} must be what its suffix says, got {kind}: save its arrays with numpy.savez as .npz"
            )


def _unpickled(data: bytes, source: str) -> dict[Any, Any]:
    content = unpickle.load(data, source)
    if not isinstance(content, dict):
        raise UserError(f"{source} must hold a dict of named arrays, got an object of type {type(content).__name__}")
    return {name: value for name, value in content.items() if name != NAME_TABLE}


def _read_safetensors(data: bytes, source: str) -> StateDict:
    """Read the format of https://huggingface.co/docs/safetensors: a header's size, the header in JSON, the numbers."""
    size = int.from_bytes(data[:8], "little")
    if len(data) < 8 or size > min(len(data) - 8, MAX_SAFETENSORS_HEADER):
        raise UserError(f"{source} claims a header of {size:,} bytes, more than it has or more than are read")
    header = bounded_json.parse_object(data[8 : 8 + size], f"the header of {source}")
    header.pop("__metadata__", None)
    if len(header) > MAX_ENTRIES:
        raise UserError(f"{source} must hold at most {MAX_ENTRIES:,} arrays, got {len(header):,}")
    end, state = 8 + size, {}
    entries = sorted(((_safetensors_entry(name, entry, source), name) for name, entry in header.items()))
    for (begin, length, dtype, shape), name in entries:
        if 8 + size + begin != end or length > len(data) - end:
            raise UserError(f"{source}: the numbers of {quote(name)} are missing or out of place")
        state[name] = np.ndarray(shape, dtype, data, end)
        end += length
    if end != len(data):
        raise UserError(f"{source} has {len(data) - end:,} bytes that belong to no array, so it is damaged")
    return {name: state[name] for name in header}


def _safetensors_entry(name: str, entry: Any, source: str) -> tuple[int, int, str, tuple[int, ...]]:
    """Return where an array begins, how many bytes it has, its dtype and its shape."""
    match entry:
        case {"dtype": str(kind), "shape": list(shape), "data_offsets": [int(begin), int(end)]}:
            if kind not in _SAFETENSORS_DTYPES:
                raise UserError(f"{source}: {quote(name)} must hold real numbers that NumPy has, got {quote(kind)}")
            dtype = _SAFETENSORS_DTYPES[kind]
            if all(type(length) is int and 0 <= length < 1 << 40 for length in shape) and len(shape) <= MAX_DIMENSIONS:
                length = math.prod(shape) * np.dtype(dtype).itemsize
                if begin >= 0 and end - begin == length <= MAX_FILE_BYTES and math.prod(filter(None, shape)) < 1 << 50:
                    return begin, length, dtype, tuple(shape)
    raise UserError(f"{source}: {quote(name)} has no shape and place that an array can have")


def _read_npz(data: bytes, source: str) -> StateDict:
    # Entries of the directory at the end are counted before Python makes an object of each.
    if data.count(b"PK\1\2") > MAX_ENTRIES:
        raise UserError(f"{source} holds more than the {MAX_ENTRIES:,} arrays that are read")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            declared = sum(member.file_size for member in members)
            if declared > MAX_FILE_BYTES:
                raise UserError(
                    f"{source} would unpack to {declared:,} bytes, more than the {MAX_FILE_BYTES:,} that are read"
                )
            # Members that lie in the same place would be unpacked again for each of them.
            packed = sum(member.compress_size for member in members)
            if packed > len(data):
                raise UserError(f"{source} claims {packed:,} bytes of packed arrays, more than it has")
            return {
                member.filename.removesuffix(".npy"): _read_npy(_member(archive, member), member.filename, source)
                for member in members
            }
    except UserError:
        raise
    except (*_ZIP_ERRORS, OSError, RuntimeError, ValueError) as error:
        raise UserError(f"{source} is not a complete .npz file: {quote(error, 160)}") from error


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{quote(member.filename)} is packed in a way that NumPy does not use")
    with archive.open(member) as file:
        # Asked for no size, it would unpack all there is, whatever size was declared.
        return file.read(member.file_size)


def _read_npy(data: bytes, name: str, source: str) -> np.ndarray:
    """Read one array, comparing the size that it declares with the bytes that are there."""
    size_of_length = {b"\x93NUMPY\1\0": 2, b"\x93NUMPY\2\0": 4}.get(data[:8], 0)
    begin = 8 + size_of_length
    end = begin + int.from_bytes(data[8:begin], "little")
    header = _NPY_HEADER.fullmatch(data[begin:end]) if size_of_length and end <= begin + MAX_NPY_HEADER else None
    if header is None or end > len(data):
        raise UserError(f"{source}: {quote(name)} is not an array that NumPy has written, or is cut off")
    descr = header[1].decode("latin-1")
    if not re.fullmatch("[<>|=]?(b1|[iu][1248]|f[248])", descr):
        raise UserError(f"{source}: {quote(name)} must hold real numbers, got the dtype {quote(descr)}")
    dtype, lengths = np.dtype(descr), [length.strip() for length in header[3].split(b",")]
    shape = [int(length) for length in lengths if length.isdigit() and len(length) < 20]
    if len(shape) != len(list(filter(None, lengths))) or len(shape) > MAX_DIMENSIONS:
        raise UserError(f"{source}: {quote(name)} has no shape that an array can have")
    if math.prod(shape) * dtype.itemsize != len(data) - end:
        raise UserError(
            f"{source}: {quote(name)} claims the shape {quote(shape)} of {dtype}, but has {len(data) - end:,} bytes"
        )
    try:
        return np.ndarray(shape, dtype, data, end, order="F" if header[2] == b"True" else "C")
    except ValueError as error:  # an empty array whose other lengths are beyond NumPy
        raise UserError(f"{source}: {quote(name)} has no shape that an array can have") from error


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
    ".pkl": _unpickled,
    ".safetensors": _read_safetensors,
    ".npz": _read_npz,
}
_WRITERS: dict[str, Callable[[StateDict], bytes]] = {
    ".pdparams": _pickled,
    ".safetensors": _dump_safetensors,
    ".npz": _dump_npz,
}


def _by_suffix(path: Path, functions: dict[str, Callable[..., Any]]) -> Callable[..., Any]:
    try:
        return functions[path.suffix.lower()]
    except KeyError:
        known = ", ".join(functions)
        raise UserError(f"{path} must end in one of {known}, got {quote(path.suffix)}") from None


# What both directions demand of names and values.


def _name(name: Any, source: str) -> str:
    """Return the name, one object for equal names: a pickle notes which of its strings are the same object."""
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME:
        raise UserError(f"{source}: an entry's name must be a text of 1 to {MAX_NAME} characters, got {quote(name)}")
    return sys.intern(str(name))


class _Copier:
    """Copies arrays and containers out of what was read, within a budget.

    A pickle can name one object many times, so a few bytes may stand for any number of copies.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        self.entries = MAX_ENTRIES
        self.bytes = MAX_FILE_BYTES

    def array(self, name: str, value: Any) -> np.ndarray:
        """Return a C-contiguous copy of an array of finite numbers, in the machine's byte order.

        Paddle 2.1 and later write a tensor inside other containers as a pair of its name and its array.
        """
        if isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str):
            value = value[1]
        if not isinstance(value, np.ndarray):
            raise UserError(f"{self.source}: {quote(name)} must be an array, got the type {type(value).__name__}")
        _check_dtype(value.dtype, name, self.source)
        self._spend(name, value.nbytes)
        # A fresh array of a built-in dtype: shared or exotic objects would show in the bytes of a pickle.
        array = np.array(value, dtype=np.dtype(value.dtype.char), order="C", subok=False)
        if array.dtype.kind == "b" and (array.view(np.uint8) > 1).any():
            raise UserError(f"{self.source}: {quote(name)} has a boolean that is neither 0 nor 1")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            count = int(np.count_nonzero(~np.isfinite(array)))
            raise UserError(
                f"{self.source}: {quote(name)} has {count:,} of {array.size:,} values that are NaN or infinite"
            )
        return array

    def nested(self, name: str, value: Any, depth: int = 0) -> Any:
        """Return a copy of arrays, plain values, and dicts and lists of them."""
        self._spend(name, 0)
        if depth > MAX_STATE_DEPTH:
            raise UserError(f"{self.source}: {quote(name)} nests more than {MAX_STATE_DEPTH} levels deep")
        if isinstance(value, dict):
            return {
                _name(key, self.source): self.nested(f"{name}.{key}", item, depth + 1) for key, item in value.items()
            }
        if isinstance(value, list):
            return [self.nested(f"{name}.{index}", item, depth + 1) for index, item in enumerate(value)]
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, float) and not math.isfinite(value):
            raise UserError(f"{self.source}: {quote(name)} must be a finite number, got {value}")
        if value is None or type(value) in (bool, int, float, str):
            return sys.intern(value) if isinstance(value, str) else value
        return self.array(name, value)

    def _spend(self, name: str, size: int) -> None:
        self.entries -= 1
        self.bytes -= size
        if self.entries < 0 or self.bytes < 0:
            raise UserError(
                f"{self.source} holds more than {MAX_ENTRIES:,} entries or {MAX_FILE_BYTES:,} bytes of numbers "
                f"(at {quote(name)})"
            )


def _arrays(entries: Mapping[Any, Any], source: str) -> StateDict:
    copier = _Copier(source)
    return {_name(name, source): copier.array(name, value) for name, value in entries.items()}


def _states(entries: Mapping[Any, Any], source: str) -> dict[str, Any]:
    copier = _Copier(source)
    return {_name(name, source): copier.nested(name, value) for name, value in entries.items()}


def _shape_and_dtype(pattern: Any) -> tuple[Any, Any]:
    return (pattern.shape, pattern.dtype) if hasattr(pattern, "shape") else pattern


def _check_dtype(dtype: np.dtype, name: str, source: str) -> None:
    if dtype.kind not in "fiub" or dtype.itemsize > 8:
        raise UserError(f"{source}: {quote(name)} must hold real numbers, got the dtype {quote(dtype)}")


def _listed(names: list[str], most: int = 4) -> str:
    shown = ", ".join(quote(name) for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"

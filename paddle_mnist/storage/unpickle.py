"""Pickles read as data.

A pickle is a program for a small stack machine, and two of its instructions call whatever Python function the file
names. So ``pickle.load`` is not used here. The standard library's ``pickletools`` decodes the instructions; this module
carries out those that build plain values, and calls nothing. The few names that NumPy and Paddle write are recognised
by their spelling and stand for methods of this module; every other name is refused, and none is ever imported.

The cost of a hostile file is bounded as well. A length is believed only as far as there are bytes left. Every byte that
an instruction copies, checks or compares is charged to a budget that is proportional to the file's size, so the time
is linear in that size. A result that refers to itself, or unfolds to more values than are read, is refused.

CPython's own unpickler cannot bound its memory (https://github.com/python/cpython/issues/115952).
"""

from __future__ import annotations

import io
import math
import pickletools
import re
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from paddle_mnist.errors import UserError, quote

MAX_STEPS = 500_000
MAX_VALUES = 500_000
MAX_DEPTH = 100
MAX_INTEGER_BITS = 256
MAX_LINE = 256  # of a number or a name in the oldest protocol
WORK_PER_BYTE = 4  # in a valid file each byte is decoded, checked and copied once

ALLOWED = "only NumPy arrays of numbers, numbers, strings, bytes, lists, tuples and dicts are read from a pickle"


def load(data: bytes, source: str = "the pickle") -> Any:
    """Read one pickle, of any protocol and from Python 2 as well, without running anything in it.

    Args:
        data: the pickle.
        source: names it in errors, such as the path of its file.

    Returns:
        What was pickled, made of NumPy arrays and scalars (booleans, integers, floats, complex numbers; native or
        swapped bytes as they were written), ``None``, bool, int, float, complex, str, bytes, list, tuple, dict and
        ``OrderedDict``. Arrays are the caller's own and writable. Python 2's byte strings become str, each byte a
        character (Latin-1), and a bytearray becomes bytes. A tensor that ``paddle.save`` pickled is returned as Paddle
        wrote it: a ``(name, array)`` tuple, or the array.

    Raises:
        UserError: it holds anything else, or is damaged; the message names the source, what was found and the byte.
    """
    return _Machine(data, source).run()


class _Internal:
    """An intermediate object on the stack, which must not be part of the result."""

    __slots__ = ()


class _Name(_Internal):
    """A name that the file wants to call, known by its spelling alone."""

    __slots__ = ("meaning",)

    def __init__(self, meaning: str) -> None:
        self.meaning = meaning


class _Dtype(_Internal):
    """A dtype whose byte order may still follow."""

    __slots__ = ("code", "order")

    def __init__(self, code: str) -> None:
        self.code = code
        self.order = "="


class _Array(_Internal):
    """An array whose shape and numbers are still to follow, and the memo's keys under which it is then replaced."""

    __slots__ = ("keys",)

    def __init__(self) -> None:
        self.keys: list[int] | None = []


# Module and name, as they were written over the years, and what they stand for in ``_Machine.call``.
_NAMES = {
    (module, name): meaning
    for modules, name, meaning in (
        (("numpy",), "ndarray", "ndarray"),
        (("numpy",), "dtype", "dtype"),
        (("numpy.core.multiarray", "numpy._core.multiarray"), "_reconstruct", "array"),
        (("numpy.core.multiarray", "numpy._core.multiarray"), "scalar", "scalar"),
        (("numpy.core.numeric", "numpy._core.numeric"), "_frombuffer", "frombuffer"),
        (("collections",), "OrderedDict", "ordered_dict"),
        (("_codecs",), "encode", "encode"),
        (("__builtin__", "builtins"), "bytes", "bytes"),
        (("__builtin__", "builtins"), "bytearray", "bytes"),
        (("__builtin__", "builtins"), "complex", "complex"),
        # How paddle.save writes a tensor, tuple((name, array)), and a dense tensor, eval("data", {"data": array}).
        (("__builtin__", "builtins"), "tuple", "tuple"),
        (("__builtin__", "builtins"), "eval", "dense_tensor"),
    )
    for module in modules
}
_DTYPE_CODES = frozenset(("b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16"))
_ORDERS = frozenset("<>|=")


class _Machine:
    """The stack machine: from the first instruction to STOP."""

    def __init__(self, data: bytes, source: str) -> None:
        self.data, self.source = data, source
        self.stream = io.BytesIO(data)
        self.position = 0  # where the current instruction begins, for error messages
        self.work = WORK_PER_BYTE * len(data) + 4096
        self.stack: list[Any] = []
        self.outer: list[list[Any]] = []  # the stacks that MARK has set aside
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        """Carry out every instruction and return the value that is left."""
        for _ in range(MAX_STEPS):
            name, argument = self.decode()
            if name == "STOP":
                return self.result()
            if name in _LITERALS:
                self.stack.append(argument)
            else:
                _STEPS[name](self, argument)
        self.refuse(f"it has more than {MAX_STEPS} instructions")

    def decode(self) -> tuple[str, Any]:
        """Return the next instruction's name and argument."""
        self.position = self.stream.tell()
        code = self.stream.read(1)
        if code not in _OPCODES:
            self.refuse(f"{code!r} is not an instruction" if code else "it ends before its last instruction")
        opcode = _OPCODES[code]
        if opcode.name not in _ALLOWED_NAMES:
            self.refuse(f"the instruction {opcode.name} is not allowed ({ALLOWED})")
        if opcode.arg is None:
            return opcode.name, None
        if opcode.name in _LINES and self.data.find(b"\n", self.position, self.position + MAX_LINE) < 0:
            self.refuse("a number or a name is cut off, or too long")
        try:
            argument = _READERS.get(opcode.name, opcode.arg.reader)(self.stream)
        except ValueError as error:
            self.refuse(f"the instruction {opcode.name} is damaged: {quote(error, 120)}")
        if type(argument) is int and argument.bit_length() > MAX_INTEGER_BITS:
            self.refuse(f"an integer must have at most {MAX_INTEGER_BITS} bits, got {argument.bit_length()}")
        return opcode.name, bytes(argument) if type(argument) is bytearray else argument

    def result(self) -> Any:
        """Return the one value on the stack, after walking through all of it."""
        value = self.pop()
        if self.stack or self.outer or self.stream.tell() < len(self.data):
            self.refuse("more follows after the pickled value")
        count, layer = 0, [value]
        for _ in range(MAX_DEPTH):
            deeper: list[Any] = []
            count += len(layer)
            for item in layer:
                if isinstance(item, _Internal):
                    self.refuse(f"a part of it is unfinished ({ALLOWED})")
                if isinstance(item, (list, tuple)):
                    deeper.extend(item)
                elif isinstance(item, dict):
                    deeper.extend(item.values())
                if count + len(deeper) > MAX_VALUES:
                    self.refuse(f"it unfolds to more than {MAX_VALUES} values")
            if not deeper:
                return value
            layer = deeper
        self.refuse(f"it is nested more than {MAX_DEPTH} deep, or contains itself")

    def refuse(self, what: str) -> NoReturn:
        """Give up, naming the source and the byte."""
        raise UserError(f"{self.source}: cannot be read as a pickle of plain data: {what}, at byte {self.position}")

    def charge(self, size: int) -> None:
        """Account for bytes that are about to be copied, checked or compared."""
        self.work -= size
        if self.work < 0:
            self.refuse("it takes too much work or memory for its size")

    # The stack, the memo and containers

    def pop(self) -> Any:
        """Take the topmost value."""
        if not self.stack:
            self.refuse("a value is missing")
        return self.stack.pop()

    def pop_to_mark(self) -> list[Any]:
        """Take all values down to the topmost mark."""
        if not self.outer:
            self.refuse("a mark is missing")
        values, self.stack = self.stack, self.outer.pop()
        return values

    def mark(self) -> None:
        """Begin a new stack on top of this one."""
        self.outer.append(self.stack)
        self.stack = []

    def discard(self) -> None:
        """Drop the topmost value, or a mark with nothing above it."""
        if self.stack or not self.outer:
            self.pop()
        else:
            self.pop_to_mark()

    def top(self, kind: type) -> Any:
        """Return the topmost value, which must be of a kind, and leave it there."""
        if not self.stack or not isinstance(self.stack[-1], kind):
            self.refuse(f"a {kind.__name__} was expected to add to")
        return self.stack[-1]

    def put(self, key: int) -> None:
        """Remember the topmost value."""
        if not 0 <= key < 1 << 32:  # larger keys could be made to collide
            self.refuse(f"{key} is not a key under which a value is remembered")
        value = self.pop()
        self.stack.append(value)
        if isinstance(value, _Array) and value.keys is not None:
            value.keys.append(key)
        self.memo[key] = value

    def get(self, key: int) -> None:
        """Push a remembered value."""
        if key not in self.memo:
            self.refuse(f"the value {key} is used before it is stored")
        self.stack.append(self.memo[key])

    def push_tuple(self, size: int) -> None:
        """Replace the topmost values with a tuple of them."""
        if len(self.stack) < size:
            self.refuse("a value is missing")
        self.stack[-size:] = [tuple(self.stack[-size:])]

    def push(self, value: Any) -> None:
        """Push a value."""
        self.stack.append(value)

    def duplicate(self) -> None:
        """Push the topmost value once more."""
        value = self.pop()
        self.stack += [value, value]

    def append(self, value: Any) -> None:
        """Append to the list on top."""
        self.top(list).append(value)

    def append_all(self, values: list[Any]) -> None:
        """Append several values to the list on top."""
        self.top(list).extend(values)

    def set_items(self, target: dict[Any, Any], values: list[Any]) -> None:
        """Set keys and values that follow each other."""
        if len(values) % 2:
            self.refuse("a key has no value")
        for key, value in zip(values[::2], values[1::2], strict=True):
            # Only keys whose hashes are quick to compute and cannot be made to collide.
            if type(key) in (str, bytes):
                self.charge(len(key))  # it may be compared with an equal one
            elif type(key) not in (int, bool, type(None)) or (type(key) is int and abs(key) >= 1 << 31):
                self.refuse(f"a key of a dict must be a string or a small integer, got a {type(key).__name__}")
            target[key] = value

    def set_all(self, values: list[Any]) -> None:
        """Set keys and values that follow each other in the dict on top."""
        self.set_items(self.top(dict), values)

    def set_one(self) -> None:
        """Set one key of the dict on top."""
        value, key = self.pop(), self.pop()
        self.set_items(self.top(dict), [key, value])

    def make_dict(self, values: list[Any]) -> None:
        """Push a dict of keys and values that follow each other."""
        self.stack.append({})
        self.set_items(self.stack[-1], values)

    # Calls: the known names stand for these

    def push_name(self, module: Any, name: Any) -> None:
        """Look up a name among those that are known."""
        if not isinstance(module, str) or not isinstance(name, str):
            self.refuse("a name is not a string")
        if (module, name) not in _NAMES:
            self.refuse(f"it names {quote(module)} {quote(name)}, which is not allowed ({ALLOWED})")
        self.stack.append(_Name(_NAMES[module, name]))

    def push_popped_name(self) -> None:
        """Look up a name whose parts are on the stack."""
        name, module = self.pop(), self.pop()
        self.push_name(module, name)

    def reduce(self) -> None:
        """Replace a call by the value that it builds."""
        arguments, name = self.pop(), self.pop()
        if not isinstance(name, _Name) or not isinstance(arguments, tuple) or len(arguments) > 4:
            self.refuse("something other than a known name is called")
        self.stack.append(self.call(name.meaning, arguments))

    def call(self, meaning: str, arguments: tuple[Any, ...]) -> Any:
        """Match a call against the forms in which the known names are written, and build the value.

        Literals stand in their type, ``int(0)``, so that an array is never compared with them element by element.
        """
        match (meaning, *arguments):
            case ("array", _Name(meaning="ndarray"), (int(0),), bytes(b"b") | str("b")):
                return _Array()
            case ("dtype", str(code), int(0), int(1)) if code in _DTYPE_CODES:
                return _Dtype(code)
            case ("scalar", _Dtype() as dtype, bytes() | str() as octets):
                return self.array(dtype, (), "C", octets)[()]
            case ("frombuffer", bytes() as octets, _Dtype() as dtype, tuple(shape), str("C") | str("F") as order):
                return self.array(dtype, shape, order, octets)
            case ("encode", str(text), str("latin1") | str("latin-1")):
                return self.latin1(text)
            case ("bytes",):
                return b""
            case ("bytes", bytes() as octets):
                return octets
            case ("bytes", str(text), str("latin1") | str("latin-1")):
                return self.latin1(text)
            case ("complex", float(real), float(imaginary)):
                return complex(real, imaginary)
            case ("tuple", list() | tuple() as values):
                self.charge(8 * len(values))
                return tuple(values)
            case ("dense_tensor", str("data"), {"data": np.ndarray() as array}):
                return array
            case ("ordered_dict",):
                return OrderedDict()
            case ("ordered_dict", list(pairs)):  # as Python 2 writes it
                return self.ordered_dict(pairs)
        self.refuse(f"a call for a {meaning} has unknown arguments ({ALLOWED})")

    def ordered_dict(self, pairs: list[Any]) -> OrderedDict[Any, Any]:
        """Build a dict from its [key, value] pairs."""
        self.charge(16 * len(pairs))
        result: OrderedDict[Any, Any] = OrderedDict()
        for pair in pairs:
            if not isinstance(pair, (list, tuple)) or len(pair) != 2:
                self.refuse("an OrderedDict is made of something other than pairs")
            self.set_items(result, list(pair))
        return result

    def build(self) -> None:
        """Finish an array or a dtype with what follows its call."""
        state, target = self.pop(), self.pop()
        match (target, state):
            case (
                _Array(keys=list(keys)),
                (int(1), tuple(shape), _Dtype() as dtype, int(fortran), bytes() | str() as octets),
            ):
                array = self.array(dtype, shape, "F" if fortran else "C", octets)
                for key in keys:
                    self.memo[key] = array
                target.keys = None  # once only: each time, all its keys are set
                self.stack.append(array)
            case (_Dtype(), (int(3), str(order), None, None, None, int(-1), int(-1), int(0))) if order in _ORDERS:
                target.order = order
                self.stack.append(target)
            case _:
                self.refuse(f"an object is given a state that no array of numbers has ({ALLOWED})")

    def array(self, dtype: _Dtype, shape: tuple[Any, ...], order: str, octets: bytes | str) -> np.ndarray:
        """Make an array of bytes, which must be exactly as many as it takes."""
        if len(shape) > 32 or not all(type(length) is int and length >= 0 for length in shape):
            self.refuse("an array's shape is not a short tuple of lengths")
        if isinstance(octets, str):  # Python 2
            octets = self.latin1(octets)
        self.charge(len(octets))
        kind = np.dtype(dtype.order + dtype.code)
        if math.prod(shape) * kind.itemsize != len(octets):
            self.refuse(f"an array of shape {quote(shape)} and dtype {kind} has {len(octets)} bytes of numbers")
        if kind.kind == "b" and octets.strip(b"\x00\x01"):
            self.refuse("a boolean is neither 0 nor 1")
        try:
            array = np.ndarray(shape, kind, buffer=octets, order="F" if order == "F" else "C")
            return array.copy(order="K")
        except ValueError:  # an empty array whose other lengths are beyond NumPy
            self.refuse(f"no array has the shape {quote(shape)}")

    def latin1(self, text: str) -> bytes:
        """Turn characters back into the bytes they stand for."""
        self.charge(len(text))
        try:
            return text.encode("latin-1")
        except UnicodeEncodeError:
            self.refuse("a byte was expected, got a character")

    def check_protocol(self, version: int) -> None:
        """Refuse protocols that did not exist when this was written."""
        if version > 5:
            self.refuse(f"its protocol must be 0 to 5, got {version}")

    def check_frame(self, size: int) -> None:
        """Refuse a frame that is longer than what is left of the file."""
        if size > len(self.data) - self.stream.tell():
            self.refuse("it ends before the frame that it announces")


def _read_names(stream: io.BytesIO) -> tuple[str, ...]:
    """Return a module and a name, a line each."""
    return tuple(stream.readline().removesuffix(b"\n").decode("latin-1") for _ in range(2))


def _read_python2_string(stream: io.BytesIO) -> str:
    """Undo Python 2's ``repr`` of a byte string, each byte a character."""
    line = stream.readline()
    quoted = line[:-1]
    if line[-1:] != b"\n" or len(quoted) < 2 or quoted[:1] not in (b"'", b'"') or quoted[-1:] != quoted[:1]:
        raise ValueError("a string without quotes, or without an end")
    return re.sub(rb"\\(x[0-9a-fA-F]{2}|.)", _unescape, quoted[1:-1]).decode("latin-1")


def _unescape(match: re.Match[bytes]) -> bytes:
    escaped = match[1]
    if len(escaped) == 3:
        return bytes.fromhex(escaped[1:].decode("ascii"))
    if escaped not in _ESCAPES:
        raise ValueError("an unknown escape")
    return _ESCAPES[escaped]


_ESCAPES = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"\\": b"\\", b"'": b"'", b'"': b'"'}

# pickletools undoes escapes with warnings, and takes Python 2's strings for ASCII.
_READERS = {"GLOBAL": _read_names, "STRING": _read_python2_string}

_OPCODES = {opcode.code.encode("latin-1"): opcode for opcode in pickletools.opcodes}

# Instructions that push their argument, those whose argument is a short line of text, and what the others do.
_NUMBERS = frozenset(("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"))
_TEXTS = frozenset(("STRING", "BINSTRING", "SHORT_BINSTRING"))  # of Python 2
_UNICODE = frozenset(("UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"))
_BYTES = frozenset(("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"))
_LITERALS = _NUMBERS | _TEXTS | _UNICODE | _BYTES | {"NONE"}
_LINES = frozenset(("INT", "LONG", "FLOAT", "GET", "PUT", "GLOBAL"))
_STEPS: dict[str, Callable[[_Machine, Any], object]] = {
    "NEWTRUE": lambda m, _: m.push(True),
    "NEWFALSE": lambda m, _: m.push(False),
    "EMPTY_LIST": lambda m, _: m.push([]),
    "EMPTY_TUPLE": lambda m, _: m.push(()),
    "EMPTY_DICT": lambda m, _: m.push({}),
    "APPEND": lambda m, _: m.append(m.pop()),
    "APPENDS": lambda m, _: m.append_all(m.pop_to_mark()),
    "LIST": lambda m, _: m.push(m.pop_to_mark()),
    "TUPLE": lambda m, _: m.push(tuple(m.pop_to_mark())),
    "TUPLE1": lambda m, _: m.push_tuple(1),
    "TUPLE2": lambda m, _: m.push_tuple(2),
    "TUPLE3": lambda m, _: m.push_tuple(3),
    "DICT": lambda m, _: m.make_dict(m.pop_to_mark()),
    "SETITEM": lambda m, _: m.set_one(),
    "SETITEMS": lambda m, _: m.set_all(m.pop_to_mark()),
    "MARK": lambda m, _: m.mark(),
    "POP": lambda m, _: m.discard(),
    "POP_MARK": lambda m, _: m.pop_to_mark(),
    "DUP": lambda m, _: m.duplicate(),
    "PUT": _Machine.put,
    "BINPUT": _Machine.put,
    "LONG_BINPUT": _Machine.put,
    "MEMOIZE": lambda m, _: m.put(len(m.memo)),
    "GET": _Machine.get,
    "BINGET": _Machine.get,
    "LONG_BINGET": _Machine.get,
    "GLOBAL": lambda m, names: m.push_name(*names),
    "STACK_GLOBAL": lambda m, _: m.push_popped_name(),
    "REDUCE": lambda m, _: m.reduce(),
    "BUILD": lambda m, _: m.build(),
    "PROTO": _Machine.check_protocol,
    "FRAME": _Machine.check_frame,
}
_ALLOWED_NAMES = _LITERALS | _STEPS.keys() | {"STOP"}

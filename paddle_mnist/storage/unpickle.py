"""Pickles read as data.

A pickle is a program for a small stack machine, and two of its instructions call whatever Python function the file
names. So nothing here uses ``pickle.load``: this module has its own stack machine, which knows the instructions that
build plain values and carries out no call that the file asks for. The few names that NumPy and Paddle write are
recognised by their spelling and stand for code of this module; any other name is refused, and none is ever imported.

What a hostile file can cost is bounded too: a length is believed only as far as there are bytes left, copies and
steps are counted, and a result that refers to itself, or unfolds to more than its file could hold, is refused.

The instructions are those of CPython's ``Lib/pickletools.py``, where each is described.
"""

from __future__ import annotations

import math
import os
import re
import struct
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from paddle_mnist.errors import UserError

MAX_STEPS = 500_000
MAX_VALUES = 500_000
MAX_DEPTH = 100

ALLOWED = "only NumPy arrays of numbers, numbers, strings, bytes, lists, tuples and dicts are read from a pickle"


def load(source: str | os.PathLike[str] | bytes, *, max_bytes: int = 1 << 30, name: str | None = None) -> Any:
    """Read one pickle, of any protocol and from Python 2 as well, without running anything in it.

    Args:
        source: a path, or the pickle itself.
        max_bytes: a larger file is refused before it is read.
        name: what errors call the pickle; by default its path.

    Returns:
        What was pickled, made of NumPy arrays and scalars (booleans, integers, floats, complex numbers; native or
        swapped bytes as they were written), ``None``, bool, int, float, complex, str, bytes, list, tuple, dict and
        ``OrderedDict``. Arrays are the caller's own and can be written to. Python 2's byte strings come back as
        str, each byte a character (Latin-1), and a bytearray comes back as bytes. A tensor that ``paddle.save``
        pickled comes back as Paddle left it there: a ``(name, array)`` tuple, or the array.

    Raises:
        UserError: the file holds anything else, is damaged, or is larger than ``max_bytes``; the message names
            the file, what was found and at which byte.
        OSError: the file cannot be read.
    """
    if isinstance(source, bytes):
        name = name or "the pickle"
        _check_size(len(source), max_bytes, name)
        return _Machine(source, name).run()
    name = name or os.fspath(source)
    if not Path(source).is_file() and Path(source).exists():
        raise UserError(f"{name}: this is not a regular file; give the path of a pickle")
    with open(source, "rb") as file:
        _check_size(os.fstat(file.fileno()).st_size, max_bytes, name)
        return _Machine(file.read(), name).run()


def _check_size(size: int, max_bytes: int, name: str) -> None:
    if size > max_bytes:
        raise UserError(f"{name}: {size} bytes, where at most {max_bytes} are read; raise max_bytes if you trust it")


class _Internal:
    """What may lie on the stack to build a value with, but must not be part of the result."""

    __slots__ = ()


class _Mark(_Internal):
    """Where on the stack the items of a tuple, list or dict begin."""


class _Name(_Internal):
    """A name that the file wants called, known by its spelling alone."""

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
    """An array whose shape and numbers are still to follow, and where in the memo it must then be replaced."""

    __slots__ = ("keys",)

    def __init__(self) -> None:
        self.keys: list[int] = []


# Module and name, as they were written over the years, and which of the machine's own methods they stand for.
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
    """The stack machine: a run from the first instruction to STOP."""

    def __init__(self, data: bytes, name: str) -> None:
        self.data = data
        self.name = name
        self.position = 0
        self.began = 0  # where the instruction at work began, for error messages
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.unspent = 4 * len(data) + 4096  # bytes that may yet be copied

    def run(self) -> Any:
        """Carry out every instruction and return the value that is left."""
        for _ in range(MAX_STEPS):
            self.began = self.position
            code = self.take(1)
            if code == b".":
                return self.result()
            step = _STEPS.get(code)
            if step is None:
                self.refuse(f"the instruction {_REFUSED.get(code, code)} is not allowed ({ALLOWED})")
            step(self)
        self.refuse(f"it has more than {MAX_STEPS} instructions")

    def result(self) -> Any:
        """Return the one value on the stack, after walking through all of it."""
        value = self.pop()
        if self.stack or self.position < len(self.data):
            self.refuse("more follows after the pickled value, where one value was expected")
        count, layers = 0, [value]
        for _ in range(MAX_DEPTH):
            deeper: list[Any] = []
            count += len(layers)
            for item in layers:
                if isinstance(item, _Internal):
                    self.refuse(f"a part of it stays unfinished ({ALLOWED})")
                if isinstance(item, (list, tuple)):
                    deeper.extend(item)
                elif isinstance(item, dict):
                    deeper.extend(item.values())
                if count + len(deeper) > MAX_VALUES:
                    self.refuse(f"it unfolds to more than {MAX_VALUES} values")
            if not deeper:
                return value
            layers = deeper
        self.refuse(f"it is nested more than {MAX_DEPTH} deep, or contains itself")

    def refuse(self, what: str) -> NoReturn:
        """Give up, naming the file and the byte."""
        raise UserError(f"{self.name}: cannot be read as a pickle of plain data: {what}, at byte {self.began}")

    # Bytes

    def take(self, size: int) -> bytes:
        """Return the next ``size`` bytes."""
        if not 0 <= size <= len(self.data) - self.position:
            self.refuse(f"{size} bytes are announced where {len(self.data) - self.position} are left")
        start, self.position = self.position, self.position + size
        return self.data[start : self.position]

    def number(self, form: str) -> Any:
        """Return the next number, of a form that ``struct`` knows."""
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def sized(self, form: str) -> bytes:
        """Return the bytes whose length stands before them."""
        return self.take(self.number(form))

    def line(self, limit: int | None = None) -> bytes:
        """Return the bytes up to the end of the line."""
        end = self.data.find(b"\n", self.position, None if limit is None else self.position + limit)
        if end < 0:
            self.refuse("a line has no end, or a number or a name is longer than any can be")
        line = self.take(end - self.position)
        self.position += 1
        return line

    def spend(self, size: int) -> None:
        """Account for bytes that are about to be copied: a file may not have its own bytes copied over and over."""
        self.unspent -= size
        if self.unspent < 0:
            self.refuse("it would unfold to far more than its own size")

    # The stack and the memo

    def pop(self) -> Any:
        """Take the topmost value."""
        if not self.stack or isinstance(self.stack[-1], _Mark):
            self.refuse("a value is missing")
        return self.stack.pop()

    def pop_to_mark(self) -> list[Any]:
        """Take all values down to the topmost mark."""
        for place in range(len(self.stack) - 1, -1, -1):
            if isinstance(self.stack[place], _Mark):
                values = self.stack[place + 1 :]
                del self.stack[place:]
                return values
        self.refuse("a mark is missing")

    def top(self, kind: type) -> Any:
        """Return the topmost value, which must be of a kind, and leave it there."""
        if not self.stack or not isinstance(self.stack[-1], kind):
            self.refuse(f"a {kind.__name__} was expected to add to")
        return self.stack[-1]

    def put(self, key: int) -> None:
        """Remember the topmost value."""
        value = self.pop()
        self.stack.append(value)
        if isinstance(value, _Array):
            value.keys.append(key)
        self.memo[key] = value

    def get(self, key: int) -> None:
        """Push a remembered value."""
        if key not in self.memo:
            self.refuse(f"the value {key} is used before it is there")
        self.stack.append(self.memo[key])

    # Text, numbers and containers

    def parse(self, kind: Callable[[Any], Any], text: bytes) -> Any:
        """Convert text to a value."""
        try:
            return kind(text)
        except ValueError:
            self.refuse(f"{text[:40]!r} is not what it should be")

    def integer(self) -> Any:
        """Read the decimal form of an integer, or of a boolean."""
        text = self.line(limit=80).removesuffix(b"L")
        return {b"00": False, b"01": True}[text] if text in (b"00", b"01") else self.parse(int, text)

    def long(self, form: str) -> int:
        """Read an integer of any length; none that is wanted here is longer than 32 bytes."""
        octets = self.sized(form)
        if len(octets) > 32:
            self.refuse(f"an integer has {len(octets)} bytes")
        return int.from_bytes(octets, "little", signed=True)

    def set_items(self, target: dict[Any, Any], values: list[Any]) -> None:
        """Set keys and values that follow each other."""
        if len(values) % 2:
            self.refuse("a key has no value")
        for key, value in zip(values[::2], values[1::2], strict=True):
            # Only keys whose hash neither takes long nor can be made to collide.
            if type(key) not in (str, bytes, int, bool, type(None)) or (type(key) is int and abs(key) >= 1 << 31):
                self.refuse(f"a {type(key).__name__} is the key of a dict, where a string or a small integer may be")
            target[key] = value

    # Calls: the names above stand for these

    def name_of(self, module: Any, name: Any) -> _Name:
        """Look up a name among those that are known."""
        if not isinstance(module, str) or not isinstance(name, str):
            self.refuse("a name is not a string")
        if (module, name) not in _NAMES:
            self.refuse(f"it names {module[:60]}.{name[:60]}, which is not allowed ({ALLOWED})")
        return _Name(_NAMES[module, name])

    def reduce(self) -> None:
        """Answer a call with what it stands for."""
        arguments, name = self.pop(), self.pop()
        if not isinstance(name, _Name) or not isinstance(arguments, tuple):
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
                self.spend(8 * len(values))
                return tuple(values)
            case ("dense_tensor", str("data"), {"data": np.ndarray() as array}):
                return array
            case ("ordered_dict",):
                return OrderedDict()
            case ("ordered_dict", list(pairs)):  # as Python 2 writes it
                return self.ordered_dict(pairs)
        self.refuse(f"a call for a {meaning} has other arguments than are ever written ({ALLOWED})")

    def ordered_dict(self, pairs: list[Any]) -> OrderedDict[Any, Any]:
        """Build a dict from its [key, value] pairs."""
        self.spend(16 * len(pairs))
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
            case (_Array(), (int(1), tuple(shape), _Dtype() as dtype, int(fortran), bytes() | str() as octets)):
                array = self.array(dtype, shape, "F" if fortran else "C", octets)
                for key in target.keys:
                    self.memo[key] = array
                self.stack.append(array)
            case (_Dtype(), (int(3), str(order), None, None, None, int(-1), int(-1), int(0))) if order in _ORDERS:
                target.order = order
                self.stack.append(target)
            case _:
                self.refuse(f"an object is given a state that no array of numbers has ({ALLOWED})")

    def array(self, dtype: _Dtype, shape: tuple[Any, ...], order: str, octets: bytes | str) -> np.ndarray:
        """Lay bytes out as an array, if they are exactly as many as it takes."""
        if len(shape) > 32 or not all(type(length) is int and length >= 0 for length in shape):
            self.refuse("an array's shape is not a short tuple of lengths")
        if isinstance(octets, str):  # Python 2
            octets = self.latin1(octets)
        kind = np.dtype(dtype.order + dtype.code)
        if math.prod(shape) * kind.itemsize != len(octets):
            self.refuse(f"an array of shape {_short(shape)} and dtype {kind} has {len(octets)} bytes of numbers")
        if kind.kind == "b" and octets.strip(b"\x00\x01"):
            self.refuse("a boolean is neither 0 nor 1")
        self.spend(len(octets))
        try:
            return np.ndarray(shape, kind, buffer=octets, order=order).copy(order="K")
        except ValueError:  # an empty array whose other lengths are beyond NumPy
            self.refuse(f"no array has the shape {_short(shape)}")

    def latin1(self, text: str) -> bytes:
        """Turn characters back into the bytes they stand for."""
        self.spend(len(text))
        try:
            return text.encode("latin-1")
        except UnicodeEncodeError:
            self.refuse("a character stands where a byte was expected")


def _short(shape: tuple[int, ...]) -> str:
    text = str(shape)
    return text if len(text) <= 60 else text[:60] + "…"


def _python2_string(quoted: bytes) -> str:
    """Undo Python 2's ``repr`` of a byte string, each byte a character."""
    if len(quoted) < 2 or quoted[:1] not in (b"'", b'"') or quoted[-1:] != quoted[:1]:
        raise ValueError("a string without quotes")
    return re.sub(rb"\\(x[0-9a-fA-F]{2}|.)", _unescape, quoted[1:-1]).decode("latin-1")


def _unescape(match: re.Match[bytes]) -> bytes:
    escaped = match[1]
    if len(escaped) == 3:
        return bytes.fromhex(escaped[1:].decode("ascii"))
    if escaped not in _ESCAPES:
        raise ValueError("an unknown escape")
    return _ESCAPES[escaped]


_ESCAPES = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"\\": b"\\", b"'": b"'", b'"': b'"'}


def _pushes(make: Callable[[_Machine], Any]) -> Callable[[_Machine], None]:
    """Make an instruction of a function whose result goes on the stack."""
    return lambda machine: machine.stack.append(make(machine))


def _tuple_of(count: int) -> Callable[[_Machine], None]:
    return _pushes(lambda m: tuple(m.pop() for _ in range(count))[::-1])


def _dict_to_mark(machine: _Machine) -> dict[Any, Any]:
    result: dict[Any, Any] = {}
    machine.set_items(result, machine.pop_to_mark())
    return result


def _append(machine: _Machine) -> None:
    value = machine.pop()
    machine.top(list).append(value)


def _extend(machine: _Machine) -> None:
    values = machine.pop_to_mark()
    machine.top(list).extend(values)


def _set_item(machine: _Machine) -> None:
    value, key = machine.pop(), machine.pop()
    machine.set_items(machine.top(dict), [key, value])


def _set_items(machine: _Machine) -> None:
    values = machine.pop_to_mark()
    machine.set_items(machine.top(dict), values)


def _duplicate(machine: _Machine) -> None:
    value = machine.pop()
    machine.stack += [value, value]


def _protocol(machine: _Machine) -> None:
    version = machine.number("<B")
    if version > 5:
        machine.refuse(f"it is of protocol {version}, where 0 to 5 are known")


def _frame(machine: _Machine) -> None:
    if machine.number("<Q") > len(machine.data) - machine.position:
        machine.refuse("the file ends before the frame that it announces")


def _global(machine: _Machine) -> _Name:
    module, name = (machine.line(limit=256).decode("latin-1") for _ in range(2))
    return machine.name_of(module, name)


def _stack_global(machine: _Machine) -> _Name:
    name, module = machine.pop(), machine.pop()
    return machine.name_of(module, name)


# Each instruction by its byte, in the order of pickletools: numbers, byte strings and text, containers, the stack,
# the memo, calls, framing.
_STEPS: dict[bytes, Callable[[_Machine], None]] = {
    b"I": _pushes(_Machine.integer),
    b"J": _pushes(lambda m: m.number("<i")),
    b"K": _pushes(lambda m: m.number("<B")),
    b"M": _pushes(lambda m: m.number("<H")),
    b"L": _pushes(_Machine.integer),
    b"\x8a": _pushes(lambda m: m.long("<B")),
    b"\x8b": _pushes(lambda m: m.long("<I")),
    b"F": _pushes(lambda m: m.parse(float, m.line(limit=80))),
    b"G": _pushes(lambda m: m.number(">d")),
    b"N": _pushes(lambda m: None),
    b"\x88": _pushes(lambda m: True),
    b"\x89": _pushes(lambda m: False),
    b"S": _pushes(lambda m: m.parse(_python2_string, m.line())),
    b"T": _pushes(lambda m: m.sized("<i").decode("latin-1")),
    b"U": _pushes(lambda m: m.sized("<B").decode("latin-1")),
    b"B": _pushes(lambda m: m.sized("<I")),
    b"C": _pushes(lambda m: m.sized("<B")),
    b"\x8e": _pushes(lambda m: m.sized("<Q")),
    b"\x96": _pushes(lambda m: m.sized("<Q")),
    b"V": _pushes(lambda m: m.parse(lambda text: text.decode("raw-unicode-escape"), m.line())),
    b"X": _pushes(lambda m: m.parse(bytes.decode, m.sized("<I"))),
    b"\x8c": _pushes(lambda m: m.parse(bytes.decode, m.sized("<B"))),
    b"\x8d": _pushes(lambda m: m.parse(bytes.decode, m.sized("<Q"))),
    b"]": _pushes(lambda m: []),
    b"a": _append,
    b"e": _extend,
    b"l": _pushes(_Machine.pop_to_mark),
    b")": _pushes(lambda m: ()),
    b"t": _pushes(lambda m: tuple(m.pop_to_mark())),
    b"\x85": _tuple_of(1),
    b"\x86": _tuple_of(2),
    b"\x87": _tuple_of(3),
    b"}": _pushes(lambda m: {}),
    b"d": _pushes(_dict_to_mark),
    b"s": _set_item,
    b"u": _set_items,
    b"0": lambda m: m.stack.pop() if m.stack else m.refuse("a value is missing"),
    b"1": _Machine.pop_to_mark,
    b"2": _duplicate,
    b"(": _pushes(lambda m: _Mark()),
    b"p": lambda m: m.put(m.parse(int, m.line(limit=20))),
    b"q": lambda m: m.put(m.number("<B")),
    b"r": lambda m: m.put(m.number("<I")),
    b"\x94": lambda m: m.put(len(m.memo)),
    b"g": lambda m: m.get(m.parse(int, m.line(limit=20))),
    b"h": lambda m: m.get(m.number("<B")),
    b"j": lambda m: m.get(m.number("<I")),
    b"c": _pushes(_global),
    b"\x93": _pushes(_stack_global),
    b"R": _Machine.reduce,
    b"b": _Machine.build,
    b"\x80": _protocol,
    b"\x95": _frame,
}

# The instructions that no plain value needs, for the error message.
_REFUSED = {
    b"P": "PERSID",
    b"Q": "BINPERSID",
    b"i": "INST",
    b"o": "OBJ",
    b"\x81": "NEWOBJ",
    b"\x92": "NEWOBJ_EX",
    b"\x82": "EXT1",
    b"\x83": "EXT2",
    b"\x84": "EXT4",
    b"\x8f": "EMPTY_SET",
    b"\x90": "ADDITEMS",
    b"\x91": "FROZENSET",
    b"\x97": "NEXT_BUFFER",
    b"\x98": "READONLY_BUFFER",
}

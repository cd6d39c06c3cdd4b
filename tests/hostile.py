"""Hostile files, and a runner that reads each and reports what it did: python tests/hostile.py FOLDER.

The files are written into FOLDER. For each the runner prints a line of JSON: its name, the error that it ended with,
the CPU seconds, and everything Python was asked to import, execute, open, start or remove on the way. On Linux each is
read in a process of its own that gets 100 MB and no more. If a payload ever ran, it would leave a file named ``ran``.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import sys
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

MEMORY = 100 << 20
SUSPICIOUS = (
    "import",
    "exec",
    "open",
    "os.",
    "subprocess.",
    "socket.",
    "shutil.",
    "ctypes.",
    "code.",
    "pickle.find_class",
)


class Calls:
    """Pickles as a call of any function with any arguments."""

    def __init__(self, function: Callable, *arguments: object) -> None:
        self.reduced = (function, arguments)

    def __reduce__(self) -> tuple:
        return self.reduced


def payload(folder: Path) -> str:
    """Return Python that leaves a file, for whoever runs it."""
    return f"open({str(folder / 'ran')!r}, 'w').close()"


def text(value: str) -> bytes:
    """Return the instruction that pushes a text."""
    octets = value.encode()
    return b"X" + struct.pack("<I", len(octets)) + octets


def named(module: str, name: str) -> bytes:
    """Return the instruction that pushes a global, in the form of protocol 2."""
    return b"c" + module.encode() + b"\n" + name.encode() + b"\n"


def entry(value: bytes) -> bytes:
    """Return a pickle of ``{"fc.weight": value}``."""
    return b"\x80\x02}" + text("fc.weight") + value + b"s."


def array(dtype: bytes, shape: bytes, octets: bytes) -> bytes:
    """Return the instructions that build an array, from those that push its dtype, its shape and its numbers."""
    reconstruct = named("numpy.core.multiarray", "_reconstruct")
    made = reconstruct + named("numpy", "ndarray") + b"K\0\x85" + b"C\x01b" + b"\x87R"
    return made + b"(K\x01" + shape + dtype + b"\x89" + octets + b"tb"


def dtype_of(code: str, state: bytes = b"(K\x03X\x01\0\0\0<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb") -> bytes:
    """Return the instructions that build a dtype."""
    return named("numpy", "dtype") + text(code) + b"K\0K\x01\x87R" + state


def pickles_that_call(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield pickles that ask for something to be run, imported, read or written."""
    code, ran = payload(folder), str(folder / "ran")
    command = f"touch {ran}"
    for protocol in range(6):
        yield f"system-{protocol}", pickle.dumps({"w": Calls(os.system, command)}, protocol)
        yield f"eval-{protocol}", pickle.dumps({"w": Calls(eval, code)}, protocol)
    yield "exec", pickle.dumps(Calls(exec, code))
    yield "open", pickle.dumps(Calls(open, ran, "w"))
    yield "import", pickle.dumps(Calls(__import__, "antigravity"))
    yield "posix", entry(named("posix", "system") + text(command) + b"\x85R")
    yield "nt", entry(named("nt", "system") + text(command) + b"\x85R")
    yield "subprocess", entry(named("subprocess", "Popen") + text(command) + b"\x85R")
    yield "popen", entry(named("os", "popen") + text(command) + b"\x85R")
    # What paddle.save writes for a dense tensor is eval("data", {"data": array}); these only look like it.
    data = text("data") + b"}" + text("data")
    yield "eval-other-text", entry(named("__builtin__", "eval") + text(code) + b"}" + text("data") + b"Ns\x86R")
    yield "eval-no-array", entry(named("__builtin__", "eval") + data + text(code) + b"s\x86R")
    yield "eval-builtins", entry(named("builtins", "eval") + text(code) + b"}\x86R")
    yield "eval-one-argument", entry(named("builtins", "eval") + text("data") + b"\x85R")
    getattr_system = named("builtins", "getattr") + named("os", "path") + text("os") + b"\x86R"
    yield (
        "getattr",
        entry(named("builtins", "getattr") + getattr_system + text("system") + b"\x86R" + text(command) + b"\x85R"),
    )
    yield (
        "getattr-of-array",
        entry(named("builtins", "getattr") + named("numpy", "ndarray") + text("tofile") + b"\x86R"),
    )
    for dotted in ("f2py.os.system", "ndarray.tofile", "dtype.__class__", "__loader__.load_module"):
        yield f"dotted-{dotted}", b"\x80\x04" + text("numpy") + text(dotted) + b"\x93" + text(command) + b"\x85R."
    for module, name in (
        ("numpy", "load"),
        ("numpy", "fromfile"),
        ("numpy", "memmap"),
        ("numpy.testing._private.utils", "runstring"),
        ("numpy._core.multiarray", "fromfile"),
        ("torch", "load"),
        ("paddle", "load"),
        ("_pickle", "loads"),
        ("codecs", "open"),
        ("operator", "attrgetter"),
        ("functools", "partial"),
        ("types", "FunctionType"),
        ("importlib", "import_module"),
        ("webbrowser", "open"),
        ("__main__", "payload"),
        ("", ""),
    ):
        yield f"global-{module}.{name}", entry(named(module, name) + text(ran) + b"\x85R")
    yield "codec", entry(named("_codecs", "encode") + text("x") + text("bz2_codec") + b"\x86R")
    yield "codec-unknown", entry(named("_codecs", "encode") + text("x") + text("antigravity") + b"\x86R")
    yield "persid", entry(b"Pantigravity\n")
    yield "binpersid", entry(text("antigravity") + b"Q")
    yield "ext1", entry(b"\x82\x01")
    yield "ext2", entry(b"\x83\x01\0")
    yield "ext4", entry(b"\x84\x01\0\0\0")
    yield "inst", b"(S'" + command.encode() + b"'\nios\nsystem\n."
    yield "obj", b"(" + named("os", "system") + text(command) + b"o."
    yield "newobj", entry(named("subprocess", "Popen") + text(command) + b"\x85\x81")
    yield "newobj-array", entry(named("numpy", "ndarray") + b"K\x05\x85\x81")
    yield "newobj-ex", b"\x80\x04" + named("subprocess", "Popen") + text(command) + b"\x85}\x92."
    yield "call-of-a-text", entry(text("os.system") + text(command) + b"\x85R")
    yield "state-for-a-dict", entry(b"}" + b"}" + text("__class__") + named("os", "system") + b"sb")
    yield (
        "subclass",
        entry(named("numpy.core.multiarray", "_reconstruct") + named("numpy", "memmap") + b"K\0\x85C\x01b\x87R"),
    )
    yield "bare-name", entry(named("numpy", "ndarray"))
    yield "name-as-key", b"\x80\x02}" + named("numpy", "ndarray") + b"Ns."
    yield "buffers", b"\x80\x05}" + text("fc.weight") + b"\x97s."


def pickles_that_swell(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield pickles that ask for far more memory or time than their size, or that lie about sizes."""
    floats, four = dtype_of("f4"), b"C\x04\0\0\0\0"
    yield "shape-terabyte", entry(array(floats, b"\x8a\x06\0\0\0\0\0\x01\x85", four))
    yield "shape-overflow", entry(array(floats, b"\x8a\x08\0\0\0\0\0\0\0\x40K\x04\x86", b"C\0"))
    yield "shape-negative", entry(array(floats, b"J\xff\xff\xff\xff\x85", four))
    yield "shape-empty-and-huge", entry(array(floats, b"K\0\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f\x86", b"C\0"))
    yield "shape-of-many", entry(array(floats, b"(" + b"K\x01" * 100 + b"t", four))
    yield "dtype-object", entry(array(dtype_of("O8"), b"K\x01\x85", b"]Na"))
    yield "dtype-void", entry(array(dtype_of("V4"), b"K\x01\x85", four))
    yield "dtype-huge", entry(array(dtype_of("V2000000000"), b"K\x01\x85", four))
    yield "dtype-text", entry(array(dtype_of("U1000000000"), b"K\0\x85", b"C\0"))
    yield (
        "dtype-fields",
        entry(array(dtype_of("V4", b"(K\x03X\x01\0\0\0|N}}J\0\0\0\0J\0\0\0\0K\0tb"), b"K\x01\x85", four)),
    )
    yield "bytes-of-a-number", entry(named("builtins", "bytes") + b"J\0\0\0\x40\x85R")
    yield "bytearray-of-a-number", entry(named("builtins", "bytearray") + b"J\0\0\0\x40\x85R")
    yield "bytes8-claim", entry(b"\x8e" + struct.pack("<Q", 1 << 62) + b"x")
    yield "bytearray8-claim", entry(b"\x96" + struct.pack("<Q", 1 << 40) + b"x")
    yield "text8-claim", entry(b"\x8d" + struct.pack("<Q", 1 << 40) + b"x")
    yield "text-claim", entry(b"X\xff\xff\xff\x7fx")
    yield "bytes-claim", entry(b"B\xff\xff\xff\xffx")
    yield "string-claim", entry(b"T\xff\xff\xff\x7fx")
    yield "string-negative", entry(b"T\xff\xff\xff\xffx")
    yield "frame-claim", b"\x80\x04\x95" + struct.pack("<Q", 1 << 63) + b"}."
    yield "long-claim", entry(b"\x8b\xff\xff\xff\x7f\x01")
    yield "long-negative", entry(b"\x8b\xff\xff\xff\xff\x01")
    yield "long-long", entry(b"\x8b" + struct.pack("<I", 5_000_000) + b"\x7f" * 5_000_000)
    yield "long-decimal", entry(b"L" + b"9" * 2_000_000 + b"L\n")
    yield "int-decimal", entry(b"I" + b"9" * 2_000_000 + b"\n")
    yield "float-decimal", entry(b"F" + b"9" * 2_000_000 + b"\n")
    yield "memo-far", entry(b"C\x01xr\xff\xff\xff\xff")
    yield "memo-negative", entry(b"C\x01xp-1\n")
    yield "memo-missing", entry(b"j\xff\xff\xff\xff")
    yield "memo-many", entry(b"N" + b"\x94" * 1_000_000)
    yield "stack-of-nones", b"\x80\x02" + b"N" * 2_000_000 + b"."
    yield "stack-of-marks", b"\x80\x02" + b"(" * 2_000_000 + b"."
    yield "stack-of-duplicates", b"\x80\x02}" + b"2" * 2_000_000 + b"."
    yield "stack-of-lists", b"\x80\x02" + b"]" * 2_000_000 + b"."
    yield "marks-and-pops", b"\x80\x02" + b"N" * 200_000 + b"(1" * 200_000 + b"."
    yield "nested-tuples", entry(b"N" + b"\x85" * 400_000)
    yield "nested-lists", entry(b"]" * 200_000 + b"a" * 199_999)
    yield "laughs", entry(b"]q\0N" + b"a" + b"".join(b"](" + b"h%c" % (n - 1) * 10 + b"eq%c" % n for n in range(1, 30)))
    yield "laughs-of-tuples", entry(b"N" + b"2\x86" * 60)
    yield (
        "laughs-of-dicts",
        entry(b"}" + b"".join(b"2q%c0}" % n + text("a") + b"h%cs" % n + text("b") + b"h%cs" % n for n in range(30))),
    )
    yield "itself", entry(b"]q\0h\0a")
    yield "itself-as-dict", b"\x80\x02}q\0" + text("a") + b"h\0s."
    yield "unhashable-key", b"\x80\x02}]Ns."
    yield (
        "colliding-keys",
        b"\x80\x02}("
        + b"".join(b"\x8a\x0a" + (n * ((1 << 61) - 1)).to_bytes(10, "little") + b"N" for n in range(1, 30_000))
        + b"u.",
    )
    ten = array(
        floats, b"J" + struct.pack("<i", 2_500_000) + b"\x85", b"B" + struct.pack("<I", 10_000_000) + bytes(10_000_000)
    )
    yield (
        "one-array-by-many-names",
        b"\x80\x02}(" + text("a") + ten + b"q\x09" + b"".join(text(f"a{n}") + b"h\x09" for n in range(2000)) + b"u.",
    )
    yield "concatenated", pickle.dumps({}) * 2
    yield "no-stop", b"\x80\x02}"
    yield "nothing", b""
    yield "zeros", bytes(2_000_000)
    yield "a-list", pickle.dumps([1, 2, 3])
    yield "protocol-255", b"\x80\xff}."
    yield "many-entries", pickle.dumps({f"n{n}": np.float32(n) for n in range(20_000)})
    yield "names-of-numbers", pickle.dumps({n: np.zeros(1) for n in range(10)})
    yield "long-name", pickle.dumps({"n" * 100_000: np.zeros(1)})


def pickles_that_work(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield pickles of about a megabyte that have the same bytes copied, checked or compared over and over.

    A reader whose time grows as the product of two parts of the file needs minutes for each.
    """
    some, many = 3000, 60_000
    floats = dtype_of("f4")
    reconstruct = named("numpy.core.multiarray", "_reconstruct") + named("numpy", "ndarray") + b"K\0\x85C\x01b\x87R"

    def long(octets: bytes) -> bytes:
        return b"B" + struct.pack("<I", len(octets)) + octets

    slots = b"".join(b"r" + struct.pack("<I", key) for key in range(100, 100 + some))
    empty = b"(K\x01K\0\x85" + floats + b"\x89C\0tq\x01"
    copies = b"h\x02" * many + b"h\x01b0" * many
    yield "array-in-many-slots", b"\x80\x02" + empty + reconstruct + slots + b"q\x02" + copies + b"}."
    truths = (
        b"(K\x01J" + struct.pack("<i", 1 << 19) + b"\x85" + dtype_of("b1") + b"\x89" + long(bytes(1 << 19)) + b"tq\x01"
    )
    yield "booleans-checked-again", b"\x80\x02" + truths + (reconstruct + b"h\x01b0") * 5000 + b"}."
    bad = b"(K\x01K\x01\x85" + floats + b"\x89" + long(bytes(1 << 19)) + b"tq\x01"
    yield "state-of-another-size", b"\x80\x02" + bad + (reconstruct + b"h\x01b0") * 5000 + b"}."
    key = text("k" * (1 << 19))
    yield "equal-keys-compared", b"\x80\x02" + key + b"q\x01" + key + b"q\x02}h\x01Ns" + b"h\x02Ns" * 150_000 + b"."
    listed = b"](" + b"N" * 100_000 + b"eq\x01"
    yield "tuple-of-a-list-again", b"\x80\x02" + listed + (named("builtins", "tuple") + b"h\x01\x85R0") * many + b"}."
    arguments = b"(" + b"N" * 100_000 + b"tq\x01"
    yield "call-with-many-arguments", b"\x80\x02" + arguments + (named("builtins", "bytes") + b"h\x01R0") * 9000 + b"}."
    encoded = text("x" * (1 << 19)) + b"q\x01"
    again = named("_codecs", "encode") + b"h\x01" + text("latin1") + b"\x86R0"
    yield "text-encoded-again", b"\x80\x02" + encoded + again * 9000 + b"}."
    scalar = long(bytes(1 << 19)) + b"q\x01"
    made = named("numpy.core.multiarray", "scalar") + floats + b"h\x01\x86R0"
    yield "scalar-of-many-bytes", b"\x80\x02" + scalar + made * 3000 + b"}."
    pairs = b"](" + b"(U\x01aNt" * 60_000 + b"eq\x01"
    ordered = named("collections", "OrderedDict") + b"h\x01\x85R0"
    yield "ordered-again", b"\x80\x02" + pairs + ordered * 9000 + b"}."
    far = b"".join(b"p%d\n" % (number * ((1 << 61) - 1)) for number in range(1, 40_000))
    yield "memo-keys-that-collide", b"\x80\x02N" + far + b"."
    yield (
        "memo-keys-that-nearly-collide",
        b"\x80\x02}" + b"".join(b"r" + struct.pack("<I", number << 16) for number in range(1 << 16)) + b"(.",
    )
    yield "marks-inside-marks", b"\x80\x02" + b"(" * 240_000 + b"1" * 240_000 + b"."
    deep = b"N" + b"(1" * 240_000
    yield "marks-over-a-tall-stack", b"\x80\x02" + b"N" * 10_000 + deep + b"."
    yield "control-characters", entry(named("\x1b]0;owned\x07", "\x1b[2J") + b")R")
    yield "bidi-name", pickle.dumps({"fc\u202egnp.weight": "x" * 100, "\udcff": print.__name__}, 4) + b"."


def members_in_one_place(count: int) -> bytes:
    """Return an archive whose directory names one member many times: blocks that unpack to nothing, then an array."""
    array, stream = io.BytesIO(), io.BytesIO()
    np.save(array, np.ones(2, np.float32))
    end = zlib.compressobj(wbits=-15)
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("x.npy", b"\0\0\0\xff\xff" * 400_000 + end.compress(array.getvalue()) + end.flush())
    data = stream.getvalue()
    directory, ending = data.index(b"PK\1\2"), data.index(b"PK\5\6")
    entry = bytearray(data[directory:ending])
    struct.pack_into("<H", entry, 10, zipfile.ZIP_DEFLATED)  # it was stored as it is
    struct.pack_into("<I", entry, 16, zlib.crc32(array.getvalue()))
    struct.pack_into("<I", entry, 24, len(array.getvalue()))
    tail = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, count, count, count * len(entry), directory, 0)
    return data[:directory] + bytes(entry) * count + tail


def npz_files(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield archives that unpack to more than they should, or to what they are not."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (1 << 38,)})

    def packed(members: dict[str, bytes]) -> bytes:
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for name, octets in members.items():
                archive.writestr(name, octets)
        return stream.getvalue()

    bomb = packed({"x.npy": header.getvalue() + bytes(120 << 20)})
    yield "zip-bomb", bomb
    # The same, with 1000 bytes declared where the directory and the member say how large it is.
    size = struct.pack("<I", len(header.getvalue()) + (120 << 20))
    yield "zip-bomb-that-lies", bomb.replace(size, struct.pack("<I", 1000))
    yield "zip-claim", packed({"x.npy": header.getvalue()})
    yield "zip-of-zips", packed({f"{n}.npy": packed({"x.npy": bytes(1 << 20)}) for n in range(50)})
    yield "zip-of-many", packed({f"{n}.npy": b"" for n in range(6000)})
    objects = io.BytesIO()
    np.save(objects, np.array([Calls(eval, payload(folder))], dtype=object), allow_pickle=True)
    yield "zip-of-objects", packed({"x.npy": objects.getvalue()})
    yield "zip-of-a-pickle", packed({"x.npy": pickle.dumps(Calls(eval, payload(folder)))})
    yield "zip-evil-header", packed({"x.npy": b"\x93NUMPY\x01\0\xff\x00" + b"__import__('os')".ljust(255)})
    yield "zip-nested-header", packed({"x.npy": b"\x93NUMPY\x01\0\xa0\x0f" + b"[" * 4000})
    yield "zip-of-one-place", members_in_one_place(4000)
    yield "zip-path", packed({"../../ran.npy": b"", str(folder / "ran"): b""})
    yield "npy-with-a-pickle", objects.getvalue()
    yield "pickle-as-npz", pickle.dumps(Calls(eval, payload(folder)))


def safetensors_files(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield safetensors whose header lies."""

    def made(header: object, body: bytes = b"") -> bytes:
        octets = header if isinstance(header, bytes) else json.dumps(header).encode()
        return struct.pack("<Q", len(octets)) + octets + body

    def tensor(shape: list[int], begin: int, end: int, dtype: str = "F32") -> dict:
        return {"w": {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}}

    yield "header-claim", struct.pack("<Q", 1 << 62) + b"{}"
    yield "header-gigabyte", struct.pack("<Q", 1 << 30) + b"{}"
    yield "header-large", made(b" " * (8 << 20) + b"{}")
    yield "header-nested", made(b"[" * 100_000)
    yield "header-nested-object", made(b'{"w":' * 50_000)
    yield "header-list", made([1, 2])
    yield "header-text", made(b"os.system")
    yield "tensor-gigabyte", made(tensor([1 << 28], 0, 1 << 30))
    yield "tensor-overflow", made(tensor([1 << 62, 1 << 62], 0, 0))
    yield "tensor-empty-and-huge", made(tensor([0, (1 << 63) - 1, 1 << 40], 0, 0))
    yield "tensor-backwards", made(tensor([1], 4, 0), bytes(4))
    yield "tensor-negative", made(tensor([-1], 0, 4), bytes(4))
    yield "tensor-short", made(tensor([2], 0, 4), bytes(4))
    yield "tensor-type", made(tensor([2], 0, 4, "BF16"), bytes(4))
    yield "tensor-evil-type", made(tensor([2], 0, 4, "os.system"), bytes(4))
    yield "tensors-overlap", made({**tensor([1], 0, 4), "v": tensor([1], 0, 4)["w"]}, bytes(4))
    yield "tensors-leave-a-hole", made(tensor([1], 4, 8), bytes(8))
    yield "tensors-many", made({f"w{n}": tensor([0], 0, 0)["w"] for n in range(10_000)})
    yield "no-header", b"{}"
    yield "a-pickle", pickle.dumps(Calls(eval, payload(folder)))


def largest_files(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield honest files as large as any that are read, packed small where the format can: they must be read."""
    largest = {"w": np.zeros(((16 << 20) - 4096) // 4, np.float32)}
    yield "largest.pdparams", pickle.dumps(largest, 4)
    yield "largest-2.pdparams", pickle.dumps(dict.fromkeys(largest, np.zeros(1 << 20)), 2)
    yield "largest.pdopt", pickle.dumps({"master_weights": largest}, 4)
    stream = io.BytesIO()
    np.savez_compressed(stream, **largest)
    yield "largest.npz", stream.getvalue()
    from safetensors.numpy import save

    yield "largest.safetensors", save(largest)


def write_all(folder: Path) -> list[Path]:
    """Write every hostile file into a folder."""
    paths = []
    for make, suffixes in (
        (pickles_that_call, (".pdparams", ".pdopt")),
        # Both kinds go through the same reader of pickles; an optimizer's state may nest, and so swell, further.
        (pickles_that_swell, (".pdopt",)),
        (pickles_that_work, (".pdopt", ".pkl")),
        (npz_files, (".npz",)),
        (safetensors_files, (".safetensors",)),
        (largest_files, ("",)),
    ):
        for name, data in make(folder):
            paths.extend(folder / f"{name}{suffix}" for suffix in suffixes)
            for path in paths[-len(suffixes) :]:
                path.write_bytes(data)
    return paths


def read(path: Path) -> object:
    """Read a file as the project reads it."""
    from paddle_mnist.storage import files, weights

    if path.suffix == ".pdopt":
        return weights.parse_optimizer_state(files.read_bytes(path, weights.MAX_FILE_BYTES), path)
    return weights.load_state_dict(path)


def watch(path: Path) -> dict[str, object]:
    """Read a file, and note what Python is asked to do meanwhile."""
    asked: list[str] = []
    watching = True

    def hook(event: str, arguments: tuple) -> None:
        # The file itself, and the descriptor that it was given.
        own = event == "open" and (arguments[0] in (str(path), path) or isinstance(arguments[0], int))
        if watching and not own and event.startswith(SUSPICIOUS):
            asked.append(f"{event} {arguments!r:.200}")

    sys.addaudithook(hook)
    report: dict[str, object] = {"file": path.name, "error": None, "message": None, "asked": asked}
    began = time.process_time()
    try:
        read(path)
    except BaseException as error:
        report["error"], report["message"] = type(error).__name__, str(error)
    report["seconds"] = time.process_time() - began
    watching = False
    return report


def limit() -> None:
    """Let this process have 100 MB more than it has now, and ten seconds."""
    import resource

    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (10, 10))


def main() -> None:
    """Read every hostile file, and print what it did."""
    folder = Path(sys.argv[1])
    # What reading honest files imports is imported once, before anything is watched.
    from paddle_mnist.storage import weights

    for suffix in (".pdparams", ".npz", ".safetensors"):
        weights.save_state_dict(folder / f"honest{suffix}", {"w": np.zeros(3, np.float32)})
        weights.load_state_dict(folder / f"honest{suffix}")
    b"a".decode("raw-unicode-escape")  # the codec of the oldest pickles' texts is a module
    for path in write_all(folder):
        if sys.platform != "linux":
            print(json.dumps(watch(path)))
            continue
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            limit()
            print(json.dumps(watch(path)), flush=True)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if status:
            print(json.dumps({"file": path.name, "error": f"status {status}", "seconds": 0.0, "asked": []}))


if __name__ == "__main__":
    main()

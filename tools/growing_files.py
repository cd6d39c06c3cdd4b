"""Files of any size that are made to be slow to read: what a reader does must grow with the size, not faster.

``tools/fuzz_files.py --growth`` measures the processor time that they take, and ``tests/test_linear_time.py`` counts
the steps. Each maker takes a size, in units of about a hundred bytes, and returns the file's name and its bytes.
"""

from __future__ import annotations

import io
import json
import pickle
import struct
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from paddle_mnist.errors import UserError
from paddle_mnist.runs.run import open_run
from paddle_mnist.storage.bounded_json import read_history, read_json
from paddle_mnist.storage.weights import load_state_dict

File = tuple[str, bytes]

RECONSTRUCT = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85U\1b\x87R"


def pickled(instructions: bytes) -> File:
    """Return instructions of protocol 2 as a file."""
    return "net.pdparams", b"\x80\2" + instructions + b"."


def product(prepare: Callable[[int], bytes], again: bytes) -> Callable[[int], File]:
    """Return a maker of pickles that remember something large, and then do the same with it many times.

    Args:
        prepare: takes a number of bytes; returns instructions that keep something of about that size.
        again: the instructions that are repeated.
    """
    return lambda size: pickled(prepare(50 * size) + again * (50 * size // len(again)))


def large_buffer(size: int) -> bytes:
    """Remember bytes, their dtype and their shape."""
    shape = b"J" + struct.pack("<i", size) + b"\x85q\2"
    return b"B" + struct.pack("<I", size) + bytes(size) + b"q\1" + shape + b"cnumpy\ndtype\nU\2b1K\0K\1\x87Rq\3"


def large_text(size: int) -> bytes:
    """Remember a text, and a dict."""
    return b"X" + struct.pack("<I", size) + b"k" * size + b"q\1}q\2"


def large_state(size: int) -> bytes:
    """Remember the state of a large array, and an array that is kept under many keys."""
    state = b"B" + struct.pack("<I", size) + bytes(size) + b"q\0"
    state += b"0(K\1J" + struct.pack("<i", size) + b"\x85cnumpy\ndtype\nU\2b1K\0K\1\x87R\x89h\0tq\1"
    return state + RECONSTRUCT + b"".join(b"r" + struct.pack("<I", 300 + key) for key in range(size // 10)) + b"q\2"


def stacked_array(size: int) -> bytes:
    """Put one array on the stack many times, under a large state."""
    return large_state(size // 2) + b"h\2" * (size // 4)


def large_list(size: int) -> bytes:
    """Remember a list of many pairs, all of them the same."""
    return b"K\1N\x86q\3](" + b"h\3" * (size // 2) + b"eq\1"


# What is remembered, what is done with it again and again, and how many bytes of a hundred that touches each time.
PRODUCTS: dict[str, tuple[Callable[[int], bytes], bytes, int]] = {
    "one state for many arrays": (large_state, RECONSTRUCT + b"h\1b0", 100),
    "one state for one array": (stacked_array, b"h\1b0", 50),
    "one text as many keys": (large_text, b"h\1Ns", 100),
    "one text as many bytes": (large_text, b"c_codecs\nencode\nh\1U\6latin1\x86R0", 100),
    "one buffer for many arrays": (large_buffer, b"cnumpy.core.numeric\n_frombuffer\n(h\1h\3h\2U\1CtR0", 100),
    "one list as many tuples": (large_list, b"c__builtin__\ntuple\nh\1\x85R0", 100),
    "one list as many dicts": (large_list, b"ccollections\nOrderedDict\nh\1\x85R0", 100),
    "one list in many lists": (large_list, b"]h\1a0", 0),
}


def nested_dicts(size: int) -> File:
    """Return dicts that share their values, each naming the one before twice."""
    value: object = 1
    parts = {}
    for number in range(size):
        value = {"a": value, "b": value} if number % 10 else number
        parts[f"{number}"] = value
    return "net.pdparams", pickle.dumps(parts, 2)


def repeated_get(size: int) -> File:
    """Return a list to which one value is added again and again, by two ways."""
    return pickled(b"]X\2\0\0\0abq\0010" + b"h\1a" * (20 * size) + b"(" + b"h\1" * (20 * size) + b"e")


def long_lists(size: int) -> File:
    """Return a list of many numbers, and marks that are set and taken back."""
    return pickled(b"](" + b"K\1" * (20 * size) + b"e" + b"(1" * (15 * size) + b"N2" * (10 * size) + b"0" * (20 * size))


def small_arrays(size: int) -> File:
    """Return a net of many parameters with a few numbers each, as Paddle saves it."""
    return "net.pdparams", pickle.dumps({f"layer{number}.weight": np.ones(2, "f4") for number in range(size)}, 4)


def safetensors(size: int) -> File:
    """Return the same in the format of safetensors."""
    header = {
        f"layer{number}.weight": {"dtype": "F32", "shape": [1, 1], "data_offsets": [4 * number, 4 * number + 4]}
        for number in reversed(range(size))
    }
    text = json.dumps(header).encode()
    return "net.safetensors", struct.pack("<Q", len(text)) + text + bytes(4 * size)


def npz(size: int) -> File:
    """Return the same as NumPy saves it."""
    stream = io.BytesIO()
    np.savez(stream, **{f"layer{number}.weight": np.ones(2, "f4") for number in range(size // 3)})
    return "net.npz", stream.getvalue()


def overlapping_npz(size: int) -> File:
    """Return an archive of many members that all lie in the same place: blocks of DEFLATE that unpack to nothing."""
    array, stream = io.BytesIO(), io.BytesIO()
    np.save(array, np.ones(2, "f4"))
    end = zlib.compressobj(wbits=-15)
    packed = b"\0\0\0\xff\xff" * (10 * size) + end.compress(array.getvalue()) + end.flush()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a.npy", packed)
    data = stream.getvalue()
    directory, end_record = data.index(b"PK\1\2"), data.index(b"PK\5\6")
    crc, length = zlib.crc32(array.getvalue()), len(array.getvalue())
    entry = bytearray(data[directory:end_record])  # says that the member is stored; here, that it is packed
    struct.pack_into("<H", entry, 10, zipfile.ZIP_DEFLATED)
    struct.pack_into("<III", entry, 16, crc, len(packed), length)
    tail = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, size, size, size * len(entry), directory, 0)
    return "net.npz", data[:directory] + bytes(entry) * size + tail


def wide_json(size: int) -> File:
    """Return an object of many keys, in a file that should describe a run."""
    return "run.json", json.dumps({"settings": {f"name {number}": "x" * 80 for number in range(size)}}).encode()


def deep_json(size: int) -> File:
    """Return an object of many lists that nest as deep as they may."""
    return "run.json", json.dumps({"settings": {}, "data": [json.loads("[" * 28 + "]" * 28)] * (2 * size)}).encode()


def history(size: int) -> File:
    """Return a history of many steps."""
    record = {"epoch": 1, "batch": 2, "step": 3, "loss": 0.123456789, "lr": 0.1, "ms_per_step": 1.234}
    return "history.jsonl", (json.dumps(record) + "\n").encode() * size


def empty_records(size: int) -> File:
    """Return a history of records with nothing in them."""
    return "history.jsonl", b"{}\n" * (30 * size)


KINDS: dict[str, Callable[[int], File]] = {
    **{f"pickle: {name}": product(prepare, again) for name, (prepare, again, _) in PRODUCTS.items()},
    "pickle: nested dicts": nested_dicts,
    "pickle: one value many times": repeated_get,
    "pickle: long lists and marks": long_lists,
    "pickle: many small arrays": small_arrays,
    "safetensors: many entries": safetensors,
    "npz: many members": npz,
    "npz: members in the same place": overlapping_npz,
    "run.json: wide": wide_json,
    "run.json: deep": deep_json,
    "history: many steps": history,
    "history: many empty records": empty_records,
}


def read(path: Path) -> str:
    """Read a file as the commands do; return the sentence that it is refused with, or nothing."""
    try:
        if path.name == "run.json":
            read_json(path)
            open_run(path.parent)
        elif path.suffix == ".jsonl":
            read_history(path)
        else:
            load_state_dict(path)
    except UserError as error:
        return str(error)
    return ""


def report(folder: Path, sizes: tuple[int, ...] = (500, 1000, 2000, 4000)) -> int:
    """Print the processor time for each kind in doubling sizes; return 1 if it grows much faster than the size."""
    failures = 0
    print(f"{'processor time, s, for':40}" + "".join(f"{size:>6} units" for size in sizes) + f"{'largest, kB':>14}")
    for name, make in KINDS.items():
        times = []
        for size in sizes:
            file, data = make(size)
            (folder / file).write_bytes(data)
            began = time.process_time()
            read(folder / file)
            times.append(time.process_time() - began)
        slow = times[-1] > 3 * sizes[-1] / sizes[0] * max(times[0], 0.01)
        failures += slow
        figures = "".join(f"{seconds:12.3f}" for seconds in times)
        print(f"{name:40}{figures}{len(data) // 1000:14,}" + ("   too slow" if slow else ""))
    return min(failures, 1)

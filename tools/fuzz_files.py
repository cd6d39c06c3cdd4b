"""Throw damaged pictures and run folders at the commands: each must end in one sentence, or in a right answer.

    python tools/fuzz_files.py [--count 10000] [--seed 0] [--commands 40] [--paddle]
    python tools/fuzz_files.py --growth

Pictures of every format that Pillow writes, in every mode that the format has, are cut, flipped, spliced and blown up;
so are the files of a run: run.json, history.jsonl, the best weights, and each part of a checkpoint, with their
checksums as they were or made to match. JSON is damaged in its meaning as well: values replaced, keys left out or
doubled, histories of extreme length. Some files become a folder, a pipe, a device, an endless file, a link to
themselves, or nothing at all, under names with control characters; links in a run folder lead out of it; pickles have
the same bytes copied, checked or compared over and over.

Each damaged file is given to what the commands call for it, and a few times to the command itself. It must end in one
sentence that names the file, within 3 seconds of CPU time, or in an answer that can be right: a digit with its
probabilities, a finite figure, a checkpoint that is bit-identical to the one that was saved. Anything else is a
failure: the file is kept, and the exit status is 1. On Linux none may take more than 300 MB.

With ``--growth`` it reads weight files, run.json and histories of doubling size that are made to be slow, and fails if
the processor time grows much faster than the size.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import pickle
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from paddle_mnist import console, evaluate, learners, plot, predict, train
from paddle_mnist.dataset import open_dataset
from paddle_mnist.errors import UserError, printable
from paddle_mnist.runs import checkpoint, trainer
from paddle_mnist.runs.run import open_run
from paddle_mnist.sources import mnist_json
from paddle_mnist.splits import Split, Splits
from paddle_mnist.storage.bounded_json import read_history
from paddle_mnist.storage.weights import load_state_dict

SECONDS = 3.0  # of CPU time for one file, small or large
WAITING = 120.0  # likewise by the clock, on a machine that is busy: what hangs takes longer
MEGABYTES = 300.0  # likewise, beside what the process has already
SENTENCE = 700  # characters at most
NAMES = {
    "picture": "pictures",
    "run_folder": "run folders",
    "irregular": "irregular files",
    "links": "links in run folders",
    "program": "pickle programs",
    "process": "by commands",
}
# Of each hundred files.
SHARES = {"picture": 44, "run_folder": 44, "irregular": 5, "links": 2, "program": 5}

# Pictures.

MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "HSV", "I", "I;16", "I;16B", "F")
# A drawing takes a program of its own to be read, and the others hold no pixels.
NOT_PICTURES = {"EPS", "PDF", "BUFR", "GRIB", "HDF5", "WMF"}
CLAIMS = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 30_000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def pictures(digit: np.ndarray) -> dict[str, bytes]:
    """Return one drawing in every format and mode that Pillow writes, by a name for each."""
    Image.init()
    ink = np.asarray(Image.fromarray(digit).resize((56, 56), Image.Resampling.BICUBIC)).astype(int)
    gray = Image.fromarray(np.pad(230 - ink * 200 // 255, 10, constant_values=230).astype(np.uint8))
    found = {}
    exif = Image.Exif()
    exif[0x0112] = 6
    for form in sorted(Image.SAVE.keys() - NOT_PICTURES):
        for mode in MODES:
            options = {"save_all": True, "append_images": [converted(gray, mode)]} if form in Image.SAVE_ALL else {}
            for more in ({}, {"exif": exif}, options):
                file = io.BytesIO()
                with contextlib.suppress(Exception):  # not every format has every mode
                    converted(gray, mode).save(file, format=form, **more)
                    found[f"{form} {mode} {' '.join(more)}".strip()] = file.getvalue()
    return found


def converted(gray: Image.Image, mode: str) -> Image.Image:
    """Return a grey image in a mode, deep ones with their whole range used."""
    if mode in ("I;16", "I;16B"):
        return Image.frombytes(
            mode, gray.size, (np.asarray(gray).astype(f"{'>' if mode[-1] == 'B' else '<'}u2") * 200).tobytes()
        )
    if mode in ("I", "F"):
        return Image.fromarray(np.asarray(gray).astype(np.int32 if mode == "I" else np.float32) * 1000)
    if mode == "LAB":
        return Image.merge("LAB", [gray, gray, gray])
    if mode == "PA":
        return gray.convert("P").convert("PA")
    return gray.convert(mode)


def bombs() -> list[Callable[[], bytes]]:
    """Return makers of small files that stand for very large pictures, one for each format that can say so."""

    def saved(form: str, mode: str, side: int, **options: Any) -> Callable[[], bytes]:
        def make() -> bytes:
            file = io.BytesIO()
            Image.new(mode, (side, side)).save(file, format=form, **options)
            return file.getvalue()

        return make

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    def png(side: int, *more: bytes) -> bytes:
        head = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))
        rows = zlib.compress(bytes((side + 1) * side), 1)
        return b"\x89PNG\r\n\x1a\n" + head + b"".join(more) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")

    def ico() -> bytes:
        data = png(9000)
        return struct.pack("<HHHBBBBHHII", 0, 1, 1, 0, 0, 0, 0, 1, 32, len(data), 22) + data

    def icns() -> bytes:
        data = png(9000)
        return b"icns" + struct.pack(">I4sI", len(data) + 16, b"ic10", len(data) + 8) + data

    return [
        *(saved("PNG", mode, 7000) for mode in ("1", "L", "P", "RGB", "RGBA", "LA", "I;16")),
        *(saved("TIFF", mode, 5500, compression="tiff_lzw", strip_size=1 << 30) for mode in ("L", "RGBA", "CMYK", "F")),
        *(saved("TIFF", mode, 7000, compression="tiff_deflate") for mode in ("1", "L", "I;16", "RGBA")),
        saved("JPEG", "RGB", 9000),
        saved("JPEG", "CMYK", 9000, progressive=True),
        *(saved("GIF", mode, 7000) for mode in ("1", "P")),
        *(saved("WEBP", "RGBA", side, lossless=True, quality=0, method=0) for side in (3400, 9000)),
        *(saved(form, "RGB", side) for form in ("JPEG2000", "QOI") for side in (900, 2000)),
        saved("TGA", "RGBA", 7000, compression="tga_rle"),
        saved("PCX", "L", 7000),
        ico,
        icns,
        lambda: png(64, chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(bytes(50 << 20), 9))),
        lambda: png(64, chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(50 << 20), 9))),
        lambda: png(64, chunk(b"abCd", b"") * 800_000),
        lambda: b"P5 60000 60000 255\n" + bytes(1000),
        lambda: b"P5 7000 7000 255\n" + bytes(1000),
        lambda: b"P2 3000 3000 255\n" + b"7 " * 900_000,
        lambda: b"P5 3000 3000 99\n" + bytes(9_000_000),
        lambda: b"GIF89a\1\0\1\0\0\0\0,\0\0\0\0\xff\xff\xff\xff\0\2\2L\1\0;",
        lambda: b"GIF89a\x08\0\x08\0\0\0\0" + b"!\xfe\1x\0" * 900_000,
        lambda: b"\xff\xd8" + b"\xff\xe5\0\2" * 900_000,
        lambda: b"\xff\xd8" + b"\xff" * 3_000_000,
        lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n" + b"%%x: y\n" * 900_000,
        lambda: (
            b"BM" + struct.pack("<IHHIIiiHHIIiiII", 0, 0, 0, 54, 40, 9000, 9000, 1, 8, 1, 0, 0, 0, 256, 0) + bytes(99)
        ),
        lambda: (
            b'/* XPM */\nstatic char * x[] = {\n"3000 3000 1 1",\n"a c #000",\n' + (b'"' + b"a" * 3000 + b'",\n') * 900
        ),
    ]


def make_bombs(folder: Path) -> list[Path]:
    """Write the bombs into a folder, by a process of its own: making them takes the memory that reading must not."""
    paths = [folder / f"{number}.bomb" for number in range(len(bombs()))]
    code = "import runpy, sys; script = runpy.run_path(sys.argv[1]); script['write_bombs'](sys.argv[2:])"
    subprocess.run([sys.executable, "-W", "ignore", "-c", code, __file__, *map(str, paths)], check=True)
    return paths


def write_bombs(paths: list[str]) -> None:
    """Write one bomb into each file."""
    Image.MAX_IMAGE_PIXELS = None
    for path, make in zip(paths, bombs(), strict=True):
        Path(path).write_bytes(make())


def damaged_picture(bases: dict[str, bytes], explosive: list[Path], chance: random.Random) -> bytes:
    """Return the bytes of a picture file with which something is wrong."""
    data = bases[chance.choice(list(bases))]
    kind = chance.randrange(100)
    if kind == 0 and explosive:
        return chance.choice(explosive).read_bytes()
    if kind < 25:  # a size, an offset or a count becomes another
        at = chance.randrange(min(len(data), 120))
        form = chance.choice(["<H", ">H", "<I", ">I", "B"])
        number = struct.pack(form, chance.choice(CLAIMS) % (1 << 8 * struct.calcsize(form)))
        data = data[:at] + number + data[at + len(number) :]
        return with_checksums(data) if chance.random() < 0.7 else data
    if kind < 30:
        return b""[: chance.randrange(2)] + bytes(chance.randrange(256) for _ in range(chance.randrange(200)))
    if kind < 34:
        other = bases[chance.choice(list(bases))]
        return data[: chance.randrange(len(data))] + other[chance.randrange(len(other)) :]
    data = mutated(data, chance)
    return with_checksums(data) if chance.random() < 0.3 else data


def with_checksums(data: bytes) -> bytes:
    """Return a PNG with the checksums of what its chunks hold, so that a reader gets to see it; others as they are."""
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        return data
    out, at = [data[:8]], 8
    while at + 12 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        body = data[at + 4 : at + 8 + size]
        out += [data[at : at + 4], body, struct.pack(">I", zlib.crc32(body))]
        at += size + 12
    return b"".join([*out, data[at:]])


# Files of bytes and of JSON.


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Return bytes with one to three accidents."""
    for _ in range(chance.choice([1, 1, 1, 2, 3])):
        at, other = chance.randrange(len(data) + 1), chance.randrange(len(data) + 1)
        length = chance.choice([1, 2, 4, 16, 300])
        kind = chance.randrange(6)
        if kind == 0:
            data = data[:at]
        elif kind == 1 and at < len(data):
            data = data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :]
        elif kind == 2:
            data = data[:at] + bytes(chance.randrange(256) for _ in range(length)) + data[at + length :]
        elif kind == 3:
            data = data[:at] + data[at + length :]
        elif kind == 4:
            data = data[:at] + data[other : other + length] + data[at:]
        else:
            data = data[:at] + chance.choice([b"\0", b"\xff"]) * length + data[at + length :]
    return data


VALUES = [
    *("NaN", "Infinity", "-Infinity", "1e999", "-1e999", "null", "true", "-1", "0", "1.5", "1e300", "1e-320", "10"),
    *("9" * 30, "9" * 78, "9" * 200, "-" + "9" * 30, "2147483648", "9223372036854775808", "1000000000000"),
    *(
        '""',
        '"7"',
        '"text"',
        '"\\u0000"',
        '"\\ud800"',
        '"../../../etc/passwd"',
        '"\\u001b[2J\\nx"',
        '"' + "x" * 5000 + '"',
    ),
    *(
        "[]",
        "{}",
        "[1]",
        '{"a": 1}',
        "[" * 40 + "]" * 40,
        "[" * 5000 + "]" * 5000,
        '{"a":' * 5000,
        "nul",
        "1.",
        "/**/1",
    ),
]
PLACE = "@@ here @@"


def mutated_json(text: str, chance: random.Random) -> bytes:
    """Return a JSON text with a value replaced, a key left out, renamed or doubled, or in another encoding."""
    value = json.loads(text)
    for _ in range(chance.choice([1, 1, 2])):
        places = list(walk(value))
        parent, key = chance.choice(places)
        kind = chance.randrange(10)
        if kind < 6:
            parent[key] = PLACE
        elif kind < 8:
            del parent[key]
        elif isinstance(parent, dict):
            parent["x" * chance.choice([0, 1, 300]) + str(key)] = parent[key] if kind == 8 else parent.pop(key)
    text = json.dumps(value, indent=chance.choice([None, 2]))
    while f'"{PLACE}"' in text:
        text = text.replace(f'"{PLACE}"', chance.choice(VALUES), 1)
    if chance.random() < 0.1:
        text = re.sub(r'("\w+": )', r"\1null, \1", text, count=1)
    encoding = chance.choice(["utf-8"] * 12 + ["utf-16", "utf-8-sig", "utf-32"])
    return text.encode(encoding, "surrogatepass")


def walk(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every place in a JSON value: what holds it, and its key or index there."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in list(items):
        yield value, key
        yield from walk(item)


def damaged_text(data: bytes, chance: random.Random, lines: bool) -> bytes:
    """Return a file of JSON, or of a JSON object a line, that is damaged in its bytes or in its meaning."""
    if chance.random() < 0.3:
        return mutated(data, chance)
    if not lines:
        return mutated_json(data.decode(), chance)
    parts = data.splitlines(keepends=True)
    number = chance.randrange(len(parts))
    kind = chance.randrange(8)
    if kind == 0:
        del parts[number]
    elif kind == 1:
        parts.insert(chance.randrange(len(parts)), parts[number])
    elif kind == 2:
        chance.shuffle(parts)
    elif kind == 3 and chance.random() < 0.1:  # of extreme length
        parts = [parts[number]] * chance.choice([10_000, 240_000, 260_000])
    elif kind == 3:
        parts[number] = chance.choice([b"\n", b"[]\n", b"7\n", b"{}\n", b"\xff\xfe\n", b"x" * 9000 + b"\n"])
    else:
        parts[number] = mutated_json(parts[number].decode(), chance).replace(b"\n", b"") + b"\n"
    return b"".join(parts)


def damaged_weights(path: Path, data: bytes, chance: random.Random) -> bytes:
    """Return a file of weights that is damaged in its bytes, or that holds other arrays than it should."""
    if chance.random() < 0.5 or path.suffix == ".pdopt":
        return mutated(data, chance)
    state: dict[str, Any] = load_state_dict(path)
    name = chance.choice(list(state))
    array = state[name]
    kind = chance.randrange(9)
    if kind < 3:
        array.flat[chance.randrange(array.size)] = [np.nan, np.inf, -np.inf][kind]
    elif kind == 3:
        del state[name]
    elif kind == 4:
        state[chance.choice(["", "x" * 300, "\n\x1b[2J", "extra"])] = array
    elif kind == 5:
        state[name] = array.astype(chance.choice([np.float16, np.int8, np.complex64, bool]))
    elif kind == 6:
        state[name] = array[..., np.newaxis] if chance.random() < 0.5 else array.reshape(-1)
    elif kind == 7:
        state[name] = array[:-1]
    else:
        state[name] = np.zeros((0, *array.shape), array.dtype)
    file = io.BytesIO()
    if path.suffix == ".npz":
        np.savez(file, **{name: array for name, array in state.items() if name})
    elif path.suffix == ".safetensors":
        from safetensors.numpy import save

        with contextlib.suppress(Exception):  # it has no complex numbers
            file.write(save({name: np.ascontiguousarray(array) for name, array in state.items()}))
    else:
        pickle.dump(state, file, protocol=chance.choice([2, 3, 4]))
    return file.getvalue()


ODD_NAMES = (
    "\x1b]0;owned\x07",
    "\x1b[2J",
    "two\nlines",
    "\u202egnp",
    "a\udcff",
    "é 数",
    "$\\bad{$",
    "x" * 200,
    "%s{0}",
    "-rf",
)
ENDLESS = ("/dev/zero", "/dev/urandom", "/proc/self/pagemap", "/proc/self/mem", "/proc/kmsg", "/dev/full", "/dev/tty")


def displace(path: Path, chance: random.Random) -> None:
    """Make a file into something that is none."""
    kind = chance.randrange(6)
    path.unlink(missing_ok=True)
    if kind == 0:
        path.mkdir()
    elif kind == 1:
        path.write_bytes(b"")
    elif kind == 2 and hasattr(os, "mkfifo"):
        os.mkfifo(path)
    elif kind == 3 and os.name != "nt":
        path.symlink_to(path)
    elif kind == 4 and os.name != "nt":
        path.symlink_to(chance.choice(ENDLESS))


def program(chance: random.Random) -> bytes:
    """Return a pickle that remembers something large, and then does the same with it many times."""
    size, many = chance.choice([0, 1, 1000, 300_000]), chance.choice([1, 100, 20_000])
    octets = b"B" + struct.pack("<I", size) + bytes(size) + b"q\0"
    text = b"X" + struct.pack("<I", size) + b"k" * size
    dtype = b"cnumpy\ndtype\nU\2" + chance.choice([b"b1", b"f4", b"i8"]) + b"K\0K\1\x87R"
    shape = b"J" + struct.pack("<i", size) + b"\x85"
    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85U\1b\x87R"
    slots = b"".join(b"r" + struct.pack("<I", 300 + key) for key in range(min(size, 3000)))
    begin = chance.choice(
        [
            octets + b"0(K\1" + shape + dtype + b"\x89h\0tq\1" + array + slots + b"q\2" + b"h\2" * many,
            text + b"q\1" + text + b"q\2}h\1Ns",
            b"](" + b"N" * (size // 10) + b"eq\1}q\2",
            b"(" + b"N" * (size // 10) + b"tq\1}q\2",
            text + b"q\1" + octets + b"q\2}",
        ]
    )
    again = [
        b"h\1b0",
        b"h\2Ns",
        b"h\1h\2",
        b"h\1\x850",
        b"c__builtin__\ntuple\nh\1\x85R0",
        b"h\2h\1s",
        b"]h\1a0",
        array,
    ]
    again += [
        b"c__builtin__\nbytes\nh\1U\6latin1\x86R0",
        b"ccollections\nOrderedDict\nh\1\x85R0",
        array + b"h\1b0",
        b"2",
        b"(",
    ]
    return b"\x80\2" + begin + b"".join(chance.choice(again) * many for _ in range(chance.choice([1, 1, 2, 3]))) + b"."


def reseal(folder: Path) -> None:
    """Give the files of a checkpoint the checksums in its state.json that they now have, as a stranger could."""
    with contextlib.suppress(Exception):
        state = json.loads((folder / checkpoint.STATE).read_bytes())
        parts = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != checkpoint.STATE}
        (folder / checkpoint.STATE).write_bytes(checkpoint._sealed_state(state, parts, folder))


# What is asked of them.


class Fuzzer:
    """Makes damaged files, reads them, and reports the outcome of each."""

    def __init__(self, folder: Path, paddle: bool = False, explosive: Sequence[Path] = ()) -> None:
        self.folder, self.chance = folder, random.Random(0)
        digits = open_dataset("sample")
        self.splits = Splits(
            *(Split(part.images[:120], part.labels[:120]) for part in (digits.train, digits.valid, digits.eval))
        )
        self.data = folder / "few.json.gz"
        mnist_json.write(self.data, self.splits)
        nets = ["two-layer", *(["fc"] if paddle else [])]
        for net in nets:
            given = ["--net", net, "--epochs", "2", "--batch-size", "40", "--log-every", "1", "--save-every", "2"]
            quietly(train.main, *given, "--data", self.data, "--out", folder / "whole" / net, "--quiet")
        self.runs = [folder / "whole" / net for net in nets]
        self.saved = {
            run: {path.name: checkpoint.load(path) for path in checkpoint.checkpoints(run)} for run in self.runs
        }
        self.read = predict.load_predictor(str(self.runs[0]))
        self.pictures, self.bombs = pictures(np.array(digits.eval.images[0])), list(explosive)
        self.kept: Path = folder

    def picture(self) -> str:
        """Read the digit, or the number, in a damaged picture."""
        path = self.kept = self.folder / self.chance.choice(["picture", "picture.png", "7.jpg"])
        path.write_bytes(damaged_picture(self.pictures, self.bombs, self.chance))
        if self.chance.random() < 0.01:
            displace(path, self.chance)
        kind = self.chance.choice(["digit"] * 8 + ["number", None])
        try:
            with contextlib.redirect_stderr(io.StringIO()) as aside:
                answer = predict.read_picture(str(path), self.read, kind)
        except UserError as error:
            return self.judged(str(error), path) if not aside.getvalue() else f"says {aside.getvalue()!r} besides"
        finally:
            if path.is_dir() and not path.is_symlink():
                path.rmdir()
            elif path.is_symlink() or not path.is_file():  # what is written next must not go through a link
                path.unlink(missing_ok=True)
        digits = answer["number"].replace("\n", "") if "number" in answer else str(answer["digit"])
        shares = np.reshape(answer["probabilities"], (len(digits), 10))
        right = digits.isdecimal() and np.allclose(shares.sum(axis=1), 1) and np.isfinite(answer["boxes"]).all()
        return "read" if right and not aside.getvalue() else f"answers {answer}, says {aside.getvalue()!r}"

    def run_folder(self) -> str:
        """Damage a file of a run, and run a command that reads it."""
        whole = self.chance.choice(self.runs)
        run = self.kept = self.folder / "run"
        shutil.rmtree(run, ignore_errors=True)
        shutil.copytree(whole, run)
        numpy = whole == self.runs[0]
        weights = "model.npz" if numpy else "model.pdparams"
        newest = f"checkpoints/{checkpoint.checkpoints(run)[-1].name}"
        names = ["run.json", "history.jsonl", "best.npz" if numpy else "best.pdparams"]
        names += [f"{newest}/{part}" for part in ("state.json", weights, "optimizer.pdopt")]
        name = self.chance.choice(names)
        path = run / name
        if self.chance.random() < 0.04:
            displace(path, self.chance)
        elif path.suffix in (".json", ".jsonl"):
            path.write_bytes(damaged_text(path.read_bytes(), self.chance, lines=path.suffix == ".jsonl"))
        else:
            path.write_bytes(damaged_weights(path, path.read_bytes(), self.chance))
        sealed = "checkpoints" in name and path.is_file() and not path.is_symlink() and self.chance.random() < 0.5
        if sealed:
            reseal(path.parent)
        return self.asked(run, path, whole, sealed)

    def irregular(self) -> str:
        """Have each reader open something that is not a regular file, or does not exist, under an odd name."""
        suffix, read = self.chance.choice(
            [
                *((suffix, load_state_dict) for suffix in (".pdparams", ".pkl", ".npz", ".safetensors", ".onnx")),
                *((suffix, lambda path: open_dataset(str(path))) for suffix in (".json", ".json.gz")),
                (".png", lambda path: predict.read_picture(str(path), self.read, "digit")),
                ("run.json", lambda path: open_run(path.parent)),
                ("history.jsonl", read_history),
            ]
        )
        folder = self.kept = self.folder / "odd"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        path = folder / (suffix if suffix[0] != "." else self.chance.choice(ODD_NAMES) + suffix)
        displace(path, self.chance)
        try:
            read(path)
        except UserError as error:
            return self.judged(str(error), folder if suffix == "run.json" else path)
        return "read" if not path.is_symlink() and (path.suffix == ".jsonl" or not path.exists()) else "reads it"

    def links(self) -> str:
        """Let links in a run folder lead to another run, resume training, and check that the other run is unchanged."""
        run, other = self.folder / "run", self.folder / "other"
        self.kept = run
        for folder in (run, other):
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(self.runs[0], folder)
        names = [path.relative_to(run) for path in sorted(run.rglob("*"))]
        for name in self.chance.sample(names, self.chance.choice([1, 1, 2, 4])):
            path = run / name
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path.is_file():
                path.unlink()
            if (
                path.parent.is_dir()
                and not path.parent.resolve().is_relative_to(other.resolve())
                and not path.is_symlink()
            ):
                target = other / self.chance.choice([name, *names, Path("new")])
                path.symlink_to(target)
        before = files_of(other)
        try:
            found = open_run(run)
            checkpoint.latest(run, log=lambda sentence: None)
            with contextlib.suppress(UserError):
                checkpoint.prune(run, 1, log=lambda sentence: None)
            state = {"epoch": self.chance.randrange(4), "batch": self.chance.randrange(2)}
            with checkpoint.lock(run):
                checkpoint.save(run, {}, {}, state, keep=1, weights=checkpoint.NUMPY_WEIGHTS, log=lambda sentence: None)
                found.append([{"epoch": 9, "step": 9, "loss": 1.0}])
                found.write_manifest()
            outcome = "read"
        except UserError as error:
            outcome = self.judged(str(error), run)
        return outcome if files_of(other) == before else "changes a file outside the run folder"

    def program(self) -> str:
        """Read a pickle that has its reader do the same over and over."""
        path = self.kept = self.folder / self.chance.choice(["net.pdparams", "net.pkl"])
        path.write_bytes(program(self.chance))
        try:
            load_state_dict(path)
        except UserError as error:
            return self.judged(str(error), path)
        return "read"

    def asked(self, run: Path, path: Path, whole: Path, sealed: bool) -> str:
        """Ask for what the damaged file is needed for."""
        if "checkpoints" in str(path.relative_to(run)):
            kind = self.chance.randrange(50)
            if kind == 0:
                return self.command(train.main, run, "--resume", run, "--quiet", "--epochs", "2")
            if kind < 20:
                return self.resumed(run)
            damaged: list[str] = []
            try:
                found = checkpoint.latest(run, log=damaged.append)
            except UserError as error:
                return self.judged(str(error), run)
            if any(self.judged(sentence, run) != "refused" for sentence in damaged):
                return f"says {damaged}"
            if damaged:
                before = checkpoint.checkpoints(whole)[-2].name
                return "refused" if same(found, self.saved[whole][before]) else "takes another than the one before"
            newest = checkpoint.checkpoints(whole)[-1].name
            return "read" if sealed or same(found, self.saved[whole][newest]) else "takes a damaged one as whole"
        if path.name == "history.jsonl":
            kind = self.chance.randrange(50)
            if kind < 4:
                return self.command(plot.main, run, run, "--out", self.folder / "loss.png")
            if kind == 4:
                return self.command(train.main, run, "--resume", run, "--quiet")
            if kind < 20:
                return self.resumed(run)
            try:
                history = open_run(run).history()
            except UserError as error:
                return self.judged(str(error), run)
            return "read" if all(isinstance(record, dict) for record in history) else "reads no records"
        kind = self.chance.randrange(50)
        if kind == 0 and path.name == "run.json":
            return self.command(train.main, run, "--resume", run, "--quiet")
        if kind < 15:
            return self.command(predict.main, run, self.good_picture(), "--model", run, "--json")
        if kind < 30 and path.name != "run.json":
            return self.command(evaluate.main, run, path, "--data", self.data, "--json")
        return self.command(evaluate.main, run, run, "--data", self.data, "--json")

    def resumed(self, run: Path) -> str:
        """Take up a run where it stopped, as ``train --resume`` does before it trains on."""
        try:
            found = open_run(run)
            with contextlib.redirect_stderr(io.StringIO()):  # it says which checkpoints it passes over
                taken = trainer.Trainer(found, learners.build(found.settings), self.splits, quiet=True).resume()
        except UserError as error:
            return self.judged(str(error), run)
        return "read" if taken else "finds no checkpoint"

    def good_picture(self) -> Path:
        """Return a picture with which nothing is wrong."""
        path = self.folder / "good.png"
        path.write_bytes(self.pictures["PNG L"])
        return path

    def command(self, main: Callable[[Sequence[str]], int], run: Path, *arguments: object) -> str:
        """Run a command line in this process; return what came of it."""
        status, out, err = quietly(main, *arguments)
        if status == 0:
            return (
                "read"
                if "nan" not in out.lower() and "inf" not in out.lower().replace("info", "")
                else f"prints {out!r}"
            )
        errors = [line for line in err.splitlines() if line.startswith("paddle_mnist: error: ")]
        if status != 2 or len(errors) != 1 or out or not err.endswith(errors[0] + "\n"):
            return f"status {status}, prints {out!r} and {err!r}"
        return self.judged(errors[0].removeprefix("paddle_mnist: error: "), run)

    def judged(self, sentence: str, path: Path) -> str:
        """Tell whether a refusal is a sentence that names the file."""
        named = printable(str(path)) in sentence or f"the run {path.name} " in sentence
        fine = named and sentence.isprintable() and len(sentence) <= SENTENCE
        return "refused" if fine else f"says {sentence!r}"

    def process(self) -> str:
        """Give a damaged picture or run to the command as a user has it, in a process of its own."""
        if self.chance.random() < 0.5:
            path = self.kept = self.folder / "picture"
            path.write_bytes(damaged_picture(self.pictures, self.bombs, self.chance))
            arguments = ["predict", path, "--model", self.runs[0], "--json"]
        else:
            run = path = self.kept = self.folder / "run"
            shutil.rmtree(run, ignore_errors=True)
            shutil.copytree(self.runs[0], run)
            name = self.chance.choice(["run.json", "history.jsonl"])
            (run / name).write_bytes(damaged_text((run / name).read_bytes(), self.chance, name == "history.jsonl"))
            arguments = ["plot", run] if name == "history.jsonl" else ["evaluate", run, "--data", self.data, "--json"]
        command = [sys.executable, "-m", f"paddle_mnist.{arguments[0]}", *map(str, arguments[1:])]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        if done.returncode == 0:
            return "read" if done.stdout else "prints nothing"
        lines = done.stderr.splitlines()
        fine = done.returncode == 2 and len(lines) == 1 and str(path) in lines[0] and done.stdout in ("", "[]\n")
        return "refused" if fine else f"status {done.returncode}, prints {done.stdout!r} and {done.stderr!r}"


def files_of(folder: Path) -> dict[str, bytes | None]:
    """Return all that is in a folder: the bytes of each file by its path."""
    return {str(path): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def same(found: Any, expected: Any) -> bool:
    """Tell whether two checkpoints are the same."""
    try:
        np.testing.assert_equal(found, expected)
    except AssertionError:
        return False
    return True


def quietly(main: Callable[[Sequence[str]], int], *arguments: object) -> tuple[int, str, str]:
    """Run a command line as its process does; return its status, standard output and standard error."""
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        status = console.run(main, [str(argument) for argument in arguments])
    return status, out.getvalue(), err.getvalue()


def memory_mb(what: str) -> float:
    """Return this process's memory in megabytes: ``VmRSS`` has it now, ``VmHWM`` at most since ``forget_peak``.

    Linux alone can tell; elsewhere 0 is returned, and the bound is not looked at.
    """
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(what):
                return int(line.split()[1]) / 1e3
    return 0.0


def forget_peak() -> None:
    """Reset the process's peak of memory."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the fuzzer; return 1 if anything went wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=10_000, help="files to read (10000)")
    parser.add_argument("--seed", type=int, default=0, help="of the damages (0)")
    parser.add_argument("--commands", type=int, default=40, help="how many of them by commands of their own (40)")
    parser.add_argument("--paddle", action="store_true", help="damage the run of a net in Paddle as well")
    parser.add_argument("--growth", action="store_true", help="measure how the time grows with a file's size")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as temporary:
        if args.growth:
            import growing_files  # beside this script

            return growing_files.report(Path(temporary))
        fuzzer = Fuzzer(Path(temporary), args.paddle, make_bombs(Path(temporary)))
        # What is made once, fonts and modules, is made before memory is measured.
        quietly(plot.main, fuzzer.runs[0], "--out", Path(temporary, "loss.png"))
        predict.read_picture(str(fuzzer.good_picture()), fuzzer.read)
        counts, failures, longest, most = throw(fuzzer, args.count, args.seed, args.commands)
    print(", ".join(f"{count:,} {name}" for name, count in sorted(counts.items())))
    print(f"failures {failures}; longest {longest:.2f} s; most memory {most:.0f} MB")
    return 1 if failures else 0


def throw(fuzzer: Fuzzer, count: int, seed: int, commands: int) -> tuple[Counter[str], int, float, float]:
    """Have so many damaged files read, some of them by commands of their own.

    Returns:
        What came of them, how many failed, the most CPU time that one took, in seconds, and the most memory, in
        megabytes.
    """
    counts: Counter[str] = Counter()
    failures, longest, most = 0, 0.0, 0.0
    for number in range(count):
        process = commands and number % max(1, count // commands) == 0
        fuzzer.chance = random.Random(f"{seed} {number}")
        kind = "process" if process else fuzzer.chance.choices(list(SHARES), list(SHARES.values()))[0]
        forget_peak()
        before, began, clock = memory_mb("VmRSS"), time.process_time(), time.perf_counter()
        try:
            outcome = getattr(fuzzer, kind)()
        except Exception as error:  # whatever it is, it is what is looked for
            outcome = f"{type(error).__name__}: {error}"
        took = 0.0 if process else time.process_time() - began
        waited = 0.0 if process else time.perf_counter() - clock
        grown = memory_mb("VmHWM") - before
        longest, most = max(longest, took), max(most, grown)
        if outcome not in ("read", "refused") or took > SECONDS or waited > WAITING or grown > MEGABYTES:
            failures += 1
            kept = keep(fuzzer.kept, Path(f"fuzz-files-{seed}-{number}"))
            print(f"{kept}: {kind}, {took:.1f} s, {grown:.0f} MB: {outcome}", file=sys.stderr, flush=True)
        counts[f"{NAMES[kind]} {outcome if outcome in ('read', 'refused') else 'failed'}"] += 1
    return counts, failures, longest, most


def keep(path: Path, place: Path) -> Path:
    """Copy what a failure was found in to where it can be looked at."""
    pipes = [pipe.name for pipe in path.rglob("*") if pipe.is_fifo()] if path.is_dir() else []
    with contextlib.suppress(OSError, shutil.Error):
        if path.is_dir():
            shutil.copytree(path, place, symlinks=True, dirs_exist_ok=True, ignore=lambda *_: pipes)
        elif path.is_file():
            shutil.copyfile(path, place)
    return place


if __name__ == "__main__":
    sys.exit(main())

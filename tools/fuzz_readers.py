"""Give damaged and irregular files to the readers of digits: each must end in one sentence, or in the right arrays.

    python tools/fuzz_readers.py [--count 10000] [--seed 0]
    python tools/fuzz_readers.py --growth

Files in the course's format, made from the bundled sample in every encoding and many spacings, are cut, flipped,
spliced and rewritten, before and after compression; so are IDX files. A file that is read must give what a plain
``json`` parse gives, by the compiled look-up and by the plain reader. Pipes, devices, endless files of /proc, links to
them, sparse files and folders are given to ``open_dataset`` under the names of data files, and must be refused.

It prints the number of files read and refused, the longest time, and the growth of the process's memory. Anything else
is a failure: the file is kept, and the exit status is 1.

With ``--growth`` it reads files of doubling size that are made to be slow, and fails if the processor time grows much
faster than the size.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import json
import os
import random
import shutil
import socket
import sys
import tempfile
import time
import zlib
from collections import Counter
from pathlib import Path

import numpy as np

from paddle_mnist.dataset import open_dataset
from paddle_mnist.errors import UserError
from paddle_mnist.sources import idx, mnist_json
from paddle_mnist.sources.mnist_json import tables
from paddle_mnist.sources.mnist_json import text as mnist_json_text
from paddle_mnist.splits import Split, Splits

SECONDS = 5.0  # for one small file; a refusal takes milliseconds
ENDLESS = (
    "/dev/zero",
    "/dev/urandom",
    "/dev/full",
    "/dev/null",
    "/dev/tty",
    "/proc/self/pagemap",
    "/proc/self/mem",
    "/proc/kmsg",
)
PIECES = [
    *(bytes([c]) for c in b' \t\n\r,[]{}-+.eE019"\0\xff'),
    *(b"null", b"true", b"NaN", b"Infinity", b'"7"', b"1e999", b"-1", b"256", b"3.5", b"0.5", b"10", b"0.00390625"),
    *(b"],[", b"], [", b"]],[[", b"[[", b"]]", b"[]", b"[" * 2000, b" " * 5000, b"0," * 784, b"9" * 500, b"/* */"),
]
SPACINGS = [
    lambda text: text,
    lambda text: text.replace(" ", ""),
    lambda text: text.replace(", ", ",\n"),
    lambda text: text.replace(", ", "\t,  "),
    lambda text: text.replace("[", "[ ").replace("]", "\r\n]"),
    lambda text: text.replace("], [", "],\n["),
]


def texts(splits: Splits) -> list[bytes]:
    """Return the digits as JSON text in every encoding and spacing."""
    found = []
    for encoding in mnist_json.ENCODINGS:
        levels = mnist_json.pixel_values(encoding)
        lists = [
            [[[levels[k] for k in image.ravel().tolist()] for image in part.images], part.labels.tolist()]
            for part in (splits.train, splits.valid, splits.eval)
        ]
        found += [spacing(json.dumps(lists)).encode() for spacing in SPACINGS]
    return found


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Return the bytes with one to three random changes."""
    for _ in range(chance.choice([1, 1, 1, 2, 3])):
        at = chance.randrange(len(data) + 1)
        kind = chance.randrange(7)
        if kind == 0:
            data = data[:at]
        elif kind == 1 and at < len(data):
            data = data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :]
        elif kind == 2:
            data = data[:at] + chance.choice(PIECES) + data[at:]
        elif kind == 3:
            data = data[:at] + chance.choice(PIECES) + data[at + chance.randrange(12) :]
        elif kind == 4:
            data = data[:at] + data[at + chance.choice([1, 2, 5, 100, 3000]) :]
        elif kind == 5:
            other = chance.randrange(len(data) + 1)
            data = data[:at] + data[other : other + chance.choice([1, 5, 100, 3000])] + data[at:]
        else:
            piece = chance.choice(PIECES[:20])
            data = data.replace(piece, chance.choice(PIECES[:20]), chance.choice([1, 2, -1]))
    return data


def plain(content: bytes) -> list[tuple[np.ndarray, np.ndarray]] | None:
    """Return the float pixels and the labels of each split by a plain parse; ``None`` if the file does not parse."""
    try:
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
        if not content.isascii():
            return None
        parts = json.loads(content)
        return [(np.array(images, float), np.array(labels)) for images, labels in parts]
    except (ValueError, TypeError, OSError, EOFError, zlib.error, OverflowError, RecursionError):
        return None


def agrees(found: Splits, expected: list[tuple[np.ndarray, np.ndarray]] | None) -> bool:
    """Tell whether the digits read are those of a plain parse, in the encoding that was recognised."""
    if expected is None or len(expected) != 3:
        return False
    levels = np.array(mnist_json.pixel_values(found.encoding))
    return all(
        pixels.shape == (len(part.labels), 784)
        and np.abs(levels[part.images.reshape(pixels.shape)] - pixels).max() < 2e-6
        and np.array_equal(part.labels, labels)
        for part, (pixels, labels) in zip((found.train, found.valid, found.eval), expected, strict=True)
    )


def fuzz_json(path: Path, bases: list[bytes], chance: random.Random) -> str:
    """Read one damaged JSON file; return the outcome."""
    text = chance.choice(bases)
    how = chance.randrange(4)
    if how == 0:
        content = mutated(gzip.compress(text, 1), chance)
    elif how == 1:
        content = gzip.compress(mutated(text, chance), 1)
    elif how == 2:
        at = chance.randrange(len(text))
        members = [gzip.compress(text[:at], 1), gzip.compress(text[at:], 1)]
        content = chance.choice([b"", b"\0" * 9, b"x"]).join(chance.choice([members, members * 2, members[::-1]]))
    else:
        content = mutated(text, chance)
    path.write_bytes(content)
    # With small blocks, the look-up of whole blocks meets the damage, as it would in a file of all the digits.
    mnist_json_text.BLOCK = chance.choice([1 << 12, 1 << 14, 1 << 19])
    try:
        found = mnist_json.read(path, plain=chance.random() < 0.5)
    except UserError as error:
        return "refused" if str(error).startswith(str(path)) and "\n" not in str(error) else f"says {error!s}"
    return "read" if agrees(found, plain(content)) else "read wrongly"


def fuzz_idx(folder: Path, files: list[Path], chance: random.Random) -> str:
    """Read a folder of IDX files of which one is damaged; return the outcome."""
    originals = [path.read_bytes() for path in files]
    i = chance.randrange(4)
    data = originals[i] if chance.random() < 0.5 else gzip.decompress(originals[i])
    data = mutated(data, chance)
    files[i].write_bytes(data if chance.random() < 0.5 else gzip.compress(data, 1))
    try:
        found = idx.read_folder(folder)
        contents = [gzip.decompress(d) if d[:2] == b"\x1f\x8b" else d for d in (path.read_bytes() for path in files)]
        images = b"".join(part.images.tobytes() for part in (found.train, found.valid))
        labels = b"".join(part.labels.tobytes() for part in (found.train, found.valid))
        expected = [content[16 if i % 2 == 0 else 8 :] for i, content in enumerate(contents)]
        right = [images, labels, found.eval.images.tobytes(), found.eval.labels.tobytes()] == expected
        return "read" if right else "read wrongly"
    except UserError as error:
        return "refused" if "\n" not in str(error) else f"says {error!s}"
    finally:
        files[i].write_bytes(originals[i])


def fuzz_irregular(folder: Path, good: bytes, chance: random.Random) -> str:
    """Open something that is no regular file, or a link to a good file; return the outcome."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    target, path = folder / "target", folder / chance.choice(["x.json", "x.json.gz", "x"])
    kind = chance.choice(
        ["pipe", "socket", "folder", "loop", "dangling", "sparse", "good", "device", "device", "device"]
    )
    if kind == "pipe":
        os.mkfifo(target)
    elif kind == "socket":
        socket.socket(socket.AF_UNIX).bind(str(target))
    elif kind == "folder":
        target.mkdir()
    elif kind == "loop":
        target.symlink_to(path)
    elif kind == "sparse":
        target.write_bytes(chance.choice([b"", b"[[[[", b"\x1f\x8b", b"\x1f\x8b\x08\x08\0\0\0\0\0\0"]))
        os.truncate(target, 1 << chance.randrange(25))
    elif kind == "good":
        target.write_bytes(good)
    elif kind == "device":
        target.symlink_to(chance.choice(ENDLESS))
    path.symlink_to(target)
    if chance.random() < 0.3:  # as one of the four IDX files, which all are the same here
        os.mkdir(folder / "idx")
        for name in idx.NAMES:
            os.symlink(path, folder / "idx" / name)
        path = folder / "idx"
    elif chance.random() < 0.3:
        path = target
    try:
        found = open_dataset(path)
    except UserError as error:
        return "refused" if str(folder) in str(error) and str(error).isprintable() else f"says {error!s}"
    return "read" if kind == "good" and agrees(found, plain(good)) else f"read a {kind}"


def row_text(numbers: list[str]) -> str:
    """Return a row of pixels that take turns through these texts of numbers."""
    return "[" + ",".join((numbers * (784 // len(numbers) + 1))[:784]) + "]"


SLOW_ROWS = {  # the k-th row of a file
    "ordinary": lambda k: row_text(["0", "0.5"]),
    "a new spelling in each row": lambda k: row_text(["0", f"0e{k}"]),
    "a new value now and then": lambda k: row_text(["0", f"{k // 100 % 256 / 255}"]),
    "numbers too long for the compiled table": lambda k: row_text(["0." + "0" * 50]),
    "white space of many lengths": lambda k: row_text([" " * (k % 61) + "0", "0" + "\n" * (k % 7)]),
    "rows of most of a megabyte": lambda k: "[" + " " * 900_000 + row_text(["0"])[1:],
    "a name in gzip's header": None,
}


def growth(path: Path) -> int:
    """Read files of doubling size; return 1 if the time grows much faster than the size."""
    failures = 0
    print(f"{'processor time, s, for a text of':42}" + "".join(f"{size:7} MB" for size in (2, 4, 8, 16)))
    for name, row in SLOW_ROWS.items():
        times = []
        for size in (2, 4, 8, 16):
            if row is None:
                path.write_bytes(b"\x1f\x8b\x08\x08\0\0\0\0\0\3" + b"x" * (size << 20))
            else:
                rows: list[str] = []
                total = 0
                while total < size << 20:
                    rows.append(row(len(rows)))
                    total += len(rows[-1])
                tail = f"],[{','.join('5' * len(rows))}]],[[{row(0)}],[1]],[[{row(0)}],[1]]]"
                path.write_text("[[[" + ",".join(rows) + tail)
            begun = time.process_time()
            with contextlib.suppress(UserError):
                mnist_json.read(path)
            times.append(time.process_time() - begun)
        slow = times[-1] > 3 * 8 * max(times[0], 0.02)
        failures += slow
        print(f"{name:42}" + "".join(f"{seconds:10.3f}" for seconds in times) + ("   too slow" if slow else ""))
    return min(failures, 1)


def peak_mb() -> float:
    """Return the peak memory of this process, in megabytes; 0 if the system does not tell (Windows)."""
    try:
        import resource
    except ImportError:
        return 0.0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def main(argv: list[str] | None = None) -> int:
    """Run the fuzzer; return 1 if anything went wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=10_000, help="number of files (10000)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the damage (0)")
    parser.add_argument("--growth", action="store_true", help="measure how the time grows with a file's size")
    args = parser.parse_args(argv)
    if args.growth:
        with tempfile.TemporaryDirectory() as temporary:
            return growth(Path(temporary, "digits"))
    chance = random.Random(args.seed)
    sample = open_dataset("sample")
    few = Splits(
        *(
            Split(part.images[:n], part.labels[:n])
            for part, n in ((sample.train, 12), (sample.valid, 3), (sample.eval, 2))
        )
    )
    bases = texts(few)
    counts: Counter[str] = Counter()
    longest, failures = 0.0, 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, "idx")
        files = idx.write_folder(folder, few)
        path = Path(temporary, "digits")
        irregular = Path(temporary, "irregular")
        os.environ["PADDLE_MNIST_CACHE"] = str(Path(temporary, "cache"))
        before = peak_mb()
        for number in range(args.count):
            kind = "idx" if number % 5 == 0 else "irregular" if number % 5 == 1 and os.name == "posix" else "json"
            begun = time.perf_counter()
            try:
                if kind == "irregular":
                    outcome = fuzz_irregular(irregular, bases[0], chance)
                else:
                    outcome = fuzz_idx(folder, files, chance) if kind == "idx" else fuzz_json(path, bases, chance)
            except Exception as error:  # any other exception is a failure
                outcome = f"{type(error).__name__}: {error}"
            took = time.perf_counter() - begun
            longest = max(longest, took)
            if outcome not in ("read", "refused") or took > SECONDS:
                failures += 1
                kept = Path(f"fuzz-{args.seed}-{number}.bin")
                kept.write_bytes(path.read_bytes() if kind == "json" else b"")
                print(f"{kept}: {kind}, {took:.1f} s: {outcome}", file=sys.stderr)
            counts[f"{kind} {outcome if outcome in ('read', 'refused') else 'failed'}"] += 1
    print(", ".join(f"{count:,} {name}" for name, count in sorted(counts.items())))
    print(f"readers: {'plain and compiled' if tables.COMPILED else 'plain (the compiled one is not installed)'}")
    print(f"failures {failures}; longest {longest:.2f} s (the plain parse for comparison included)")
    print(f"memory grew by {peak_mb() - before:.0f} MB")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())

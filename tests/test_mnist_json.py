"""The reader of mnist.json.gz, compared with a plain parse: every encoding, many spacings, wrong files."""

from __future__ import annotations

import gzip
import io
import json
import os
import random
import re
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from paddle_mnist.errors import UserError
from paddle_mnist.sources import mnist_json
from paddle_mnist.sources.mnist_json import reader
from paddle_mnist.sources.mnist_json import text as mnist_json_text
from paddle_mnist.sources.mnist_json.blocks import look_up_blocks
from paddle_mnist.sources.mnist_json.text import MARGIN, Text
from paddle_mnist.splits import Split, Splits


def make_splits(counts=(40, 7, 5), seed=0):
    random = np.random.default_rng(seed)
    parts = []
    for n in counts:
        ink = random.integers(0, 256, (n, 28, 28), dtype=np.uint8)
        parts.append(Split(ink * (random.random((n, 28, 28)) < 0.2), random.integers(0, 10, n, dtype=np.uint8)))
    return Splits(*parts)


def as_lists(splits, encoding="uint8"):
    levels = mnist_json.pixel_values(encoding)
    return [
        [[[levels[k] for k in image.ravel().tolist()] for image in part.images], part.labels.tolist()]
        for part in (splits.train, splits.valid, splits.eval)
    ]


def same(found, expected):
    return all(
        np.array_equal(getattr(found, name).images, getattr(expected, name).images)
        and np.array_equal(getattr(found, name).labels, getattr(expected, name).labels)
        and getattr(found, name).images.dtype == getattr(found, name).labels.dtype == np.uint8
        for name in ("train", "valid", "eval")
    )


def store(path, content):
    """Write text, bytes or lists to a file, packed if its name says so."""
    if not isinstance(content, (str, bytes)):
        content = json.dumps(content)
    content = content.encode() if isinstance(content, str) else content
    path.write_bytes(gzip.compress(content, 1) if path.name.endswith(".gz") else content)
    return path


SPLITS = make_splits()


@pytest.fixture(params=[False, True], ids=["compiled", "plain"])
def read(request):
    """Read by either reader."""
    if not request.param:
        pytest.importorskip("paddle_mnist.sources.mnist_json._lookup", reason="installed without a C compiler")
    return partial(mnist_json.read, plain=request.param)


@pytest.mark.parametrize("name", ["digits.json", "digits.json.gz"])
@pytest.mark.parametrize("encoding", mnist_json.ENCODINGS)
def test_read_returns_what_write_wrote(tmp_path, encoding, name, read):
    mnist_json.write(tmp_path / name, SPLITS, encoding)
    found = read(tmp_path / name)
    assert same(found, SPLITS)
    assert found.encoding == encoding


def test_write_gives_the_same_bytes_each_time(tmp_path):
    for name in ("a.json.gz", "b.json.gz"):
        mnist_json.write(tmp_path / name, SPLITS)
    assert (tmp_path / "a.json.gz").read_bytes() == (tmp_path / "b.json.gz").read_bytes()
    assert json.loads(gzip.decompress((tmp_path / "a.json.gz").read_bytes())) == as_lists(SPLITS)


def test_write_refuses_an_unknown_encoding(tmp_path):
    with pytest.raises(UserError, match=r"encoding must be one of 'uint8', .*, got 'k/254'"):
        mnist_json.write(tmp_path / "digits.json", SPLITS, "k/254")
    assert not list(tmp_path.iterdir())


def spaced_at_random(lists):
    """JSON with other white space at each place."""
    chance = random.Random(7)
    text = json.dumps(lists, separators=(",", ":"))
    spaces = ["", "", " ", "\n", "\t", "\r\n", "  ", " \n "]
    return "".join(chance.choice(spaces) + c + chance.choice(spaces) if c in ",[]" else c for c in text)


SPACINGS = {
    "compact": lambda lists: json.dumps(lists, separators=(",", ":")),
    "usual": json.dumps,
    "indent 0": lambda lists: json.dumps(lists, indent=0),
    "indent 2": lambda lists: json.dumps(lists, indent=2),
    "indent 30": lambda lists: json.dumps(lists, indent=30),
    "tabs": lambda lists: json.dumps(lists, indent="\t"),
    "line for each row": lambda lists: json.dumps(lists).replace("], [", "],\n ["),
    "space before commas": lambda lists: json.dumps(lists, separators=(" , ", ":")),
    "within brackets": lambda lists: json.dumps(lists).replace("[", "[ ").replace("]", " ]"),
    "wrapped lines": lambda lists: json.dumps(lists).replace(", ", ",\n", 3000).replace(", ", ",\r\n", 9000),
    "around": lambda lists: " \r\n\t" + json.dumps(lists) + "\n\n \t",
    "at random": spaced_at_random,
}


@pytest.mark.parametrize("spacing", SPACINGS)
def test_read_accepts_any_spacing(tmp_path, spacing, read):
    for encoding in ("uint8", "pm1"):
        text = SPACINGS[spacing](as_lists(SPLITS, encoding))
        assert same(read(store(tmp_path / "digits.json", text)), SPLITS)


@pytest.mark.parametrize("spacing", ["usual", "at random"])
def test_read_joins_many_blocks(tmp_path, monkeypatch, spacing, read):
    monkeypatch.setattr(mnist_json_text, "BLOCK", 1 << 16)
    splits = make_splits((150, 30, 20), seed=1)
    text = SPACINGS[spacing](as_lists(splits, "pm1"))
    assert same(read(store(tmp_path / "digits.json.gz", text)), splits)


@pytest.mark.parametrize("slow", ["look-up", "MainThread"])
def test_look_up_blocks_stores_rows_in_order_whichever_thread_is_slow(monkeypatch, slow):
    monkeypatch.setattr(mnist_json_text, "BLOCK", 40)
    text = Text("digits.json", io.BytesIO(b",".join(b"[%d]" % k for k in range(300)) + b"]"))
    seen, stored = set(), []

    class Slow:
        def look_up(self, block):
            name = threading.current_thread().name.split("_")[0]
            seen.add(name)
            if name == slow:
                time.sleep(0.005)
            return np.array([int(k) for k in re.findall(rb"\d+", block[MARGIN:-MARGIN].tobytes())])

    with ThreadPoolExecutor(1, "look-up") as pool:
        assert look_up_blocks(text, Slow(), pool, stored.append)
    assert np.concatenate(stored).tolist() == list(range(300))
    assert "look-up" in seen
    if slow == "look-up":
        assert len(seen) == 2


def test_read_keeps_the_order_when_a_block_holds_new_values(tmp_path, monkeypatch, read):
    """New values come late in the file, after blocks whose look-up has begun by then."""
    monkeypatch.setattr(mnist_json_text, "BLOCK", 1 << 14)
    splits = make_splits((100, 20, 20), seed=3)
    for k in (50, 51, 70, 71, 72, 99):
        splits.train.images[:k][splits.train.images[:k] == k] = 0
    assert same(read(store(tmp_path / "digits.json", as_lists(splits, "pm1"))), splits)


NUMBERS = {
    "float32": lambda k: str(np.float32(k / 255)),
    "float32 as float64": lambda k: repr(float(np.float32(k / 255))),
    "six decimals": lambda k: f"{k / 255:.6f}",
    "exponents": lambda k: f"{k / 255:.17e}",
    "capital exponents": lambda k: f"{k / 255:.12E}",
    "whole ones short": lambda k: repr(k / 255) if k % 255 else str(k // 255),
    "pm1 in float64": lambda k: repr(k / 255 * 2 - 1),
    "pm1 normalised": lambda k: repr(float((np.float32(k / 255) - np.float32(0.5)) / np.float32(0.5))),
    "k/256 as float32": lambda k: str(np.float32(k / 256)),
    "uint8 as floats": lambda k: f"{k}.0",
    "forty digits": lambda k: f"{k / 255:.40f}",
    "minus zero": lambda k: repr(k / 255) if k else "-0.0",
}


@pytest.mark.parametrize("how", NUMBERS)
def test_read_accepts_numbers_however_they_were_printed(tmp_path, how, read):
    numbers = [NUMBERS[how](k) for k in range(256)]
    parts = []
    for part in (SPLITS.train, SPLITS.valid, SPLITS.eval):
        images = ", ".join(f"[{', '.join(numbers[k] for k in image.ravel().tolist())}]" for image in part.images)
        parts.append(f"[[{images}], {json.dumps(part.labels.tolist())}]")
    text = f"[{', '.join(parts)}]"
    assert same(read(store(tmp_path / "digits.json", text)), SPLITS)


def few(*values):
    """Lists of a small data set whose pixels cycle through the values."""
    row = [values[i % len(values)] for i in range(784)]
    return [[[row, row], [3, 4]] for _ in range(3)]


@pytest.mark.parametrize(
    ("values", "encoding", "levels"),
    [
        ((0, 1), "uint8", (0, 1)),
        ((0.0, 1.0), "k/255", (0, 255)),
        ((0.0,), "k/255", (0,)),
        ((0,), "uint8", (0,)),
        ((-1, 1), "pm1", (0, 255)),
        ((-1.0, 1.0), "pm1", (0, 255)),
        ((0.0, 0.5), "k/256", (0, 128)),
        ((0, 0.2), "k/255", (0, 51)),
        ((0.0, 2.0), "uint8", (0, 2)),
    ],
)
def test_read_recognises_the_encoding_of_few_grey_levels(tmp_path, values, encoding, levels, read):
    found = read(store(tmp_path / "digits.json", few(*values)))
    assert found.encoding == encoding
    assert found.train.images[0].ravel()[: len(levels)].tolist() == list(levels)


def test_read_refuses_ambiguous_pixels(tmp_path, read):
    lists = few(1 / 255, 3 / 255)  # levels 1 and 3 of k/255, 128 and 129 of -1 to 1
    with pytest.raises(UserError, match="ambiguous: they fit k/255 and pm1, which mean different digits"):
        read(store(tmp_path / "digits.json", lists))


def changed(path, value):
    """Lists of a data set in which the element at a path of indices is replaced."""
    lists = as_lists(SPLITS)
    place = lists
    for i in path[:-1]:
        place = place[i]
    place[path[-1]] = value
    return lists


REFUSED = {
    "a short row": (changed((0, 0, 3), [0] * 783), "train, sample 3 must have 784 pixels, got 783"),
    "a long row": (changed((1, 0, 6), [0] * 785), "valid, sample 6 must have 784 pixels, got 785"),
    "an empty row": (changed((0, 0, 0), []), "train, sample 0 must have 784 pixels, got 0"),
    "a row that is a number": (changed((0, 0, 1), 5), "expected a list of 784 pixels for sample 1 of train, got '5"),
    "a string": (changed((2, 0, 4, 10), "7"), "eval, sample 4, pixel 10 must be a number, got '\"7\"'"),
    "a null": (changed((0, 0, 0, 1), None), "train, sample 0, pixel 1 must be a number, got 'null'"),
    "true": (changed((0, 0, 0, 1), True), "train, sample 0, pixel 1 must be a number, got 'true'"),
    "an object": (changed((0, 0, 0, 1), {"a": 1}), "train, sample 0, pixel 1 must be a number, got"),
    "a list for a pixel": (
        changed((0, 0, 0, 1), [1]),
        "train, sample 0 must be 784 pixels, got a list within the list",
    ),
    "a list too deep": ([[[[[0.0] * 28] * 28], [1]]] * 3, "train, sample 0 must be 784 pixels, got a list within"),
    "not a number": (changed((0, 0, 5, 9), float("nan")), "train, sample 5"),
    "infinity": (changed((0, 0, 5, 9), float("inf")), "train, sample 5"),
    "a pixel of 256": (
        changed((0, 0, 38, 700), 256),
        "train, sample 38, pixel 700 must be a whole number 0 to 255 like the pixels before it, got 256.0",
    ),
    "a pixel of -1": (changed((0, 0, 38, 700), -1), "train, sample 38, pixel 700 must be"),
    "a pixel of half": (changed((0, 0, 38, 700), 127.5), "train, sample 38, pixel 700 must be"),
    "a huge pixel": (changed((0, 0, 38, 700), 10**400), "train, sample 38"),
    "a label of 10": (changed((1, 1, 2), 10), "valid, the label of sample 2 must be an integer 0 to 9, got '10'"),
    "a label of -1": (changed((0, 1, 39), -1), "train, the label of sample 39 must be an integer 0 to 9, got '-1'"),
    "a label of 3.5": (changed((0, 1, 0), 3.5), "train, the label of sample 0 must be an integer 0 to 9, got '3.5'"),
    "a label of true": (changed((0, 1, 0), True), "train, the label of sample 0 must be an integer 0 to 9, got 'true'"),
    "a label too few": (
        changed((2, 1), [1, 2, 3, 4]),
        "eval must have as many labels as images, got 5 images and 4 labels",
    ),
    "no labels": (changed((2, 1), []), "got 5 images and 0 labels"),
    "labels that are a number": (
        changed((2, 1), 5),
        "expected a list of integers 0 to 9 for the labels of eval, got '5]]'",
    ),
    "two splits": (as_lists(SPLITS)[:2], "expected a comma and the split eval after valid, got ']'"),
    "four splits": (as_lists(SPLITS) + as_lists(SPLITS)[:1], "expected ']' after eval, got"),
    "an empty split": (changed((1, 0), []), "valid must hold at least one image, got none"),
    "a split without labels": (
        changed((0,), [as_lists(SPLITS)[0][0]]),
        "expected a comma and the labels after the images of train, got",
    ),
    "an object for the file": ({"train": []}, "expected a list of three splits, got"),
    "nothing": ("", "expected a list of three splits, got the end of the file"),
    "white space": (" \n" * 1000, "expected a list of three splits, got the end of the file"),
    "text after the end": (json.dumps(as_lists(SPLITS)) + " 1", "expected the end of the file after the data, got '1'"),
    "another array": (json.dumps(as_lists(SPLITS)) * 2, "expected the end of the file after the data, got"),
    "UTF-16": (json.dumps(as_lists(SPLITS)).encode("utf-16"), "must be UTF-8 text, got UTF-16"),
    "brackets": ("[" * 100_000, "sample 0"),
    "nul bytes": (b"\0" * 1000, "expected a list of three splits, got"),
    "a trailing comma": (json.dumps(as_lists(SPLITS)).replace("], [", ",], [", 1), "train, sample 0"),
    "a comma too many": (json.dumps(as_lists(SPLITS)).replace("], [", "],, [", 1), "for sample 1 of train, got"),
    "a missing comma": (
        json.dumps(as_lists(SPLITS)).replace("], [", "] [", 1),
        "expected a comma or ']' after sample 0 of train, got",
    ),
    "numbers that run together": (json.dumps(as_lists(SPLITS)).replace(", ", " ", 1), "train, sample 0"),
    "a leading zero": (json.dumps(as_lists(SPLITS)).replace(" 0,", " 00,", 1), "train, sample 0"),
    "a plus": (json.dumps(as_lists(SPLITS)).replace(" 0,", " +0,", 1), "train, sample 0"),
    "a bare point": (json.dumps(as_lists(SPLITS)).replace(" 0,", " .0,", 1), "train, sample 0"),
    "an overflow": (json.dumps(as_lists(SPLITS)).replace(" 0,", " 1e999,", 1), "train, sample 0"),
    "a nul in a number": (json.dumps(as_lists(SPLITS)).replace(" 0,", " 0\0,", 1), "train, sample 0"),
    "a space of another kind": (json.dumps(as_lists(SPLITS)).replace(" 0,", "\u00a00,", 1), "train, sample 0"),
    "a form feed": (json.dumps(as_lists(SPLITS)).replace(" 0,", "\f0,", 1), "train, sample 0"),
    "no end of a row": (
        "[[[[" + "0, " * 2_000_000,
        "train, sample 0 must be 784 pixels and ']', got no ']' within 1 MB",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_read_refuses_what_is_not_the_format(tmp_path, case, read):
    content, message = REFUSED[case]
    path = store(tmp_path / "digits.json", content)
    with pytest.raises(UserError) as caught:
        read(path)
    assert message in str(caught.value)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("one", "other"), [("k/255", "k/256"), ("uint8", "k/255"), ("pm1", "k/256"), ("k/256", "pm1")])
def test_read_refuses_mixed_encodings_where_they_meet(tmp_path, one, other, read):
    lists = as_lists(SPLITS, one)
    lists[1][0][4] = [0.0 if one.startswith("k") else lists[0][0][0][0]] * 783 + [mnist_json.pixel_values(other)[77]]
    with pytest.raises(UserError, match=r"valid, sample 4, pixel 783 must be .* like the pixels before it, got"):
        read(store(tmp_path / "digits.json.gz", lists))


def packed(content=None):
    return gzip.compress(json.dumps(as_lists(SPLITS)).encode() if content is None else content, 6)


def test_read_refuses_a_file_cut_off_anywhere(tmp_path):
    whole = packed()
    path = tmp_path / "digits.json.gz"
    for size in [*range(0, 30), *range(30, len(whole), len(whole) // 20), *range(len(whole) - 12, len(whole))]:
        path.write_bytes(whole[:size])
        with pytest.raises(UserError):
            mnist_json.read(path)


def test_read_refuses_a_wrong_checksum(tmp_path):
    whole = bytearray(packed())
    whole[-6] ^= 1
    path = tmp_path / "digits.json.gz"
    path.write_bytes(whole)
    with pytest.raises(UserError, match="is damaged or incomplete"):
        mnist_json.read(path)


def test_read_joins_gzip_members(tmp_path):
    text = json.dumps(as_lists(SPLITS)).encode()
    path = tmp_path / "digits.json.gz"
    path.write_bytes(b"".join(packed(text[i : i + 50_000]) for i in range(0, len(text), 50_000)))
    assert same(mnist_json.read(path), SPLITS)


def test_read_refuses_garbage_after_gzip(tmp_path):
    path = tmp_path / "digits.json.gz"
    path.write_bytes(packed() + b"garbage")
    with pytest.raises(UserError, match="is damaged or incomplete"):
        mnist_json.read(path)


def test_read_refuses_a_huge_gzip_header(tmp_path):
    path = tmp_path / "digits.json.gz"
    path.write_bytes(b"\x1f\x8b\x08\x08" + bytes(6) + b"x" * (1 << 20))
    with pytest.raises(UserError, match="is damaged or incomplete"):
        mnist_json.read(path)


@pytest.mark.parametrize("byte", [b"\0", b" ", b"[", b"0"])
def test_read_refuses_a_bomb_in_bounded_memory(tmp_path, byte):
    resource = pytest.importorskip("resource")
    path = tmp_path / "digits.json.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        for _ in range(70):
            file.write(byte * (1 << 21))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UserError):
        mnist_json.read(path)
    unit = 1 if sys.platform == "darwin" else 1024
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit < 100e6


def test_read_bounds_the_number_of_digits_and_the_text(tmp_path, monkeypatch):
    path = store(tmp_path / "digits.json", as_lists(SPLITS))
    monkeypatch.setattr(mnist_json_text, "MAX_TEXT", 100_000)
    with pytest.raises(UserError, match="must hold at most 0 GB of text, got more"):
        mnist_json.read(path)
    monkeypatch.undo()
    monkeypatch.setattr(reader, "MAX_SAMPLES", 30)
    with pytest.raises(UserError, match="must hold at most 30 digits, got more in train"):
        mnist_json.read(path)


def test_read_skips_a_byte_order_mark_of_utf_8(tmp_path):
    text = json.dumps(as_lists(SPLITS)).encode("utf-8-sig")
    assert same(mnist_json.read(store(tmp_path / "digits.json", text)), SPLITS)


def test_read_refuses_a_file_that_is_not_regular(tmp_path):
    with pytest.raises(UserError, match="must be a regular file, got a folder"):
        mnist_json.read(tmp_path)
    with pytest.raises(UserError, match="cannot be read: No such file"):
        mnist_json.read(tmp_path / "absent")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(UserError, match="must be a regular file, got a pipe"):
            mnist_json.read(tmp_path / "pipe")


def test_read_refuses_a_file_that_changes_meanwhile(tmp_path, monkeypatch):
    path = store(tmp_path / "digits.json", as_lists(SPLITS))
    peek = Text.peek

    def meanwhile(text):
        os.utime(path, (1, 1))
        return peek(text)

    monkeypatch.setattr(Text, "peek", meanwhile)
    with pytest.raises(UserError, match="changed while it was read"):
        mnist_json.read(path)


def plain(text):
    """The arrays of a data set that json parses from a text in the uint8 encoding, or None if it holds none."""
    try:
        lists = json.loads(text)
        parts = []
        for images, labels in lists:
            pixels = np.array(images)
            if any(type(v) not in (int, float) for row in images for v in row) or any(
                type(v) is not int for v in labels
            ):
                return None
            if pixels.shape != (len(labels), 784) or not len(labels) or not set(labels) <= set(range(10)):
                return None
            if not ((pixels >= 0) & (pixels <= 255) & (pixels == np.round(pixels))).all():
                return None
            parts.append(Split(pixels.astype(np.uint8).reshape(-1, 28, 28), np.array(labels, np.uint8)))
        return Splits(*parts)
    except (ValueError, TypeError, OverflowError, RecursionError):
        return None


SMALL = json.dumps(as_lists(make_splits((3, 2, 2), seed=5))).encode()


def check_against_plain(path, text, read):
    path.write_bytes(text)
    expected = plain(text)
    if expected is None:
        with pytest.raises(UserError) as caught:
            read(path)
        assert str(caught.value).startswith(str(path))
    else:
        assert same(read(path), expected)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    at=st.integers(0, len(SMALL) - 1),
    gone=st.integers(0, 12),
    put=st.one_of(
        st.binary(max_size=4),
        st.text(" \t\n,[]0123456789.eE-+", max_size=6).map(str.encode),
        st.sampled_from([b"null", b"NaN", b'"5"', b"1e3", b"255.0", b"],[", b"]],[[", b"[]", b"{}", b"/**/"]),
    ),
)
def test_read_agrees_with_a_plain_parse_on_mutated_text(tmp_path, read, at, gone, put):
    check_against_plain(tmp_path / "digits.json", SMALL[:at] + put + SMALL[at + gone :], read)


def test_read_refuses_or_reads_exactly_a_file_with_flipped_bits(tmp_path):
    whole = packed(SMALL)
    chance = random.Random(3)
    for _ in range(150):
        damaged = bytearray(whole)
        damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
        (tmp_path / "digits.json.gz").write_bytes(damaged)
        try:
            found = mnist_json.read(tmp_path / "digits.json.gz")
        except UserError:
            continue
        assert same(found, plain(gzip.decompress(damaged)))  # a bit of the header's time, say

"""The reader of mnist.json.gz against a plain parse, on every encoding, many spacings, and files that are not right."""

from __future__ import annotations

import gzip
import json
import os
import random
import sys
import threading
import time

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from paddle_mnist.errors import UserError
from paddle_mnist.sources import mnist_json
from paddle_mnist.sources.mnist_json import reader
from paddle_mnist.sources.mnist_json import text as mnist_json_text
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


@pytest.fixture(autouse=True)
def each_look_up(Table, monkeypatch):
    """Everything holds for either way to look rows up."""
    monkeypatch.setattr(reader, "Table", Table)


@pytest.mark.parametrize("name", ["digits.json", "digits.json.gz"])
@pytest.mark.parametrize("encoding", mnist_json.ENCODINGS)
def test_what_is_written_is_read_again(tmp_path, encoding, name):
    mnist_json.write(tmp_path / name, SPLITS, encoding)
    found = mnist_json.read(tmp_path / name)
    assert same(found, SPLITS)
    assert found.encoding == encoding


def test_writing_gives_the_same_bytes_each_time(tmp_path):
    for name in ("a.json.gz", "b.json.gz"):
        mnist_json.write(tmp_path / name, SPLITS)
    assert (tmp_path / "a.json.gz").read_bytes() == (tmp_path / "b.json.gz").read_bytes()
    assert json.loads(gzip.decompress((tmp_path / "a.json.gz").read_bytes())) == as_lists(SPLITS)


def test_an_unknown_encoding_is_not_written(tmp_path):
    with pytest.raises(UserError, match="encoding is 'k/254'"):
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


@pytest.mark.parametrize("encoding", ["uint8", "k/256", "pm1"])
@pytest.mark.parametrize("spacing", SPACINGS)
def test_any_spacing_is_read(tmp_path, spacing, encoding):
    text = SPACINGS[spacing](as_lists(SPLITS, encoding))
    assert same(mnist_json.read(store(tmp_path / "digits.json.gz", text)), SPLITS)


def test_many_blocks_are_read(tmp_path):
    splits = make_splits((700, 300, 200), seed=1)
    for spacing in ("usual", "at random"):
        text = SPACINGS[spacing](as_lists(splits, "pm1"))
        assert same(mnist_json.read(store(tmp_path / "digits.json.gz", text)), splits)


@pytest.mark.parametrize("slow", ["look-up", "MainThread"])
def test_whichever_thread_looks_a_block_up(tmp_path, monkeypatch, Table, slow):
    """Where the look-up's thread is slow, the one that unpacks looks blocks up, too; rows stay in order."""
    splits = make_splits((300, 100, 100), seed=2)
    path = store(tmp_path / "digits.json", as_lists(splits, "k/256"))
    monkeypatch.setattr(mnist_json_text, "BLOCK", 1 << 15)
    look_up, seen = Table.look_up, set()

    def delayed(self, room):
        name = threading.current_thread().name.split("_")[0]
        seen.add(name)
        if name == slow:
            time.sleep(0.005)
        return look_up(self, room)

    monkeypatch.setattr(Table, "look_up", delayed)
    assert same(mnist_json.read(path), splits)
    assert "look-up" in seen
    if slow == "look-up":
        assert len(seen) == 2


@pytest.mark.parametrize("encoding", mnist_json.ENCODINGS)
def test_rows_are_read_by_themselves_where_blocks_cannot_be(tmp_path, monkeypatch, Table, encoding):
    monkeypatch.setattr(Table, "parse", lambda self, room: None)
    monkeypatch.setattr(Table, "look_up", lambda self, room: None)
    assert same(mnist_json.read(store(tmp_path / "digits.json", as_lists(SPLITS, encoding))), SPLITS)


def test_a_block_that_fails_behind_others_is_read_in_order(tmp_path, monkeypatch):
    """Numbers that were not met before stand late in the file, after blocks that are under way by then."""
    monkeypatch.setattr(mnist_json_text, "BLOCK", 1 << 14)
    splits = make_splits((200, 20, 20), seed=3)
    for k in (50, 51, 120, 121, 122, 199):
        splits.train.images[:k][splits.train.images[:k] == k] = 0
    assert same(mnist_json.read(store(tmp_path / "digits.json", as_lists(splits, "pm1"))), splits)


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
    "minus zero": lambda k: repr(k / 255) if k else "-0.0",
}


@pytest.mark.parametrize("how", NUMBERS)
def test_numbers_however_they_were_printed(tmp_path, how):
    numbers = [NUMBERS[how](k) for k in range(256)]
    parts = []
    for part in (SPLITS.train, SPLITS.valid, SPLITS.eval):
        images = ", ".join(f"[{', '.join(numbers[k] for k in image.ravel().tolist())}]" for image in part.images)
        parts.append(f"[[{images}], {json.dumps(part.labels.tolist())}]")
    text = f"[{', '.join(parts)}]"
    assert same(mnist_json.read(store(tmp_path / "digits.json", text)), SPLITS)


def few(*values):
    """Lists of a small data set whose pixels take turns through the values."""
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
def test_few_grey_levels(tmp_path, values, encoding, levels):
    found = mnist_json.read(store(tmp_path / "digits.json", few(*values)))
    assert found.encoding == encoding
    assert found.train.images[0].ravel()[: len(levels)].tolist() == list(levels)


def test_pixels_that_mean_two_things_are_refused(tmp_path):
    lists = few(1 / 255, 3 / 255)  # levels 1 and 3 of k/255, 128 and 129 of -1 to 1
    with pytest.raises(UserError, match="k/255 and as pm1, which mean different digits"):
        mnist_json.read(store(tmp_path / "digits.json", lists))


def changed(path, value):
    """Lists of a data set in which the element at a path of indices is another."""
    lists = as_lists(SPLITS)
    place = lists
    for i in path[:-1]:
        place = place[i]
    place[path[-1]] = value
    return lists


REFUSED = {
    "a short row": (changed((0, 0, 3), [0] * 783), "train, sample 3: found 783 pixels, where 784"),
    "a long row": (changed((1, 0, 6), [0] * 785), "valid, sample 6: found 785 pixels, where 784"),
    "an empty row": (changed((0, 0, 0), []), "train, sample 0: found 0 pixels"),
    "a row that is a number": (changed((0, 0, 1), 5), "train, sample 1: found '5"),
    "a string": (changed((2, 0, 4, 10), "7"), "eval, sample 4, pixel 10: found '\"7\"', where a number"),
    "a null": (changed((0, 0, 0, 1), None), "train, sample 0, pixel 1: found 'null', where a number"),
    "true": (changed((0, 0, 0, 1), True), "train, sample 0, pixel 1: found 'true', where a number"),
    "an object": (changed((0, 0, 0, 1), {"a": 1}), "train, sample 0, pixel 1: found"),
    "a list for a pixel": (changed((0, 0, 0, 1), [1]), "train, sample 0: found a list within the list"),
    "a list too deep": ([[[[[0.0] * 28] * 28], [1]]] * 3, "train, sample 0: found a list within"),
    "not a number": (changed((0, 0, 5, 9), float("nan")), "train, sample 5"),
    "infinity": (changed((0, 0, 5, 9), float("inf")), "train, sample 5"),
    "a pixel of 256": (changed((0, 0, 38, 700), 256), "train, sample 38, pixel 700 is 256.0, where a whole number 0"),
    "a pixel of -1": (changed((0, 0, 38, 700), -1), "train, sample 38, pixel 700 is -1.0"),
    "a pixel of half": (changed((0, 0, 38, 700), 127.5), "train, sample 38, pixel 700 is 127.5"),
    "a huge pixel": (changed((0, 0, 38, 700), 10**400), "train, sample 38"),
    "a label of 10": (changed((1, 1, 2), 10), "valid, the label of sample 2: found '10', where an integer 0 to 9"),
    "a label of -1": (changed((0, 1, 39), -1), "train, the label of sample 39: found '-1'"),
    "a label of 3.5": (changed((0, 1, 0), 3.5), "train, the label of sample 0: found '3.5'"),
    "a label of true": (changed((0, 1, 0), True), "train, the label of sample 0: found 'true'"),
    "a label too few": (changed((2, 1), [1, 2, 3, 4]), "eval: found 5 images and 4 labels"),
    "no labels": (changed((2, 1), []), "eval: found 5 images and 0 labels"),
    "labels that are a number": (changed((2, 1), 5), "the labels of eval: found '5]]', where a list of integers"),
    "two splits": (as_lists(SPLITS)[:2], "after valid: found ']', where a comma and the split eval"),
    "four splits": (as_lists(SPLITS) + as_lists(SPLITS)[:1], "after eval: found"),
    "an empty split": (changed((1, 0), []), "valid: found no images, where one at least"),
    "a split without labels": (changed((0,), [as_lists(SPLITS)[0][0]]), "after the images of train: found"),
    "an object for the file": ({"train": []}, "the file: found"),
    "nothing": ("", "the file: found the end of the file, where a list of three splits"),
    "white space": (" \n" * 1000, "the file: found the end of the file"),
    "text after the end": (json.dumps(as_lists(SPLITS)) + " 1", "after the end of the data: found '1'"),
    "another array": (json.dumps(as_lists(SPLITS)) * 2, "after the end of the data: found"),
    "UTF-16": (json.dumps(as_lists(SPLITS)).encode("utf-16"), "is UTF-16 text, where UTF-8 is needed"),
    "brackets": ("[" * 100_000, "train, sample 0"),
    "nul bytes": (b"\0" * 1000, "the file: found"),
    "a trailing comma": (json.dumps(as_lists(SPLITS)).replace("], [", ",], [", 1), "train, sample 0"),
    "a comma too many": (json.dumps(as_lists(SPLITS)).replace("], [", "],, [", 1), "train, sample 1: found"),
    "a missing comma": (json.dumps(as_lists(SPLITS)).replace("], [", "] [", 1), "train, after sample 0: found"),
    "numbers that run together": (json.dumps(as_lists(SPLITS)).replace(", ", " ", 1), "train, sample 0"),
    "a leading zero": (json.dumps(as_lists(SPLITS)).replace(" 0,", " 00,", 1), "train, sample 0"),
    "a plus": (json.dumps(as_lists(SPLITS)).replace(" 0,", " +0,", 1), "train, sample 0"),
    "a bare point": (json.dumps(as_lists(SPLITS)).replace(" 0,", " .0,", 1), "train, sample 0"),
    "an overflow": (json.dumps(as_lists(SPLITS)).replace(" 0,", " 1e999,", 1), "train, sample 0"),
    "a nul in a number": (json.dumps(as_lists(SPLITS)).replace(" 0,", " 0\0,", 1), "train, sample 0"),
    "a space of another kind": (json.dumps(as_lists(SPLITS)).replace(" 0,", "\u00a00,", 1), "train, sample 0"),
    "a form feed": (json.dumps(as_lists(SPLITS)).replace(" 0,", "\f0,", 1), "train, sample 0"),
    "no end of a row": ("[[[[" + "0, " * 2_000_000, "train, sample 0: found no end within 1 MB"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_file_that_is_not_right_is_refused(tmp_path, case):
    content, message = REFUSED[case]
    for name in ("digits.json", "digits.json.gz"):
        path = store(tmp_path / name, content)
        with pytest.raises(UserError) as caught:
            mnist_json.read(path)
        assert message in str(caught.value)
        assert str(caught.value).startswith(str(path))
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("one", "other"), [("k/255", "k/256"), ("uint8", "k/255"), ("pm1", "k/256"), ("k/256", "pm1")])
def test_mixed_encodings_are_refused_where_they_meet(tmp_path, one, other):
    lists = as_lists(SPLITS, one)
    lists[1][0][4] = [0.0 if one.startswith("k") else lists[0][0][0][0]] * 783 + [mnist_json.pixel_values(other)[77]]
    with pytest.raises(UserError, match=r"valid, sample 4, pixel 783 is .*, as in the pixels before it,"):
        mnist_json.read(store(tmp_path / "digits.json.gz", lists))


def packed(content=None):
    return gzip.compress(json.dumps(as_lists(SPLITS)).encode() if content is None else content, 6)


def test_a_file_cut_off_anywhere_is_refused(tmp_path):
    whole = packed()
    path = tmp_path / "digits.json.gz"
    for size in [*range(0, 30), *range(30, len(whole), len(whole) // 60), *range(len(whole) - 12, len(whole))]:
        path.write_bytes(whole[:size])
        with pytest.raises(UserError):
            mnist_json.read(path)


def test_damage_to_the_checksum_is_found(tmp_path):
    whole = bytearray(packed())
    whole[-6] ^= 1
    path = tmp_path / "digits.json.gz"
    path.write_bytes(whole)
    with pytest.raises(UserError, match="is damaged or not complete"):
        mnist_json.read(path)


def test_joined_gzip_members_are_one_text(tmp_path):
    text = json.dumps(as_lists(SPLITS)).encode()
    path = tmp_path / "digits.json.gz"
    path.write_bytes(b"".join(packed(text[i : i + 50_000]) for i in range(0, len(text), 50_000)))
    assert same(mnist_json.read(path), SPLITS)


def test_garbage_after_gzip_is_refused(tmp_path):
    path = tmp_path / "digits.json.gz"
    path.write_bytes(packed() + b"garbage")
    with pytest.raises(UserError, match="is damaged or not complete"):
        mnist_json.read(path)


@pytest.mark.parametrize("byte", [b"\0", b" ", b"[", b"0"])
def test_a_bomb_does_no_harm(tmp_path, byte):
    resource = pytest.importorskip("resource")
    path = tmp_path / "digits.json.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        for _ in range(200):
            file.write(byte * (1 << 20))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UserError):
        mnist_json.read(path)
    unit = 1 if sys.platform == "darwin" else 1024
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit < 100e6


def test_more_digits_than_any_file_should_have_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(reader, "MAX_SAMPLES", 30)
    with pytest.raises(UserError, match="train: found more digits, where no more than 30"):
        mnist_json.read(store(tmp_path / "digits.json", as_lists(SPLITS)))


def test_a_byte_order_mark_of_utf_8_is_passed_over(tmp_path):
    text = json.dumps(as_lists(SPLITS)).encode("utf-8-sig")
    assert same(mnist_json.read(store(tmp_path / "digits.json", text)), SPLITS)


def test_folders_and_pipes_are_refused(tmp_path):
    with pytest.raises(UserError, match="not an ordinary file"):
        mnist_json.read(tmp_path)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(UserError, match="not an ordinary file"):
            mnist_json.read(tmp_path / "pipe")
    with pytest.raises(FileNotFoundError):
        mnist_json.read(tmp_path / "absent")


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path, monkeypatch):
    path = store(tmp_path / "digits.json", as_lists(SPLITS))
    labels = reader._Reader._labels

    def meanwhile(self, name, count):
        with open(path, "ab") as file:
            file.write(b" ")
        return labels(self, name, count)

    monkeypatch.setattr(reader._Reader, "_labels", meanwhile)
    with pytest.raises(UserError, match="changed while it was read"):
        mnist_json.read(path)


def test_pixels_can_be_kept_in_a_file(tmp_path):
    path = store(tmp_path / "digits.json.gz", as_lists(SPLITS, "pm1"))
    with open(tmp_path / "pixels", "x+b") as spool:
        found = mnist_json.read(path, spool)
    assert same(found, SPLITS)
    assert (tmp_path / "pixels").stat().st_size == 52 * 784


def plain(text):
    """What json makes of a text: the arrays of a data set in uint8's encoding, or None if it is none."""
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


def check_against_plain(path, text):
    path.write_bytes(text)
    expected = plain(text)
    if expected is None:
        with pytest.raises(UserError) as caught:
            mnist_json.read(path)
        assert str(caught.value).startswith(str(path))
    else:
        assert same(mnist_json.read(path), expected)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    at=st.integers(0, len(SMALL) - 1),
    gone=st.integers(0, 12),
    put=st.one_of(
        st.binary(max_size=4),
        st.text(" \t\n,[]0123456789.eE-+", max_size=6).map(str.encode),
        st.sampled_from([b"null", b"NaN", b'"5"', b"1e3", b"255.0", b"],[", b"]],[[", b"[]", b"{}", b"/**/"]),
    ),
)
def test_mutated_text_is_read_as_a_plain_parse_reads_it_or_refused(tmp_path, at, gone, put):
    check_against_plain(tmp_path / "digits.json", SMALL[:at] + put + SMALL[at + gone :])


def test_flipped_bits_in_a_packed_file(tmp_path):
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

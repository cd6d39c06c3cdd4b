"""The look-up of blocks of rows, compiled and plain: it gives exactly what a plain parse gives, or nothing."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest

from paddle_mnist.sources.mnist_json.levels import ENCODINGS, Levels, level, pixel_values
from paddle_mnist.sources.mnist_json.tables import make_table
from paddle_mnist.sources.mnist_json.text import MARGIN


def block_text(rows=12, encoding="pm1", seed=0, separators=(", ", ":")):
    chance = np.random.default_rng(seed)
    codes = chance.integers(0, 256, (rows, 784)) * (chance.random((rows, 784)) < 0.2)
    levels = pixel_values(encoding)
    text = json.dumps([[levels[k] for k in row] for row in codes.tolist()], separators=separators)
    return codes.astype(np.uint8), text[1:-1].encode()


def padded(text):
    """The text as a table takes it, with margins that look like pixels but must not matter."""
    margin = np.frombuffer(b",0.0],[ " * (MARGIN // 8), np.uint8)
    return np.concatenate([margin, np.frombuffer(text, np.uint8), margin])


@pytest.fixture(params=[False, True], ids=["compiled", "plain"])
def table(request):
    if not request.param:
        pytest.importorskip("paddle_mnist.sources.mnist_json._lookup", reason="installed without a C compiler")
    levels = Levels()
    return levels, make_table(levels, plain=request.param)


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("separators", [(", ", ":"), (",", ":"), (",\n          ", ":"), (" , ", ":")])
def test_parse_reads_blocks(table, encoding, separators):
    levels, table = table
    for seed in range(2):
        codes, text = block_text(encoding=encoding, seed=seed, separators=separators)
        identifiers = table.parse(padded(text))
        assert np.array_equal(levels.lookup()[1][identifiers], codes)
        assert np.array_equal(table.look_up(padded(text)), identifiers)
    assert levels.lookup()[0] == encoding


def test_look_up_learns_nothing(table):
    _, table = table
    _, text = block_text(2)
    assert table.look_up(padded(text)) is None
    assert table.look_up(padded(text)) is None
    table.parse(padded(text))
    assert table.look_up(padded(text)) is not None


PIECES = [b"", b",", b"]", b"[", b" ", b"0", b".", b"-", b"\0", b"],[", b"], [", b"null", b"true", b"7", b"1e1", b'"0"']


def plain_rows(text):
    try:
        rows = json.loads(b"[" + text + b"]")
        if any(type(value) not in (int, float) for row in rows for value in row):
            return None
        rows = np.array(rows)
    except (ValueError, TypeError):
        return None
    return rows if rows.ndim == 2 and rows.shape[1] == 784 else None


def test_parse_agrees_with_a_plain_parse_on_mutated_blocks_or_gives_nothing(table):
    levels, table = table
    chance = random.Random(11)
    _, text = block_text(2)
    table.parse(padded(text))
    read = 0
    for _ in range(400):
        at = chance.randrange(len(text))
        mutated = text[:at] + chance.choice(PIECES) + text[at + chance.choice([0, 1, 2, 6]) :]
        identifiers, expected = table.parse(padded(mutated)), plain_rows(mutated)
        if identifiers is None:
            continue
        read += 1
        assert expected is not None
        shown = np.array(pixel_values("pm1"))[levels.lookup()[1][identifiers]]
        assert np.abs(shown - expected).max() < 2e-6
    assert read > 10


def test_parse_leaves_no_trace_of_a_block_that_it_refuses(table):
    levels, table = table
    _, text = block_text(3, "k/256")
    assert table.parse(padded(text[:-9] + b"1234567]")) is None
    assert levels.candidates == ENCODINGS
    _, other = block_text(2, "uint8")
    assert table.parse(padded(other)) is not None
    assert levels.lookup()[0] == "uint8"


@pytest.mark.parametrize(
    "text", [b"[]", b"[1]", b"1, 2", b"[" + b"0, " * 784 + b"0]", b"[[0]]", b"[" + b"1 " * 784 + b"]"]
)
def test_parse_refuses_text_that_is_not_rows(table, text):
    assert table[1].parse(padded(text)) is None


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_level_inverts_pixel_values_and_distinguishes_encodings(encoding):
    values = pixel_values(encoding)
    assert [level(value, encoding) for value in values] == list(range(256))
    others = set(ENCODINGS) - {encoding}
    shared = [sum(level(value, other) is not None for value in values[1:-1]) for other in others]
    assert all(count < 254 for count in shared)
    for wrong in (-1.1, 255.5, 256, 1e300, float("nan"), float("inf")):
        assert level(wrong, encoding) is None


def test_id_of_accepts_256_values_and_no_more():
    levels = Levels()
    ids = [levels.id_of(value, True) for value in range(256)]
    assert sorted(ids) == list(range(256))
    with pytest.raises(ValueError, match="must be a whole number 0 to 255 like the pixels before it, got 256"):
        levels.id_of(256, True)


@pytest.mark.parametrize("number", [b"01", b"+1", b".5", b"1.", b"1e", b"0x1", b"1 2", b"", b"NaN", b"--1"])
def test_id_of_text_refuses_what_json_does_not_call_a_number(number):
    with pytest.raises(ValueError, match="must be a number"):
        Levels().id_of_text(number)

"""The look-up of whole blocks of rows: either exactly what a plain parse gives, or nothing."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest

from paddle_mnist._pixel_levels import ENCODINGS, Levels, level, pixel_values
from paddle_mnist._pixel_rows import RowTable, without_space


def block_text(rows=12, encoding="pm1", seed=0, separators=(", ", ":")):
    chance = np.random.default_rng(seed)
    codes = chance.integers(0, 256, (rows, 784)) * (chance.random((rows, 784)) < 0.2)
    levels = pixel_values(encoding)
    text = json.dumps([[levels[k] for k in row] for row in codes.tolist()], separators=separators)
    return codes.astype(np.uint8), text[1:-1].encode()


def decode(levels, identifiers):
    return levels.lookup()[1][identifiers]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_blocks_are_looked_up(encoding):
    levels = Levels()
    table = RowTable(levels)
    for seed in range(5):
        codes, text = block_text(encoding=encoding, seed=seed)
        found = table.parse(text)
        assert found is not None
        assert np.array_equal(decode(levels, found), codes)
    assert levels.lookup()[0] == encoding


def test_long_cells_and_spacings_are_looked_up():
    levels = Levels()
    table = RowTable(levels)
    for separators in [(",", ":"), (",\n          ", ":"), (" , ", ":")]:
        codes, text = block_text(3, separators=separators)
        assert np.array_equal(decode(levels, table.parse(text)), codes)


def plain_rows(text):
    try:
        rows = np.array(json.loads(b"[" + text + b"]"))
    except ValueError:
        return None
    return rows if rows.ndim == 2 and rows.shape[1] == 784 and rows.dtype.kind == "f" else None


def test_mutated_blocks_are_read_exactly_or_not_at_all():
    chance = random.Random(11)
    _, text = block_text(3)
    table = RowTable(levels := Levels())
    table.parse(text)
    looked_up = 0
    pieces = [
        b"",
        b",",
        b"]",
        b"[",
        b" ",
        b"0",
        b".",
        b"-",
        b"\0",
        b"],[",
        b"], [",
        b"-1.0",
        b", -1.0",
        b", 0.0039216",
        b"\n",
    ]
    for _ in range(1500):
        at = chance.randrange(len(text))
        mutated = text[:at] + chance.choice(pieces) + text[at + chance.choice([0, 0, 1, 1, 2, 6]) :]
        found, expected = table.parse(mutated), plain_rows(mutated)
        if found is not None:
            looked_up += 1
            assert expected is not None
            assert np.array_equal(decode(levels, found), np.round((expected + 1) * 127.5))
    assert looked_up > 30  # white space, mostly


def test_cells_swapped_between_rows_keep_the_rows_apart():
    _, text = block_text(2, "uint8")
    rows = text.split(b"], [")
    shorter_and_longer = b"], [".join([rows[0].rpartition(b", ")[0], b"0, " + rows[1]])
    assert shorter_and_longer.count(b",") == text.count(b",")
    assert RowTable(Levels()).parse(shorter_and_longer) is None


def test_nothing_is_learned_from_a_block_that_fails():
    levels = Levels()
    table = RowTable(levels)
    zeros = b"[" + b", ".join([b"0.0"] * 784) + b"]"
    assert table.parse(zeros) is not None
    before = levels.candidates
    assert table.parse(zeros.replace(b"0.0]", b"0.2, 7.5]")) is None
    assert table.parse(zeros.replace(b"0.0", b"0.2", 1).replace(b"0.0]", b"7.5]")) is None
    assert levels.candidates == before
    quarter = table.parse(zeros.replace(b" 0.0", b" 0.25", 1))  # k/256, which 0.2 would have ruled out
    assert decode(levels, quarter)[0, 1] == 64


def test_white_space_is_taken_out_only_between_numbers_and_structure():
    assert without_space(b"[ 1 ,\n2.5 ]\t,\r\n[ ]") == b"[1,2.5],[]"
    assert without_space(b"[1 2]") is None
    assert without_space(b"[1, - 2]") is None
    assert without_space(b"[1,\x002]") is None
    assert without_space(b"[1]") == b"[1]"


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_each_level_is_recognised_and_nothing_between(encoding):
    for k, value in enumerate(pixel_values(encoding)):
        assert level(value, encoding) == k
        assert level(value + 1e-4, encoding) is None
        assert level(value - 1e-4, encoding) is None


def test_more_values_than_there_are_levels_are_refused():
    levels = Levels()
    for k in range(256):
        levels.of_value(k / 255, False)
    with pytest.raises(ValueError, match="256 other pixel values"):
        levels.of_value(1 / 255 + 1e-9, False)

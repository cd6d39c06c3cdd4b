"""The look-up of whole blocks of rows: either exactly what a plain parse gives, or nothing."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest

from paddle_mnist.sources.mnist_json.levels import ENCODINGS, Levels, level, pixel_values
from paddle_mnist.sources.mnist_json.rows import _indices, without_space
from paddle_mnist.sources.mnist_json.text import MARGIN, with_margins


def block_text(rows=12, encoding="pm1", seed=0, separators=(", ", ":")):
    chance = np.random.default_rng(seed)
    codes = chance.integers(0, 256, (rows, 784)) * (chance.random((rows, 784)) < 0.2)
    levels = pixel_values(encoding)
    text = json.dumps([[levels[k] for k in row] for row in codes.tolist()], separators=separators)
    return codes.astype(np.uint8), text[1:-1].encode()


def room(text):
    """The text as a table takes it; what stands before it and after it must not matter."""
    found = with_margins(text)
    found[:MARGIN] = found[-MARGIN:] = np.frombuffer(b",0.0],[ " * (MARGIN // 8), np.uint8)
    return found


def decode(levels, identifiers):
    return levels.lookup()[1][identifiers]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_blocks_are_looked_up(Table, encoding):
    levels = Levels()
    table = Table(levels)
    for seed in range(5):
        codes, text = block_text(encoding=encoding, seed=seed)
        found = table.parse(room(text))
        assert found is not None
        assert np.array_equal(decode(levels, found), codes)
    assert levels.lookup()[0] == encoding


def test_long_cells_and_spacings_are_looked_up(Table):
    levels = Levels()
    table = Table(levels)
    for separators in [(",", ":"), (",\n          ", ":"), (" , ", ":")]:
        codes, text = block_text(3, separators=separators)
        assert np.array_equal(decode(levels, table.parse(room(text))), codes)


def plain_rows(text):
    try:
        rows = np.array(json.loads(b"[" + text + b"]"))
    except ValueError:
        return None
    return rows if rows.ndim == 2 and rows.shape[1] == 784 and rows.dtype.kind in "fi" else None


def test_mutated_blocks_are_read_exactly_or_not_at_all(Table):
    chance = random.Random(11)
    _, text = block_text(3)
    table = Table(levels := Levels())
    table.parse(room(text))
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
        found, expected = table.parse(room(mutated)), plain_rows(mutated)
        if found is not None:
            looked_up += 1
            assert expected is not None
            assert np.array_equal(decode(levels, found), np.round((expected + 1) * 127.5))
    assert looked_up > 30  # white space, mostly


# Cells of one length, of half of it, with white space and with mistakes: whatever can be taken for a run of another.
POOLS = [
    [b"0", b"1", b"10", b"100", b"7"],
    [b"0", b" 0", b"  0", b"00", b"0 ", b"12"],
    [b"0.0", b"1.0", b"0.5", b" 0.0", b"0.25"],
    [b"0.0", b"00.0", b"0.00", b"0"],
    [b"\n    0.0", b"\n    0.5", b"\n    1.0", b"\n    0.25"],
    [b"1", *(b" " * n + b"0" for n in (6, 7, 14, 15, 16, 30, 31, 61, 62, 63))],
]


def row_of_runs(chance, pool):
    cells = []
    while len(cells) < 784:
        pattern = [chance.choice(pool) for _ in range(chance.choice([1, 1, 1, 2, 3]))]
        cells += pattern * chance.choice([1, 1, 2, 3, 5, 50, 200])
    return b"[%s]" % b",".join(cells[:784])


def test_runs_of_anything_are_read_exactly_or_not_at_all(Table):
    chance = random.Random(5)
    pieces = [b"", b",", b"0", b"\0", b"\1" * 8, b"\0" * 70, b" " * 20, b"]", b"],[", b",0,0"]
    looked_up = 0
    for number in range(400):
        pool = chance.sample(POOLS[number % len(POOLS)], chance.randint(1, 4))
        table = Table(levels := Levels())
        table.parse(room(b"[%s]" % b",".join([chance.choice(pool)] * 784)))  # paper, from now on
        for _ in range(3):
            text = b", ".join(row_of_runs(chance, pool) for _ in range(chance.randint(1, 2)))
            for _ in range(chance.choice([0, 0, 1, 2])):
                at = chance.randrange(len(text))
                text = text[:at] + chance.choice(pieces) + text[at + chance.choice([0, 1, 2, 6]) :]
            found = table.parse(room(text))
            if found is not None:
                looked_up += 1
                values = np.zeros(256)
                values[list(levels._ids.values())] = list(levels._ids)
                assert np.array_equal(values[found], plain_rows(text))
    assert looked_up > 100


@pytest.mark.parametrize("size", [4, 8])
def test_indices_of_marks(size):
    chance = np.random.default_rng(0)
    for density in (0.0, 0.001, 0.02, 0.1, 0.5, 1.0):
        for apart in (1, 3, 5, 9):
            marks = chance.random(800) < density
            marks[np.arange(800) % apart != 0] = False
            assert np.array_equal(_indices(marks, size), np.flatnonzero(marks))


def test_what_was_never_parsed_is_not_known(Table):
    table = Table(Levels())
    zeros = b"[%s]" % b",".join([b"0.0"] * 784)
    assert table.look_up(room(zeros)) is None  # nothing is
    assert table.parse(room(zeros)) is not None
    for strange in (b"\0", b"\1", b"\0" * 8, b"\1" * 8, b"\0" * 80, b"\1" * 80, b"\xff" * 80, b""):
        assert table.look_up(room(zeros.replace(b"0.0,", strange + b",", 1))) is None
        assert table.look_up(room(zeros.replace(b",0.0,", b"," + strange + b",", 1))) is None
        assert table.look_up(room(zeros.replace(b",0.0]", b",0.0" + strange + b"," + strange))) is None


def test_cells_swapped_between_rows_keep_the_rows_apart(Table):
    _, text = block_text(2, "uint8")
    rows = text.split(b"], [")
    shorter_and_longer = b"], [".join([rows[0].rpartition(b", ")[0], b"0, " + rows[1]])
    assert shorter_and_longer.count(b",") == text.count(b",")
    assert Table(Levels()).parse(room(shorter_and_longer)) is None


@pytest.mark.parametrize("text", [b" ", b"[", b"]", b"[]", b"[0", b"[0,", b"[0, 0, ", b"[0]", b",", b"0"])
def test_what_is_less_than_a_row_is_not_read(Table, text):
    assert Table(Levels()).parse(room(text)) is None
    table = Table(Levels())
    zeros = b"[%s]" % b",".join([b"0"] * 784)
    assert table.parse(room(zeros)) is not None
    assert table.look_up(room(text)) is None
    assert table.look_up(room(zeros + b"," + text)) is None


def test_nothing_is_learned_from_a_block_that_fails(Table):
    levels = Levels()
    table = Table(levels)
    zeros = b"[" + b", ".join([b"0.0"] * 784) + b"]"
    assert table.parse(room(zeros)) is not None
    before = levels.candidates
    assert table.parse(room(zeros.replace(b"0.0]", b"0.2, 7.5]"))) is None
    assert table.parse(room(zeros.replace(b"0.0", b"0.2", 1).replace(b"0.0]", b"7.5]"))) is None
    assert levels.candidates == before
    quarter = table.parse(room(zeros.replace(b" 0.0", b" 0.25", 1)))  # k/256, which 0.2 would have ruled out
    assert decode(levels, quarter)[0, 1] == 64


def bare(text):
    found = without_space(np.frombuffer(text, np.uint8))
    return None if found is None else bytes(found[MARGIN:-MARGIN])


def test_white_space_is_taken_out_only_between_numbers_and_structure():
    assert bare(b"[ 1 ,\n2.5 ]\t,\r\n[ -3e1]") == b"[1,2.5],[-3e1]"
    assert bare(b"[1 2]") is None
    assert bare(b"[1, - 2]") is None
    assert bare(b"[1,\x002]") is None


def test_numbers_that_run_together_are_not_read(Table):
    ones = b"[%s]" % b",".join([b"1"] * 784)
    assert Table(Levels()).parse(room(bare(ones))) is not None
    for two, pieces in ((b"1,1", b"1 1"), (b"1,1", b"1 1,"), (b"1,1,1", b"1 1,,1"), (b"1,1,1", b",1 1,1")):
        found = bare(ones.replace(two, pieces, 1))
        assert found is None or Table(Levels()).parse(room(found)) is None
    assert bare(b"[1]") == b"[1]"


def test_a_text_looked_up_stays_as_it_was(Table):
    table = Table(Levels())
    _, text = block_text()
    taken = room(text)
    for look_up in (table.parse, table.parse, table.look_up):
        assert look_up(taken) is not None
        assert bytes(taken[MARGIN:-MARGIN]) == text
    strange = room(text.replace(b"-1.0", b"-1.5"))
    assert table.look_up(strange) is None
    assert bytes(strange[MARGIN:-MARGIN]) == text.replace(b"-1.0", b"-1.5")


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_each_level_is_recognised_and_nothing_between(encoding):
    for k, value in enumerate(pixel_values(encoding)):
        assert level(value, encoding) == k
        assert level(value + 1e-4, encoding) is None
        assert level(value - 1e-4, encoding) is None


def test_numbers_that_were_met_before():
    levels = Levels()
    zero, one = levels.of_value(0.0, True), levels.of_value(1.0, True)
    assert levels.of_known([0, 1, 1]) == bytes([zero, one, one])
    assert levels.only_integers
    for values in ([0, True], [0, None], [0, "1"], [0, [1]], [0, 2], [0, float("nan")], [0, 10**400]):
        assert levels.of_known(values) is None
    assert levels.only_integers
    assert levels.of_known([0.0, 1]) == bytes([zero, one])
    assert not levels.only_integers


def test_more_values_than_there_are_levels_are_refused():
    levels = Levels()
    for k in range(256):
        levels.of_value(k / 255, False)
    with pytest.raises(ValueError, match="256 other pixel values"):
        levels.of_value(1 / 255 + 1e-9, False)

"""The compiled look-up by itself."""

from __future__ import annotations

import numpy as np
import pytest

lookup = pytest.importorskip("paddle_mnist.sources.mnist_json._lookup", reason="installed without a C compiler")


def text_of(cells):
    return b"[%s]" % b",".join(cells)


def look_up(table, text, capacity=None, at=0, done=0):
    """Return the identifiers found, and the index at which the look-up stopped."""
    pixels = np.full(len(text) if capacity is None else capacity, 7, np.uint8)
    count, stopped = lookup.look_up(table, text + bytes(lookup.WIDTH), at, len(text), pixels, done)
    assert (pixels[count:] == 7).all()
    return pixels[:count].tolist(), stopped


@pytest.fixture
def table():
    found = bytearray(lookup.TABLE_SIZE)
    for identifier, number in enumerate([b"0", b"1", b"0.5", b"12", b"-0.25e-3", b"9" * lookup.WIDTH]):
        assert lookup.learn(found, number, identifier)
    return found


def test_look_up_finds_rows(table):
    row = [b"0"] * 300 + [b"0.5", b"1"] * 100 + [b"-0.25e-3", b"9" * lookup.WIDTH, *([b"0"] * 282)]
    ids = [0] * 300 + [2, 1] * 100 + [4, 5] + [0] * 282
    text = text_of(row) + b" ,\n" + text_of(row)
    assert look_up(table, text) == (ids * 2, len(text))


def test_look_up_stops_at_an_unknown_number_and_continues_there(table):
    cells = [b"0"] * 100 + [b"3"] + [b" 0"] * 683
    text = text_of(cells)
    found, stopped = look_up(table, text)
    assert (found, text[stopped : stopped + 1]) == ([0] * 100, b"3")
    lookup.learn(table, b"3", 255)
    assert look_up(table, text, at=stopped, done=100)[1] == len(text)
    text = text_of([b"4"] * 784)
    assert look_up(table, text) == ([], 0)  # before the bracket


def test_look_up_writes_no_more_than_the_capacity(table):
    text = text_of([b"0"] * 784)
    for capacity in (0, 1, 2, 100, 783):
        found, stopped = look_up(table, text, capacity)
        assert len(found) == capacity
        assert text[stopped:].startswith(b"0" if capacity else b"[0")
    assert look_up(table, text, 784) == ([0] * 784, len(text))


@pytest.mark.parametrize(
    "cells",
    [
        [b"0"] * 783,
        [b"0"] * 785,
        [b"0"] * 783 + [b""],
        [b""] * 784,
        [b"0"] * 783 + [b"0 0"],
        [b"0"] * 783 + [b"[0"],
        [b"0", b"0]", *([b"0"] * 782)],
        [b"0\0", *([b"0"] * 783)],
        [b"0", b"\0", *([b"0"] * 782)],
        [b"9" * 33, *([b"0"] * 783)],
        [b"0\x0b", *([b"0"] * 783)],
    ],
)
def test_look_up_stops_in_text_that_is_not_a_row(table, cells):
    assert look_up(table, text_of(cells))[1] < len(text_of(cells))


@pytest.mark.parametrize("after", [b",", b" , ", b",,[", b"[", b"]", b"0", b", 0"])
def test_look_up_stops_at_what_cannot_follow_a_row(table, after):
    row = text_of([b"0"] * 784)
    assert look_up(table, row + b" \n")[1] == len(row) + 2
    assert look_up(table, row + after)[1] < len(row + after)


@pytest.mark.parametrize("between", [b"", b" ", b";", b"[", b"]", b"0", b":", b",,", b"\0"])
def test_look_up_accepts_only_a_comma_between_rows(table, between):
    row = text_of([b"0"] * 784)
    found, stopped = look_up(table, row + between + row)
    assert len(found) in (783, 784)
    assert stopped <= len(row) + 1
    assert look_up(table, row + b" , " + row)[0] == [0] * 1568


@pytest.mark.parametrize("opening", [b"", b"(", b",", b" ", b"]", b"0"])
def test_look_up_needs_a_bracket_before_a_row(table, opening):
    row = text_of([b"0"] * 784)
    assert look_up(table, opening + row[1:]) == ([], 0)
    assert len(look_up(table, row + b"," + opening + row[1:])[0]) == 784


def test_look_up_skips_white_space_of_any_length(table):
    chance = np.random.default_rng(0)
    for longest in (2, 5, 9, 20, 70):
        spaces = [bytes(chance.choice([*b" \t\r\n"], chance.integers(0, longest)).tolist()) for _ in range(2 * 784)]
        cells = [spaces[2 * i] + chance.choice([b"0", b"0.5"]) + spaces[2 * i + 1] for i in range(784)]
        text = text_of(cells)
        assert look_up(table, text) == ([2 * (b"." in cell) for cell in cells], len(text))


def test_learn_refuses_a_number_if_the_table_is_crowded():
    table = bytearray(lookup.TABLE_SIZE)
    # Their first bytes are the same, so that only the last ones distinguish their slots.
    identifiers = {b"0.00390625%d" % n: n % 251 for n in range(6000)}
    kept = [number for number, identifier in identifiers.items() if lookup.learn(table, number, identifier)]
    assert 1000 < len(kept) <= 4096
    for first in range(0, len(kept) - 784, 784):
        row = kept[first : first + 784]
        assert look_up(table, text_of(row))[0] == [identifiers[number] for number in row]


def test_learn_refuses_numbers_that_are_too_long(table):
    before = bytes(table)
    assert not lookup.learn(table, b"1" * (lookup.WIDTH + 1), 3)
    assert table == before


def test_look_up_and_learn_refuse_wrong_arguments(table):
    text, pixels = bytearray(b"[0,0]" + bytes(lookup.WIDTH)), bytearray(784)
    for at, end, done in [(-1, 5, 0), (6, 5, 0), (0, 6, 0), (0, 4, 0), (0, 5, -1), (0, 5, 785), (0, 2**62, 0)]:
        with pytest.raises(ValueError, match="look_up"):
            lookup.look_up(table, text, at, end, pixels, done)
    with pytest.raises(ValueError, match="look_up"):
        lookup.look_up(table[:-1], text, 0, 5, pixels, 0)
    with pytest.raises(ValueError, match="learn"):
        lookup.learn(table[:-1], b"0", 0)
    with pytest.raises(OverflowError):
        lookup.learn(table, b"0", 256)
    with pytest.raises((TypeError, BufferError)):
        lookup.look_up(table, text, 0, 5, bytes(784), 0)

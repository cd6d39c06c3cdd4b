"""The text of a JSON file in blocks: nothing is lost or repeated, and a block belongs to its receiver."""

from __future__ import annotations

import io
import random
import re

import pytest

from paddle_mnist.errors import UserError
from paddle_mnist.sources.mnist_json import text as mnist_json_text
from paddle_mnist.sources.mnist_json.text import MARGIN, Text


def some_text(chance, pieces=120):
    """Lists of any length, with white space between them."""
    lists = (b"[%s]" % (b"7" * chance.choice([0, 1, 3, 40, 300])) for _ in range(pieces))
    return b"".join(piece + b" \n" * chance.choice([0, 0, 1, 20]) + b"," * chance.choice([0, 1]) for piece in lists)


@pytest.mark.parametrize("seed", range(8))
def test_text_neither_loses_nor_repeats_bytes(monkeypatch, seed):
    monkeypatch.setattr(mnist_json_text, "BLOCK", 256)
    chance = random.Random(seed)
    left = some_text(chance)
    text, taken = Text("digits.json", io.BytesIO(left)), []
    while left:
        left = left.lstrip(b" \t\r\n")
        assert text.peek() == left[:1]
        act = chance.choice(["skip", "list", "take", "take", "push back"])
        if act == "skip" and left:
            text.skip()
            left = left[1:]
        elif act == "list":
            found = text.next_list(1 << 20)
            assert found == (left[: left.find(b"]") + 1] if b"]" in left else None)
            if found is not None and chance.random() < 0.5:
                text.advance(len(found))
                left = left[len(found) :]
        elif act == "take" and (block := text.take_block()) is not None:
            found = bytes(block[MARGIN:-MARGIN])
            assert found.endswith(b"]")
            assert left.startswith(found)
            left = left[len(found) :]
            block[:MARGIN] = block[-MARGIN:] = 255  # as the look-up may
            taken.append((block, found))
        elif act == "push back":
            pushed = b"[1], [2]" * chance.choice([0, 1, 100])
            text.push_back(pushed)
            left = pushed + left
    assert text.peek() == b""
    assert len(taken) > 2
    assert all(bytes(block[MARGIN:-MARGIN]) == found for block, found in taken)


def test_take_block_ends_at_the_last_bracket_of_about_a_block(monkeypatch):
    monkeypatch.setattr(mnist_json_text, "BLOCK", 100)
    text = Text("digits.json", io.BytesIO(b"[1]," * 300))
    sizes = []
    while (block := text.take_block()) is not None:
        sizes.append(len(block) - 2 * MARGIN)
    assert max(sizes) <= 200
    assert sum(sizes) == 4 * 300 - 1
    assert text.peek() == b","


def test_next_list_stops_at_its_limit(monkeypatch):
    monkeypatch.setattr(mnist_json_text, "BLOCK", 100)
    source = io.BytesIO(b"[" + b"1," * 100_000)
    assert Text("digits.json", source).next_list(5_000) is None
    assert source.tell() < 6_000
    assert Text("digits.json", io.BytesIO(b"[" + b"1," * 5_000)).take_block() is None


def test_peek_refuses_endless_white_space(monkeypatch):
    monkeypatch.setattr(mnist_json_text, "_MAX_SPACE", 10_000)
    assert Text("digits.json", io.BytesIO(b" " * 9_000 + b"[")).peek() == b"["
    with pytest.raises(UserError, match=re.escape("digits.json must hold digits, got 0 MB of white space in a row")):
        Text("digits.json", io.BytesIO(b" " * (10_001 + mnist_json_text.BLOCK))).peek()

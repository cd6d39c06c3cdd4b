"""The text of a JSON file as it is cut: nothing lost, nothing twice, and what was taken is the receiver's own."""

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


@pytest.mark.parametrize("seed", range(20))
def test_every_cut_agrees_with_the_plain_text(monkeypatch, seed):
    monkeypatch.setattr(mnist_json_text, "BLOCK", 256)
    chance = random.Random(seed)
    left = some_text(chance)
    text, taken = Text("digits.json", io.BytesIO(left)), []
    while left:
        left = left.lstrip(b" \t\r\n")
        assert text.peek() == left[:1]
        act = chance.choice(["skip", "sequence", "take", "take", "push back"])
        if act == "skip" and left:
            text.skip()
            left = left[1:]
        elif act == "sequence":
            found = text.sequence(1 << 20)
            assert found == (left[: left.find(b"]") + 1] if b"]" in left else None)
            if found is not None and chance.random() < 0.5:
                text.advance(len(found))
                left = left[len(found) :]
        elif act == "take" and (room := text.take_sequences()) is not None:
            found = bytes(room[MARGIN:-MARGIN])
            assert found.endswith(b"]")
            assert left.startswith(found)
            left = left[len(found) :]
            room[:MARGIN] = room[-MARGIN:] = 255  # as the look-up may
            taken.append((room, found))
        elif act == "push back":
            pushed = b"[1], [2]" * chance.choice([0, 1, 100])
            text.push_back(pushed)
            left = pushed + left
    assert text.peek() == b""
    assert len(taken) > 2
    assert all(bytes(room[MARGIN:-MARGIN]) == found for room, found in taken)


def test_what_is_taken_ends_at_the_last_bracket_of_about_a_block(monkeypatch):
    monkeypatch.setattr(mnist_json_text, "BLOCK", 100)
    text = Text("digits.json", io.BytesIO(b"[1]," * 300))
    sizes = []
    while (room := text.take_sequences()) is not None:
        sizes.append(len(room) - 2 * MARGIN)
    assert max(sizes) <= 200
    assert sum(sizes) == 4 * 300 - 1
    assert text.peek() == b","


def test_a_list_longer_than_the_limit_is_not_looked_for_to_the_end(monkeypatch):
    monkeypatch.setattr(mnist_json_text, "BLOCK", 100)
    source = io.BytesIO(b"[" + b"1," * 100_000)
    assert Text("digits.json", source).sequence(5_000) is None
    assert source.tell() < 6_000
    assert Text("digits.json", io.BytesIO(b"[" + b"1," * 5_000)).take_sequences() is None


def test_white_space_without_end_is_refused(monkeypatch):
    monkeypatch.setattr(mnist_json_text, "_MAX_SPACE", 10_000)
    assert Text("digits.json", io.BytesIO(b" " * 9_000 + b"[")).peek() == b"["
    with pytest.raises(UserError, match=re.escape("digits.json holds 0 MB of white space on end")):
        Text("digits.json", io.BytesIO(b" " * (10_001 + mnist_json_text.BLOCK))).peek()

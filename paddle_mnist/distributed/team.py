"""Who computes which blocks of a batch: one process all of them, or each of several processes a part.

A *team* is this process and others that train the same net in step. Every member applies the same update, so all that
they exchange are the sums over each member's blocks, and the same numbers are added in the same order by everybody.
``workers`` has the team of the processes that Paddle's launcher has started.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Protocol

import numpy as np


class Team(Protocol):
    """Processes that train a net together.

    Attributes:
        rank: this process's number, from 0.
        size: the number of processes.
    """

    rank: int
    size: int

    def gather(self, array: np.ndarray) -> np.ndarray:
        """Return every member's array, in the order of their ranks.

        Args:
            array: float32 [n]; all members give equally many numbers.

        Returns:
            float32 [size, n], the caller's until the next call.
        """


class Alone:
    """A team of one process."""

    rank, size = 0, 1

    def gather(self, array: np.ndarray) -> np.ndarray:
        """Return the array itself, as [1, n]."""
        return array.reshape(1, -1)


ALONE = Alone()


def share(count: int, rank: int, size: int) -> range:
    """Return which of ``count`` items in order are a member's: equally many for each, up to one."""
    return range(rank * count // size, (rank + 1) * count // size)


class Division:
    """How the blocks of one batch are divided among a team: in order, equally many for each member, up to one.

    A batch of a single block is not divided: every member computes it.

    Args:
        team: the members.
        pieces: the rows of each block, in order.

    Attributes:
        team: the members; ``ALONE`` if nothing is divided.
        blocks: this member's, as indices of ``pieces``.
        rows: this member's rows of the batch.
        block_counts, row_counts: how many blocks and rows each member has.
    """

    def __init__(self, team: Team, pieces: Sequence[slice]) -> None:
        self.team = team if len(pieces) > 1 else ALONE
        self.count = len(pieces)
        rows = [0, *(piece.stop for piece in pieces)]
        self._ranges = [share(self.count, rank, self.team.size) for rank in range(self.team.size)]
        self.blocks = self._ranges[self.team.rank]
        self.rows = slice(rows[self.blocks.start], rows[self.blocks.stop])
        self.block_counts = [len(blocks) for blocks in self._ranges]
        self.row_counts = [rows[blocks.stop] - rows[blocks.start] for blocks in self._ranges]
        self._spans = [_spans(self.count, blocks) for blocks in self._ranges]
        self._head = 2 * max(self.row_counts)  # float32 numbers that hold a float64 for each row, in a message

    def complete(self, array: np.ndarray) -> None:
        """Fill the other members' rows of an array over the batch, [n, ...], of which this one has filled its own."""
        if self.team.size > 1:
            array[:] = gather_rows(self.team, array[self.rows], self.row_counts)

    def gather_blocks(self, own: np.ndarray) -> np.ndarray:
        """Return a row for every block of the batch, given those of this member's blocks."""
        return gather_rows(self.team, own, self.block_counts)

    def message_size(self, size: int) -> int:
        """Return how many float32 numbers each member sends for ``total``."""
        return self._head + size * max(map(len, self._spans))

    def total(self, own: OrderedSum, size: int, samples: np.ndarray) -> np.ndarray:
        """Return the sum over all blocks, float32 [size], and complete ``samples``, float64 [n], by one exchange."""
        if self.team.size == 1:
            return own.parts[0]
        head, mine = self._head, samples[self.rows]
        message = np.zeros(self.message_size(size), np.float32)
        message[:head].view(np.float64)[: len(mine)] = mine
        for part, slot in zip(own.parts, message[head:].reshape(-1, size), strict=False):
            slot[:] = part
        found = self.team.gather(message)
        result, start = OrderedSum(self.count), 0
        for other, rows, parts in zip(found, self.row_counts, self._spans, strict=True):
            samples[start : start + rows] = other[:head].view(np.float64)[:rows]
            start += rows
            for span, array in zip(parts, other[head:].reshape(-1, size), strict=False):
                result.add(span, array)
        return result.parts[0].copy()  # the next exchange may overwrite it


def gather_rows(team: Team, own: np.ndarray, counts: Sequence[int]) -> np.ndarray:
    """Return the rows of all members, one member's after the other's.

    Args:
        own: this member's rows, [n, ...], float32, float64 or int64.
        counts: the number of rows of every member.
    """
    if team.size == 1:
        return own
    padded = np.zeros((max(counts), *own.shape[1:]), own.dtype)
    padded[: len(own)] = own
    found = team.gather(padded.reshape(-1).view(np.float32)).view(own.dtype).reshape(team.size, *padded.shape)
    return np.concatenate([rows[:n] for rows, n in zip(found, counts, strict=True)])


class OrderedSum:
    """Adds up the arrays of blocks in an order that nothing but their number decides.

    Blocks are the leaves of a binary tree whose nodes halve their range. Whoever has some consecutive blocks adds up
    the subtrees that lie within them; from these, in order, anybody continues to the root. So the bits of the total do
    not depend on how the blocks were divided, and each member has few arrays to send.

    Args:
        count: the number of blocks.
    """

    def __init__(self, count: int) -> None:
        self._nodes = _nodes(count)
        self._stack: list[tuple[int, int, np.ndarray]] = []

    def add(self, span: tuple[int, int], array: np.ndarray) -> None:
        """Add the sum of blocks ``span[0]`` to ``span[1] - 1``, in ascending order; the array may be changed."""
        first, stop = span
        while self._stack and self._stack[-1][1] == first and (self._stack[-1][0], stop) in self._nodes:
            first, _, left = self._stack.pop()
            left += array
            array = left
        self._stack.append((first, stop, array))

    @property
    def parts(self) -> list[np.ndarray]:
        """The sums so far: of the largest subtrees, in order; the total, once all blocks are added."""
        return [array for _, _, array in self._stack]


@functools.lru_cache(maxsize=256)
def _spans(count: int, blocks: range) -> list[tuple[int, int]]:
    """Return the ranges of the subtrees to which the parts of a sum over consecutive blocks belong."""
    nodes = _nodes(count)
    stack: list[tuple[int, int]] = []
    for i in blocks:
        first, stop = i, i + 1
        while stack and stack[-1][1] == first and (stack[-1][0], stop) in nodes:
            first = stack.pop()[0]
        stack.append((first, stop))
    return stack


@functools.lru_cache(maxsize=64)
def _nodes(count: int) -> frozenset[tuple[int, int]]:
    """Return the ranges of the tree's nodes that have children."""
    found, todo = set(), [(0, count)]
    while todo:
        first, stop = todo.pop()
        if stop - first > 1:
            found.add((first, stop))
            middle = (first + stop) // 2
            todo += [(first, middle), (middle, stop)]
    return frozenset(found)

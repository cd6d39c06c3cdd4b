"""Look up block after block of rows while the following ones are being decompressed."""

from __future__ import annotations

import collections
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait

import numpy as np

from paddle_mnist.sources.mnist_json.tables import Table
from paddle_mnist.sources.mnist_json.text import MARGIN, Text

_MAX_PENDING = 3  # blocks submitted to the look-up's thread; further ones are looked up in the decompressing thread


def look_up_blocks(text: Text, table: Table, pool: ThreadPoolExecutor, store: Callable[[np.ndarray], None]) -> bool:
    """Read blocks of rows as long as all their pixel values are known.

    A thread of the pool looks blocks up while this one decompresses the following ones. When the pool's thread has
    enough to do, this one looks blocks up as well.

    Args:
        text: the file, at the beginning of a row.
        table: the pixel values met so far.
        pool: one thread.
        store: takes the identifiers of each block, uint8 [rows, 784], in the file's order.

    Returns:
        True if rows were stored, and a comma or the end of the list comes next. False if a row comes next that could
        not be looked up.
    """
    pending: collections.deque[tuple[np.ndarray, Future[np.ndarray | None]]] = collections.deque()
    more, passed_comma, stored = True, False, False
    while True:
        while more and len(pending) <= _MAX_PENDING:
            block = text.take_block() if text.peek() == b"[" else None
            more = block is not None
            if block is not None:
                busy = sum(not future.done() for _, future in pending) >= _MAX_PENDING
                pending.append((block, _done(table.look_up(block)) if busy else pool.submit(table.look_up, block)))
                more = passed_comma = text.peek() == b","
                if passed_comma:
                    text.skip()
        if not pending:
            if passed_comma:
                text.push_back(b",")
            return stored
        block, future = pending.popleft()
        rows = future.result()
        if rows is None:
            wait([later for _, later in pending])
            blocks = (padded[MARGIN:-MARGIN].data for padded in (block, *(later for later, _ in pending)))
            text.push_back(b",".join(blocks) + (b"," if passed_comma else b""))
            return False
        store(rows)
        stored = True


def _done(result: np.ndarray | None) -> Future[np.ndarray | None]:
    future: Future[np.ndarray | None] = Future()
    future.set_result(result)
    return future

"""The masks of dropout: decided by a seed, the number of the step and the block, whatever thread draws them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from paddle_mnist.program import Node


def fill(masks: Mapping[str, np.ndarray], nodes: Sequence[Node], seed: tuple[int, int, int]) -> None:
    """Draw the masks of one block.

    Args:
        masks: by the nodes' names, arrays to fill: 0 with the node's probability, else the factor of what is kept.
        nodes: the dropout nodes of the graph, in order.
        seed: (seed, step, block), each at least 0 and below 2**63.
    """
    first, step, block = seed
    random = np.random.Generator(np.random.Philox(key=[first, step], counter=[0, 0, block, 0]))
    for node in nodes:
        p, mask = node.attributes["p"], masks[node.name]
        kept = random.random(mask.shape, dtype=np.float32) >= np.float32(p)
        factor = 1 / (1 - p) if node.attributes["upscale"] and p < 1 else 1
        np.multiply(kept, np.float32(factor), out=mask)

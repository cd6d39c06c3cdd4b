"""A net whose weights no longer change: its kernels take them over once, and a call costs only the arithmetic."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import paddle

from paddle_mnist.fast.blocks import Runner
from paddle_mnist.fast.engine import all_finite, suits
from paddle_mnist.fast.plan import Plan
from paddle_mnist.program import Graph, NotCoveredError, rewrite
from paddle_mnist.program.evaluate import run

PADDED = 64  # images, of batches that come in many sizes


class Frozen:
    """Computes the output of a graph. Where the fast path does not cover it, Paddle's functions do, one by one.

    Args:
        graph: a net in evaluation mode, before ``rewrite``.
        weights: float32, for each of the graph's parameters. They must not be written to afterwards.
    """

    def __init__(self, graph: Graph, weights: Mapping[str, np.ndarray]) -> None:
        self._graph, self._weights = graph, weights
        self._runner: Runner | None = None
        if all_finite(weights.values()):
            try:
                self._runner = Runner(Plan(rewrite(graph), []))
                self._runner.load(weights)
            except (NotCoveredError, OSError, RuntimeError):
                self._runner = None

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Return the output, float32 [n, ...], for finite images float32 [n, *graph.input_shape], n at least 1."""
        if self._runner is not None and suits(self._runner, len(images)):
            try:
                outputs = self._runner.outputs(None, _padded(images))[: len(images)]
                if all_finite([outputs]):
                    return outputs
            except (OSError, RuntimeError):
                self._runner = None
        with paddle.no_grad():
            weights = {name: paddle.to_tensor(array) for name, array in self._weights.items()}
            return run(self._graph, weights, paddle.to_tensor(images))[self._graph.output].numpy()


def _padded(images: np.ndarray) -> np.ndarray:
    """Return a small batch with images of zeros up to a power of two: to make buffers takes longer than to use them."""
    size = 1 << (len(images) - 1).bit_length()
    if size == len(images) or size > PADDED:
        return images
    return np.concatenate([images, np.zeros((size - len(images), *images.shape[1:]), images.dtype)])

"""What is decided once for a graph: its kernels, the size of its blocks, and where its parameters are."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from paddle_mnist.fast import choice, dense, onednn, shapes
from paddle_mnist.fast.arrays import aligned, split
from paddle_mnist.fast.compiled import filtering
from paddle_mnist.fast.products import Gradient, Product
from paddle_mnist.program import Graph, NotCoveredError

# The largest tensor of a block may take so many bytes: with its gradient it stays in the cache of a core.
BLOCK_BYTES = 900_000
LARGEST_BLOCK = 40
# Nets without maps: one block if an image costs fewer multiplications than this, or if large products are divided among
# threads; else blocks of so many rows.
SMALL_NET = 100_000
ROWS_BLOCK = 50
# Without the way back, blocks of so many rows: what a layer reads and writes stays in a core's cache. In small nets
# more rows, since handing a block to a helper takes a tenth of a millisecond.
ROWS_INFERENCE, ROWS_INFERENCE_SMALL = 100, 500
# A weight of a linear layer that has at least so many numbers gets its gradient once for the whole batch.
LARGE_WEIGHT = 20_000
# One that has at least so many columns, in a net without maps, is divided among threads by its columns.
SLICED_COLUMNS = 64
SPATIAL = {"convolution", "max_pool", "average_pool", "adaptive_max_pool", "adaptive_average_pool"}


class Plan:
    """See the module.

    Args:
        graph: the net, after ``rewrite``.
        trainable: the parameters' names in ``state_dict``, in the order in which gradients are wanted.

    Attributes:
        library: "oneDNN" or "NumPy".
        readers: the nodes that have a tensor among their inputs, by its name.
        block_size, inference_block_size: images in a block, or ``None``: a batch is one block.
        sizes: of the trainable parameters, by name.
        sliced: by name, the (inputs, outputs) of weights whose products threads divide, where a batch is one block.
        whole_batch: by name, those of weights whose gradient is computed for the batch as a whole, where it is several
            blocks.
        block_sizes: ``sizes`` without these two kinds.
        values: parameters and buffers by name, as the kernels want them; in the net's own memory where that serves.
        version: rises with each ``load``.
        statistics: new values of buffers, by name, that the last forward pass in training mode found.
        dropouts: the dropout nodes.
        normalizes_single_values: whether a batch norm has one value per channel and image.
        barriers: whether a pass in training mode needs sums over the whole batch.
        is_dense: whether there are no operations on maps.

    Raises:
        NotCoveredError: no kernel does what the graph needs.
    """

    def __init__(self, graph: Graph, trainable: Sequence[str]) -> None:
        self.graph, self.shapes, self.uses = graph, graph.shapes, graph.uses
        self.readers = {name: [node for node in graph.nodes if name in node.inputs] for name in self.shapes}
        self.onednn = onednn.library()
        self.library = "oneDNN" if self.onednn else "NumPy"
        self._check(trainable)
        self._shared: dict[object, Any] = {}
        self._loaded: list[Any] = []
        self.barriers = any(node.attributes.get("training") for node in graph.nodes)
        self.normalizes_single_values = any(
            node.operation == "batch_norm" and math.prod(node.shape[1:]) == 1 for node in graph.nodes
        )
        self.dropouts = [node for node in graph.nodes if node.operation == "dropout"]
        self.sizes = {name: math.prod(graph.parameters[name]) for name in trainable}
        large = self._large_weights()
        self.sliced = {name: shape for name, shape in large.items() if shape[1] >= SLICED_COLUMNS}
        self.is_dense = not any(node.operation in SPATIAL for node in graph.nodes)
        self.block_size = self._block_size()
        self.inference_block_size = self.block_size
        if self.block_size:
            self.sliced = {}
        if self.is_dense:
            is_small = self.block_size is None and not self.sliced
            self.inference_block_size = ROWS_INFERENCE_SMALL if is_small else ROWS_INFERENCE
        self.whole_batch = large if self.block_size else {}
        self.kernels = {node.name: choice.builder(node, self) for node in graph.nodes}
        others = self.whole_batch.keys() | self.sliced.keys()
        self.block_sizes = {name: size for name, size in self.sizes.items() if name not in others}
        self.differentiable = self._differentiable(set(trainable))
        self.channels_last_rows, self._permuted = self._flattened_maps()
        self._taps_first = {
            node.parameters["weight"]: filtering.InOrder(graph.parameters[node.parameters["weight"]])
            for node in graph.nodes
            if self.kernels[node.name] is filtering.Convolution
        }
        self._reordered = {name: aligned(*graph.parameters[name]) for name in self._permuted}
        self._values = {name: aligned(*graph.parameters[name]) for name in self._permuted}
        self._flat = np.empty(0, np.float32)
        self._parts: dict[str, np.ndarray] = {}
        self.values: dict[str, np.ndarray] = {}
        self.statistics: dict[str, np.ndarray] = {}
        self.version = 0

    def _check(self, trainable: Sequence[str]) -> None:
        used = [name for node in self.graph.nodes for name in node.parameters.values()]
        for name in trainable:
            if used.count(name) != 1:
                raise NotCoveredError(f"parameter {name} is used {'twice' if name in used else 'nowhere'}")
        for node in self.graph.nodes:
            if node.operation == "linear" and len(node.shape) == 3:
                raise NotCoveredError("a linear layer over the last axis of maps")

    def _block_size(self) -> int | None:
        if not self.is_dense:
            largest = 4 * max(map(math.prod, self.shapes.values()))
            return min(max(BLOCK_BYTES // largest, 1), LARGEST_BLOCK)
        products = sum(
            math.prod(node.shape[:-1]) * math.prod(self.graph.parameters[node.parameters["weight"]])
            for node in self.graph.nodes
            if node.operation == "linear"
        )
        return None if products < SMALL_NET or self.sliced else ROWS_BLOCK

    def _large_weights(self) -> dict[str, tuple[int, int]]:
        """Return the weights that are too large for every block to compute a gradient of its own."""
        found = {}
        for node in self.graph.nodes:
            if node.operation == "linear" and len(node.shape) == 1 and not node.attributes["transposed"]:
                weight = node.parameters["weight"]
                if self.sizes.get(weight, 0) >= LARGE_WEIGHT:
                    inputs, outputs = self.graph.parameters[weight]
                    found[weight] = inputs, outputs
        return found

    def _differentiable(self, trainable: set[str]) -> set[str]:
        """Return the tensors that depend on a trainable parameter."""
        found: set[str] = set()
        for node in self.graph.nodes:
            if trainable & set(node.parameters.values()) or found & set(node.inputs):
                found.add(node.name)
        return found

    def _flattened_maps(self) -> tuple[set[str], dict[str, tuple[int, int, int]]]:
        """Find maps that are flattened for linear layers alone.

        The pixels need not be reordered to channels first then; the rows of the layers' weights are reordered instead.

        Returns:
            the names of the reshape nodes, and by the weights' names the shapes of the maps.
        """
        reshapes: set[str] = set()
        weights: dict[str, tuple[int, int, int]] = {}
        for node in self.graph.nodes:
            source = self.shapes[node.inputs[0]]
            if node.operation != "reshape" or len(source) != 3 or len(node.shape) != 1 or shapes.same_order(source, ()):
                continue
            if node.name != self.graph.output and all(
                reader.operation == "linear" and not reader.attributes["transposed"]
                for reader in self.readers[node.name]
            ):
                reshapes.add(node.name)
                weights.update({reader.parameters["weight"]: source for reader in self.readers[node.name]})
        return reshapes, weights

    def load(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take over present values of parameters and buffers."""
        for name in self.graph.parameters:
            shape = self._permuted.get(name)
            if shape is None:
                self.values[name] = arrays[name]
            else:
                self.values[name] = dense.permuted(shape, True)(arrays[name], self._values[name])
        self.version += 1
        for entry in self._loaded:
            entry.load()

    def shared(self, key: object, make: Callable[[], Any], loads: bool = True) -> Any:
        """Return what all blocks use, made when the first one asks for it.

        Args:
            key: one for each such thing.
            make: returns it.
            loads: whether it has a method ``load``, to be called for new values of the parameters.
        """
        if key not in self._shared:
            entry = self._shared[key] = make()
            if loads:
                self._loaded.append(entry)
                entry.load()
        return self._shared[key]

    def gradients(self, flat: np.ndarray, others: Mapping[str, Gradient]) -> list[Gradient]:
        """Return each trainable parameter's gradient in its own shape, from the workspaces' layout.

        Args:
            flat: those of the parameters in ``block_sizes``, one after the other.
            others: by name; products are left as they are.
        """
        if flat is not self._flat:
            self._flat = flat
            self._parts = dict(zip(self.block_sizes, split(flat, self._part_shapes()), strict=True))
        results: list[Gradient] = []
        for name in self.sizes:
            gradient = self._parts[name] if name in self._parts else others[name]
            if name in self._permuted and not isinstance(gradient, Product):
                gradient = dense.permuted(self._permuted[name], False)(gradient, self._reordered[name])
            if name in self._taps_first and not isinstance(gradient, Product):
                gradient = self._taps_first[name](gradient)
            results.append(gradient)
        return results

    def as_computed(self, gradients: Sequence[Gradient]) -> list[Gradient]:
        """Return the numbers in what ``gradients`` has returned, in as few arrays as there are."""
        pairs = zip(self.sizes, gradients, strict=True)
        return [self._flat, *(gradient for name, gradient in pairs if name not in self._parts)]

    def _part_shapes(self) -> list[tuple[int, ...]]:
        return [self.graph.parameters[name] for name in self.block_sizes]

"""Large matrix products by oneDNN."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from paddle_mnist.fast import dense, onednn
from paddle_mnist.fast.onednn import Handle
from paddle_mnist.fast.workspace import Kernel, Workspace
from paddle_mnist.program import Node

# A matrix: its layout and its memory.
Operand: TypeAlias = "tuple[Handle, Handle]"


class Linear(dense.Linear):
    """A linear layer whose products are large enough for NumPy to divide them among threads that are already busy."""

    def __init__(self, node: Node, workspace: Workspace) -> None:
        super().__init__(node, workspace)
        self.create = create = workspace.primitives
        shape = self.x.shape[1], self.y.shape[1]
        self.weight = self.values[self.names["weight"]]
        self.weight_layout = create.strided(shape, (1, shape[0]) if self.transposed else (shape[1], 1))
        self.weight_memory = create.memory(self.weight_layout, self.weight)
        self.weights = [self.weight_memory]
        self.x_memory, self.y_memory = (
            create.memory(self.rows(self.x), self.x),
            create.memory(self.rows(self.y), self.y),
        )
        self.multiply = self._product(
            (self.rows(self.x), self.x_memory),
            (self.weight_layout, self.weight_memory),
            (self.rows(self.y), self.y_memory),
        )

    def rows(self, array: np.ndarray) -> Handle:
        """Return the layout of a matrix."""
        return self.create.rows(*array.shape)

    def _product(self, a: Operand, b: Operand, c: Operand) -> Callable[[], None]:
        """Return a function for c = a @ b, each given by its layout and its memory."""
        descriptor = self.create.descriptor("matmul", a[0], b[0], None, c[0], self.create.attributes)
        memories = {onednn.DNNL_ARG_SRC: a[1], onednn.DNNL_ARG_WEIGHTS: b[1], onednn.DNNL_ARG_DST: c[1]}
        return self.create.function(descriptor, memories)

    def load(self) -> None:
        weight = self.values[self.names["weight"]]
        if weight is not self.weight:  # Paddle has moved it
            self.weight = weight
            for memory in self.weights:
                self.create.move(memory, weight)

    def forward(self) -> None:
        self.multiply()
        if self.bias:
            self.y += self.values[self.bias].reshape(-1)

    def prepare(self, workspace: Workspace) -> None:
        super().prepare(workspace)
        gradient = self.rows(self.gradient), self.create.memory(self.rows(self.gradient), self.gradient)
        (n, inputs), outputs = self.x.shape, self.y.shape[1]
        if not self.whole_batch:
            slot = self.create.memory(self.weight_layout, workspace.parameter_gradient(self.names["weight"]))
            source = self._strided((inputs, n), (1, inputs), self.x)
            self.to_weight = self._product(source, gradient, (self.weight_layout, slot))
        self.to_x = None
        if self.x_gradient is not None:
            strides = (inputs, 1) if self.transposed else (1, outputs)
            weight = self._strided((outputs, inputs), strides, self.weight)
            self.weights.append(weight[1])
            self.to_x = self._product(
                gradient,
                weight,
                self._strided((n, inputs), (inputs, 1), self.x_gradient),
            )

    def _strided(self, shape: tuple[int, int], strides: tuple[int, int], array: np.ndarray) -> tuple[Handle, Handle]:
        # oneDNN 3.6 reads a matrix of one row wrongly if its strides are (1, 1).
        layout = self.create.strided(shape, strides if shape[0] > 1 else (shape[1], 1))
        return layout, self.create.memory(layout, array)

    def backward(self) -> None:
        (self._store_rows if self.whole_batch else self.to_weight)()
        if self.bias:
            np.add.reduce(self.gradient, axis=0, out=self.bias_gradient)
        if self.to_x:
            self.to_x()


def linear(node: Node, workspace: Workspace) -> Kernel:
    """Return oneDNN's kernel for large products in one of several blocks, else NumPy's."""
    products = workspace.n * node.shape[-1] * workspace.plan.shapes[node.inputs[0]][-1]
    if workspace.plan.block_size is None or products <= dense.SMALL_PRODUCT or len(node.shape) != 1:
        return dense.linear(node, workspace)
    return Linear(node, workspace)

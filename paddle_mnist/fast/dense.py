"""Linear layers: matrix products by NumPy, or by oneDNN where blocks share the cores."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from paddle_mnist.fast.products import Product, slices
from paddle_mnist.fast.workspace import Kernel, Workspace
from paddle_mnist.program import Node, NotCoveredError

# A product of so many multiplications is left to one thread by the libraries that NumPy brings.
SMALL_PRODUCT = 200_000


class Linear(Kernel):
    """x @ weight + bias over the last axis."""

    def __init__(self, node: Node, workspace: Workspace) -> None:
        super().__init__(node, workspace)
        x, y = workspace.value(node.inputs[0]), workspace.new_output(node)
        if len(node.shape) == 3:  # channels last is not the order of a matrix product over the last axis
            raise NotCoveredError("a linear layer over the last axis of maps")
        self.x, self.y = x.reshape(-1, x.shape[-1]), y.reshape(-1, y.shape[-1])
        self.plan = plan = workspace.plan
        self.names, self.transposed = node.parameters, node.attributes["transposed"]
        self.values = plan.values
        self.bias = self.names.get("bias")

    def _weight(self) -> np.ndarray:
        weight = self.values[self.names["weight"]]
        return weight.T if self.transposed else weight

    def forward(self) -> None:
        np.matmul(self.x, self._weight(), out=self.y)
        if self.bias:
            self.y += self.values[self.bias].reshape(-1)

    def prepare(self, workspace: Workspace) -> None:
        gradient = workspace.output_gradient_of(self.node)
        self.gradient = gradient.reshape(self.y.shape)
        x_gradient = workspace.input_gradient(self.node)
        self.x_gradient = None if x_gradient is None else x_gradient.reshape(self.x.shape)
        self.workspace, self.whole_batch = workspace, self.names["weight"] in self.plan.whole_batch
        if not self.whole_batch:
            shape = self.x.shape[1], self.y.shape[1]
            slot = workspace.parameter_gradient(self.names["weight"])
            self.weight_gradient = slot.reshape(shape[::-1]).T if self.transposed else slot.reshape(shape)
        self.bias_gradient = workspace.parameter_gradient(self.bias) if self.bias else None

    def _store_rows(self) -> None:
        """Leave what the weight's gradient is computed from, once all blocks are done."""
        for rows, array in zip(self.workspace.rows[self.names["weight"]], (self.x, self.gradient), strict=True):
            np.copyto(rows, array)

    def backward(self) -> None:
        if self.whole_batch:
            self._store_rows()
        elif self.transposed:
            np.matmul(self.gradient.T, self.x, out=self.weight_gradient.T)
        else:
            np.matmul(self.x.T, self.gradient, out=self.weight_gradient)
        if self.bias:
            np.add.reduce(self.gradient, axis=0, out=self.bias_gradient)
        if self.x_gradient is not None:
            np.matmul(self.gradient, self._weight().T, out=self.x_gradient)


class SlicedLinear(Kernel):
    """A linear layer on a whole batch, whose products threads divide among them, by slices of the results' columns.

    The same thread takes the same columns of the weight for all that is done with them, optimizer's step included. The
    weight's gradient is left to whoever uses it.
    """

    def __init__(self, node: Node, workspace: Workspace) -> None:
        super().__init__(node, workspace)
        self.x, self.y = workspace.value(node.inputs[0]), workspace.new_output(node)
        self.values, self.names, self.workspace = workspace.plan.values, node.parameters, workspace
        self.columns, self.x_columns = slices(self.y.shape[1]), slices(self.x.shape[1])

    def forward(self) -> None:
        self.workspace.do(self._forward, len(self.columns))

    def _forward(self, _: int, item: int) -> None:
        columns = self.columns[item]
        y = self.y[:, columns]
        np.matmul(self.x, self.values[self.names["weight"]][:, columns], out=y)
        if "bias" in self.names:
            y += self.values[self.names["bias"]].reshape(-1)[columns]

    def prepare(self, workspace: Workspace) -> None:
        self.gradient = workspace.output_gradient_of(self.node)
        workspace.products[self.names["weight"]] = Product(self.x, self.gradient)
        self.bias_gradient = workspace.parameter_gradient(self.names["bias"]) if "bias" in self.names else None
        self.x_gradient = workspace.input_gradient(self.node)

    def backward(self) -> None:
        if self.bias_gradient is not None:
            np.add.reduce(self.gradient, axis=0, out=self.bias_gradient)
        if self.x_gradient is not None:
            self.workspace.do(self._backward_to_x, len(self.x_columns))

    def _backward_to_x(self, _: int, item: int) -> None:
        columns = self.x_columns[item]
        np.matmul(self.gradient, self.values[self.names["weight"]][columns].T, out=self.x_gradient[:, columns])


def linear(node: Node, workspace: Workspace) -> Kernel:
    """Return the kernel for a linear layer."""
    sliced = workspace.train and node.parameters["weight"] in workspace.plan.sliced
    return (SlicedLinear if sliced else Linear)(node, workspace)


def permuted(shape: tuple[int, int, int], to_channels_last: bool) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Return a function that reorders a weight's rows between channels first and last, into another array.

    Args:
        shape: (channels, height, width) of the map whose pixels the rows belong to.
        to_channels_last: from the net's order, or back to it.
    """
    channels, pixels = shape[0], math.prod(shape[1:])

    def reorder(weight: np.ndarray, result: np.ndarray) -> np.ndarray:
        first, last = (channels, pixels), (pixels, channels)
        if not to_channels_last:
            first, last = last, first
        np.copyto(result.reshape(*last, -1), weight.reshape(*first, -1).transpose(1, 0, 2))
        return result

    return reorder

"""Kernels that only move elements: reshape and concatenation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from paddle_mnist.fast.workspace import Kernel, Workspace, channels_first, stored_axis, stored_shape
from paddle_mnist.program import Node


def same_order(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    """Whether elements of tensors with these shapes are stored in the same order."""

    def plain(shape: tuple[int, ...]) -> bool:
        return len(shape) != 3 or shape[0] == 1 or shape[1:] == (1, 1)

    return plain(one) and plain(other)


class Reshape(Kernel):
    """A reshape: a view if the order in memory allows, else a copy."""

    def __init__(self, node: Node, workspace: Workspace) -> None:
        super().__init__(node, workspace)
        self.x = workspace.value(node.inputs[0])
        source = workspace.plan.shapes[node.inputs[0]]
        self.is_view = same_order(source, node.shape) or node.name in workspace.plan.channels_last_rows
        if self.is_view:
            workspace.view_output(node, self.x.reshape(stored_shape(workspace.n, node.shape)))
        else:
            self.y = workspace.new_output(node)

    def forward(self) -> None:
        x, y = channels_first(self.x), channels_first(self.y)
        np.copyto(y, np.ascontiguousarray(x).reshape(y.shape))

    def forward_calls(self) -> list[Callable[[], None]]:
        return [] if self.is_view else [self.forward]

    def backward_calls(self) -> list[Callable[[], None]]:
        return [] if self.is_view else [self.backward]

    def prepare(self, workspace: Workspace) -> None:
        self.gradient = workspace.output_gradient_of(self.node)
        shared = self.gradient.reshape(self.x.shape) if self.is_view else None
        self.x_gradient = workspace.input_gradient(self.node, shared=shared)

    def backward(self) -> None:
        x, y = channels_first(self.x_gradient), channels_first(self.gradient)
        np.copyto(x, np.ascontiguousarray(y).reshape(x.shape))


class Concat(Kernel):
    """Tensors side by side."""

    def __init__(self, node: Node, workspace: Workspace) -> None:
        super().__init__(node, workspace)
        self.inputs = [workspace.value(name) for name in node.inputs]
        self.parts = self._parts(workspace.new_output(node))

    def _parts(self, array: np.ndarray) -> list[np.ndarray]:
        axis = stored_axis(self.node.shape, self.node.attributes["axis"])
        edges = np.cumsum([part.shape[axis] for part in self.inputs[:-1]]).tolist()
        return np.split(array, edges, axis=axis)

    def forward(self) -> None:
        for part, x in zip(self.parts, self.inputs, strict=True):
            np.copyto(part, x)

    def prepare(self, workspace: Workspace) -> None:
        gradients = self._parts(workspace.output_gradient_of(self.node))
        filled = [workspace.input_gradient(self.node, i) for i in range(len(self.inputs))]
        self.copies = [(to, part) for to, part in zip(filled, gradients, strict=True) if to is not None]

    def backward(self) -> None:
        for to, part in self.copies:
            np.copyto(to, part)

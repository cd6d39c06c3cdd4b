"""Linear layers with few outputs."""

from __future__ import annotations

import numpy as np

from paddle_mnist.fast.arrays import aligned
from paddle_mnist.fast.compiled.library import library, loaded
from paddle_mnist.fast.workspace import Decisions, Kernel, Workspace
from paddle_mnist.program import Node

# More outputs than these are left to the libraries' products.
MOST_OUTPUTS = 32


def suits(node: Node, plan: Decisions) -> bool:
    """Whether the kernel can do a linear layer, whose weight's gradient each block computes."""
    weight = node.parameters["weight"]
    elsewhere = weight in plan.sliced or weight in plan.whole_batch
    rows = len(node.shape) == 1 and not node.attributes["transposed"]
    return library() is not None and rows and not elsewhere and node.shape[0] <= MOST_OUTPUTS


class Linear(Kernel):
    """x @ weight + bias for rows x."""

    def __init__(self, node: Node, workspace: Workspace) -> None:
        super().__init__(node, workspace)
        self.x, y = workspace.value(node.inputs[0]), workspace.new_output(node)
        self.weights = weights = workspace.plan.shared((node.name, "weights"), lambda: _Weights(node, workspace))
        rows = len(self.x) * weights.wide
        sizes = len(self.x), weights.inputs, weights.outputs, weights.wide
        self.forward = loaded().step("narrow_forward", self.x, weights.padded, weights.bias, y, rows, *sizes)
        self._reading_x = [self.forward]
        workspace.reads(node, self.read)

    def read(self, x: np.ndarray) -> None:
        """Take the inputs from another array."""
        self.x = x.reshape(self.x.shape)
        for step in self._reading_x:
            step.move(0, self.x)

    def prepare(self, workspace: Workspace) -> None:
        weights, names, n = self.weights, self.node.parameters, len(self.x)
        bias = workspace.parameter_gradient(names["bias"]) if "bias" in names else None
        gradients = workspace.parameter_gradient(names["weight"]), bias, workspace.input_gradient(self.node)
        scratch = (n + weights.inputs) * weights.wide + n * weights.line
        arrays = self.x, workspace.output_gradient_of(self.node), weights.transposed, *gradients
        sizes = n, weights.inputs, weights.outputs, weights.wide, weights.line
        self.backward = loaded().step("narrow_backward", *arrays, scratch, *sizes)
        self._reading_x.append(self.backward)


class _Weights:
    """A layer's weights, their rows padded to whole vectors, and transposed; once for all blocks."""

    def __init__(self, node: Node, workspace: Workspace) -> None:
        self.values, self.names = workspace.plan.values, node.parameters
        self.inputs, self.outputs = workspace.plan.graph.parameters[self.names["weight"]]
        lanes = loaded().lanes
        self.wide, self.line = (-(-size // lanes) * lanes for size in (self.outputs, self.inputs))
        self.padded, self.transposed = aligned(self.inputs, self.wide), aligned(self.outputs, self.line)
        self.bias = aligned(self.outputs)
        self._weight: np.ndarray | None = None
        self._bias: np.ndarray | None = None

    def load(self) -> None:
        """Take over new values."""
        weight, bias = self.values[self.names["weight"]], self.values.get(self.names.get("bias", ""))
        if weight is not self._weight or bias is not self._bias:  # Paddle has moved them
            self._weight, self._bias = weight, bias
            arrays = weight, self.padded, self.transposed, bias, self.bias
            self.pack = loaded().step("narrow_pack", *arrays, self.inputs, self.outputs, self.wide, self.line)
        self.pack()

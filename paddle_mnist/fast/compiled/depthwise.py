"""Convolution of each channel by a kernel of its own."""

from __future__ import annotations

from collections.abc import Callable

from paddle_mnist.fast.arrays import aligned
from paddle_mnist.fast.compiled.library import library, loaded
from paddle_mnist.fast.compiled.weights import PackedWeights
from paddle_mnist.fast.workspace import Decisions, Kernel, Workspace
from paddle_mnist.program import Node


def suits(node: Node, plan: Decisions) -> bool:
    """Whether the kernel can do a convolution."""
    compiled = library()
    if compiled is None or len(node.shape) != 3 or node.attributes["dilations"] != (1, 1):
        return False
    channels, per_group, *_ = plan.graph.parameters[node.parameters["weight"]]
    return per_group == 1 and node.attributes["groups"] == channels > 1 and channels % compiled.lanes == 0


class Convolution(Kernel):
    """See the module."""

    def __init__(self, node: Node, workspace: Workspace) -> None:
        super().__init__(node, workspace)
        self.x, y = workspace.value(node.inputs[0]), workspace.new_output(node)
        self.weights = workspace.plan.shared((node.name, "weights"), lambda: _Weights(node, workspace))
        _, _, *self.kernel = workspace.plan.graph.parameters[node.parameters["weight"]]
        top, _, left, _ = node.attributes["paddings"]
        self.sizes = (*self.x.shape, *y.shape[1:3], *self.kernel, *node.attributes["strides"], top, left)
        self.forward = loaded().step(
            "depthwise_forward", self.x, self.weights.packed, self.weights.bias, y, *self.sizes
        )

    def prepare(self, workspace: Workspace) -> None:
        gradient, names, step = workspace.output_gradient_of(self.node), self.node.parameters, loaded().step
        bias = workspace.parameter_gradient(names["bias"]) if "bias" in names else None
        scratch = 2 * (self.weights.packed.size + self.x.shape[3])
        arrays = self.x, gradient, workspace.parameter_gradient(names["weight"]), bias, scratch
        self.steps: list[Callable[[], None]] = [step("depthwise_to_weight", *arrays, *self.sizes)]
        x_gradient = workspace.input_gradient(self.node)
        if x_gradient is not None:
            self.steps.append(step("depthwise_to_x", gradient, self.weights.packed, x_gradient, *self.sizes))

    def backward_calls(self) -> list[Callable[[], None]]:
        return self.steps


class _Weights(PackedWeights):
    """A convolution's weights with channels last, once for all blocks."""

    def __init__(self, node: Node, workspace: Workspace) -> None:
        super().__init__(node, workspace)
        channels, _, *kernel = shape = workspace.plan.graph.parameters[self.names["weight"]]
        self.weight, self.packed, self.bias = aligned(*shape), aligned(*kernel, channels), aligned(channels)
        count = self.packed.size // channels
        self.steps = [loaded().step("depthwise_pack", self.weight, self.packed, channels, count)]

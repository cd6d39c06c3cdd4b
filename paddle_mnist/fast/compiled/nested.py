"""Convolution with 5×5 kernels by fewer multiplications (nested.h), with the ReLU that follows it."""

from __future__ import annotations

from collections.abc import Callable

from paddle_mnist.fast.arrays import aligned
from paddle_mnist.fast.compiled import winograd
from paddle_mnist.fast.compiled.library import Step, loaded
from paddle_mnist.fast.workspace import Decisions, Workspace
from paddle_mnist.program import Node

SIDE, PRODUCTS, PATCH = 4, 121, 64


def suits(node: Node, plan: Decisions) -> bool:
    """Whether the kernel can do a convolution, and saves multiplications."""
    return winograd.filters(node, plan, 5) and winograd.share_left(node, SIDE, PRODUCTS, 5) < 0.6


class Convolution(winograd.Convolution):
    """See the module."""

    algorithm, side, products, patch = "nested", SIDE, PRODUCTS, PATCH

    def __init__(self, node: Node, workspace: Workspace) -> None:
        super().__init__(node, workspace)
        self._calls = [self.forward]
        if workspace.train and (self.relu or workspace.follower(node, "max_pool")):
            self._calls.append(self._settle(workspace))

    def _settle(self, workspace: Workspace) -> Step:
        """Return what makes results equal to the bit that a ReLU or a max pooling must find equal (ties.h)."""
        sizes, _ = self._sizes(self.x, self.y)
        _, _, _, channels, _, height, width = sizes
        scratch = workspace.scratch((height + 5) * (width + 5) * (channels + 3))
        arrays = self.x, self.weights.bias, self.y, scratch
        return self.compiled.step("settle", *arrays, *sizes, self.top, self.left, self.relu)

    def forward_calls(self) -> list[Callable[[], None]]:
        return [*self._calls]

    def _weights(self, workspace: Workspace) -> winograd.TransformedWeights:
        return _Weights(self.node, workspace)

    def prepare(self, workspace: Workspace) -> None:
        gradient, names, step = workspace.output_gradient_of(self.node), self.node.parameters, self.compiled.step
        bias = workspace.parameter_gradient(names["bias"]) if "bias" in names else None
        to_weight, x_gradient = workspace.parameter_gradient(names["weight"]), workspace.input_gradient(self.node)
        sizes, chunk = self._sizes(self.x, self.y)
        patch, *scratch = self._scratch(workspace, self.x, self.y, chunk[1])
        arrays = self.x, gradient, self.weights.turned, patch, to_weight, bias, x_gradient, *scratch
        self.steps: list[Callable[[], None]] = []
        if self.relu:
            self.steps.append(step("relu_backward", self.y, gradient, self.y.size))
        self.steps.append(step("nested_backward", *arrays, *sizes, self.top, self.left, *chunk))


class _Weights(winograd.TransformedWeights):
    """Those of ``nested.h``."""

    def __init__(self, node: Node, workspace: Workspace) -> None:
        super().__init__(node, workspace)
        outputs, channels, *_ = shape = workspace.plan.graph.parameters[self.names["weight"]]
        self.weight, self.bias = aligned(*shape), aligned(outputs)
        plane = channels * outputs + loaded().lanes
        self.u, self.turned = aligned(PRODUCTS, plane), aligned(PRODUCTS, plane)
        turned = self.turned if workspace.needs_gradient(node.inputs[0]) else None
        arrays = self.weight, self.u, turned, aligned(25 * plane)
        self.steps = [loaded().step("nested_pack", *arrays, outputs, channels)]

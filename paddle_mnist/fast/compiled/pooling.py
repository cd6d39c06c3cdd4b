"""Max pooling of 2×2 windows, with the ReLU that follows it, and the mean of whole maps."""

from __future__ import annotations

import numpy as np

from paddle_mnist.fast.arrays import aligned
from paddle_mnist.fast.compiled.library import loaded
from paddle_mnist.fast.workspace import Decisions, Kernel, Workspace
from paddle_mnist.program import Node

# What a kernel does after its own work: as in kernels.c.
PLAIN, RELU, POOL, POOL_RELU = range(4)


def halves(node: Node, plan: Decisions) -> bool:
    """Whether a max pooling has windows of 2×2 pixels, side by side, all inside the image."""
    _, height, width = plan.shapes[node.inputs[0]]
    attributes = node.attributes
    return (
        node.operation == "max_pool"
        and attributes["kernel"] == attributes["strides"] == (2, 2)
        and not any(attributes["paddings"])
        and node.shape[1:] == (height // 2, width // 2)
    )


def absorbed(node: Node, workspace: Workspace) -> tuple[Node | None, Node | None]:
    """Let the kernel of a node compute the 2×2 max pooling and the ReLU that follow it, too, and return these."""
    pool = workspace.follower(node, "max_pool")
    pool = pool if pool is not None and halves(pool, workspace.plan) else None
    relu = workspace.follower(pool or node, "relu")
    workspace.absorb(*[other for other in (pool, relu) if other is not None])
    return pool, relu


def kind_of_result(pool: Node | None, relu: Node | None) -> int:
    """Return the number in kernels.c of what follows."""
    if pool is None:
        return PLAIN if relu is None else RELU
    return POOL if relu is None else POOL_RELU


class MaxPool(Kernel):
    """The maximum of each window, and max(y, 0) of it where a ReLU follows."""

    def __init__(self, node: Node, workspace: Workspace) -> None:
        super().__init__(node, workspace)
        self.x, self.y = workspace.value(node.inputs[0]), workspace.new_output(node)
        self.compiled, relu = loaded(), workspace.follower(node, "relu")
        if relu is not None:
            workspace.absorb(relu)
            workspace.keep(node.name)
        self.places = np.zeros(self.y.shape, np.uint8)
        self.sizes = (*self.x.shape, int(relu is not None))
        self.forward = self.compiled.step("pool_forward", self.x, self.y, self.places, *self.sizes)

    def prepare(self, workspace: Workspace) -> None:
        gradient, x_gradient = workspace.output_gradient_of(self.node), workspace.input_gradient(self.node)
        arrays = gradient, self.y, self.places, x_gradient
        self.backward = self.compiled.step("pool_backward", *arrays, *self.sizes)


class GlobalAveragePool(Kernel):
    """The mean of whole maps."""

    def __init__(self, node: Node, workspace: Workspace) -> None:
        super().__init__(node, workspace)
        x, y = workspace.value(node.inputs[0]), workspace.new_output(node)
        self.compiled, self.row, self.shape = loaded(), aligned(x.shape[-1]), x.shape
        self.forward = self.compiled.step("mean_forward", x, y, self.row, *x.shape)

    def prepare(self, workspace: Workspace) -> None:
        gradient, x_gradient = workspace.output_gradient_of(self.node), workspace.input_gradient(self.node)
        n, height, width, channels = self.shape
        sizes = n, height * width, channels
        self.backward = self.compiled.step("mean_backward", gradient, x_gradient, self.row, *sizes)

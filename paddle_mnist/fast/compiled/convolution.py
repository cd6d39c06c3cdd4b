"""Convolution by vectors of pixels, with the max pooling and the ReLU that follow it."""

from __future__ import annotations

import math

import numpy as np

from paddle_mnist.fast.arrays import aligned, aligned_at
from paddle_mnist.fast.compiled.library import Library, library, loaded
from paddle_mnist.fast.compiled.pooling import halves, kind_of_result
from paddle_mnist.fast.compiled.weights import PackedWeights
from paddle_mnist.fast.workspace import Decisions, Kernel, Workspace
from paddle_mnist.program import Node

# The planes of one image, of the input and of the result together, have at most so many floats.
MOST_FLOATS = 500_000
# oneDNN's vectors hold so many channels at a time on a processor with AVX-512.
CHANNELS_PER_VECTOR = 16


def suits(node: Node, plan: Decisions) -> bool:
    """Whether the kernel can do a convolution, and oneDNN, if there is one, would do it no faster."""
    compiled = library()
    if compiled is None or len(node.shape) != 3 or node.attributes["groups"] != 1:
        return False
    outputs, channels, *kernel = plan.graph.parameters[node.parameters["weight"]]
    if node.attributes["strides"] != (1, 1) or node.attributes["dilations"] != (1, 1) or math.prod(kernel) == 1:
        return False
    top, bottom, left, right = node.attributes["paddings"]
    if max(top, bottom) >= kernel[0] or max(left, right) >= kernel[1]:
        return False
    geometry = _Geometry(node, plan, compiled)
    if channels * geometry.plane + outputs * geometry.gradient_plane > MOST_FLOATS:
        return False
    return plan.onednn is None or geometry.used_lanes() > _lanes_used_by_onednn(channels, outputs)


def _lanes_used_by_onednn(channels: int, outputs: int) -> float:
    """Return the share of oneDNN's vectors that holds channels, on average over the three products of a step."""

    def share(count: int) -> float:
        return count / (-(-count // CHANNELS_PER_VECTOR) * CHANNELS_PER_VECTOR)

    return (share(outputs) + share(channels) + share(outputs) * share(channels)) / 3


class _Geometry:
    """Sizes of a convolution's planes, in floats; see convolution.h."""

    def __init__(self, node: Node, plan: Decisions, compiled: Library) -> None:
        self.lanes = compiled.lanes
        self.outputs, self.channels, self.kh, self.kw = plan.graph.parameters[node.parameters["weight"]]
        self.top, self.bottom, self.left, self.right = node.attributes["paddings"]
        _, self.x_height, self.x_width = plan.shapes[node.inputs[0]]
        _, self.height, self.width = node.shape
        self.line = max(self.x_width + self.left + self.right, self.x_width + self.kw - 1)
        self.plane = self._whole((self.x_height + self.top + self.bottom) * self.line)
        self.gradient_plane = self._whole((self.x_height + self.kh - 1) * self.line)
        self.first = (self.kh - 1 - self.top) * self.line + self.kw - 1 - self.left  # of the gradient in its plane
        self.rows = compiled.number("conv_rows", self.outputs)
        self.x_rows = compiled.number("conv_rows", self.channels)

    def _whole(self, floats: int) -> int:
        return -(-(floats + 2 * self.lanes) // self.lanes) * self.lanes

    def used_lanes(self) -> float:
        """Return the share of the vectors' lanes that hold pixels of the result."""
        across = self.height * -(-self.width // self.lanes)
        vectors = min(across, -(-((self.height - 1) * self.line + self.width) // self.lanes))
        return self.height * self.width / (self.lanes * vectors) * self.outputs / self.rows

    def scratch(self) -> int:
        """Return how many floats the kernels need beside the planes."""
        pooled = self.height // 2 * (-(-(self.width // 2) // self.lanes) * self.lanes)
        forward = self.rows * (self.height * self.line + 2 * self.lanes + pooled)
        backward = self.outputs * (self.height * self.width + pooled)
        to_x = self.x_rows * (self.x_height * self.line + 2 * self.lanes)
        return max(forward, backward, to_x) + 2 * self.lanes


class Convolution(Kernel):
    """See the module. It computes the nodes after it that are a 2×2 max pooling, a ReLU or both, too."""

    def __init__(self, node: Node, workspace: Workspace) -> None:
        super().__init__(node, workspace)
        plan, self.compiled = workspace.plan, loaded()
        self.geometry = sizes = _Geometry(node, plan, self.compiled)
        pool = workspace.follower(node, "max_pool")
        pool = pool if pool is not None and halves(pool, plan) else None
        relu = workspace.follower(pool or node, "relu")
        self.kind = kind_of_result(pool, relu)
        self.x = workspace.value(node.inputs[0])
        self.y = workspace.new_output(node, shape=(pool or node).shape)
        workspace.absorb(*[other for other in (pool, relu) if other is not None])
        if relu is not None:
            workspace.keep(node.name)
        n = len(self.x)
        self.packed, self.turned, self.bias = _Weights.of(node, workspace, sizes).arrays
        self.scratch = workspace.scratch(sizes.scratch())
        self.planes = aligned((n if workspace.train else 1) * sizes.channels * sizes.plane + 2 * sizes.lanes)
        line = -(-(sizes.width // 2) // sizes.lanes) * sizes.lanes
        self.places = np.zeros(n * sizes.outputs * (sizes.height // 2) * line if pool is not None else 0, np.uint8)
        self.sizes: tuple[int, ...] = (
            n,
            sizes.channels,
            sizes.outputs,
            sizes.kh,
            sizes.kw,
            sizes.x_height,
            sizes.x_width,
        )
        self.sizes += (sizes.height, sizes.width)
        self.forward = self.compiled.step(
            "conv_forward",
            *(self.x, self.packed, self.bias, self.y, self.planes, self.scratch, self.places),
            *self.sizes,
            *(sizes.top, sizes.left, sizes.line, sizes.plane, self.kind, int(workspace.train)),
        )

    def prepare(self, workspace: Workspace) -> None:
        sizes, names = self.geometry, self.node.parameters
        gradient = workspace.output_gradient_of(self.node)
        planes = aligned_at(sizes.first, len(self.x) * sizes.outputs * sizes.gradient_plane + 2 * sizes.lanes)
        bias = workspace.parameter_gradient(names["bias"]) if "bias" in names else None
        zeros = aligned(sizes.x_rows)
        self.backward = self.compiled.step(
            "conv_backward",
            *(gradient, self.y, self.places, self.planes, planes, self.scratch, self.turned, zeros),
            *(workspace.parameter_gradient(names["weight"]), bias, workspace.input_gradient(self.node)),
            *self.sizes,
            *(sizes.line, sizes.plane, self.kind, sizes.gradient_plane),
            *(sizes.kh - 1 - sizes.top, sizes.kw - 1 - sizes.left),
        )


class _Weights(PackedWeights):
    """A convolution's weights in the orders that the kernels want, once for all blocks."""

    def __init__(self, node: Node, workspace: Workspace, sizes: _Geometry) -> None:
        super().__init__(node, workspace)
        outputs, channels, kernel = sizes.outputs, sizes.channels, (sizes.kh, sizes.kw)
        self.weight = aligned(outputs, channels, *kernel)
        packed = aligned(sizes.rows, channels, *kernel)
        turned = aligned(sizes.x_rows, outputs, *kernel)
        bias = aligned(sizes.rows)
        self.bias, self.arrays = bias[:outputs], (packed, turned, bias)
        compiled = loaded()
        order = (outputs, channels, *kernel)
        self.steps = [compiled.step("conv_pack", self.weight, packed, *order, 0)]
        if workspace.needs_gradient(node.inputs[0]):
            self.steps.append(compiled.step("conv_pack", self.weight, turned, *order, 1))

    @classmethod
    def of(cls, node: Node, workspace: Workspace, sizes: _Geometry) -> _Weights:
        """Return those of a node, made when the first block asks for them."""
        return workspace.plan.shared((node.name, "weights"), lambda: cls(node, workspace, sizes))

"""Convolution by vectors of pixels, with the max pooling and the ReLU that follow it."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from paddle_mnist.fast.arrays import aligned, aligned_at
from paddle_mnist.fast.compiled.library import Library, Step, library, loaded
from paddle_mnist.fast.compiled.pooling import absorbed, kind_of_result
from paddle_mnist.fast.compiled.weights import PackedWeights
from paddle_mnist.fast.workspace import Decisions, Kernel, Workspace
from paddle_mnist.program import Node

# The planes of one image, of the input and of the result together, have at most so many floats.
MOST_FLOATS = 500_000
# As many floats of planes stay in a core's cache.
CACHED_FLOATS = 120_000
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
    geometry = Geometry(node, plan, compiled)
    if channels * geometry.plane + outputs * geometry.gradient_plane > MOST_FLOATS:
        return False
    return plan.onednn is None or geometry.used_lanes() > _lanes_used_by_onednn(channels, outputs)


def _lanes_used_by_onednn(channels: int, outputs: int) -> float:
    """Return the share of oneDNN's vectors that holds channels, on average over the three products of a step."""

    def share(count: int) -> float:
        return count / (-(-count // CHANNELS_PER_VECTOR) * CHANNELS_PER_VECTOR)

    return (share(outputs) + share(channels) + share(outputs) * share(channels)) / 3


class Geometry:
    """Sizes of a convolution's planes, in floats; see convolution.h.

    Attributes:
        images_together: how many images' planes a forward pass needs at a time.
        line, plane, gradient_plane: of a row of pixels, of a channel's plane, and of one of the result's gradient.
        sizes: of the weights and maps, as the kernels want them.
    """

    images_together = 1

    def __init__(self, node: Node, plan: Decisions, compiled: Library) -> None:
        self.lanes = compiled.lanes
        self.outputs, self.channels, self.kh, self.kw = plan.graph.parameters[node.parameters["weight"]]
        self.top, self.bottom, self.left, self.right = node.attributes["paddings"]
        _, self.x_height, self.x_width = plan.shapes[node.inputs[0]]
        _, self.height, self.width = node.shape
        self.sizes = self.channels, self.outputs, self.kh, self.kw, self.x_height, self.x_width, self.height, self.width
        self.line, rows, gradient_rows = self._lines()
        self.plane, self.gradient_plane = self._whole(rows * self.line), self._whole(gradient_rows * self.line)
        self.first = (self.kh - 1 - self.top) * self.line + self.kw - 1 - self.left  # of the gradient in its plane
        self.rows = compiled.number("conv_rows", self.outputs)
        self.x_rows = compiled.number("conv_rows", self.channels)

    def _lines(self) -> tuple[int, int, int]:
        """Return the floats of a row, and how many rows a channel's plane and one of the result's gradient have."""
        line = max(self.x_width + self.left + self.right, self.x_width + self.kw - 1)
        return line, self.x_height + self.top + self.bottom, self.x_height + self.kh - 1

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


class Weights(PackedWeights):
    """A convolution's weights in the orders that the kernels want, once for all blocks."""

    def __init__(self, node: Node, workspace: Workspace, sizes: Geometry) -> None:
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
    def of(cls, node: Node, workspace: Workspace, sizes: Geometry) -> Weights:
        """Return those of a node, made when the first block asks for them."""
        return workspace.plan.shared((node.name, "weights"), lambda: cls(node, workspace, sizes))


class Convolution(Kernel):
    """See the module. It computes the nodes after it that are a 2×2 max pooling, a ReLU or both, too.

    Subclasses may set ``geometry_type`` and ``weights_type``.
    """

    geometry_type, weights_type = Geometry, Weights

    def __init__(self, node: Node, workspace: Workspace) -> None:
        super().__init__(node, workspace)
        plan, self.compiled = workspace.plan, loaded()
        self.geometry = sizes = self.geometry_type(node, plan, self.compiled)
        pool, relu = absorbed(node, workspace)
        self.kind = kind_of_result(pool, relu)
        self.x = workspace.value(node.inputs[0])
        self.y = workspace.new_output(node, shape=(pool or node).shape)
        if relu is not None:
            workspace.keep(node.name)
        n = len(self.x)
        self.weights = self.weights_type.of(node, workspace, sizes)
        self.packed, self.turned, self.bias = self.weights.arrays
        self.scratch = sizes.scratch()
        kept = n if workspace.train else sizes.images_together
        self.planes = aligned(kept * sizes.channels * sizes.plane + 4 * sizes.line)
        line = -(-(sizes.width // 2) // sizes.lanes) * sizes.lanes
        self.places = np.zeros(n * sizes.outputs * (sizes.height // 2) * line if pool is not None else 0, np.uint8)
        self.forward = self._forward_step(int(workspace.train))

    def _forward_step(self, keep: int) -> Step:
        sizes = self.geometry
        arrays = self.x, self.packed, self.bias, self.y, self.planes, self.scratch, self.places
        places = sizes.top, sizes.left, sizes.line, sizes.plane
        return self.compiled.step("conv_forward", *arrays, len(self.x), *sizes.sizes, *places, self.kind, keep)

    def prepare(self, workspace: Workspace) -> None:
        sizes = self.geometry
        floats = self._gradients_together() * sizes.outputs * sizes.gradient_plane
        planes = aligned_at(sizes.first, floats + 4 * sizes.line)
        to_weight = workspace.parameter_gradient(self.node.parameters["weight"])
        self.steps = self._backward_steps(workspace, planes, to_weight, workspace.input_gradient(self.node))

    def _gradients_together(self) -> int:
        """Return how many images' gradients of the result are in planes at a time: as many as stay in the cache."""
        sizes, n = self.geometry, len(self.x)
        floats = n * (sizes.outputs * sizes.gradient_plane + sizes.channels * sizes.plane)
        return -(-n // (floats // CACHED_FLOATS + 1))

    def _backward_steps(
        self, workspace: Workspace, planes: np.ndarray, to_weight: np.ndarray | None, to_x: np.ndarray | None
    ) -> list[Step]:
        """Return what computes the gradients, those of the weights and of x if they have arrays.

        Args:
            planes: for the gradient of the result.
        """
        sizes, names, gradient = self.geometry, self.node.parameters, workspace.output_gradient_of(self.node)
        bias = workspace.parameter_gradient(names["bias"]) if "bias" in names else None
        arrays = gradient, self.y, self.places, self.planes, planes, self.scratch, self.turned, aligned(sizes.x_rows)
        gradients = to_weight, bias, to_x
        places = sizes.kh - 1 - sizes.top, sizes.kw - 1 - sizes.left
        lines = sizes.line, sizes.plane, self.kind, sizes.gradient_plane
        numbers = len(self.x), *sizes.sizes, *lines, *places, self._gradients_together()
        return [self.compiled.step("conv_backward", *arrays, *gradients, *numbers)]

    def backward_calls(self) -> list[Callable[[], None]]:
        return [*self.steps]

"""Convolution with 3×3 kernels by fewer multiplications (winograd.h), with the ReLU that follows it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from paddle_mnist.fast.arrays import aligned, split
from paddle_mnist.fast.compiled.library import Step, library, loaded
from paddle_mnist.fast.compiled.weights import PackedWeights
from paddle_mnist.fast.workspace import Decisions, Kernel, Workspace
from paddle_mnist.program import Node

# Transformed inputs and results of so many floats, together, stay in a core's cache.
CHUNK_FLOATS = 100_000
# Rows of a product that are computed together are at most so many.
MOST_ROWS = 8


def suits(node: Node, plan: Decisions) -> bool:
    """Whether the kernel can do a convolution, and saves multiplications."""
    return filters(node, plan, 3) and share_left(node, Convolution.side, Convolution.products, 3) < 0.8


def filters(node: Node, plan: Decisions, size: int) -> bool:
    """Whether a convolution's kernels are of a size, one pixel apart, and its channels fill the lanes."""
    compiled, attributes = library(), node.attributes
    if compiled is None or len(node.shape) != 3 or attributes["groups"] != 1:
        return False
    outputs, channels, *kernel = plan.graph.parameters[node.parameters["weight"]]
    if kernel != [size, size] or attributes["strides"] != (1, 1) or attributes["dilations"] != (1, 1):
        return False
    return not (outputs % compiled.lanes or channels % compiled.lanes) and max(attributes["paddings"]) < size


def share_left(node: Node, side: int, products: int, size: int) -> float:
    """Return the multiplications of tiles, the last ones not full, as a share of the plain algorithm's."""
    _, height, width = node.shape
    return products * -(-height // side) * -(-width // side) / (size**2 * height * width)


class Convolution(Kernel):
    """See the module. Subclasses set the attributes.

    Attributes:
        algorithm: how the kernels' names begin.
        side: of a tile of the result, in pixels.
        products: of a tile, for each pair of channels.
        patch: pixels of the input that a tile needs.
    """

    algorithm, side, products, patch = "winograd", 2, 16, 16

    def __init__(self, node: Node, workspace: Workspace) -> None:
        super().__init__(node, workspace)
        self.compiled, relu = loaded(), workspace.follower(node, "relu")
        self.relu = int(relu is not None)
        self.x, self.y = workspace.value(node.inputs[0]), workspace.new_output(node)
        if relu is not None:
            workspace.absorb(relu)
            workspace.keep(node.name)
        self.top, _, self.left, _ = node.attributes["paddings"]
        self.weights = workspace.plan.shared((node.name, "weights"), lambda: self._weights(workspace))
        self.forward = self._step(workspace, self.x, self.weights.u, self.weights.bias, self.y, self.top, self.left)

    def _weights(self, workspace: Workspace) -> TransformedWeights:
        return _Weights(self.node, workspace)

    def _sizes(self, x: np.ndarray, y: np.ndarray) -> tuple[tuple[int, ...], tuple[int, int]]:
        """Return n and the sizes of x and y, and how many rows of tiles are done together, and tiles with them."""
        (n, height, width, channels), (_, y_height, y_width, outputs) = x.shape, y.shape
        across, down = -(-y_width // self.side), -(-y_height // self.side)
        rows = max(1, min(n * down, CHUNK_FLOATS // (self.products * (channels + outputs)) // across))
        tiles = -(-rows * across // MOST_ROWS) * MOST_ROWS
        return (n, height, width, channels, outputs, y_height, y_width), (rows, tiles)

    def _step(
        self, workspace: Workspace, x: np.ndarray, u: np.ndarray, bias: np.ndarray, y: np.ndarray, top: int, left: int
    ) -> Step:
        sizes, chunk = self._sizes(x, y)
        patch, v, m, _ = self._scratch(workspace, x, y, chunk[1])
        arrays = x, u, bias, patch, y, v, m
        relu = self.relu if y is self.y else 0
        return self.compiled.step(f"{self.algorithm}_forward", *arrays, *sizes, top, left, *chunk, relu)

    def _scratch(self, workspace: Workspace, x: np.ndarray, y: np.ndarray, tiles: int) -> list[np.ndarray]:
        """Return a patch, V, M and the gradient of U."""
        channels, outputs = x.shape[3], y.shape[3]
        planes = [self.products * (tiles * count + self.compiled.lanes) for count in (channels, outputs)]
        to_u = self.products * (channels * outputs + self.compiled.lanes)
        sizes = [self.patch * max(channels, outputs), *planes, to_u if workspace.train else 0]
        return split(workspace.scratch(sum(sizes)), [(size,) for size in sizes])

    def prepare(self, workspace: Workspace) -> None:
        gradient, names = workspace.output_gradient_of(self.node), self.node.parameters
        bias = workspace.parameter_gradient(names["bias"]) if "bias" in names else None
        sizes, chunk = self._sizes(self.x, self.y)
        patch, v, m, u = self._scratch(workspace, self.x, self.y, chunk[1])
        arrays = self.x, gradient, patch, workspace.parameter_gradient(names["weight"]), bias, v, m, u
        step = self.compiled.step
        self.steps: list[Callable[[], None]] = []
        if self.relu:
            self.steps.append(step("relu_backward", self.y, gradient, self.y.size))
        self.steps.append(step("winograd_backward", *arrays, *sizes, self.top, self.left, *chunk))
        x_gradient = workspace.input_gradient(self.node)
        if x_gradient is not None:
            turned, zeros = self.weights.turned, self.weights.zeros
            top, left = 2 - self.top, 2 - self.left
            self.steps.append(self._step(workspace, gradient, turned, zeros, x_gradient, top, left))

    def backward_calls(self) -> list[Callable[[], None]]:
        return self.steps


class TransformedWeights(PackedWeights):
    """A convolution's transformed weights, once for all blocks.

    Attributes:
        u, turned: for the result, and for the gradient of the input.
        zeros: as many as the input has channels.
    """

    u: np.ndarray
    turned: np.ndarray
    zeros: np.ndarray


class _Weights(TransformedWeights):
    """Those of ``winograd.h``."""

    def __init__(self, node: Node, workspace: Workspace) -> None:
        super().__init__(node, workspace)
        outputs, channels, *_ = shape = workspace.plan.graph.parameters[self.names["weight"]]
        self.weight, self.bias, self.zeros = aligned(*shape), aligned(outputs), aligned(channels)
        plane = channels * outputs + loaded().lanes
        self.u, self.turned = aligned(16, plane), aligned(16, plane)
        step, scratch = loaded().step, aligned(9 * plane)
        self.steps = [step("winograd_pack", self.weight, self.u, scratch, outputs, channels, 0)]
        if workspace.needs_gradient(node.inputs[0]):
            self.steps.append(step("winograd_pack", self.weight, self.turned, scratch, outputs, channels, 1))


class InOrder:
    """Reorders the gradient that the kernel leaves to that of the weights, [outputs, channels, kh, kw].

    Attributes:
        result: the reordered gradient.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.result = aligned(*shape)
        self._sizes = *shape[:2], shape[2] * shape[3]
        self._gradient: np.ndarray | None = None

    def __call__(self, gradient: np.ndarray) -> np.ndarray:
        """Return ``result`` for the numbers of ``gradient``."""
        if gradient is not self._gradient:
            self._gradient = gradient
            self._step = loaded().step("taps_last", gradient, self.result, *self._sizes)
        self._step()
        return self.result

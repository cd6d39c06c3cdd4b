"""Convolution by fewer multiplications (filtering.h), with the ReLU that follows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from paddle_mnist.fast.arrays import aligned
from paddle_mnist.fast.compiled.library import Step, library, loaded
from paddle_mnist.fast.compiled.weights import PackedWeights
from paddle_mnist.fast.workspace import Decisions, Kernel, Workspace
from paddle_mnist.program import Node

# Transformed inputs and results have so many floats, together, at a time: they stay in a core's cache. If the transformed
# weights are larger, which are read each time, they have as many as these, but at most so many.
CHUNK_FLOATS, MOST_FLOATS = 200_000, 400_000
# Rows of a product that are computed together are at most so many.
MOST_ROWS = 8


@dataclass(frozen=True)
class Algorithm:
    """One of those in ``filters.h``.

    Attributes:
        name: how its kernels' names begin.
        side: of a tile of the result, in pixels.
        taps: along an axis of a kernel.
        points: along an axis of a tile: multiplications, for each pair of channels.
        most: it is used where it leaves less than this share of the plain algorithm's multiplications.
        exact: whether equal pixels give equal results, to the bit, wherever they lie in a tile.
    """

    name: str
    side: int
    taps: int
    points: int
    most: float
    exact: bool = False

    @property
    def products(self) -> int:
        """Multiplications of a tile, for each pair of channels."""
        return self.points**2

    def share_left(self, node: Node) -> float:
        """Return the multiplications of tiles, the last ones not full, as a share of the plain algorithm's."""
        _, height, width = node.shape
        return self.products * -(-height // self.side) * -(-width // self.side) / (self.taps**2 * height * width)


ALGORITHMS = (
    Algorithm("f23", 2, 3, 4, 0.8, exact=True),
    Algorithm("f43", 4, 3, 6, 0.4),
    Algorithm("f45", 4, 5, 11, 0.6),
)


def suits(node: Node, plan: Decisions) -> bool:
    """Whether an algorithm can do a convolution, and saves multiplications."""
    return algorithm(node, plan) is not None


def algorithm(node: Node, plan: Decisions) -> Algorithm | None:
    """Return the algorithm for a convolution: kernels one pixel apart, and channels that fill the lanes."""
    compiled, attributes = library(), node.attributes
    if compiled is None or len(node.shape) != 3 or attributes["groups"] != 1:
        return None
    outputs, channels, *kernel = plan.graph.parameters[node.parameters["weight"]]
    if attributes["strides"] != (1, 1) or attributes["dilations"] != (1, 1):
        return None
    if outputs % compiled.lanes or channels % compiled.lanes or max(attributes["paddings"]) >= kernel[0]:
        return None
    suiting = [own for own in ALGORITHMS if kernel == [own.taps] * 2 and own.share_left(node) < own.most]
    return min(suiting, key=lambda own: own.share_left(node), default=None)


class Convolution(Kernel):
    """See the module."""

    def __init__(self, node: Node, workspace: Workspace) -> None:
        super().__init__(node, workspace)
        found = algorithm(node, workspace.plan)
        assert found is not None
        self.compiled, self.algorithm, relu = loaded(), found, workspace.follower(node, "relu")
        self.relu = int(relu is not None)
        self.x, self.y = workspace.value(node.inputs[0]), workspace.new_output(node)
        if relu is not None:
            workspace.absorb(relu)
            workspace.keep(node.name)
        self.top, _, self.left, _ = node.attributes["paddings"]
        self.weights = workspace.plan.shared((node.name, "weights"), lambda: _Weights(node, workspace, found))
        self._calls = [self._forward()]
        if workspace.train and not found.exact:
            self._calls.append(self._settle())

    def _sizes(self) -> tuple[tuple[int, ...], tuple[int, int]]:
        """Return n and the sizes of x and y, and how many rows of tiles are done together, and tiles with them."""
        (n, height, width, channels), (_, y_height, y_width, outputs) = self.x.shape, self.y.shape
        side, products = self.algorithm.side, self.algorithm.products
        across, down = -(-y_width // side), -(-y_height // side)
        floats = min(max(CHUNK_FLOATS, products * channels * outputs), MOST_FLOATS)
        rows = max(1, min(n * down, floats // (products * (channels + outputs)) // across))
        tiles = -(-rows * across // MOST_ROWS) * MOST_ROWS
        return (n, height, width, channels, outputs, y_height, y_width, self.top, self.left), (rows, tiles)

    def _scratch(self, tiles: int) -> int:
        """Return the floats of V, M and a patch."""
        channels, outputs, found = self.x.shape[3], self.y.shape[3], self.algorithm
        patch = (found.side + found.taps - 1) ** 2 * max(channels, outputs)
        return found.products * (tiles * (channels + outputs) + 2 * self.compiled.lanes) + patch

    def _forward(self) -> Step:
        sizes, chunk = self._sizes()
        arrays = self.x, self.weights.u, self.weights.bias, self.y, self._scratch(chunk[1])
        return self.compiled.step(f"{self.algorithm.name}_forward", *arrays, *sizes, *chunk, self.relu)

    def _settle(self) -> Step:
        """Return what makes results equal to the bit that a ReLU or a max pooling must find equal (ties.h)."""
        sizes, _ = self._sizes()
        (_, height, width, _), taps = self.y.shape, self.algorithm.taps
        scratch = (height + taps) * (width + taps) * (self.x.shape[3] + 3)
        arrays = self.x, self.weights.bias, self.y, scratch
        return self.compiled.step("settle", *arrays, *sizes, self.relu, taps)

    def forward_calls(self) -> list[Callable[[], None]]:
        return [*self._calls]

    def prepare(self, workspace: Workspace) -> None:
        gradient, names, step = workspace.output_gradient_of(self.node), self.node.parameters, self.compiled.step
        bias = workspace.parameter_gradient(names["bias"]) if "bias" in names else None
        to_weight, x_gradient = workspace.parameter_gradient(names["weight"]), workspace.input_gradient(self.node)
        sizes, chunk = self._sizes()
        to_u = self.algorithm.products * (self.x.shape[3] * self.y.shape[3] + self.compiled.lanes)
        scratch = self._scratch(chunk[1]) + to_u
        arrays = self.x, gradient, self.weights.turned, to_weight, bias, x_gradient, scratch
        self.steps: list[Callable[[], None]] = []
        if self.relu:
            self.steps.append(step("relu_backward", self.y, gradient, self.y.size))
        self.steps.append(step(f"{self.algorithm.name}_backward", *arrays, *sizes, *chunk))

    def backward_calls(self) -> list[Callable[[], None]]:
        return self.steps


class _Weights(PackedWeights):
    """A convolution's transformed weights, once for all blocks.

    Attributes:
        u, turned: for the result, and for the gradient of the input.
    """

    def __init__(self, node: Node, workspace: Workspace, algorithm: Algorithm) -> None:
        super().__init__(node, workspace)
        outputs, channels, *_ = shape = workspace.plan.graph.parameters[self.names["weight"]]
        self.weight, self.bias = aligned(*shape), aligned(outputs)
        plane, needs_turned = channels * outputs + loaded().lanes, workspace.needs_gradient(node.inputs[0])
        self.u = aligned(algorithm.products, plane)
        self.turned = aligned(algorithm.products, plane) if needs_turned else None
        arrays = self.weight, self.u, self.turned, aligned(algorithm.taps**2 * plane)
        self.steps = [loaded().step(f"{algorithm.name}_pack", *arrays, outputs, channels)]


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

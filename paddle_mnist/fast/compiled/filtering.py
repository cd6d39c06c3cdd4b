"""Convolution by fewer multiplications (filtering.h), with the 2×2 max pooling and the ReLU that follow it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from paddle_mnist.fast.arrays import aligned
from paddle_mnist.fast.compiled.library import Argument, Step, library, loaded
from paddle_mnist.fast.compiled.pooling import absorbed, kind_of_result
from paddle_mnist.fast.compiled.weights import PackedWeights
from paddle_mnist.fast.workspace import Decisions, Kernel, Workspace
from paddle_mnist.program import Node

# Transformed inputs and results have so many floats, together, at a time: they stay in a core's cache. Where the
# transformed weights, which are read each time, have more, as many as these, but at most so many.
CHUNK_FLOATS, MOST_FLOATS = 200_000, 400_000
# Rows of a product that are computed together, by the floats in a vector; as in product.h.
ROWS = {16: 8, 8: 6, 4: 6}


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
    """Return the algorithm that saves most: for strides and dilations of 1, and channels that fill the lanes."""
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
    """See the module. It computes the nodes after it that are a 2×2 max pooling, a ReLU or both, too."""

    def __init__(self, node: Node, workspace: Workspace) -> None:
        super().__init__(node, workspace)
        found, plan = algorithm(node, workspace.plan), workspace.plan
        assert found is not None
        self.compiled, self.algorithm = loaded(), found
        pool, relu = absorbed(node, workspace)
        self.kind = kind_of_result(pool, relu)
        self.x, self.y = workspace.value(node.inputs[0]), workspace.new_output(node, shape=(pool or node).shape)
        if relu is not None:
            workspace.keep(node.name)
        self.places = np.zeros(self.y.shape, np.uint8) if pool is not None and workspace.train else None
        self.weights = plan.shared((node.name, "weights"), lambda: _Weights(node, workspace, found))
        arrays = self.x, self.weights.u, self.weights.bias, self.y, self.places
        numbers, looks_for_ties = self._numbers(), int(workspace.train and not found.exact)
        self.forward = self._step("forward", *arrays, self._forward_floats(), *numbers, looks_for_ties)

    def _step(self, direction: str, *arguments: Argument) -> Step:
        return self.compiled.step(f"{self.algorithm.name}_{direction}", *arguments)

    def _chunk(self) -> tuple[int, int]:
        """Return how many rows of tiles are done together, and tiles with them."""
        n, channels, (_, height, width) = len(self.x), self.x.shape[3], self.node.shape
        side, products, outputs = self.algorithm.side, self.algorithm.products, self.y.shape[3]
        across, down = -(-width // side), -(-height // side)
        floats = min(max(CHUNK_FLOATS, products * channels * outputs), MOST_FLOATS)
        rows = max(1, min(n * down, floats // (products * (channels + outputs)) // across))
        together = ROWS[self.compiled.lanes]
        return rows, -(-rows * across // together) * together

    def _numbers(self) -> tuple[int, ...]:
        (n, x_height, x_width, channels), (_, height, width) = self.x.shape, self.node.shape
        top, _, left, _ = self.node.attributes["paddings"]
        sizes = n, x_height, x_width, channels, self.y.shape[3], height, width
        return *sizes, top, left, *self._chunk(), self.kind

    def _floats(self) -> int:
        """Return the floats of V, M and a patch."""
        _, tiles = self._chunk()
        channels, outputs, found = self.x.shape[3], self.y.shape[3], self.algorithm
        patch = (found.side + found.taps - 1) ** 2 * channels
        return found.products * (tiles * (channels + outputs) + 2 * self.compiled.lanes) + patch

    def _forward_floats(self) -> int:
        """Return the floats of them and the bytes of ties."""
        found, (_, height, width) = self.algorithm, self.node.shape
        height, width = (-(-size // found.side) * found.side for size in (height, width))
        ties = len(self.x) * height * width // 4 + (height + found.taps) * (width + found.taps)
        return self._floats() + -(-ties // 4)

    def prepare(self, workspace: Workspace) -> None:
        names, channels, outputs = self.node.parameters, self.x.shape[3], self.y.shape[3]
        bias = workspace.parameter_gradient(names["bias"]) if "bias" in names else None
        gradients = workspace.parameter_gradient(names["weight"]), bias, workspace.input_gradient(self.node)
        to_u = self.algorithm.products * (channels * outputs + self.compiled.lanes)
        arrays = self.x, workspace.output_gradient_of(self.node), self.y, self.places, self.weights.turned, *gradients
        self.backward = self._step("backward", *arrays, self._floats() + to_u, *self._numbers())


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

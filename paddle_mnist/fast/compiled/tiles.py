"""Convolution with 5×5 kernels by fewer multiplications, with vectors of tiles (tiles.h): any number of channels."""

from __future__ import annotations

import math

import numpy as np

from paddle_mnist.fast.arrays import aligned
from paddle_mnist.fast.compiled import convolution
from paddle_mnist.fast.compiled.library import Step, library, loaded
from paddle_mnist.fast.compiled.pooling import PLAIN
from paddle_mnist.fast.workspace import Decisions, Workspace
from paddle_mnist.program import Node

# Multiplications of a tile of 16 results, and pixels across a group of tiles.
PRODUCTS, ACROSS = 121, 16
# What the transforms of a tile cost for each channel of input or result, in multiplications: about.
TRANSFORMS = 600


def suits(node: Node, plan: Decisions) -> bool:
    """Whether the kernel can do a convolution, and saves time, transforms included."""
    compiled = library()
    if compiled is None or not convolution.suits(node, plan):
        return False
    outputs, channels, *kernel = plan.graph.parameters[node.parameters["weight"]]
    if kernel != [5, 5] or not plan.shapes[node.inputs[0]][1:] >= (4, 4):
        return False
    pixels = math.prod(node.shape[1:])
    groups = -(-node.shape[1] // compiled.lanes) * -(-node.shape[2] // ACROSS)
    ours = groups * (PRODUCTS * channels * outputs + TRANSFORMS * (channels + outputs))
    return ours < 0.7 * 25 * channels * outputs * pixels / compiled.lanes


class _Geometry(convolution.Geometry):
    """Planes that hold whole groups of tiles."""

    images_together = 2

    def _lines(self) -> tuple[int, int, int]:
        width = -(-max(self.width, self.x_width) // ACROSS) * ACROSS
        heights = [-(-height // self.lanes) * self.lanes for height in (self.height, self.x_height)]
        return width + 4, heights[0] + 4, heights[1] + 4

    def scratch(self) -> int:
        pooled = self.height // 2 * (-(-(self.width // 2) // self.lanes) * self.lanes)
        forward = self._transformed(self.channels, self.rows) + 2 * self.outputs * self._result(self.height)
        to_x = self._transformed(self.outputs, self.x_rows) + 2 * self.channels * self._result(self.x_height)
        masks = 3 * ((self.height + 9) * self.line + 2 * self.lanes)
        floats = super().scratch(), forward + self.outputs * pooled + masks, to_x + masks, self._to_weight()
        return max(floats) + 2 * self.lanes

    def _to_weight(self) -> int:
        """Return the floats of an image with its border, V, W and U's gradient."""
        down, across = -(-self.height // self.lanes), -(-self.width // ACROSS)
        wide = -(-self.channels // self.lanes) * self.lanes
        image = (down * self.lanes + 4) * (across * ACROSS + 4) * self.channels + 2 * self.lanes
        return image + PRODUCTS * (self.lanes * (wide + self.outputs + 2) + self.outputs * wide)

    def _transformed(self, channels: int, rows: int) -> int:
        """Return the floats of V and M."""
        return PRODUCTS * (2 * (channels + rows) + 2) * self.lanes

    def _result(self, height: int) -> int:
        return height * self.line + 2 * self.lanes


class _Weights(convolution.Weights):
    """Those of ``convolution.Weights``, transformed."""

    def __init__(self, node: Node, workspace: Workspace, sizes: convolution.Geometry) -> None:
        super().__init__(node, workspace, sizes)
        packed, turned, bias = self.arrays
        u = self._transform(packed, sizes.outputs)
        turned = self._transform(turned, sizes.channels) if workspace.needs_gradient(node.inputs[0]) else turned
        self.arrays = u, turned, bias

    def _transform(self, packed: np.ndarray, outputs: int) -> np.ndarray:
        size, lanes = packed.size // 25, loaded().lanes
        u, scratch = aligned(PRODUCTS * (size + lanes) + lanes), aligned(25 * (size + lanes) + lanes)
        self.steps.append(loaded().step("tiles_pack", packed, u, scratch, outputs, size))
        return u


class Convolution(convolution.Convolution):
    """See the module."""

    geometry_type, weights_type = _Geometry, _Weights

    def _forward_step(self, keep: int) -> Step:
        sizes = self.geometry
        arrays = self.x, self.planes, self.packed, self.bias, self.y, self.places, self.scratch
        maps = sizes.x_height, sizes.x_width, sizes.height, sizes.width, sizes.top, sizes.left
        counts = len(self.x), sizes.channels, sizes.outputs
        return self.compiled.step("tiles_forward", *arrays, *counts, *maps, sizes.line, sizes.plane, self.kind, keep)

    def _gradients_together(self) -> int:
        return len(self.x)  # the other steps read the planes, too

    def _backward_steps(
        self, workspace: Workspace, planes: np.ndarray, to_weight: np.ndarray | None, to_x: np.ndarray | None
    ) -> list[Step]:
        steps, sizes, n = super()._backward_steps(workspace, planes, None, None), self.geometry, len(self.x)
        maps, lines = (sizes.x_height, sizes.x_width, sizes.height, sizes.width), (sizes.line, sizes.gradient_plane)
        sources = self.x, planes[sizes.first :], to_weight, self.scratch
        numbers = n, sizes.channels, sizes.outputs, *maps, sizes.top, sizes.left, *lines
        steps.append(self.compiled.step("tiles_to_weight", *sources, *numbers))
        if to_x is not None:
            arrays = None, planes, self.turned, aligned(sizes.x_rows), to_x, None, self.scratch
            numbers = n, sizes.outputs, sizes.channels, *maps[2:], *maps[:2], 0, 0, *lines
            steps.append(self.compiled.step("tiles_forward", *arrays, *numbers, PLAIN, 1))
        return steps

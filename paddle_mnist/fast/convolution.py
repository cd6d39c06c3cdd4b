"""Convolution and pooling by NumPy: patches and matrix products, one pass for each pixel of a pooling window."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from paddle_mnist.fast.workspace import Decisions, Kernel, Workspace
from paddle_mnist.program import Node


class Convolution(Kernel):
    """Patches of the padded input as rows of a matrix, times the weights."""

    def __init__(self, node: Node, workspace: Workspace) -> None:
        super().__init__(node, workspace)
        self.x, self.y = workspace.value(node.inputs[0]), workspace.new_output(node)
        attributes = node.attributes
        self.strides, self.dilations, self.groups = (attributes[name] for name in ("strides", "dilations", "groups"))
        top, bottom, left, right = attributes["paddings"]
        n, height, width, channels = self.x.shape
        self.padded = np.zeros((n, height + top + bottom, width + left + right, channels), np.float32)
        self.inner = self.padded[:, top : top + height, left : left + width]
        self.values, self.names = workspace.plan.values, node.parameters
        out, per_group, *self.kernel = workspace.plan.graph.parameters[self.names["weight"]]
        self.weight_shape = (self.groups, out // self.groups, per_group, *self.kernel)
        pixels = math.prod(self.y.shape[:3])
        # [groups, pixels, kernel height * kernel width * channels of the group]
        self.patches = np.empty((self.groups, pixels, math.prod(self.kernel) * per_group), np.float32)

    def _windows(self, array: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """Yield, for each place in the kernel, the pixels of the padded array that meet it."""
        (kh, kw), (sh, sw), (dh, dw) = self.kernel, self.strides, self.dilations
        _, height, width, _ = self.y.shape
        for i in range(kh):
            for j in range(kw):
                rows = slice(i * dh, i * dh + (height - 1) * sh + 1, sh)
                columns = slice(j * dw, j * dw + (width - 1) * sw + 1, sw)
                yield i * kw + j, array[:, rows, columns]

    def _by_group(self, array: np.ndarray) -> np.ndarray:
        """Return a view [groups, n, height, width, channels of the group]."""
        return np.moveaxis(array.reshape(*array.shape[:3], self.groups, -1), 3, 0)

    def load(self) -> None:
        # [groups, kernel height * kernel width * channels in, channels out]
        weight = self.values[self.names["weight"]].reshape(self.weight_shape)
        self.matrix = np.ascontiguousarray(weight.transpose(0, 3, 4, 2, 1)).reshape(
            self.groups, -1, self.weight_shape[1]
        )

    def forward(self) -> None:
        np.copyto(self.inner, self.x)
        places = self.patches.reshape(self.groups, *self.y.shape[:3], math.prod(self.kernel), -1)
        for place, pixels in self._windows(self.padded):
            np.copyto(places[..., place, :], self._by_group(pixels))
        if self.groups == 1:
            np.matmul(self.patches[0], self.matrix[0], out=self.y.reshape(-1, self.y.shape[3]))
        else:
            result = np.matmul(self.patches, self.matrix)
            np.copyto(self._by_group(self.y), result.reshape(self.groups, *self.y.shape[:3], -1))
        if "bias" in self.names:
            self.y += self.values[self.names["bias"]].reshape(-1)

    def prepare(self, workspace: Workspace) -> None:
        self.gradient = workspace.output_gradient_of(self.node)
        self.weight_gradient = workspace.parameter_gradient(self.names["weight"])
        self.bias_gradient = workspace.parameter_gradient(self.names["bias"]) if "bias" in self.names else None
        self.x_gradient = workspace.input_gradient(self.node)

    def backward(self) -> None:
        rows = np.ascontiguousarray(self._by_group(self.gradient)).reshape(self.groups, -1, self.weight_shape[1])
        weight = np.matmul(self.patches.transpose(0, 2, 1), rows)  # [groups, kh * kw * channels in, channels out]
        _, out, per_group, kh, kw = self.weight_shape
        weight = weight.reshape(self.groups, kh, kw, per_group, out).transpose(0, 4, 3, 1, 2)
        self.weight_gradient[:] = weight.reshape(-1)
        if self.bias_gradient is not None:
            np.sum(self.gradient.reshape(-1, self.y.shape[3]), axis=0, out=self.bias_gradient)
        if self.x_gradient is not None:
            patches = np.matmul(rows, self.matrix.transpose(0, 2, 1))
            places = patches.reshape(self.groups, *self.y.shape[:3], kh * kw, per_group)
            self.padded[:] = 0
            for place, pixels in self._windows(self.padded):
                by_group = self._by_group(pixels)
                by_group += places[..., place, :]
            np.copyto(self.x_gradient, self.inner)
            self.padded[:] = 0  # the border has to be zero again


class _Pool(Kernel):
    """Base of the poolings: one pass for each pixel of the window."""

    def __init__(self, node: Node, workspace: Workspace) -> None:
        super().__init__(node, workspace)
        self.x, self.y = workspace.value(node.inputs[0]), workspace.new_output(node)
        self.places = list(self._places())

    def _places(self) -> Iterator[tuple[tuple[slice, slice], tuple[slice, slice]]]:
        """Yield, in reading order of the window, where outputs are and which pixel of its window each one meets."""
        (kh, kw), (sh, sw) = self.node.attributes["kernel"], self.node.attributes["strides"]
        top, _, left, _ = self.node.attributes["paddings"]
        _, height, width, _ = self.x.shape
        for i in range(kh):
            for j in range(kw):
                rows, columns = (
                    self._meeting(i - top, sh, height, self.y.shape[1]),
                    self._meeting(j - left, sw, width, self.y.shape[2]),
                )
                if rows and columns:
                    yield (rows[0], columns[0]), (rows[1], columns[1])

    @staticmethod
    def _meeting(offset: int, stride: int, size: int, outputs: int) -> tuple[slice, slice] | None:
        """Return the outputs whose pixel at ``offset`` lies inside the image, and those pixels."""
        first = max(0, -(offset // stride))
        last = min(outputs - 1, (size - 1 - offset) // stride)
        if last < first:
            return None
        start = first * stride + offset
        return slice(first, last + 1), slice(start, last * stride + offset + 1, stride)

    def prepare(self, workspace: Workspace) -> None:
        self.gradient = workspace.output_gradient_of(self.node)
        self.x_gradient = workspace.input_gradient(self.node)


class MaxPool(_Pool):
    """The maximum of each window. Its gradient goes to the first of equal maxima in reading order, as in Paddle."""

    def __init__(self, node: Node, workspace: Workspace) -> None:
        super().__init__(node, workspace)
        workspace.keep(node.name)

    def forward(self) -> None:
        self.y[:] = -np.inf
        for (rows, columns), (pixel_rows, pixel_columns) in self.places:
            y = self.y[:, rows, columns]
            np.maximum(y, self.x[:, pixel_rows, pixel_columns], out=y)

    def backward(self) -> None:
        self.x_gradient[:] = 0
        free = np.ones(self.y.shape, bool)  # outputs whose maximum is still to be found
        for (rows, columns), (pixel_rows, pixel_columns) in self.places:
            found = self.x[:, pixel_rows, pixel_columns] == self.y[:, rows, columns]
            found &= free[:, rows, columns]
            free[:, rows, columns] ^= found
            self.x_gradient[:, pixel_rows, pixel_columns] += self.gradient[:, rows, columns] * found


class AveragePool(_Pool):
    """The mean of each window, of its pixels inside the image or of all."""

    def __init__(self, node: Node, workspace: Workspace) -> None:
        super().__init__(node, workspace)
        if node.attributes["exclusive"]:
            counts = np.zeros(self.y.shape[1:3], np.float32)
            for place, _ in self.places:
                counts[place] += 1
        else:
            counts = np.outer(*(self._padded_sizes(axis) for axis in (0, 1))).astype(np.float32)
        self.counts = counts[np.newaxis, :, :, np.newaxis]

    def _padded_sizes(self, axis: int) -> np.ndarray:
        """Return how much of each window lies in the image and its padding; sizes that round up reach further."""
        before, after = self.node.attributes["paddings"][2 * axis : 2 * axis + 2]
        starts = np.arange(self.y.shape[1 + axis]) * self.node.attributes["strides"][axis] - before
        return np.minimum(starts + self.node.attributes["kernel"][axis], self.x.shape[1 + axis] + after) - starts

    def forward(self) -> None:
        self.y[:] = 0
        for (rows, columns), (pixel_rows, pixel_columns) in self.places:
            self.y[:, rows, columns] += self.x[:, pixel_rows, pixel_columns]
        self.y /= self.counts

    def backward(self) -> None:
        self.gradient /= self.counts
        self.x_gradient[:] = 0
        for (rows, columns), (pixel_rows, pixel_columns) in self.places:
            self.x_gradient[:, pixel_rows, pixel_columns] += self.gradient[:, rows, columns]


class GlobalAveragePool(Kernel):
    """The mean of whole maps, row by row: rounding accumulates along a row and along a column, not over all pixels."""

    def __init__(self, node: Node, workspace: Workspace) -> None:
        super().__init__(node, workspace)
        self.x, self.y = workspace.value(node.inputs[0]), workspace.new_output(node)
        self.pixels = np.float32(self.x.shape[1] * self.x.shape[2])

    def forward(self) -> None:
        np.add.reduce(np.add.reduce(self.x, axis=2), axis=1, out=self.y[:, 0, 0])
        self.y /= self.pixels

    def prepare(self, workspace: Workspace) -> None:
        self.gradient = workspace.output_gradient_of(self.node)
        self.x_gradient = workspace.input_gradient(self.node)

    def backward(self) -> None:
        np.copyto(self.x_gradient, self.gradient / self.pixels)


def average_pool(node: Node, workspace: Workspace) -> Kernel:
    """Return the kernel for an average pooling."""
    return (GlobalAveragePool if is_global(node, workspace.plan) else AveragePool)(node, workspace)


def is_global(node: Node, plan: Decisions) -> bool:
    """Whether a pooling has one window, the whole map."""
    sides = plan.shapes[node.inputs[0]][1:]
    return node.attributes["kernel"] == tuple(sides) and not any(node.attributes["paddings"])


class _AdaptivePool(Kernel):
    """Base of the poolings whose windows divide an axis as evenly as they can."""

    def __init__(self, node: Node, workspace: Workspace) -> None:
        super().__init__(node, workspace)
        self.x, self.y = workspace.value(node.inputs[0]), workspace.new_output(node)
        sides = [
            [slice(i * size // count, -(-(i + 1) * size // count)) for i in range(count)]
            for size, count in zip(self.x.shape[1:3], node.attributes["output_size"], strict=True)
        ]
        self.windows = [(i, j, rows, columns) for i, rows in enumerate(sides[0]) for j, columns in enumerate(sides[1])]

    def prepare(self, workspace: Workspace) -> None:
        self.gradient = workspace.output_gradient_of(self.node)
        self.x_gradient = workspace.input_gradient(self.node)


class AdaptiveAveragePool(_AdaptivePool):
    """The mean of each window."""

    def forward(self) -> None:
        for i, j, rows, columns in self.windows:
            np.mean(self.x[:, rows, columns], axis=(1, 2), out=self.y[:, i, j])

    def backward(self) -> None:
        self.x_gradient[:] = 0
        for i, j, rows, columns in self.windows:
            window = self.x_gradient[:, rows, columns]
            window += self.gradient[:, i : i + 1, j : j + 1] / np.float32(window.shape[1] * window.shape[2])


class AdaptiveMaxPool(_AdaptivePool):
    """The maximum of each window; the gradient goes to the first of equal maxima."""

    def forward(self) -> None:
        for i, j, rows, columns in self.windows:
            np.max(self.x[:, rows, columns], axis=(1, 2), out=self.y[:, i, j])

    def backward(self) -> None:
        self.x_gradient[:] = 0
        n, channels = self.x.shape[0], self.x.shape[3]
        images, maps = np.ogrid[:n, :channels]
        for i, j, rows, columns in self.windows:
            window = self.x[:, rows, columns]
            first = window.reshape(n, -1, channels).argmax(axis=1)
            row, column = np.divmod(first, window.shape[2])
            self.x_gradient[images, row + rows.start, column + columns.start, maps] += self.gradient[:, i, j]

"""Kernels that normalize: batch norm, layer norm, softmax.

Channels lie last in memory. Numbers per channel are repeated along a row of pixels, and rows of pixels are added up
before their channels, which makes NumPy's inner loops long enough.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from paddle_mnist.distributed.team import Division
from paddle_mnist.fast.workspace import BatchKernel, Kernel, Workspace, stored_axis
from paddle_mnist.program import Node

# Paddle's softmax on the CPU takes scores that are less than the largest by more than this to be as small as this.
LEAST_SCORE = np.float32(-64)


class _Channels:
    """Arrays seen as rows of channels, and per-channel numbers repeated to match."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.channels = shape[-1]
        self.repeats = shape[-2] if len(shape) == 4 else 1
        self.count = int(np.prod(shape[:-1]))
        self.grouped = (shape[0], shape[1], -1) if len(shape) == 4 else (1, *shape)

    def wide(self, array: np.ndarray) -> np.ndarray:
        """Return a view in which a row has all channels of several pixels."""
        return array.reshape(-1, self.repeats * self.channels)

    def repeat(self, per_channel: np.ndarray) -> np.ndarray:
        """Return numbers for such a row."""
        return np.tile(per_channel.astype(np.float32, copy=False), self.repeats)

    def sums(self, array: np.ndarray) -> np.ndarray:
        """Return each channel's sum over all pixels and images, float64; in float32 over a column of pixels alone."""
        columns = np.add.reduce(array.reshape(self.grouped), axis=1)
        return columns.reshape(-1, self.channels).sum(axis=0, dtype=np.float64)


class _BatchNorm:
    """What both kinds of batch norm share: y = x * factor + offset, per channel."""

    def _setup(self, node: Node, workspace: Workspace) -> None:
        self.x, self.y = workspace.value(node.inputs[0]), workspace.new_output(node)
        self.by_channel = _Channels(self.x.shape)
        self.wide_x, self.wide_y = self.by_channel.wide(self.x), self.by_channel.wide(self.y)
        self.values, self.names = workspace.plan.values, node.parameters
        self.epsilon = node.attributes["epsilon"]

    def _prepare(self, node: Node, workspace: Workspace) -> None:
        self.gradient = workspace.output_gradient_of(node)
        self.wide_gradient = self.by_channel.wide(self.gradient)
        self.slots = [workspace.parameter_gradient(self.names[role]) for role in ("weight", "bias")]
        self.product = np.empty_like(self.wide_x)
        workspace.input_gradient(node, shared=self.gradient)

    def _normalize(self, mean: np.ndarray, variance: np.ndarray) -> None:
        """Compute y from x. ``mean`` and ``variance`` are float64."""
        weight, bias = (self.values[self.names[role]] for role in ("weight", "bias"))
        self.mean = mean.astype(np.float32)
        self.rest = mean - self.mean  # counts where the mean is much larger than the deviations from it
        self.inverse = 1 / np.sqrt(variance + self.epsilon)
        self.factor = weight * self.inverse
        # x - mean first: the difference is small where the mean is large.
        np.subtract(self.wide_x, self.by_channel.repeat(self.mean), out=self.wide_y)
        np.multiply(self.wide_y, self.by_channel.repeat(self.factor), out=self.wide_y)
        np.add(self.wide_y, self.by_channel.repeat(bias - self.rest * self.factor), out=self.wide_y)

    def _gradient_sums(self) -> None:
        """Store the gradients of weight and bias."""
        np.subtract(self.wide_x, self.by_channel.repeat(self.mean), out=self.product)
        np.multiply(self.product, self.wide_gradient, out=self.product)
        bias = self.by_channel.sums(self.gradient)
        self.slots[0][:] = (self.by_channel.sums(self.product) - self.rest * bias) * self.inverse
        self.slots[1][:] = bias


class BatchNormInference(_BatchNorm, Kernel):
    """Batch norm by the running statistics."""

    def __init__(self, node: Node, workspace: Workspace) -> None:
        super().__init__(node, workspace)
        self._setup(node, workspace)

    def forward(self) -> None:
        mean, variance = (self.values[self.names[role]].astype(np.float64) for role in ("mean", "variance"))
        self._normalize(mean, variance)

    def prepare(self, workspace: Workspace) -> None:
        self._prepare(self.node, workspace)

    def backward(self) -> None:
        self._gradient_sums()
        np.multiply(self.wide_gradient, self.by_channel.repeat(self.factor), out=self.wide_gradient)


class BatchStatistics(BatchKernel):
    """Mean and variance of a batch from those of its blocks, and the sums for the way back.

    Each block finds mean and sum of squared deviations of its own images; these are combined in order (Chan, Golub and
    LeVeque 1983), so that no difference of large sums is taken.

    Attributes, for subclasses to set:
        count: values per channel in the block.
        own_mean, own_squares: float64, set by ``collect``.
        slots: the block's gradients of weight and bias, set by ``collect_backward``.
        values, names, statistics, momentum: of the plan and the node.
    """

    count: int
    own_mean: np.ndarray
    own_squares: np.ndarray
    slots: list[np.ndarray]
    values: dict[str, np.ndarray]
    names: Mapping[str, str]
    statistics: dict[str, np.ndarray]
    momentum: float

    def use_statistics(self, mean: np.ndarray, variance: np.ndarray) -> None:
        """Take over the batch's mean and variance, float64."""

    def use_gradient_means(self, weight: np.ndarray, bias: np.ndarray) -> None:
        """Take over the gradients of weight and bias, over the number of values per channel in the batch, float64."""

    def combine(self, kernels: list[BatchStatistics], division: Division) -> None:
        own = [(np.full_like(kernel.own_mean, kernel.count), kernel.own_mean, kernel.own_squares) for kernel in kernels]
        count = 0
        mean = squares = np.zeros(self._channels)
        for counts, more_mean, more_squares in division.gather_blocks(_stack(own, 3, self._channels, np.float64)):
            more = int(counts[0])
            difference = more_mean - mean
            mean = mean + difference * (more / (count + more))
            squares = squares + more_squares + difference * difference * (count * more / (count + more))
            count += more
        self.batch_count, variance = count, squares / count
        for kernel in kernels:
            kernel.use_statistics(mean, variance)
        for role, batch in (("mean", mean), ("variance", variance)):
            running = self.values[self.names[role]]
            self.statistics[self.names[role]] = np.float32(self.momentum) * running + (
                np.float32(1 - self.momentum) * batch.astype(np.float32)
            )

    def combine_backward(self, kernels: list[BatchStatistics], division: Division) -> None:
        own = _stack([kernel.slots for kernel in kernels], 2, self._channels, np.float32)
        weight, bias = division.gather_blocks(own).sum(axis=0, dtype=np.float64)
        for kernel in kernels:
            kernel.use_gradient_means(weight / self.batch_count, bias / self.batch_count)

    @property
    def _channels(self) -> int:
        return len(self.values[self.names["mean"]])


def _stack(rows: list[Any], width: int, channels: int, dtype: type) -> np.ndarray:
    """Return [rows, width, channels], also where there are no rows."""
    return np.array(rows, dtype).reshape(len(rows), width, channels)


class BatchNormTraining(_BatchNorm, BatchStatistics):
    """Batch norm by the statistics of the batch."""

    def __init__(self, node: Node, workspace: Workspace) -> None:
        super().__init__(node, workspace)
        self._setup(node, workspace)
        self.count, self.momentum = self.by_channel.count, node.attributes["momentum"]
        self.statistics = workspace.plan.statistics

    def collect(self) -> None:
        channels = self.by_channel
        mean = (channels.sums(self.x) / channels.count).astype(np.float32)
        np.subtract(self.wide_x, channels.repeat(mean), out=self.wide_y)
        rest = channels.sums(self.y)  # what rounding left of the mean
        np.square(self.wide_y, out=self.wide_y)
        squares = channels.sums(self.y)
        self.own_squares = squares - rest * rest / channels.count
        self.own_mean = mean.astype(np.float64) + rest / channels.count

    def use_statistics(self, mean: np.ndarray, variance: np.ndarray) -> None:
        self.batch = mean, variance

    def forward(self) -> None:
        self._normalize(*self.batch)

    def prepare(self, workspace: Workspace) -> None:
        self._prepare(self.node, workspace)

    def collect_backward(self) -> None:
        self._gradient_sums()

    def use_gradient_means(self, weight: np.ndarray, bias: np.ndarray) -> None:
        self.weight_mean, self.bias_mean = weight, bias

    def backward(self) -> None:
        # gradient of x = factor * (gradient - mean(gradient) - normalized x * mean(gradient * normalized x))
        channels, slope = self.by_channel, self.inverse * self.weight_mean
        np.subtract(self.wide_x, channels.repeat(self.mean), out=self.product)
        np.multiply(self.product, channels.repeat(slope), out=self.product)
        np.add(self.product, channels.repeat(self.bias_mean - self.rest * slope), out=self.product)
        np.subtract(self.wide_gradient, self.product, out=self.wide_gradient)
        np.multiply(self.wide_gradient, channels.repeat(self.factor), out=self.wide_gradient)


def batch_norm(node: Node, workspace: Workspace) -> Kernel:
    """Return the kernel for a batch norm."""
    return (BatchNormTraining if node.attributes["training"] else BatchNormInference)(node, workspace)


class LayerNorm(Kernel):
    """Each image normalized over its last axes, times weight plus bias."""

    def __init__(self, node: Node, workspace: Workspace) -> None:
        super().__init__(node, workspace)
        self.x, self.y = workspace.value(node.inputs[0]), workspace.new_output(node)
        axis = node.attributes["axis"]
        self.epsilon, self.values, self.names = node.attributes["epsilon"], workspace.plan.values, node.parameters
        self.shape = (1,) * (axis - 1) + node.shape[axis - 1 :]  # of weight and bias, for one image
        self.axes = tuple(sorted(stored_axis(node.shape, i) for i in range(axis, len(node.shape) + 1)))
        self.summed = tuple(i for i in range(self.x.ndim) if i not in self.axes)

    def _parameter(self, role: str) -> np.ndarray | None:
        if role not in self.names:
            return None
        value = self.values[self.names[role]].reshape(1, *self.shape)
        return value.transpose(0, 2, 3, 1) if value.ndim == 4 else value

    def forward(self) -> None:
        difference = self.x - self.x.mean(axis=self.axes, keepdims=True)
        variance = np.square(difference).mean(axis=self.axes, keepdims=True)
        self.inverse = 1 / np.sqrt(variance + np.float32(self.epsilon))
        self.normalized = np.multiply(difference, self.inverse, out=difference)
        weight, bias = self._parameter("weight"), self._parameter("bias")
        np.copyto(self.y, self.normalized)
        if weight is not None:
            self.y *= weight
        if bias is not None:
            self.y += bias

    def prepare(self, workspace: Workspace) -> None:
        self.gradient = workspace.output_gradient_of(self.node)
        self.slots = {role: workspace.parameter_gradient(name) for role, name in self.names.items()}
        workspace.input_gradient(self.node, shared=self.gradient)

    def _store_gradient(self, role: str, gradient: np.ndarray) -> None:
        total = gradient.sum(axis=self.summed, keepdims=True)
        total = total.transpose(0, 3, 1, 2) if total.ndim == 4 else total
        self.slots[role][:] = total.reshape(-1)

    def backward(self) -> None:
        gradient, x = self.gradient, self.normalized
        if "bias" in self.slots:
            self._store_gradient("bias", gradient)
        if "weight" in self.slots:
            self._store_gradient("weight", gradient * x)
            gradient *= self._parameter("weight")
        mean = gradient.mean(axis=self.axes, keepdims=True)
        slope = (gradient * x).mean(axis=self.axes, keepdims=True)
        gradient -= mean + x * slope
        gradient *= self.inverse


class Softmax(Kernel):
    """exp(x) over its sum along an axis, or the logarithm of that."""

    logarithm = False

    def __init__(self, node: Node, workspace: Workspace) -> None:
        super().__init__(node, workspace)
        self.x, self.y = workspace.value(node.inputs[0]), workspace.new_output(node)
        self.axis = stored_axis(node.shape, node.attributes["axis"])
        workspace.keep(node.name)

    def forward(self) -> None:
        y = self.y
        np.subtract(self.x, self.x.max(axis=self.axis, keepdims=True), out=y)
        np.maximum(y, LEAST_SCORE, out=y)
        powers = np.exp(y)
        sums = powers.sum(axis=self.axis, keepdims=True)
        if self.logarithm:
            y -= np.log(sums)
        else:
            np.divide(powers, sums, out=y)

    def prepare(self, workspace: Workspace) -> None:
        self.gradient = workspace.output_gradient_of(self.node)
        workspace.input_gradient(self.node, shared=self.gradient)

    def backward(self) -> None:
        gradient = self.gradient
        if self.logarithm:
            gradient -= np.exp(self.y) * gradient.sum(axis=self.axis, keepdims=True)
        else:
            gradient -= (gradient * self.y).sum(axis=self.axis, keepdims=True)
            gradient *= self.y


class LogSoftmax(Softmax):
    """See ``Softmax``."""

    logarithm = True

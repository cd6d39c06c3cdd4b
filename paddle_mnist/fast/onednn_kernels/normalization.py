"""Batch norm by oneDNN."""

from __future__ import annotations

import ctypes

import numpy as np

from paddle_mnist.fast import normalization, onednn
from paddle_mnist.fast.arrays import aligned
from paddle_mnist.fast.onednn import Handle
from paddle_mnist.fast.onednn_kernels.pooling import or_numpy
from paddle_mnist.fast.workspace import Kernel, Workspace
from paddle_mnist.program import Node

# Pixels whose values a batch norm adds up in float32.
CHUNK_PIXELS = 1024


class _BatchNorm:
    """What both kinds of batch norm share: the pass by given statistics, and a ReLU after it.

    oneDNN adds the values of a channel up one after the other. So that rounding does not accumulate, a block is divided
    into chunks of some images, whose sums are added in float64.
    """

    def _setup(self, node: Node, workspace: Workspace) -> None:
        self.create = create = workspace.primitives
        self.x, self.y = workspace.value(node.inputs[0]), workspace.new_output(node)
        self.values, self.names = workspace.plan.values, node.parameters
        self.epsilon = ctypes.c_float(node.attributes["epsilon"])
        channels = self.x.shape[-1]
        self.channels = create.rows(channels)
        self.mean, self.variance, self.weight, self.shift = (aligned(channels) for _ in range(4))
        self.rest = np.zeros(channels)  # what float32 leaves of the mean
        pixels = self.x.size // (len(self.x) * channels)
        self.chunks = _chunks(len(self.x), max(1, CHUNK_PIXELS // pixels))
        self.counts = np.array([(chunk.stop - chunk.start) * pixels for chunk in self.chunks], np.float64)[
            :, np.newaxis
        ]
        readers = workspace.plan.readers[node.name]
        with_relu = workspace.plan.uses[node.name] == 1 and bool(readers) and readers[0].operation == "relu"
        self.flags = onednn.dnnl_use_global_stats | onednn.dnnl_use_scale | onednn.dnnl_use_shift
        self.flags |= onednn.dnnl_fuse_norm_relu if with_relu else 0
        self.descriptors: dict = {}
        shared = {
            onednn.DNNL_ARG_MEAN: create.memory(self.channels, self.mean),
            onednn.DNNL_ARG_VARIANCE: create.memory(self.channels, self.variance),
            onednn.DNNL_ARG_SCALE: create.memory(self.channels, self.weight),
        }
        shift, self.memories, self.normalize = create.memory(self.channels, self.shift), [], []
        for chunk in self.chunks:
            descriptor, layout = self._forward(chunk, workspace.train, self.flags)
            memories = shared | {onednn.DNNL_ARG_SRC: create.memory(layout, self.x[chunk])}
            if with_relu and workspace.train:  # which results were positive
                mask = create.chosen_layout(descriptor, onednn.dnnl_query_workspace_md)
                memories[onednn.DNNL_ARG_WORKSPACE] = create.memory(mask)
            self.memories.append(memories)
            result = {onednn.DNNL_ARG_SHIFT: shift, onednn.DNNL_ARG_DST: create.memory(layout, self.y[chunk])}
            self.normalize.append(create.function(descriptor, memories | result))
        if with_relu:
            workspace.absorb(readers[0])

    def _layout(self, images: int) -> Handle:
        shape = self.x.shape[1:] if self.x.ndim == 4 else (1, 1, self.x.shape[-1])
        return self.create.channels_last(images, *shape)

    def _forward(self, chunk: slice, train: bool, flags: int) -> tuple[Handle, Handle]:
        """Return the descriptor for a chunk, and the layout of its arrays."""
        key = chunk.stop - chunk.start, flags
        if key not in self.descriptors:
            kind = onednn.dnnl_forward_training if train else onednn.dnnl_forward_inference
            layout = self._layout(key[0])
            arguments = kind, layout, layout, self.epsilon, flags, self.create.attributes
            descriptor = self.create.descriptor("batch_normalization_forward", *arguments)
            if self.create.implementation(descriptor).startswith("ref"):
                raise OSError("oneDNN has no fast code for this batch norm")
            self.descriptors[key] = descriptor, layout
        return self.descriptors[key]

    def load(self) -> None:
        np.copyto(self.weight, self.values[self.names["weight"]])
        np.copyto(self.shift, self.values[self.names["bias"]])

    def _inverse(self) -> np.ndarray:
        return 1 / np.sqrt(self.variance.astype(np.float64) + self.epsilon.value)

    def forward(self) -> None:
        for normalize in self.normalize:
            normalize()

    def _prepare(self, node: Node, workspace: Workspace) -> None:
        create, self.gradient = self.create, workspace.output_gradient_of(node)
        workspace.input_gradient(node, shared=self.gradient)
        self.slots = [workspace.parameter_gradient(self.names[role]) for role in ("weight", "bias")]
        self.sums = [aligned(len(self.chunks), self.x.shape[-1]) for _ in self.slots]
        self.go_back, descriptors = [], {}
        for i, chunk in enumerate(self.chunks):
            forward, layout = self._forward(chunk, True, self.flags)
            size = chunk.stop - chunk.start
            if size not in descriptors:
                arguments = (
                    onednn.dnnl_backward,
                    layout,
                    layout,
                    layout,
                    self.epsilon,
                    self.flags,
                    forward,
                    create.attributes,
                )
                descriptors[size] = create.descriptor("batch_normalization_backward", *arguments)
            gradient = create.memory(layout, self.gradient[chunk])
            memories = {
                onednn.DNNL_ARG_DIFF_DST: gradient,
                onednn.DNNL_ARG_DIFF_SRC: gradient,
                onednn.DNNL_ARG_DIFF_SCALE: create.memory(self.channels, self.sums[0][i]),
                onednn.DNNL_ARG_DIFF_SHIFT: create.memory(self.channels, self.sums[1][i]),
            }
            self.go_back.append(create.function(descriptors[size], self.memories[i] | memories))

    def _go_back(self) -> None:
        for go_back in self.go_back:
            go_back()
        weight, bias = (sums.sum(axis=0, dtype=np.float64) for sums in self.sums)
        self.slots[0][:] = weight - self.rest * self._inverse() * bias
        self.slots[1][:] = bias


class BatchNormInference(_BatchNorm, Kernel):
    """Batch norm by the running statistics."""

    def __init__(self, node: Node, workspace: Workspace) -> None:
        super().__init__(node, workspace)
        self._setup(node, workspace)

    def load(self) -> None:
        super().load()
        np.copyto(self.mean, self.values[self.names["mean"]])
        np.copyto(self.variance, self.values[self.names["variance"]])

    def prepare(self, workspace: Workspace) -> None:
        self._prepare(self.node, workspace)

    def backward(self) -> None:
        self._go_back()


class BatchNormTraining(_BatchNorm, normalization.BatchStatistics):
    """Batch norm by the statistics of the batch."""

    def __init__(self, node: Node, workspace: Workspace) -> None:
        super().__init__(node, workspace)
        self._setup(node, workspace)
        create, channels = self.create, self.x.shape[-1]
        self.count, self.momentum = self.x.size // channels, node.attributes["momentum"]
        self.statistics = workspace.plan.statistics
        self.means, self.variances = aligned(len(self.chunks), channels), aligned(len(self.chunks), channels)
        self.ones = np.ones((1, self.count // len(self.x)), np.float32)
        self.measure = []
        for i, chunk in enumerate(self.chunks):
            descriptor, layout = self._forward(chunk, True, 0)
            memories = {
                onednn.DNNL_ARG_SRC: create.memory(layout, self.x[chunk]),
                onednn.DNNL_ARG_DST: create.memory(layout, self.y[chunk]),  # overwritten by ``forward``
                onednn.DNNL_ARG_MEAN: create.memory(self.channels, self.means[i]),
                onednn.DNNL_ARG_VARIANCE: create.memory(self.channels, self.variances[i]),
            }
            self.measure.append(create.function(descriptor, memories))

    def collect(self) -> None:
        for measure in self.measure:
            measure()
        # What rounding left of the means: y is (x - mean) / deviation there, and adding it up loses far less.
        left = (self.ones @ self.y.reshape(len(self.y), -1, self.y.shape[-1]))[:, 0].astype(np.float64)
        left = np.add.reduceat(left, [chunk.start for chunk in self.chunks], axis=0) / self.counts
        left *= np.sqrt(self.variances.astype(np.float64) + self.epsilon.value)
        means = self.means + left
        self.own_mean = (means * self.counts).sum(axis=0) / self.count
        squares = self.variances - np.square(left) + np.square(means - self.own_mean)
        self.own_squares = (squares * self.counts).sum(axis=0)

    def use_statistics(self, mean: np.ndarray, variance: np.ndarray) -> None:
        self.mean[:], self.variance[:] = mean, variance
        self.rest = mean - self.mean
        self.shift[:] = self.values[self.names["bias"]] - self.rest * self.weight * self._inverse()

    def prepare(self, workspace: Workspace) -> None:
        self._prepare(self.node, workspace)
        # gradient += (x - mean) * slope + offset, per channel: what the statistics' own gradients add.
        create, channels = self.create, self.x.shape[-1]
        self.slope, self.offset = aligned(channels), aligned(channels)
        row, layout = create.channels_last(1, 1, 1, channels), self._layout(len(self.x))
        gradient = create.memory(layout, self.gradient)
        steps = [
            (onednn.dnnl_binary_mul, row, create.memory(row, self.slope)),
            (onednn.dnnl_binary_add, row, create.memory(row, self.offset)),
            (onednn.dnnl_binary_add, layout, gradient),
        ]
        attributes = create.binary_post_ops([step[:2] for step in steps])
        descriptor = create.descriptor("binary", onednn.dnnl_binary_sub, layout, row, layout, attributes)
        memories = {
            onednn.DNNL_ARG_SRC: create.memory(layout, self.x),
            onednn.DNNL_ARG_SRC_1: create.memory(row, self.mean),
            onednn.DNNL_ARG_DST: gradient,
        }
        for i, (_, _, memory) in enumerate(steps):
            memories[onednn.DNNL_ARG_ATTR_MULTIPLE_POST_OP_BASE * (i + 1) | onednn.DNNL_ARG_SRC_1] = memory
        self.backward = create.function(descriptor, memories)

    def collect_backward(self) -> None:
        self._go_back()

    def use_gradient_means(self, weight: np.ndarray, bias: np.ndarray) -> None:
        factor = -self.weight * self._inverse()
        slope = factor * self._inverse() * weight
        self.slope[:] = slope
        self.offset[:] = factor * bias - self.rest * slope


def _chunks(n: int, size: int) -> list[slice]:
    return [slice(i, min(i + size, n)) for i in range(0, n, size)]


def batch_norm(node: Node, workspace: Workspace) -> Kernel:
    """Return oneDNN's kernel where it is fast, else NumPy's."""
    if node.attributes["training"]:
        return or_numpy(BatchNormTraining, normalization.BatchNormTraining, node, workspace)
    return or_numpy(BatchNormInference, normalization.BatchNormInference, node, workspace)

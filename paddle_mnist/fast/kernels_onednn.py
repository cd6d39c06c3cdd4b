"""Convolution, pooling and large matrix products by oneDNN."""

from __future__ import annotations

import ctypes

import numpy as np

from paddle_mnist.fast import convolution, dense, normalization, onednn
from paddle_mnist.fast.arrays import aligned
from paddle_mnist.fast.onednn import Handle, integers
from paddle_mnist.fast.workspace import Kernel, Workspace
from paddle_mnist.program import Node

# Pixels whose values a batch norm adds up in float32.
CHUNK_PIXELS = 1024


class Convolution(Kernel):
    """A convolution on maps with channels last; oneDNN chooses the layout of the weights."""

    def __init__(self, node: Node, workspace: Workspace) -> None:
        super().__init__(node, workspace)
        self.create = create = workspace.primitives
        x, y = workspace.value(node.inputs[0]), workspace.new_output(node)
        self.values, self.names = workspace.plan.values, node.parameters
        out, per_group, *kernel = workspace.plan.graph.parameters[self.names["weight"]]
        groups = node.attributes["groups"]
        self.shape = (groups, out // groups, per_group, *kernel) if groups > 1 else (out, per_group, *kernel)
        self.weight, self.weight_layout = aligned(*self.shape), create.rows(*self.shape)
        self.bias = aligned(out) if "bias" in self.names else None
        self.bias_layout = create.rows(out) if self.bias is not None else None
        self.x_layout, self.y_layout = create.channels_last(*x.shape), create.channels_last(*y.shape)
        self.x_memory, self.weight_memory = (
            create.memory(self.x_layout, x),
            create.memory(self.weight_layout, self.weight),
        )
        top, bottom, left, right = node.attributes["paddings"]
        dilations = [step - 1 for step in node.attributes["dilations"]]
        self.geometry = [
            integers(node.attributes["strides"]),
            integers(dilations),
            integers((top, left)),
            integers((bottom, right)),
        ]
        self.free = create.any_layout(*self.shape)
        self.convolution = create.descriptor(
            "convolution_forward",
            onednn.dnnl_forward_training if workspace.train else onednn.dnnl_forward_inference,
            onednn.dnnl_convolution_direct,
            self.x_layout,
            self.free,
            self.bias_layout,
            self.y_layout,
            *self.geometry,
            create.attributes,
        )
        self.reorders: list = []
        memories = {
            onednn.DNNL_ARG_SRC: self.x_memory,
            onednn.DNNL_ARG_WEIGHTS: self._weights(self.convolution),
            onednn.DNNL_ARG_DST: create.memory(self.y_layout, y),
        }
        if self.bias is not None:
            memories[onednn.DNNL_ARG_BIAS] = create.memory(self.bias_layout, self.bias)
        self.forward = create.function(self.convolution, memories)

    def _weights(self, descriptor: Handle) -> Handle:
        """Return memory in which a primitive finds the weights as it wants them, once they are loaded."""
        layout = self.create.chosen_layout(descriptor, onednn.dnnl_query_weights_md)
        memory = self.create.memory(layout)
        self.reorders.append(self.create.reorder(self.weight_layout, self.weight_memory, layout, memory))
        return memory

    def load(self) -> None:
        np.copyto(self.weight, self.values[self.names["weight"]].reshape(self.shape))
        if self.bias is not None:
            np.copyto(self.bias, self.values[self.names["bias"]].reshape(-1))
        for reorder in self.reorders:
            reorder()

    def prepare(self, workspace: Workspace) -> None:
        create, gradient = self.create, workspace.output_gradient_of(self.node)
        gradient_memory = create.memory(self.y_layout, gradient)
        descriptor = create.descriptor(
            "convolution_backward_weights",
            onednn.dnnl_convolution_direct,
            self.x_layout,
            self.free,
            self.bias_layout,
            self.y_layout,
            *self.geometry,
            self.convolution,
            self.create.attributes,
        )
        layout = create.chosen_layout(descriptor, onednn.dnnl_query_diff_weights_md)
        weight_gradient = create.memory(layout)
        memories = {
            onednn.DNNL_ARG_SRC: self.x_memory,
            onednn.DNNL_ARG_DIFF_DST: gradient_memory,
            onednn.DNNL_ARG_DIFF_WEIGHTS: weight_gradient,
        }
        if self.bias is not None:
            slot = workspace.parameter_gradient(self.names["bias"])
            memories[onednn.DNNL_ARG_DIFF_BIAS] = create.memory(self.bias_layout, slot)
        slot = create.memory(self.weight_layout, workspace.parameter_gradient(self.names["weight"]))
        self.steps = [
            create.function(descriptor, memories),
            create.reorder(layout, weight_gradient, self.weight_layout, slot),
        ]
        x_gradient = workspace.input_gradient(self.node)
        if x_gradient is not None:
            self.steps.append(self._to_input(gradient_memory, x_gradient))

    def _to_input(self, gradient_memory: Handle, x_gradient: np.ndarray):
        descriptor = self.create.descriptor(
            "convolution_backward_data",
            onednn.dnnl_convolution_direct,
            self.x_layout,
            self.free,
            self.y_layout,
            *self.geometry,
            self.convolution,
            self.create.attributes,
        )
        memories = {
            onednn.DNNL_ARG_DIFF_DST: gradient_memory,
            onednn.DNNL_ARG_WEIGHTS: self._weights(descriptor),
            onednn.DNNL_ARG_DIFF_SRC: self.create.memory(self.x_layout, x_gradient),
        }
        return self.create.function(descriptor, memories)

    def backward(self) -> None:
        for step in self.steps:
            step()


class _Pool(Kernel):
    """Base of the poolings."""

    algorithm = onednn.dnnl_pooling_max

    def __init__(self, node: Node, workspace: Workspace) -> None:
        super().__init__(node, workspace)
        self.create = create = workspace.primitives
        x, y = workspace.value(node.inputs[0]), workspace.new_output(node)
        self.x_layout, self.y_layout = create.channels_last(*x.shape), create.channels_last(*y.shape)
        kernel, strides = node.attributes["kernel"], node.attributes["strides"]
        top, _, left, _ = node.attributes["paddings"]
        # Below and to the right as far as the windows reach.
        reach = [(y.shape[1 + i] - 1) * strides[i] + kernel[i] - x.shape[1 + i] for i in (0, 1)]
        after = [max(reach[0] - top, 0), max(reach[1] - left, 0)]
        self.geometry = [integers(strides), integers(kernel), integers((0, 0)), integers((top, left)), integers(after)]
        self.pooling = create.descriptor(
            "pooling_forward",
            onednn.dnnl_forward_training if workspace.train else onednn.dnnl_forward_inference,
            self.algorithm,
            self.x_layout,
            self.y_layout,
            *self.geometry,
            create.attributes,
        )
        memories = {
            onednn.DNNL_ARG_SRC: create.memory(self.x_layout, x),
            onednn.DNNL_ARG_DST: create.memory(self.y_layout, y),
        }
        self.places = {}
        if workspace.train and self.algorithm == onednn.dnnl_pooling_max:  # which pixel was the maximum
            layout = create.chosen_layout(self.pooling, onednn.dnnl_query_workspace_md)
            self.places = {onednn.DNNL_ARG_WORKSPACE: create.memory(layout)}
        self.forward = create.function(self.pooling, {**memories, **self.places})

    def prepare(self, workspace: Workspace) -> None:
        create, gradient = self.create, workspace.output_gradient_of(self.node)
        x_gradient = workspace.input_gradient(self.node)
        descriptor = create.descriptor(
            "pooling_backward",
            self.algorithm,
            self.x_layout,
            self.y_layout,
            *self.geometry,
            self.pooling,
            create.attributes,
        )
        memories = {
            onednn.DNNL_ARG_DIFF_DST: create.memory(self.y_layout, gradient),
            onednn.DNNL_ARG_DIFF_SRC: create.memory(self.x_layout, x_gradient),
        }
        self.backward = create.function(descriptor, {**memories, **self.places})


class MaxPool(_Pool):
    """The maximum of each window; the gradient goes to the first of equal maxima in reading order, as in Paddle."""


class AveragePool(_Pool):
    """The mean of each window."""

    algorithm = onednn.dnnl_pooling_avg_exclude_padding


def max_pool(node: Node, workspace: Workspace) -> Kernel:
    """Return oneDNN's kernel where it takes such windows, else NumPy's."""
    return _try(MaxPool, convolution.MaxPool, node, workspace)


def average_pool(node: Node, workspace: Workspace) -> Kernel:
    """Return oneDNN's kernel where it takes such windows, else NumPy's."""
    uneven = not node.attributes["exclusive"] and any(node.attributes["paddings"])
    if uneven or convolution.is_global(node, workspace):
        return convolution.average_pool(node, workspace)
    return _try(AveragePool, convolution.AveragePool, node, workspace)


def _try(first: type[Kernel], second: type[Kernel], node: Node, workspace: Workspace) -> Kernel:
    try:
        return first(node, workspace)
    except OSError:
        return second(node, workspace)


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
            workspace.done_before.add(readers[0].name)

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
        return _try(BatchNormTraining, normalization.BatchNormTraining, node, workspace)
    return _try(BatchNormInference, normalization.BatchNormInference, node, workspace)


class Linear(dense.Linear):
    """A linear layer whose products are large enough for NumPy to divide them among threads that are already busy."""

    def __init__(self, node: Node, workspace: Workspace) -> None:
        super().__init__(node, workspace)
        self.create = create = workspace.primitives
        shape = self.x.shape[1], self.y.shape[1]
        self.weight = aligned(*(shape[::-1] if self.transposed else shape))
        self.weight_layout = create.strided(shape, (1, shape[0]) if self.transposed else (shape[1], 1))
        self.weight_memory = create.memory(self.weight_layout, self.weight)
        self.x_memory, self.y_memory = (
            create.memory(self.rows(self.x), self.x),
            create.memory(self.rows(self.y), self.y),
        )
        self.multiply = self._product(
            (self.rows(self.x), self.x_memory),
            (self.weight_layout, self.weight_memory),
            (self.rows(self.y), self.y_memory),
        )

    def rows(self, array: np.ndarray) -> Handle:
        """Return the layout of a matrix."""
        return self.create.rows(*array.shape)

    def _product(self, a: tuple, b: tuple, c: tuple):
        """Return a function for c = a @ b, each given by its layout and its memory."""
        descriptor = self.create.descriptor("matmul", a[0], b[0], None, c[0], self.create.attributes)
        memories = {onednn.DNNL_ARG_SRC: a[1], onednn.DNNL_ARG_WEIGHTS: b[1], onednn.DNNL_ARG_DST: c[1]}
        return self.create.function(descriptor, memories)

    def load(self) -> None:
        np.copyto(self.weight, self.values[self.names["weight"]])

    def forward(self) -> None:
        self.multiply()
        if self.bias:
            self.y += self.values[self.bias].reshape(-1)

    def prepare(self, workspace: Workspace) -> None:
        super().prepare(workspace)
        gradient = self.rows(self.gradient), self.create.memory(self.rows(self.gradient), self.gradient)
        (n, inputs), outputs = self.x.shape, self.y.shape[1]
        if not self.whole_batch:
            slot = self.create.memory(self.weight_layout, workspace.parameter_gradient(self.names["weight"]))
            source = self._strided((inputs, n), (1, inputs), self.x)
            self.to_weight = self._product(source, gradient, (self.weight_layout, slot))
        self.to_x = None
        if self.x_gradient is not None:
            strides = (inputs, 1) if self.transposed else (1, outputs)
            self.to_x = self._product(
                gradient,
                self._strided((outputs, inputs), strides, self.weight),
                self._strided((n, inputs), (inputs, 1), self.x_gradient),
            )

    def _strided(self, shape: tuple[int, int], strides: tuple[int, int], array: np.ndarray) -> tuple[Handle, Handle]:
        layout = self.create.strided(shape, strides)
        return layout, self.create.memory(layout, array)

    def backward(self) -> None:
        (self._store_rows if self.whole_batch else self.to_weight)()
        if self.bias:
            np.add.reduce(self.gradient, axis=0, out=self.bias_gradient)
        if self.to_x:
            self.to_x()


def linear(node: Node, workspace: Workspace) -> Kernel:
    """Return oneDNN's kernel for large products in one of several blocks, else NumPy's."""
    products = workspace.n * node.shape[-1] * workspace.plan.shapes[node.inputs[0]][-1]
    if workspace.plan.block_size is None or products <= dense.SMALL_PRODUCT or len(node.shape) != 1:
        return dense.Linear(node, workspace)
    return Linear(node, workspace)

"""Convolution, pooling and large matrix products by oneDNN."""

from __future__ import annotations

import numpy as np

from paddle_mnist.fast import convolution, dense, onednn
from paddle_mnist.fast.arrays import aligned
from paddle_mnist.fast.onednn import Handle, integers
from paddle_mnist.fast.workspace import Kernel, Workspace
from paddle_mnist.program import Node


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
            None,
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
            None,
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
            None,
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
            None,
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
            "pooling_backward", self.algorithm, self.x_layout, self.y_layout, *self.geometry, self.pooling, None
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
    if not node.attributes["exclusive"] and any(node.attributes["paddings"]):
        return convolution.AveragePool(node, workspace)
    return _try(AveragePool, convolution.AveragePool, node, workspace)


def _try(first: type[Kernel], second: type[Kernel], node: Node, workspace: Workspace) -> Kernel:
    try:
        return first(node, workspace)
    except OSError:
        return second(node, workspace)


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
        descriptor = self.create.descriptor("matmul", a[0], b[0], None, c[0], None)
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
        slot = workspace.parameter_gradient(self.names["weight"])
        self.to_weight = self._product(
            self._strided((inputs, n), (1, inputs), self.x),
            gradient,
            (self.weight_layout, self.create.memory(self.weight_layout, slot)),
        )
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
        self.to_weight()
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

"""Pooling by oneDNN."""

from __future__ import annotations

from paddle_mnist.fast import convolution, onednn
from paddle_mnist.fast.onednn import integers
from paddle_mnist.fast.workspace import Kernel, Workspace
from paddle_mnist.program import Node


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
    return or_numpy(MaxPool, convolution.MaxPool, node, workspace)


def average_pool(node: Node, workspace: Workspace) -> Kernel:
    """Return oneDNN's kernel where it takes such windows, else NumPy's."""
    uneven = not node.attributes["exclusive"] and any(node.attributes["paddings"])
    if uneven or convolution.is_global(node, workspace.plan):
        return convolution.average_pool(node, workspace)
    return or_numpy(AveragePool, convolution.AveragePool, node, workspace)


def or_numpy(first: type[Kernel], second: type[Kernel], node: Node, workspace: Workspace) -> Kernel:
    """Return the first kernel where oneDNN has fast code for it, else the second."""
    try:
        return first(node, workspace)
    except OSError:
        return second(node, workspace)

"""Convolution by oneDNN."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from paddle_mnist.fast import onednn
from paddle_mnist.fast.arrays import aligned
from paddle_mnist.fast.onednn import Handle, integers
from paddle_mnist.fast.workspace import Decisions, Kernel, Workspace
from paddle_mnist.program import Node


class Convolution(Kernel):
    """A convolution on maps with channels last; oneDNN chooses the layout of the weights."""

    def __init__(self, node: Node, workspace: Workspace) -> None:
        super().__init__(node, workspace)
        self.create = create = workspace.primitives
        x, y = workspace.value(node.inputs[0]), workspace.new_output(node)
        self.plan, self.names = workspace.plan, node.parameters
        out, per_group, *kernel = workspace.plan.graph.parameters[self.names["weight"]]
        groups = node.attributes["groups"]
        self.shape = (groups, out // groups, per_group, *kernel) if groups > 1 else (out, per_group, *kernel)
        self.weight_layout = create.rows(*self.shape)
        self.bias: np.ndarray | None = None
        if "bias" in self.names:
            self.bias = self.plan.shared(
                (node.name, "bias"), lambda: _Copy(self.plan, self.names["bias"], (out,))
            ).array
        self.bias_layout: Any = create.rows(out) if self.bias is not None else None
        self.x_layout, self.y_layout = create.channels_last(*x.shape), create.channels_last(*y.shape)
        self.x_memory = create.memory(self.x_layout, x)
        top, bottom, left, right = node.attributes["paddings"]
        # A dilation of a single row or column means nothing.
        steps = zip(node.attributes["dilations"], kernel, strict=True)
        dilations = [step - 1 if size > 1 else 0 for step, size in steps]
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
        memories = {
            onednn.DNNL_ARG_SRC: self.x_memory,
            onednn.DNNL_ARG_WEIGHTS: self._weights(self.convolution),
            onednn.DNNL_ARG_DST: create.memory(self.y_layout, y),
        }
        if self.bias_layout is not None:
            memories[onednn.DNNL_ARG_BIAS] = create.memory(self.bias_layout, self.bias)
        self.forward = create.function(self.convolution, memories)

    def _weights(self, descriptor: Handle) -> Handle:
        """Return memory in which a primitive finds the weights as it wants them: the same for all blocks."""
        layout = self.create.chosen_layout(descriptor, onednn.dnnl_query_weights_md)
        key = self.node.name, self.create.bytes_of(layout)
        weights = self.plan.shared(key, lambda: _Weights(self, layout))
        return self.create.memory(layout, weights.buffer)

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
        if self.bias_layout is not None:
            bias = workspace.parameter_gradient(self.names["bias"])
            memories[onednn.DNNL_ARG_DIFF_BIAS] = create.memory(self.bias_layout, bias)
        slot = create.memory(self.weight_layout, workspace.parameter_gradient(self.names["weight"]))
        self.steps = [
            create.function(descriptor, memories),
            create.reorder(layout, weight_gradient, self.weight_layout, slot),
        ]
        x_gradient = workspace.input_gradient(self.node)
        if x_gradient is not None:
            self.steps.append(self._to_input(gradient_memory, x_gradient))

    def _to_input(self, gradient_memory: Handle, x_gradient: np.ndarray) -> Callable[[], None]:
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

    def backward_calls(self) -> list[Callable[[], None]]:
        return self.steps


class _Copy:
    """A parameter in memory that stays where it is."""

    def __init__(self, plan: Decisions, name: str, shape: tuple[int, ...]) -> None:
        self.values, self.name, self.array = plan.values, name, aligned(*shape)

    def load(self) -> None:
        """Take over new values."""
        np.copyto(self.array, self.values[self.name].reshape(self.array.shape))


class _Weights(_Copy):
    """A convolution's weights in a layout that oneDNN chose."""

    def __init__(self, kernel: Convolution, layout: Handle) -> None:
        super().__init__(kernel.plan, kernel.names["weight"], kernel.shape)
        self.create = create = kernel.create  # kept as long as its reorder
        memory, self.buffer = create.memory(kernel.weight_layout, self.array), create.buffer(layout)
        self.reorder = create.reorder(kernel.weight_layout, memory, layout, create.memory(layout, self.buffer))

    def load(self) -> None:
        """Take over new values."""
        super().load()
        self.reorder()
